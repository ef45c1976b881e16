//! A call begins.
use core::ffi::c_void;

use probe_common::{
    call::{CALL_INODE, CALL_NODATASUM, CALL_RSV, CALL_SPECIAL_INODE},
    hook::HookId,
    inode::{COUNTERS_FREE_SPACE, COUNTERS_NODATASUM, Counters},
    loss::LossClass,
};

use super::{context::Entry, origin, pools, subject};
use crate::{
    cells::{self, frame},
    emit::Run,
    globals::config,
    layout::frames::Frame,
    read, stack,
};

/// `BTRFS_DATA_RELOC_TREE_OBJECTID`
const DATA_RELOC_TREE: u64 = (-9i64) as u64;

/// No frame was made.
const NOTHING: u32 = 0;
/// A frame was made, but its inode part is still missing.
const UNOWNED: u32 = 1;
/// A frame was made and counts. The slot of the thread's frames is added.
const OPEN: u32 = 2;

/// Handles the entry of a function; returns whether a frame was made.
///
/// Steps one after the other: the stacks of BPF functions that call each other must fit into 512 bytes.
#[inline(always)]
pub fn enter<C: Entry>(ctx: *mut c_void, hook: HookId) -> bool {
    let mut made = begin::<C>(ctx, hook);
    if made == UNOWNED {
        made = owned::<C>(ctx, hook);
    }
    if made == NOTHING {
        return false;
    }
    if pools::changes(hook) {
        // Notes what block_rsvs hold, in the frame that was made.
        pools::pools_begin(made - OPEN);
    }
    true
}

/// Fills in all that does not need the inode.
#[inline(never)]
fn begin<C: Entry>(ctx: *mut c_void, hook: HookId) -> u32 {
    let context = C::of(ctx);
    if subject::is_for_others(&context, hook) {
        return NOTHING;
    }
    let Some(run) = Run::begin(hook, &context) else { return NOTHING };
    let run = run.identify();
    let subject = subject::of(&context, hook);
    if subject::is_left_out(hook, subject.fs_info) {
        return NOTHING;
    }
    let Some(fs) = cells::fs_id(&run, subject.fs_info) else { return NOTHING };
    let Some(task) = cells::task_cell(&run) else {
        cells::pools::unknown(fs);
        return NOTHING;
    };
    let Some(frames) = frame::of(task) else {
        run.lost(LossClass::CallFrame);
        cells::pools::unknown(fs);
        return NOTHING;
    };
    let Some(frame) = frame::begin(&run, task, frames, context.position()) else {
        cells::pools::unknown(fs);
        return NOTHING;
    };
    // SAFETY: the frame is this thread's.
    unsafe {
        (*frame).fs = fs;
        (*frame).fs_info = subject.fs_info;
        (*frame).subject = subject.address;
        (*frame).rsv = subject.rsv;
        (*frame).entered = run.time();
        (*frame).function = context.function();
        if subject.rsv != 0 {
            (*frame).flags |= CALL_RSV;
            (*frame).rsv_type = read::rsv_type(subject.rsv);
            if subject.inode == 0 {
                (*frame).before = rsv_counters(subject.rsv);
            }
        }
        if subject::needs_quotas(hook) {
            (*frame).flags |= subject::quotas(subject.fs_info);
        }
        subject::numbers(&context, hook, frame);
        if (*frame).parent == 0 && origin::is_rare_outside(hook) || origin::is_rare(hook, frame) {
            (*frame).stack = stack::exact(&run);
        } else if origin::has_origin(hook) {
            let place = (*frame).caller ^ origin::way(hook, frame);
            let (id, representative) = stack::origin(&run, task, frames, place);
            (*frame).stack = id;
            (*frame).stack_representative = u64::from(representative);
        }
    }
    if subject.inode != 0 {
        // SAFETY: as above.
        unsafe { (*frame).inode = subject.inode };
        return UNOWNED;
    }
    frame::commit(frames);
    OPEN + frame::slot(task)
}

/// Fills in the inode part of the frame that is being made.
#[inline(never)]
fn owned<C: Entry>(ctx: *mut c_void, hook: HookId) -> u32 {
    let Some(run) = Run::unseen(hook, &C::of(ctx)) else { return NOTHING };
    let Some(task) = cells::task_cell(&run) else { return NOTHING };
    let Some(frames) = frame::of(task) else { return NOTHING };
    // SAFETY: the frame is this thread's.
    if !unsafe { inode(frame::begun(frames), hook) } {
        return NOTHING;
    }
    frame::commit(frames);
    OPEN + frame::slot(task)
}

/// Notes the inode of the call and the counters before it; false if a filter leaves the inode out, or nothing can be known.
///
/// # Safety
/// `frame` is the current thread's.
#[inline(always)]
unsafe fn inode(frame: *mut Frame, hook: HookId) -> bool {
    // SAFETY: as promised; a live cell stays readable for this run.
    unsafe {
        let inode = (*frame).inode;
        let root = read::inode_root(inode);
        let ino = read::inode_ino(inode);
        let objectid = read::root_objectid(root);
        (*frame).root_address = root;
        (*frame).root = objectid;
        (*frame).ino = ino;
        if (config!(filter_root) != 0 && config!(filter_root) != objectid)
            || (config!(filter_ino) != 0 && config!(filter_ino) != ino)
        {
            return false;
        }
        (*frame).flags |= CALL_INODE;
        let counters = read::counters_closing(inode);
        if counters.flags & COUNTERS_FREE_SPACE != 0 || objectid == DATA_RELOC_TREE {
            (*frame).flags |= CALL_SPECIAL_INODE;
        }
        if counters.flags & COUNTERS_NODATASUM != 0 {
            (*frame).flags |= CALL_NODATASUM;
        }
        (*frame).before = counters;
        match cells::find_inode(root, ino) {
            Some(cell) => {
                (*frame).at_changes = (*cell).changes;
                (*frame).at_releases = (*cell).releases;
                true
            }
            // A drop of caches destroys a million inodes that never held anything.
            None => hook as u32 != HookId::DestroyInode as u32 || left(&counters) || cells::inodes_crowded(),
        }
    }
}

/// True if a counter is not zero.
#[inline(always)]
pub fn left(counters: &Counters) -> bool {
    counters.reserved
        | counters.size
        | counters.csum_bytes
        | counters.delalloc_bytes
        | u64::from(counters.outstanding_extents)
        != 0
}

/// Size and reserved bytes of a block_rsv that does not belong to an inode.
#[inline(always)]
pub fn rsv_counters(rsv: u64) -> Counters {
    let levels = read::rsv(rsv);
    Counters { size: levels.size, reserved: levels.reserved, ..Counters::default() }
}
