//! Whether the block_rsvs hold what `bytes_may_use` says, call by call.
//!
//! All metadata in `bytes_may_use` lies in a block_rsv, or a task has just taken it out of one for a tree block. So of each
//! function that changes block_rsvs it is known beforehand by how much `bytes_may_use` and the block_rsvs may change
//! differently: by the bytes of a block, or by what the caller has reserved before.
//!
//! The block_rsvs of the filesystem have no lock that a program could take. So a call is compared only if it was alone: no other
//! thread was inside such a function, and none changed `bytes_may_use`, from before the first read until after the second.
//! `cells/pools.rs` counts.
use core::mem::offset_of;

use probe_common::{
    call::{MOVED_BY_END, MOVED_KNOWN, MOVED_OF_FS},
    claim::RsvType,
    hook::HookId,
    signature::{NO_ARG, Signature},
    unpinning::unpinning,
};

use crate::{
    cells::{self, frame, pools},
    emit::Run,
    globals::{ABSENT, config, off, signature_byte},
    layout::{
        frames::{Frame, Frames, POOLS_ALONE},
        task::TaskCell,
    },
    maps::FRAMES,
    read,
};

/// Functions that change `reserved` of a block_rsv. `btrfs_block_rsv_add()` and `_refill()` have `btrfs_block_rsv_add_bytes()`
/// inlined.
#[inline(always)]
pub const fn changes(hook: HookId) -> bool {
    matches!(
        hook,
        HookId::BlockRsvAdd
            | HookId::BlockRsvRefill
            | HookId::BlockRsvRelease
            | HookId::BlockRsvMigrate
            | HookId::BlockRsvAddBytes
            | HookId::UseBlockRsv
            | HookId::UpdateGlobalBlockRsv
            | HookId::StealFromGlobal
            | HookId::RefillDelayedRefs
            | HookId::UpdateDelayedRefs
            | HookId::MigrateToDelayedRefs
    )
}

/// A run that shows the time and nothing else. The verifier rejects a call that passes the run's number to a global function if the
/// compiler finds that the function does not need it.
#[inline(always)]
fn clock() -> Option<Run> {
    Run::numbered(0)
}

/// With a filter for subvolumes or inodes, calls for others are not seen.
#[inline(always)]
fn sees_all() -> bool {
    config!(filter_root) == 0 && config!(filter_ino) == 0
}

/// A call of such a function begins: its frame is the innermost of the thread whose frames are in this slot.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn pools_begin(slot: u32) -> u64 {
    let (Some(run), Some(frames)) = (clock(), FRAMES.get_ptr_mut(slot)) else { return 0 };
    let Some(frame) = frame::top(frames) else { return 0 };
    // SAFETY: the frames are this thread's; a cell of an array stays.
    unsafe {
        (*frame).at_freed = (*frames).freed;
        if shows_moved((*frame).hook) {
            let of_fs = (*frame).rsv != 0 && own((*frame).fs_info, (*frame).rsv) == 0;
            (*frame).args[2] = 0;
            (*frame).args[3] = MOVED_KNOWN
                | if of_fs { MOVED_OF_FS } else { 0 }
                | if ends_holder((*frame).around) { MOVED_BY_END } else { 0 };
        }
        let Some(cell) = cells::fs_cell((*frame).fs) else { return 0 };
        if (*frames).blocks_known == 0 && read::journal_info() == 0 {
            // Without a transaction handle no allocation of a tree block is under way.
            (*frames).blocks = 0;
            (*frames).blocks_known = 1;
        }
        let (points, alone) = pools::open(frames, frame, cell);
        if !alone || !sees_all() {
            return 0;
        }
        if !pools::settled(&run, cell, (*frame).fs_info) || !reaches(frame) {
            return 0;
        }
        (*frame).at_points = points;
        (*frame).at_reserved = (*frames).reserved;
        (*frame).at_reserves = (*frames).reserves;
        (*frame).at_held = held(frame);
        (*frame).pools = POOLS_ALONE;
    }
    0
}

/// Functions whose `args[2]` and `args[3]` say what they have moved.
#[inline(always)]
const fn shows_moved(hook: u32) -> bool {
    hook == HookId::BlockRsvRelease as u32
        || hook == HookId::BlockRsvAddBytes as u32
        || hook == HookId::UpdateGlobalBlockRsv as u32
        || hook == HookId::RefillDelayedRefs as u32
        || hook == HookId::MigrateToDelayedRefs as u32
}

