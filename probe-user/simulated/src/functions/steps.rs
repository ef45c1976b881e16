//! What functions of the simulated kernel do, step by step.
use probe_common::hook::HookId;

use crate::{I, M, N};

/// Subvolume and inode number.
pub type Key = (u64, u64);

/// One atomic change, or the start or end of a call.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Enter(HookId, Key, [u64; 4]),
    Exit(i64),
    Extents(Key, i64),
    Csums(Key, i64),
    Add(Key, i64),
    Shed(Key),
    Data(i64),
    Dirty(Key, u64),
    Clean(Key, u64),
    Trans(i64),
    /// The system call of the task ends.
    Returned,
}
use Step::{Add, Csums, Data, Enter, Exit, Extents, Shed};

impl Step {
    pub fn on(self, key: Key) -> Self {
        match self {
            Enter(hook, _, args) => Enter(hook, key, args),
            Extents(_, change) => Extents(key, change),
            Csums(_, change) => Csums(key, change),
            Add(_, bytes) => Add(key, bytes),
            Shed(_) => Shed(key),
            other => other,
        }
    }
}

/// Position of the end of the call that starts at `first`.
pub fn end_of(steps: &[Step], first: usize) -> usize {
    let mut depth = 0;
    for (position, step) in steps.iter().enumerate().skip(first) {
        match step {
            Enter(..) => depth += 1,
            Exit(_) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return position;
        }
    }
    panic!("a call without an end")
}

pub fn reserve(key: Key, len: u64, noflush: u64) -> Vec<Step> {
    let bytes = 2 * I + M;
    vec![
        Enter(HookId::ReserveMetadata, key, [len, len, noflush, 0]),
        // A flush inside the call: calls on pools.
        Enter(HookId::UseBlockRsv, (0, 0), [5, N, 0, 0]),
        Exit(0x7100),
        Extents(key, 1),
        Csums(key, len as i64),
        Enter(HookId::BlockRsvAddBytes, key, [bytes, 0, 0, 0]),
        Add(key, bytes as i64),
        Exit(0),
        Exit(0),
    ]
}

pub fn failing(key: Key, len: u64, noflush: u64) -> Vec<Step> {
    vec![
        Enter(HookId::ReserveMetadata, key, [len, len, noflush, 0]),
        Enter(HookId::UseBlockRsv, (0, 0), [5, N, 0, 0]),
        Exit(0x7100),
        Exit(-28),
    ]
}

pub fn inode_rsv_release(key: Key) -> Vec<Step> {
    vec![
        Enter(HookId::InodeRsvRelease, key, [1, 0, 0, 0]),
        Enter(HookId::BlockRsvRelease, key, [0; 4]),
        Shed(key),
        Exit(0),
        Exit(0),
    ]
}

pub fn release_extents(key: Key, len: u64) -> Vec<Step> {
    let mut steps = vec![Enter(HookId::ReleaseExtents, key, [len, 0, 0, 0]), Extents(key, -1)];
    steps.extend(inode_rsv_release(key));
    steps.push(Exit(0));
    steps
}

pub fn release_metadata(key: Key, len: u64) -> Vec<Step> {
    let mut steps = vec![Enter(HookId::ReleaseMetadata, key, [len, 1, 0, 0]), Csums(key, -(len as i64))];
    steps.extend(inode_rsv_release(key));
    steps.push(Exit(0));
    steps
}

pub fn release_space(key: Key, start: u64, len: u64) -> Vec<Step> {
    let mut steps = vec![Enter(HookId::ReleaseSpace, key, [start, len, 1, 0])];
    steps.extend(release_metadata(key, len));
    steps.extend([
        Enter(HookId::FreeReservedDataSpace, key, [start, len, 0, 0]),
        Data(-(len as i64)),
        Exit(0),
    ]);
    steps.push(Exit(0));
    steps
}

/// `btrfs_remove_ordered_extent`
pub fn finish(key: Key, len: u64) -> Vec<Step> {
    let mut steps = vec![Enter(HookId::RemoveOrderedExtent, key, [0, len, len, 0]), Extents(key, -1)];
    steps.extend(release_metadata(key, len));
    steps.push(Exit(0));
    steps
}
