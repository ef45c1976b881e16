//! Tickets.
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use probe_common::{
    failure::Ticket,
    header::RecordKind,
    loss::LossClass,
    shortage::FAILURE_TICKET,
    space::{BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA, is_delalloc_request},
};

use super::{
    event::Arguments,
    failure,
    fallback::with_fallback,
    grant,
    reservation::window_flags,
    space::{forget_data, hold_data},
};
use crate::{cells, emit::Run, globals::off, read, stack};

/// `-ENOSPC`
pub const ENOSPC: i32 = -28;

with_fallback! {
    /// `trace_btrfs_reserve_ticket(fs_info, flags, bytes, start_ns, flush, error)`: in the owner's context, after the outcome.
    ///
    /// The grant itself is an event of another thread, so this event proves it to the owner.
    "btrfs_reserve_ticket" ReserveTicket reserve_ticket reserve_ticket_fallback reserve_ticket_iter ended
}

#[inline(always)]
fn ended(run: &Run, ctx: &impl Arguments) {
    let fs_info: u64 = ctx.arg(0);
    let Some(fs) = cells::fs_id(run, fs_info) else { return };
    let space_flags: u64 = ctx.arg(1);
    let bytes: u64 = ctx.arg(2);
    let error = ctx.arg(5) as i32;
    let task = cells::task_cell(run);
    let stack = if error != 0 { stack::exact(run) } else { 0 };
    grant::ended(run, fs, ctx, task);
    run.emit::<Ticket>(RecordKind::Ticket, LossClass::BooksRecord, fs, |record| {
        // SAFETY: the ring gave this room; the task's cell is this thread's.
        unsafe {
            (*record).space_flags = space_flags;
            (*record).bytes = bytes;
            (*record).start = ctx.arg(3);
            (*record).flush = ctx.arg(4) as i32;
            (*record).error = error;
            (*record).data_held = 0;
            (*record).root = 0;
            (*record).ino = 0;
            (*record).published = 0;
            (*record).flags = 0;
            (*record).stack = stack;
            (*record).ended = bpf_ktime_get_ns();
            if let Some(task) = task {
                (*record).data_held = (*task).data_held;
                (*record).root = (*task).window_root;
                (*record).ino = (*task).window_ino;
                (*record).published = (*task).window_published;
                (*record).flags = window_flags(task);
            }
        }
    });
    let (mut root, mut ino) = (0, 0);
    if let Some(task) = task {
        // SAFETY: the cell is this thread's.
        unsafe {
            (root, ino) = ((*task).window_root, (*task).window_ino);
            if error == ENOSPC {
                (*task).marks |= cells::MARK_TICKET_FAILED;
            } else {
                (*task).marks &= !cells::MARK_TICKET_FAILED;
            }
            if error == 0 {
                if space_flags & BLOCK_GROUP_METADATA != 0 {
                    (*task).fund = bytes;
                } else if space_flags & BLOCK_GROUP_DATA != 0 {
                    hold_data(task, bytes);
                }
            } else if space_flags & BLOCK_GROUP_METADATA != 0 {
                if is_delalloc_request(bytes, u64::from(read::at::<u32>(fs_info, off!(fs_nodesize)))) {
                    (*task).follow = cells::FOLLOW_EVENTS;
                }
            } else if space_flags & BLOCK_GROUP_DATA != 0 {
                forget_data(task);
            }
        }
    }
    if error != 0 {
        let flush = ctx.arg(4) as i32;
        let why = FAILURE_TICKET;
        failure::send(
            run,
            &failure::Ask { fs, why, fs_info, error, flush, bytes, space_flags, root, ino, stack },
        );
    }
}