/// [`HookId::ends_delayed_ref`] of a number.
#[inline(always)]
const fn ends_holder(hook: u32) -> bool {
    hook == HookId::RefHeadEnd as u32
        || hook == HookId::BlockGroupUpdated as u32
        || hook == HookId::BlockGroupInserted as u32
}

/// Such a function returns: notes what it took out of `bytes_may_use`. The rest of what left a block_rsv is in another one.
///
/// # Safety
/// The frames are this thread's, and `frame` is the innermost of them.
#[inline(always)]
pub unsafe fn moved(frames: *mut Frames, frame: *mut Frame, hook: HookId) {
    if hook as u32 == HookId::BlockRsvRelease as u32 || hook as u32 == HookId::UpdateGlobalBlockRsv as u32 {
        // SAFETY: as promised.
        unsafe { (*frame).args[2] = (*frames).freed.wrapping_sub((*frame).at_freed) };
    }
}

/// Notes the block_rsvs that the call can change besides those of the filesystem. False if there may be one that is not
/// known, or one of another space_info.
///
/// # Safety
/// `frame` is the current thread's.
#[inline(always)]
unsafe fn reaches(frame: *mut Frame) -> bool {
    // SAFETY: as promised.
    unsafe {
        let hook = (*frame).hook;
        let is = |other: HookId| hook == other as u32;
        let (mut first, mut second) = (0, 0);
        if is(HookId::BlockRsvRelease)
            || is(HookId::BlockRsvAddBytes)
            || is(HookId::UseBlockRsv)
            || is(HookId::BlockRsvAdd)
            || is(HookId::BlockRsvRefill)
        {
            first = (*frame).rsv;
        } else if is(HookId::BlockRsvMigrate) {
            (first, second) = ((*frame).rsv, (*frame).args[0]);
        } else if is(HookId::UpdateDelayedRefs) {
            if off!(trans_delayed_rsv) == ABSENT {
                return false;
            }
            first = (*frame).subject + off!(trans_delayed_rsv) as u64;
        } else if !is(HookId::RefillDelayedRefs) && !is(HookId::MigrateToDelayedRefs) {
            return false;
        }
        // Where handles have no block_rsv of their own, another function moves their bytes.
        let moves = signature_byte(HookId::MigrateToDelayedRefs, 0) != NO_ARG;
        if off!(trans_delayed_rsv) == ABSENT && !moves {
            return false;
        }
        let fs_info = (*frame).fs_info;
        (*frame).own_rsvs = [own(fs_info, first), own(fs_info, second)];
        is_metadata(first) && is_metadata(second)
    }
}

/// The block_rsv, if it is not one of the filesystem's; else 0.
#[inline(always)]
fn own(fs_info: u64, rsv: u64) -> u64 {
    let of_fs = rsv == fs_info + off!(fs_trans_block_rsv) as u64
        || rsv == fs_info + off!(fs_delayed_block_rsv) as u64
        || rsv == fs_info + off!(fs_delayed_refs_rsv) as u64
        || rsv == fs_info + off!(fs_global_block_rsv) as u64;
    if of_fs { 0 } else { rsv }
}

/// Whether the block_rsv is of a type that holds metadata of the filesystem's own space_info.
#[inline(always)]
fn is_metadata(rsv: u64) -> bool {
    rsv == 0
        || matches!(
            RsvType::from_u32(read::rsv_type(rsv)),
            RsvType::Global
                | RsvType::Delalloc
                | RsvType::Trans
                | RsvType::DelayedOps
                | RsvType::DelayedRefs
                | RsvType::Temp
                | RsvType::Empty
        )
}

/// Bytes in all block_rsvs that the call can change.
///
/// # Safety
/// `frame` is the current thread's.
#[inline(always)]
unsafe fn held(frame: *mut Frame) -> u64 {
    let reserved = |rsv: u64| read::at::<u64>(rsv, off!(rsv_reserved));
    // SAFETY: as promised.
    unsafe {
        let fs_info = (*frame).fs_info;
        let mut sum = read::pools_reserved(fs_info);
        if (*frame).own_rsvs[0] != 0 {
            sum = sum.wrapping_add(reserved((*frame).own_rsvs[0]));
        }
        if (*frame).own_rsvs[1] != 0 {
            sum = sum.wrapping_add(reserved((*frame).own_rsvs[1]));
        }
        sum
    }
}

