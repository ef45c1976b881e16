//! Who is inside a function that changes block_rsvs: counts of each filesystem, and each thread's share of them.
//!
//! `hooks/functions/pools.rs` compares a call only if no other thread was inside such a function meanwhile, and needs these
//! counts for that. They go up before a change begins, and down after it.
use core::intrinsics::{AtomicOrdering, atomic_xadd};

use super::fs::fs_cell;
use crate::{
    emit::Run,
    globals::{ABSENT, config, off},
    layout::{
        frames::{Frame, Frames, POOLS_COUNTED},
        fs::FsCell,
    },
    read,
};

/// A task whose ticket was granted before the first look has gone on after this many ns.
const GONE_ON: u64 = 10_000_000;
/// A task that waited at the first look has gone on this many ns after nobody waited any more.
const WOKEN: u64 = 2_000_000_000;
/// In place of a time: somebody waited at the first look.
const WAITED: u64 = u64::MAX;

/// Adds `by` to a count that all processors share.
#[inline(always)]
unsafe fn add(count: *mut u32, by: u32) {
    // SAFETY: callers pass a field of a map value that stays.
    unsafe { atomic_xadd::<u32, u32, { AtomicOrdering::SeqCst }>(count, by) };
}

/// Reads such a count.
#[inline(always)]
unsafe fn count(count: *const u32) -> u32 {
    // SAFETY: callers pass a field of a map value that stays.
    unsafe { count.read_volatile() }
}

/// From when on nobody can be inside such a function unseen: a task that waited for space when the hooks were attached is, until its
/// ticket is granted and it has gone on. `from`: what the last look gave; 0 if there was none.
#[inline(always)]
pub fn look(run: &Run, fs_info: u64, from: u64) -> u64 {
    let space: u64 = read::at(fs_info + off!(fs_delayed_refs_rsv) as u64, off!(rsv_space_info));
    if off!(sinfo_reclaim_size) == ABSENT || read::at::<u64>(space, off!(sinfo_reclaim_size)) != 0 {
        return WAITED;
    }
    run.time() + if from == WAITED { WOKEN } else { GONE_ON }
}

/// Whether nobody can be inside such a function unseen.
///
/// # Safety
/// `cell` is an entry of the map.
#[inline(always)]
pub unsafe fn settled(run: &Run, cell: *mut FsCell, fs_info: u64) -> bool {
    // SAFETY: as promised; written whole.
    unsafe {
        if (*cell).pools_settled == WAITED {
            (*cell).pools_settled = look(run, fs_info, WAITED);
            return false;
        }
        run.time() >= (*cell).pools_settled
    }
}

/// A call of such a function begins: counts it. Returns the points of other threads, and whether none of them is inside.
///
/// # Safety
/// The frames are the current thread's, `cell` is an entry of its map.
#[inline(always)]
pub unsafe fn open(frames: *mut Frames, frame: *mut Frame, cell: *mut FsCell) -> (u32, bool) {
    // SAFETY: as promised.
    unsafe {
        add(&raw mut (*cell).pool_open, 1);
        (*frames).pool_open = (*frames).pool_open.wrapping_add(1);
        add(&raw mut (*cell).pool_points, 1);
        (*frames).pool_points = (*frames).pool_points.wrapping_add(1);
        (*frame).pools = POOLS_COUNTED;
        // Whoever begins or ends after the first read is seen in the points, whoever is inside in the second.
        let points = points_of_others(frames, cell);
        (points, is_alone(frames, cell))
    }
}

/// Begins and ends of such calls of other threads, and their changes of `bytes_may_use` of metadata. Wraps.
///
/// # Safety
/// As [`open`].
#[inline(always)]
pub unsafe fn points_of_others(frames: *const Frames, cell: *const FsCell) -> u32 {
    // SAFETY: as promised.
    unsafe { count(&raw const (*cell).pool_points).wrapping_sub((*frames).pool_points) }
}

/// Whether no other thread is inside such a function.
///
/// # Safety
/// As [`open`].
#[inline(always)]
pub unsafe fn is_alone(frames: *const Frames, cell: *const FsCell) -> bool {
    // SAFETY: as promised.
    unsafe { count(&raw const (*cell).pool_open) == (*frames).pool_open && (*cell).pools_unknown == 0 }
}

/// A call ends, or its return was missed.
#[inline(never)]
pub fn close(frames: *mut Frames, frame: *mut Frame) {
    // SAFETY: the frames are this thread's; a cell of an array stays.
    unsafe {
        if (*frame).pools == 0 {
            return;
        }
        (*frame).pools = 0;
        (*frames).pool_open = (*frames).pool_open.wrapping_sub(1);
        (*frames).pool_points = (*frames).pool_points.wrapping_add(1);
        if let Some(cell) = fs_cell((*frame).fs) {
            add(&raw mut (*cell).pool_points, 1);
            add(&raw mut (*cell).pool_open, u32::MAX);
        }
    }
}

/// This thread changes `bytes_may_use` of metadata. `block`: bytes of a tree block, if the change can be the allocation of one; else
/// 0. `unclear`: it cannot be told from a change for something else.
#[inline(always)]
pub fn may_use(frames: *mut Frames, fs: u32, diff: i64, block: u64, unclear: bool) {
    // SAFETY: the frames are this thread's; a cell of an array stays.
    unsafe {
        if unclear {
            (*frames).blocks_known = 0;
        } else if diff < 0 && diff.unsigned_abs() == block {
            // The allocation of a tree block.
            (*frames).blocks = (*frames).blocks.wrapping_add(diff);
        }
        if diff < 0 {
            (*frames).freed = (*frames).freed.wrapping_add(diff.unsigned_abs());
        } else if diff > 0 {
            (*frames).reserved = (*frames).reserved.wrapping_add(diff as u64);
            (*frames).reserves = (*frames).reserves.wrapping_add(1);
        }
        (*frames).pool_points = (*frames).pool_points.wrapping_add(1);
        if let Some(cell) = fs_cell(fs) {
            add(&raw mut (*cell).pool_points, 1);
        }
    }
}

/// Metadata is unpinned.
#[inline(always)]
pub fn unpinned(run: &Run, fs: u32) {
    if config!(functions) != 0
        && let Some(cell) = fs_cell(fs)
    {
        // SAFETY: a cell of an array stays; written whole.
        unsafe {
            (*cell).unpinned = run.time();
            (*cell).unpinning = 1;
        }
    }
}

/// A transaction is committed: what it unpins is unpinned.
#[inline(always)]
pub fn committed(fs: u32) {
    if config!(functions) != 0
        && let Some(cell) = fs_cell(fs)
    {
        // SAFETY: a cell of an array stays; written whole.
        unsafe { (*cell).unpinning = 0 };
    }
}

/// A call of such a function cannot be followed.
#[inline(always)]
pub fn unknown(fs: u32) {
    if let Some(cell) = fs_cell(fs) {
        // SAFETY: a cell of an array stays; written whole, and only ever to 1.
        unsafe { (*cell).pools_unknown = 1 };
    }
}
