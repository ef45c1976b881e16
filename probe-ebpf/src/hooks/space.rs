//! `bytes_may_use`, `bytes_pinned` and the qgroup counters: chains, each under its own lock.
use core::ffi::c_void;

use aya_ebpf::{EbpfContext as _, macros::raw_tracepoint, programs::RawTracePointContext};
use probe_common::{
    chain::{Bmu, ChainCounter},
    fs::LEVELS_UNMOUNT,
    header::RecordKind,
    hook::HookId,
    loss::LossClass,
    space::{BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA},
};

use super::{functions, grant, levels, limit};
use crate::{
    cells::{
        self,
        chain::{Change, link},
        frame,
    },
    emit::Run,
    globals::{config, off},
    layout::task::TaskCell,
    read,
};

/// `trace_update_bytes_may_use(fs_info, sinfo, old, diff)`: under `sinfo->lock`, before the change.
#[raw_tracepoint(tracepoint = "update_bytes_may_use")]
pub fn update_bytes_may_use(ctx: RawTracePointContext) -> i32 {
    if let Some(run) = Run::begin(HookId::BytesMayUse, &ctx) {
        may_use(&run.identify(), ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg::<u64>(3) as i64);
    }
    0
}

#[inline(always)]
fn may_use(run: &Run, fs_info: u64, sinfo: u64, old: u64, diff: i64) {
    let Some(fs) = cells::fs_id(run, fs_info) else { return };
    let change = Change { fs, object: sinfo, counter: ChainCounter::BytesMayUse, old, diff };
    let flags = link(run, &change, false, |object| read::at(object, off!(sinfo_flags)));
    if diff < 0 && flags & BLOCK_GROUP_METADATA != 0 && cells::fs_dying(fs) {
        levels::send(
            run,
            &levels::Ask {
                fs,
                why: LEVELS_UNMOUNT,
                fs_info,
                changing: sinfo,
                after: old.wrapping_add(diff as u64),
            },
        );
    }
    if diff > 0 {
        grant::added(run, fs, sinfo, flags, diff as u64);
    }
    let Some(task) = cells::task_cell(run) else { return };
    let spent = functions::count::may_use(
        task,
        (fs, fs_info),
        flags & BLOCK_GROUP_DATA != 0,
        flags & BLOCK_GROUP_METADATA != 0,
        diff,
    );
    // SAFETY: the cell is this thread's.
    unsafe {
        if (*task).follow != 0 || spent || config!(stream_all) != 0 {
            run.emit::<Bmu>(RecordKind::Bmu, LossClass::BooksRecord, fs, |record| {
                (*record).object = sinfo;
                (*record).object_flags = flags;
                (*record).old = old;
                (*record).diff = diff;
            });
            // The failed operation is over when it gave its data bytes back, or when another operation begins.
            (*task).follow = if flags & BLOCK_GROUP_DATA != 0 { 0 } else { (*task).follow.saturating_sub(1) };
        }
        if flags & BLOCK_GROUP_METADATA != 0 || flags & BLOCK_GROUP_DATA == 0 {
            (*task).fresh = if diff > 0 { diff as u64 } else { 0 };
            if diff > 0 && flags & BLOCK_GROUP_METADATA != 0 {
                (*task).fund = diff as u64;
            }
        } else if diff > 0 {
            hold_data(task, diff as u64);
        } else {
            (*task).data_held = (*task).data_held.saturating_sub(diff.unsigned_abs());
        }
    }
}

/// A data reservation of the current thread begins an operation.
///
/// # Safety
/// `task` is the current thread's cell.
#[inline(always)]
pub unsafe fn hold_data(task: *mut TaskCell, bytes: u64) {
    // SAFETY: as promised.
    unsafe {
        (*task).data_held = bytes;
        (*task).window_known = 1;
        (*task).window_published = 0;
        (*task).window_root = 0;
        (*task).window_ino = 0;
    }
}