/// The call is not compared. A number and no `Option`: the compiler would leave a register unset where it is `None`.
pub const NOT_COMPARED: i64 = i64::MIN;

/// The call returns: by how much `bytes_may_use` has changed more than it may; [`NOT_COMPARED`] if that is not known.
#[inline(always)]
pub fn off_balance(task: *mut TaskCell, ret: i64) -> i64 {
    pools_end(frame::slot(task), ret) as i64
}

/// See [`off_balance`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn pools_end(slot: u32, ret: i64) -> u64 {
    let (Some(run), Some(frames)) = (clock(), FRAMES.get_ptr_mut(slot)) else { return NOT_COMPARED as u64 };
    let Some(frame) = frame::top(frames) else { return NOT_COMPARED as u64 };
    // SAFETY: the frames are this thread's; a cell of an array stays.
    unsafe {
        if (*frame).pools != POOLS_ALONE {
            return NOT_COMPARED as u64;
        }
        let Some(cell) = cells::fs_cell((*frame).fs) else { return NOT_COMPARED as u64 };
        let moved = held(frame).wrapping_sub((*frame).at_held) as i64;
        if !pools::is_alone(frames, cell) || pools::points_of_others(frames, cell) != (*frame).at_points {
            return NOT_COMPARED as u64;
        }
        let is = |other: HookId| (*frame).hook == other as u32;
        let (uses, reserves) =
            (is(HookId::UseBlockRsv), (*frames).reserves.wrapping_sub((*frame).at_reserves));
        let mut may_use = ((*frame).at_freed).wrapping_sub((*frames).freed) as i64;
        if uses || is(HookId::RefillDelayedRefs) || is(HookId::BlockRsvAdd) || is(HookId::BlockRsvRefill) {
            // One is the function's own; more are tickets of others that it has granted.
            if reserves > 1 || (uses && !is_metadata(ret_rsv(ret))) {
                return NOT_COMPARED as u64;
            }
            may_use = may_use.wrapping_add((*frames).reserved.wrapping_sub((*frame).at_reserved) as i64);
        }
        let due = if uses && ret_rsv(ret) != 0 {
            // The next allocation of a tree block takes them out of `bytes_may_use`.
            (*frame).args[1] as i64
        } else if is(HookId::BlockRsvAddBytes) || (is(HookId::MigrateToDelayedRefs) && !migrates_from_rsv()) {
            // The caller has reserved them.
            -((*frame).args[0] as i64)
        } else {
            0
        };
        let off = may_use.wrapping_sub(moved).wrapping_sub(due);
        // What fills up the global reserve counts as moved by this call.
        if off < 0 && unpinning(run.time(), (*cell).unpinned, (*cell).unpinning != 0) {
            NOT_COMPARED as u64
        } else {
            off as u64
        }
    }
}

/// `btrfs_finish_extent_commit()` unpins the next range of metadata of this space_info (0: it returns), so it is done with the one
/// before: what that added to the global reserve, it must have added to `bytes_may_use`.
///
/// `args` of the frame: the sum, how many ranges were compared, and whether the range before can be compared.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn pools_unpinned(slot: u32, sinfo: u64) -> u64 {
    let (Some(run), Some(frames)) = (clock(), FRAMES.get_ptr_mut(slot)) else { return 0 };
    let Some(frame) = frame::top(frames) else { return 0 };
    // SAFETY: the frames are this thread's; a cell of an array stays.
    unsafe {
        if (*frame).hook != HookId::FinishExtentCommit as u32 {
            return 0;
        }
        let Some(cell) = cells::fs_cell((*frame).fs) else { return 0 };
        let points = pools::points_of_others(frames, cell);
        let held = read::pools_reserved((*frame).fs_info);
        // Nobody was inside since before the first look, the thread itself included.
        let alone = pools::is_alone(frames, cell) && (*frames).serial == (*frame).serial;
        let same = pools::points_of_others(frames, cell) == (*frame).at_points;
        if (*frame).args[2] != 0 && alone && same {
            let reserved = (*frames).reserved.wrapping_sub((*frame).at_reserved);
            let may_use = reserved.wrapping_sub((*frames).freed.wrapping_sub((*frame).at_freed));
            let off = may_use.wrapping_sub(held.wrapping_sub((*frame).at_held));
            (*frame).args[0] = (*frame).args[0].wrapping_add(off);
            (*frame).args[1] = (*frame).args[1].wrapping_add(1);
        }
        // Where tickets wait, what is unpinned may be granted to them. The lock is held, so none comes before the range is done.
        let nobody_waits = sinfo != 0
            && off!(sinfo_reclaim_size) != ABSENT
            && read::at::<u64>(sinfo, off!(sinfo_reclaim_size)) == 0;
        let next = nobody_waits && alone && sees_all() && pools::settled(&run, cell, (*frame).fs_info);
        (*frame).args[2] = next as u64;
        (*frame).at_points = points;
        (*frame).at_held = held;
        (*frame).at_reserved = (*frames).reserved;
        (*frame).at_freed = (*frames).freed;
    }
    0
}

