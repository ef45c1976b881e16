//! A call ends.
use core::ffi::c_void;

use probe_common::{
    call::{CALL_BALANCED, CALL_INODE, CALL_RETURNED, CALL_RSV, CALL_UNBALANCED},
    claim::RsvType,
    hook::HookId,
    inode::Counters,
};

use super::{
    context::{Entry, Exit},
    enter, pools, send, subject,
};
use crate::{
    cells::{self, frame},
    emit::Run,
    globals::off,
    layout::frames::Frame,
    read, stack,
};

/// Handles the return of a function.
#[inline(never)]
pub fn leave<C: Exit>(ctx: *mut c_void, hook: HookId) {
    let context = C::of(ctx);
    let Some(run) = Run::unseen(hook, &context) else { return };
    let Some(task) = cells::task_cell(&run) else { return };
    let Some(frames) = frame::of(task) else { return };
    let Some(frame) = frame::returning(&run, task, frames, context.height()) else { return };
    let raw = context.value() as i64;
    // SAFETY: the frame is this thread's.
    let ret = unsafe { subject::returned(hook, raw, frame) };
    // SAFETY: as above.
    unsafe {
        if hook as u32 == HookId::UseBlockRsv as u32 && !(-subject::MAX_ERRNO..=0).contains(&ret) {
            payer(frame, ret as u64);
        }
        subject::numbers_after(hook, frame);
    }
    let off = if pools::changes(hook) {
        let blocks =
            hook as u32 == HookId::UseBlockRsv as u32 || hook as u32 == HookId::BlockRsvAddBytes as u32;
        // SAFETY: as above.
        let twice = if blocks { unsafe { pools::block(frames, hook, ret) } } else { None };
        match pools::off_balance(task, ret) {
            Some(off) if off != 0 => Some(off),
            seen => twice.or(seen),
        }
    } else if hook as u32 == HookId::TransReleaseMetadata as u32 {
        // SAFETY: as above.
        unsafe { pools::blocks_left(frames) }
    } else {
        None
    };
    // SAFETY: as above.
    unsafe {
        if (-subject::MAX_ERRNO..0).contains(&ret) || off.is_some_and(|off| off != 0) {
            // Rare and decisive: take the exact stack.
            let exact = stack::returned(&run, context.innermost((*frame).function));
            if exact != 0 {
                (*frame).stack = exact;
                (*frame).stack_representative = 0;
            }
        }
    }
    let mut more = CALL_RETURNED;
    if let Some(off) = off {
        if off == 0 {
            more |= CALL_BALANCED;
        } else {
            send::call_send(run.number(), frame::slot(task), CALL_UNBALANCED, off);
        }
    }
    // SAFETY: as above; the cell is this thread's.
    unsafe { (*task).in_hand = (*frame).fs };
    // SAFETY: as above.
    if !unsafe { subject::is_empty(hook, frame) } {
        send::call_send(run.number(), frame::slot(task), more, ret);
    }
    frame::end(task, frames);
}

/// `btrfs_use_block_rsv()` returns the block_rsv that pays. What it held before is known only if it is the handle's rsv.
///
/// # Safety
/// `frame` is the current thread's.
#[inline(always)]
unsafe fn payer(frame: *mut Frame, rsv: u64) {
    // SAFETY: as promised.
    unsafe {
        if (*frame).rsv != rsv {
            (*frame).before = Counters::default();
        }
        (*frame).rsv = rsv;
        (*frame).rsv_type = read::rsv_type(rsv);
        (*frame).flags |= CALL_RSV;
        if (*frame).rsv_type == RsvType::Delalloc as u32 {
            let inode = rsv.wrapping_sub(off!(inode_block_rsv) as u64);
            let root = read::inode_root(inode);
            (*frame).inode = inode;
            (*frame).root = read::root_objectid(root);
            (*frame).ino = read::inode_ino(inode);
            (*frame).flags |= CALL_INODE;
        }
    }
}

/// Sends the frame that was just made, of a function whose entry shows all that is needed.
#[inline(never)]
pub fn at_once<C: Entry>(ctx: *mut c_void, hook: HookId) {
    let context = C::of(ctx);
    let Some(run) = Run::unseen(hook, &context) else { return };
    let Some(task) = cells::task_cell(&run) else { return };
    let Some(frames) = frame::of(task) else { return };
    if let Some(frame) = frame::top(frames) {
        // SAFETY: the frame is this thread's.
        unsafe {
            let [_, data, pertrans, prealloc] = (*frame).args;
            let ends = hook as u32 == HookId::QgroupEnd as u32 && data | pertrans | prealloc != 0;
            if ends || enter::left(&(*frame).before) {
                (*frame).stack = stack::exact(&run);
            }
        }
        // SAFETY: as above.
        if !unsafe { subject::is_empty(hook, frame) } {
            send::call_send(run.number(), frame::slot(task), 0, 0);
        }
    }
    frame::end(task, frames);
}
