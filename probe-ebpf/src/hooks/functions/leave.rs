//! A call ends.
use core::ffi::c_void;

use probe_common::{
    call::{CALL_BALANCED, CALL_INODE, CALL_RETURNED, CALL_RSV, CALL_UNBALANCED},
    claim::RsvType,
    draw::own_tree,
    hook::HookId,
    inode::Counters,
};

use super::{
    context::{Entry, Exit},
    enter,
    pools::{self, NOT_COMPARED},
    send, subject,
};
use crate::{
    cells::{self, frame},
    emit::Run,
    globals::off,
    layout::{frames::Frame, task::TaskCell},
    read,
    stack::{self, Context},
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
        // SAFETY: as above.
        unsafe { pools::moved(frames, frame, hook) };
        let blocks =
            hook as u32 == HookId::UseBlockRsv as u32 || hook as u32 == HookId::BlockRsvAddBytes as u32;
        // SAFETY: as above.
        let twice = if blocks { unsafe { pools::block(frames, hook, ret) } } else { NOT_COMPARED };
        let off = pools::off_balance(task, ret);
        if (off == 0 || off == NOT_COMPARED) && twice != NOT_COMPARED { twice } else { off }
    } else if hook as u32 == HookId::FinishExtentCommit as u32 {
        pools::pools_unpinned(frame::slot(task), 0);
        // SAFETY: as above.
        unsafe { if (*frame).args[1] == 0 { NOT_COMPARED } else { (*frame).args[0] as i64 } }
    } else if hook as u32 == HookId::TransReleaseMetadata as u32 {
        // SAFETY: as above.
        unsafe { pools::blocks_left(frames) }
    } else {
        NOT_COMPARED
    };
    let unbalanced = off != 0 && off != NOT_COMPARED;
    // SAFETY: as above.
    unsafe {
        let wrong_parts = (hook as u32 == HookId::MergeDelallocExtent as u32
            || hook as u32 == HookId::SplitDelallocExtent as u32)
            && !subject::as_due(frame);
        if (-subject::MAX_ERRNO..0).contains(&ret)
            || unbalanced
            || wrong_parts
            || falls_back(hook, frame, ret)
        {
            // Rare and decisive: take the exact stack.
            let exact = stack::returned(&run, context.innermost((*frame).function));
            if exact != 0 {
                (*frame).stack = exact;
                (*frame).stack_representative = 0;
            }
        } else if hook as u32 == HookId::UseBlockRsv as u32
            && (*frame).rsv_type == RsvType::Global as u32
            && (*frame).flags & CALL_RSV != 0
        {
            of_own_tree(&run, task, frame);
        }
    }
    let mut more = CALL_RETURNED;
    if off == 0 {
        more |= CALL_BALANCED;
    } else if unbalanced {
        send::call_send(run.number(), frame::slot(task), CALL_UNBALANCED, off);
    }
    // SAFETY: as above; the cell is this thread's.
    unsafe { (*task).in_hand = (*frame).fs };
    // SAFETY: as above.
    if !unsafe { subject::is_empty(hook, frame, (*frames).serial) } {
        send::call_send(run.number(), frame::slot(task), more, ret);
    }
    frame::end(task, frames);
}

/// A tree draws on the global block_rsv as its own one, at each commit: a stack from time to time.
#[inline(never)]
fn of_own_tree(run: &Run, task: *mut TaskCell, frame: *mut Frame) {
    // SAFETY: the frame is this thread's.
    unsafe {
        let (id, earlier) = stack::ordinary(run, task, Context::draw(), (*frame).args[0]);
        (*frame).stack = if earlier { 0 } else { id };
        (*frame).stack_representative = if earlier { id } else { 0 };
    }
}

/// Whether the call has taken bytes out of the global block_rsv in place of another one.
///
/// # Safety
/// `frame` is the current thread's.
#[inline(always)]
unsafe fn falls_back(hook: HookId, frame: *const Frame, ret: i64) -> bool {
    // SAFETY: as promised.
    unsafe {
        match hook {
            HookId::UseBlockRsv => (*frame).rsv_type == RsvType::Global as u32 && !own_tree((*frame).args[0]),
            HookId::BlockRsvMigrate => (*frame).rsv_type == RsvType::Global as u32,
            HookId::StealFromGlobal => ret != 0,
            _ => false,
        }
    }
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
            // An inode that becomes dirty always holds something, and no rule asks where it did.
            let dirty = hook as u32 == HookId::SetDelallocExtent as u32;
            let commit = hook as u32 == HookId::CommitDeviceSizes as u32;
            if ends || commit || (!dirty && enter::left(&(*frame).before)) {
                (*frame).stack = stack::exact(&run);
            }
        }
        // SAFETY: as above.
        if !unsafe { subject::is_empty(hook, frame, (*frames).serial) } {
            send::call_send(run.number(), frame::slot(task), 0, 0);
        }
    }
    frame::end(task, frames);
}