/// A data reservation of the current thread failed: if its operation goes on (NOCOW), it holds no data bytes. What the
/// cell shows may come from another task's ticket that was granted in this thread's context.
///
/// # Safety
/// `task` is the current thread's cell.
#[inline(always)]
pub unsafe fn forget_data(task: *mut TaskCell) {
    // SAFETY: as promised.
    unsafe {
        (*task).data_held = 0;
        (*task).window_known = 0;
        (*task).window_published = 0;
    }
}

/// `trace_update_bytes_pinned(fs_info, sinfo, old, diff)`: under `sinfo->lock`, before the change.
#[raw_tracepoint(tracepoint = "update_bytes_pinned")]
pub fn update_bytes_pinned(ctx: RawTracePointContext) -> i32 {
    let slot = pinned(ctx.as_ptr());
    if slot != frame::NONE {
        functions::pools_unpinned(slot, ctx.arg(1));
    }
    0
}

/// Handles the event. Returns the slot of the thread's frames if it unpins metadata.
///
/// A function of its own: the stacks of BPF functions that call each other must fit into 512 bytes.
#[inline(never)]
fn pinned(ctx: *mut c_void) -> u32 {
    let ctx = RawTracePointContext::new(ctx);
    let Some(run) = Run::begin(HookId::BytesPinned, &ctx) else { return frame::NONE };
    let Some(fs) = cells::fs_id(&run, ctx.arg(0)) else { return frame::NONE };
    let change = Change {
        fs,
        object: ctx.arg(1),
        counter: ChainCounter::BytesPinned,
        old: ctx.arg(2),
        diff: ctx.arg::<u64>(3) as i64,
    };
    let flags = link(&run, &change, false, |object| read::at(object, off!(sinfo_flags)));
    let unpins = change.diff < 0 && flags & BLOCK_GROUP_METADATA != 0;
    if unpins {
        cells::pools::unpinned(&run, fs);
    }
    cells::pinned::changed(fs, ctx.arg(0), flags, change.diff);
    if !unpins || config!(functions) == 0 {
        return frame::NONE;
    }
    cells::task_cell(&run).map_or(frame::NONE, frame::slot)
}

/// `trace_(btrfs_)qgroup_update_reserve(fs_info, qgroup, diff, type)`: under `qgroup_lock`, before the change.
///
/// The tracepoint does not show the counter, so it is read from the qgroup, which cannot change under the lock.
#[raw_tracepoint(tracepoint = "btrfs_qgroup_update_reserve")]
pub fn qgroup_update_reserve(ctx: RawTracePointContext) -> i32 {
    let Some(run) = Run::begin(HookId::QgroupUpdateReserve, &ctx) else { return 0 };
    let Some(fs) = cells::fs_id(&run, ctx.arg(0)) else { return 0 };
    let qgroup: u64 = ctx.arg(1);
    let (counter, index) = match ctx.arg::<u64>(3) as u32 {
        0 => (ChainCounter::QgroupData, 0),
        1 => (ChainCounter::QgroupMetaPertrans, 1),
        2 => (ChainCounter::QgroupMetaPrealloc, 2),
        _ => return 0,
    };
    let Some(old) = read::try_at::<u64>(qgroup, off!(qgroup_rsv_values) + index * 8) else {
        run.lost(LossClass::ReadFault);
        return 0;
    };
    let change = Change { fs, object: qgroup, counter, old, diff: ctx.arg::<u64>(2) as i64 };
    let id = link(&run, &change, true, |object| read::at(object, off!(qgroup_qgroupid)));
    if change.diff > 0
        && id >> 48 == 0
        && cells::limits_refuse(fs)
        && let Some(task) = cells::task_cell(&run)
    {
        // SAFETY: the cell is this thread's.
        unsafe { limit::granted(&run, fs, task, qgroup, change.diff as u64, index as u32) };
    }
    // Only level 0: each level of a hierarchy would count the same bytes again.
    if config!(functions) != 0
        && id >> 48 == 0
        && let Some(task) = cells::task_cell(&run)
    {
        match index {
            0 => functions::count::qgroup_data(task, change.diff),
            1 => functions::count::qgroup_pertrans(task, change.diff),
            _ => functions::count::qgroup_prealloc(task, id),
        }
    }
    0
}