/// Whether `btrfs_migrate_to_delayed_refs_rsv()` takes its bytes from a block_rsv (6.2, 6.4), and not what its caller has reserved
/// (6.1.192, 6.6).
#[inline(always)]
fn migrates_from_rsv() -> bool {
    signature_byte(HookId::MigrateToDelayedRefs, offset_of!(Signature, second)) != NO_ARG
}

/// The block_rsv that `btrfs_use_block_rsv()` returned; 0 if it returned an error.
#[inline(always)]
const fn ret_rsv(ret: i64) -> u64 {
    if ret >= -super::subject::MAX_ERRNO && ret <= 0 { 0 } else { ret as u64 }
}

/// `btrfs_use_block_rsv()` or `btrfs_block_rsv_add_bytes()` returns: bytes of a tree block are taken, or put back. Bytes that were
/// put back although an extent has taken them out of `bytes_may_use` already, as a negative number; [`NOT_COMPARED`] if there are none.
///
/// # Safety
/// The frames are this thread's.
#[inline(always)]
pub unsafe fn block(frames: *mut Frames, hook: HookId, ret: i64) -> i64 {
    // SAFETY: as promised.
    unsafe {
        let Some(frame) = frame::top(frames) else { return NOT_COMPARED };
        // Also the block_rsv of log trees (6.18), which no call is compared for: its space_info is another one on zoned devices.
        let pays = RsvType::from_u32(read::rsv_type((*frame).rsv)).pays_metadata_blocks();
        if (*frame).rsv != 0 && !pays {
            return NOT_COMPARED;
        }
        let bytes = (*frame).args[if hook as u32 == HookId::UseBlockRsv as u32 { 1 } else { 0 }] as i64;
        if hook as u32 == HookId::UseBlockRsv as u32 {
            if ret_rsv(ret) != 0 {
                (*frames).blocks = (*frames).blocks.wrapping_add(bytes);
            }
            return NOT_COMPARED;
        }
        // `btrfs_unuse_block_rsv()`; others add bytes for items, which is far more.
        let block = (*frame).around != HookId::RefillDelayedRefs as u32
            && bytes as u64 == u64::from(read::at::<u32>((*frame).fs_info, off!(fs_nodesize)));
        if !block {
            return NOT_COMPARED;
        }
        (*frames).blocks = (*frames).blocks.wrapping_sub(bytes);
        if (*frames).blocks_known == 0 || (*frames).blocks >= 0 || !sees_all() {
            return NOT_COMPARED;
        }
        (*frames).blocks = (*frames).blocks.wrapping_add(bytes);
        -bytes
    }
}

/// A transaction handle ends, so no allocation of a tree block is under way: bytes that were taken for tree blocks and neither
/// allocated nor put back. [`NOT_COMPARED`] if that is not known.
///
/// # Safety
/// The frames are this thread's.
#[inline(always)]
pub unsafe fn blocks_left(frames: *mut Frames) -> i64 {
    // SAFETY: as promised.
    unsafe {
        let known = (*frames).blocks_known != 0 && sees_all();
        let left = (*frames).blocks;
        (*frames).blocks = 0;
        (*frames).blocks_known = 1;
        if known && left != 0 { left } else { NOT_COMPARED }
    }
}
