//! What the raw tracepoints add to the open calls of their thread.
use probe_common::{call::CALL_FOREIGN, hook::HookId};

use crate::{
    cells::{self, frame},
    globals::{config, off},
    layout::{frames::Frames, task::TaskCell},
    read,
};

/// The thread's frames, in the functions tier.
#[inline(always)]
fn frames(task: *mut TaskCell) -> Option<*mut Frames> {
    if config!(functions) == 0 { None } else { frame::of(task) }
}

/// The thread changed `outstanding_extents` of an inode.
///
/// A function of its own: it runs under `inode->lock` for every change, and inlined, its search would be verified on
/// every path that leads to it.
#[inline(never)]
pub fn extents(task: *mut TaskCell, root: u64, ino: u64, modification: i32) {
    let Some(frames) = frames(task) else { return };
    let Some(call) = frame::top(frames) else { return };
    // SAFETY: the frames are this thread's.
    unsafe {
        if (*call).root_address == root && (*call).ino == ino {
            (*call).extents = (*call).extents.wrapping_add(modification);
            (*call).own_changes += 1;
            (*call).own_releases += u32::from(modification < 0);
            return;
        }
        if (*call).inode != 0 {
            (*call).flags |= CALL_FOREIGN;
        }
        // So that an outer call on this inode does not count the change as another thread's.
        let inode = frame::calls_inode_of(frame::slot(task), root, ino);
        if inode != 0 {
            frame::calls_pass_on(frame::slot(task), inode, 1, u32::from(modification < 0));
        }
    }
}

/// Functions that take bytes out of `bytes_may_use` themselves, other than those of a tree block that is allocated.
#[inline(always)]
const fn frees_itself(hook: u32) -> bool {
    hook == HookId::BlockRsvRelease as u32
        || hook == HookId::UpdateGlobalBlockRsv as u32
        || hook == HookId::RefillDelayedRefs as u32
        || hook == HookId::MigrateToDelayedRefs as u32
}

/// The thread changed `bytes_may_use`. Returns whether the functions tier needs a record of that: data was spent outside of
/// all calls, which no call shows.
#[inline(always)]
pub fn may_use(
    task: *mut TaskCell,
    (fs, fs_info): (u32, u64),
    data: bool,
    metadata: bool,
    diff: i64,
) -> bool {
    let Some(frames) = frames(task) else { return false };
    if metadata {
        // SAFETY: the frame is this thread's.
        let hook = frame::top(frames).map_or(0, |call| unsafe { (*call).hook });
        let block = if diff >= 0 || frees_itself(hook) {
            0
        } else {
            u64::from(read::at::<u32>(fs_info, off!(fs_nodesize)))
        };
        // A refill frees what it does not need, and may flush, which allocates tree blocks.
        let unclear = data || (diff < 0 && hook == HookId::RefillDelayedRefs as u32);
        cells::pools::may_use(frames, fs, diff, block, unclear);
    }
    let Some(call) = frame::top(frames) else { return data && diff < 0 };
    // SAFETY: the frame is this thread's.
    unsafe {
        if data {
            (*call).data = (*call).data.wrapping_add(diff);
        }
        if metadata {
            (*call).metadata = (*call).metadata.wrapping_add(diff);
        }
    }
    false
}

/// The thread added bytes to `delayed_refs_rsv` that it had reserved.
#[inline(always)]
pub fn refilled(task: *mut TaskCell, bytes: u64) {
    let Some(call) = frames(task).and_then(frame::top) else { return };
    // SAFETY: the frame is this thread's.
    unsafe {
        let hook = (*call).hook;
        if hook == HookId::RefillDelayedRefs as u32 || hook == HookId::MigrateToDelayedRefs as u32 {
            (*call).args[2] = (*call).args[2].wrapping_add(bytes);
        }
    }
}

/// The thread changed `BTRFS_QGROUP_RSV_META_PERTRANS` of a qgroup of level 0.
#[inline(always)]
pub fn qgroup_pertrans(task: *mut TaskCell, diff: i64) {
    let Some(call) = frames(task).and_then(frame::top) else { return };
    // SAFETY: the frame is this thread's.
    unsafe {
        let hook = (*call).hook;
        if hook == HookId::QgroupConvertMeta as u32 || hook == HookId::QgroupFreePertrans as u32 {
            (*call).qgroup_data = (*call).qgroup_data.wrapping_add(diff);
        }
    }
}

/// The thread changed `BTRFS_QGROUP_RSV_META_PREALLOC` of this qgroup of level 0, whose id is that of its subvolume.
#[inline(always)]
pub fn qgroup_prealloc(task: *mut TaskCell, id: u64) {
    let Some(call) = frames(task).and_then(frame::top) else { return };
    // SAFETY: the frame is this thread's.
    unsafe {
        let hook = (*call).hook;
        let meta = hook == HookId::QgroupFreeMeta as u32 || hook == HookId::QgroupConvertMeta as u32;
        if meta && (*call).root != id {
            (*call).flags |= CALL_FOREIGN;
        }
    }
}

/// The thread changed the data reservation of a qgroup of level 0.
#[inline(always)]
pub fn qgroup_data(task: *mut TaskCell, diff: i64) {
    let Some(call) = frames(task).and_then(frame::top) else { return };
    // SAFETY: the frame is this thread's.
    unsafe {
        // A reservation that meets the limit may commit the transaction, which frees what others have reserved.
        if diff < 0 && (*call).hook == HookId::QgroupReserveData as u32 {
            return;
        }
        (*call).qgroup_data = (*call).qgroup_data.wrapping_add(diff);
    }
}
