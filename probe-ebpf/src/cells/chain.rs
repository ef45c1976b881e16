//! Counters whose every change shows the value before it. Checked here, under the counter's own lock; only what
//! says more than "the chain held" becomes a record.
use probe_common::{
    cell::{CHAIN_CELLS, ChainCell, QGROUP_CELLS},
    chain::{CHAIN_BREAK, CHAIN_LEVEL, CHAIN_OPEN, CHAIN_OVERFLOW, CHAIN_UNDERFLOW, Chain, ChainCounter},
    header::RecordKind,
    loss::LossClass,
};

use super::{claim, spread};
use crate::{
    emit::Run,
    globals::config,
    maps::{CHAINS, FILESYSTEMS, QGROUPS},
    stack,
};

const PROBES: u32 = 8;

/// One change, as the tracepoint shows it.
pub struct Change {
    /// Filesystem id.
    pub fs: u32,
    /// Address of the kernel object.
    pub object: u64,
    /// Which counter of it.
    pub counter: ChainCounter,
    /// Value before the change.
    pub old: u64,
    /// The change.
    pub diff: i64,
}

/// Slot `probe` of a counter, in the map of its kind.
#[inline(always)]
fn slot(key: u64, qgroup: bool, probe: u32) -> Option<*mut ChainCell> {
    let hash = (spread(key) >> 32) as u32;
    if qgroup {
        QGROUPS.get_ptr_mut((hash.wrapping_add(probe)) & (QGROUP_CELLS - 1))
    } else {
        CHAINS.get_ptr_mut((hash.wrapping_add(probe)) & (CHAIN_CELLS - 1))
    }
}

/// Finds the cell of a counter, or takes one.
#[inline(always)]
fn cell_of(run: &Run, change: &Change, qgroup: bool) -> Option<*mut ChainCell> {
    // Kernel objects are at least 8-aligned: the low bits are free for the counter's number.
    let key = change.object | change.counter as u64;
    for probe in 0..PROBES {
        let cell = slot(key, qgroup, probe)?;
        // SAFETY: an array entry stays.
        if unsafe { (*cell).key } == key {
            return Some(cell);
        }
    }
    take(run, key, qgroup, change.fs)
}

#[inline(never)]
fn take(run: &Run, key: u64, qgroup: bool, fs: u32) -> Option<*mut ChainCell> {
    for probe in 0..PROBES {
        let cell = slot(key, qgroup, probe)?;
        // SAFETY: array entries stay; the compare-and-swap decides who takes a cell. A cell of a filesystem
        // whose id is no longer current is dead.
        unsafe {
            let there = (*cell).key;
            let dead = (*cell).fs != 0 && !current((*cell).fs);
            if (there == 0 || dead) && claim(&raw mut (*cell).key, there, key) {
                // At once, so that nobody takes it for dead.
                (*cell).fs = fs;
                (*cell).links = 0;
                return Some(cell);
            }
        }
    }
    run.lost(LossClass::ChainCell);
    None
}

/// True if this filesystem id is the one that lives in its slot now.
#[inline(always)]
fn current(fs: u32) -> bool {
    super::fs::current(FILESYSTEMS.get_ptr_mut(fs & 0xff), fs)
}

/// Checks one link. Returns the cell's object flags.
///
/// `flags` reads the object's own flags (type or qgroup id): for a new object, and for every link of a `qgroup`, which
/// can be replaced by another at the same address.
#[inline(always)]
pub fn link(run: &Run, change: &Change, qgroup: bool, flags: impl Fn(u64) -> u64) -> u64 {
    let Some(cell) = cell_of(run, change, qgroup) else { return flags(change.object) };
    let after = change.old.wrapping_add(change.diff as u64);
    let underflow = change.diff < 0 && change.old < change.diff.unsigned_abs();
    let overflow = change.diff > 0 && after < change.old;
    // The kernel sets a counter that would go below zero to zero, after its warning.
    let value = if underflow { 0 } else { after };
    // SAFETY: the counter's lock is held, so this chain is ours.
    unsafe {
        let fresh = (*cell).links == 0
            || (*cell).fs != change.fs
            || (qgroup && (*cell).object_flags != flags(change.object));
        if fresh {
            (*cell).fs = change.fs;
            (*cell).object_flags = flags(change.object);
            (*cell).links = 0;
            (*cell).peak = 0;
            (*cell).value = change.old;
        }
        let expected = (*cell).value;
        (*cell).links += 1;
        (*cell).value = value;
        if value > (*cell).peak {
            (*cell).peak = value;
        }
        let event = if underflow {
            CHAIN_UNDERFLOW
        } else if overflow {
            CHAIN_OVERFLOW
        } else if expected != change.old {
            CHAIN_BREAK
        } else if fresh {
            CHAIN_OPEN
        } else {
            let now = run.time();
            if now.wrapping_sub((*cell).shown) < u64::from(config!(level_ms)) * 1_000_000 {
                return (*cell).object_flags;
            }
            CHAIN_LEVEL
        };
        show(run, change, cell, event, expected);
        (*cell).object_flags
    }
}

#[inline(never)]
fn show(run: &Run, change: &Change, cell: *mut ChainCell, event: u32, expected: u64) {
    let decisive = event != CHAIN_OPEN && event != CHAIN_LEVEL;
    let stack = if decisive { stack::exact(run) } else { 0 };
    // SAFETY: the counter's lock is held, so this chain is ours.
    unsafe { (*cell).shown = run.time() };
    run.emit::<Chain>(RecordKind::Chain, LossClass::ChainRecord, change.fs, |record| {
        // SAFETY: the ring gave this room; the cell is ours under the counter's lock.
        unsafe {
            (*record).object = change.object;
            (*record).object_flags = (*cell).object_flags;
            (*record).counter = change.counter as u32;
            (*record).event = event;
            (*record).expected = expected;
            (*record).old = change.old;
            (*record).diff = change.diff;
            (*record).links = (*cell).links;
            (*record).peak = (*cell).peak;
            (*record).stack = stack;
            (*cell).peak = 0;
        }
    });
}
