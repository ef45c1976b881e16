//! `btrfs_space_reservation`: bytes of an inode's block_rsv, claims on pools, and failed requests.
use probe_common::{
    cell::INODE_NOT_REGULAR,
    claim::ClaimType,
    failure::{ENOSPC_PUBLISHED, ENOSPC_WINDOW_KNOWN, Enospc},
    header::RecordKind,
    inode::{
        Counters, DELALLOC_ORDER_KNOWN, DELALLOC_RESERVE, DELALLOC_ROOT_KNOWN, DELALLOC_STACK_REPRESENTATIVE,
        Delalloc,
    },
    loss::LossClass,
    shortage::FAILURE_NO_WAIT,
    space::{BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA, is_delalloc_request},
};

use super::{
    claims, event::Arguments, failure, fallback::with_fallback, functions, space::forget_data, ticket::ENOSPC,
};
use crate::{
    cells::{self, TypeClass},
    emit::Run,
    globals::{config, off},
    layout::task::TaskCell,
    read,
    stack::{self, Context},
};

with_fallback! {
    /// `trace_btrfs_space_reservation(fs_info, type, val, bytes, reserve)`.
    ///
    /// The address of the type string is compared before any other work: most events are of types that the books ignore.
    "btrfs_space_reservation" SpaceReservation space_reservation space_reservation_fallback space_reservation_iter reservation
}

#[inline(always)]
fn reservation(run: &Run, ctx: &impl Arguments) {
    let class = cells::classify(ctx.arg(1));
    if class == TypeClass::Ignored || (class == TypeClass::DelayedRefs && config!(functions) == 0) {
        return;
    }
    let run = run.identify();
    if class == TypeClass::DelayedRefs {
        if ctx.arg(4) as u32 != 0
            && let Some(task) = cells::task_cell(&run)
        {
            functions::count::refilled(task, ctx.arg(3));
        }
        return;
    }
    let fs_info: u64 = ctx.arg(0);
    let Some(fs) = cells::fs_id(&run, fs_info) else { return };
    let value: u64 = ctx.arg(2);
    let bytes: u64 = ctx.arg(3);
    let reserve = ctx.arg(4) as u32 != 0;
    let claim = match class {
        TypeClass::Delalloc => {
            delalloc(&run, fs, value, bytes, reserve);
            return;
        }
        TypeClass::Enospc => {
            enospc(&run, fs, fs_info, value, bytes);
            return;
        }
        TypeClass::Transaction => ClaimType::Transaction,
        TypeClass::LocalDelayedRefs => ClaimType::LocalDelayedRefs,
        TypeClass::DelayedItem => ClaimType::DelayedItem,
        TypeClass::DelayedInode => ClaimType::DelayedInode,
        TypeClass::Unknown | TypeClass::Ignored | TypeClass::DelayedRefs => {
            run.lost(LossClass::UnknownType);
            return;
        }
    };
    claims::claim(&run, &claims::Event { fs, claim, fs_info, value, bytes, reserve });
}

/// Type `delalloc`, bytes of an inode's block_rsv: fires after the change, outside all locks. It shows the inode number,
/// not the subvolume.
///
/// The subvolume is that of the thread's last change of `outstanding_extents` on the same inode number.
///
/// A function of its own: otherwise its stack and that of the claims would add up.
#[inline(never)]
fn delalloc(run: &Run, fs: u32, ino: u64, bytes: u64, reserve: bool) {
    let task = cells::task_cell(run);
    let mut flags = if reserve { DELALLOC_RESERVE } else { 0 };
    let (mut inode, mut regular) = (0, false);
    let (mut root, mut fund_before, mut fund_after, mut published, mut stack) = (0, 0, 0, 0, 0);
    if let Some(task) = task {
        // SAFETY: the cell is this thread's; an inode cell stays readable for this run.
        unsafe {
            if (*task).mod_ino == ino && (*task).mod_fs == fs {
                root = (*task).mod_objectid;
                flags |= DELALLOC_ROOT_KNOWN;
                inode = cells::checked_pointer((*task).mod_inode, (*task).mod_root, ino);
                regular = (*task).mod_flags & INODE_NOT_REGULAR == 0;
                if reserve && (*task).last_mod > 0 {
                    flags |= DELALLOC_ORDER_KNOWN;
                    published = (*task).last_mod;
                    fund_before = (*task).fund_before;
                    fund_after = (*task).fund;
                }
            }
            if reserve {
                (*task).fund = 0;
                (*task).fund_before = 0;
                (*task).last_mod = 0;
                (*task).data_held = 0;
                (*task).window_known = 0;
                (*task).window_published = 0;
            }
            cells::paid_elsewhere(task);
            (*task).follow = (*task).follow.saturating_sub(1);
            let (id, representative) = stack::ordinary(run, task, Context::delalloc(reserve), root);
            stack = id;
            if representative {
                flags |= DELALLOC_STACK_REPRESENTATIVE;
            }
        }
    }
    if (config!(filter_ino) != 0 && config!(filter_ino) != ino)
        || (config!(filter_root) != 0 && root != 0 && config!(filter_root) != root)
    {
        return;
    }
    run.emit::<Delalloc>(RecordKind::Delalloc, LossClass::BooksRecord, fs, |record| {
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).root = root;
            (*record).ino = ino;
            (*record).bytes = bytes;
            (*record).fund_before = fund_before;
            (*record).fund_after = fund_after;
            (*record).counters =
                if inode == 0 { Counters::default() } else { read::counters(inode, regular) };
            (*record).flags = flags;
            (*record).published = published;
            (*record).stack = stack;
        }
    });
}

/// Type `space_info:enospc`, a failed request. Nothing was reserved, whatever the tracepoint's `reserve` shows.
#[inline(never)]
fn enospc(run: &Run, fs: u32, fs_info: u64, space_flags: u64, bytes: u64) {
    let stack = stack::exact(run);
    let task = cells::task_cell(run);
    let nodesize = u64::from(read::at::<u32>(fs_info, off!(fs_nodesize)));
    run.emit::<Enospc>(RecordKind::Enospc, LossClass::BooksRecord, fs, |record| {
        // SAFETY: the ring gave this room; the task's cell is this thread's.
        unsafe {
            (*record).space_flags = space_flags;
            (*record).bytes = bytes;
            (*record).data_held = 0;
            (*record).root = 0;
            (*record).ino = 0;
            (*record).published = 0;
            (*record).flags = 0;
            (*record).stack = stack;
            if let Some(task) = task {
                (*record).data_held = (*task).data_held;
                (*record).root = (*task).window_root;
                (*record).ino = (*task).window_ino;
                (*record).published = (*task).window_published;
                (*record).flags = window_flags(task);
            }
        }
    });
    let (mut root, mut ino, mut by_ticket) = (0, 0, false);
    if let Some(task) = task {
        // SAFETY: the cell is this thread's.
        unsafe {
            (root, ino) = ((*task).window_root, (*task).window_ino);
            by_ticket = (*task).marks & cells::MARK_TICKET_FAILED != 0;
            (*task).marks &= !cells::MARK_TICKET_FAILED;
            (*task).fallback = if bytes == nodesize { 1 } else { 0 };
            if space_flags & BLOCK_GROUP_METADATA != 0 {
                if is_delalloc_request(bytes, nodesize) {
                    (*task).follow = cells::FOLLOW_EVENTS;
                }
            } else if space_flags & BLOCK_GROUP_DATA != 0 {
                forget_data(task);
            }
        }
    }
    // The state at a failed ticket was sent with it.
    if !by_ticket {
        let (error, flush, why) = (ENOSPC, -1, FAILURE_NO_WAIT);
        failure::send(
            run,
            &failure::Ask { fs, why, fs_info, error, flush, bytes, space_flags, root, ino, stack },
        );
    }
}

/// What is known about the operation that failed.
///
/// # Safety
/// `task` is the current thread's cell.
#[inline(always)]
pub unsafe fn window_flags(task: *mut TaskCell) -> u32 {
    // SAFETY: as promised.
    unsafe {
        let mut flags = 0;
        if (*task).window_known != 0 {
            flags |= ENOSPC_WINDOW_KNOWN;
        }
        if (*task).window_published > 0 {
            flags |= ENOSPC_PUBLISHED;
        }
        flags
    }
}
