//! Start and end of filesystems and threads.
use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use probe_common::{
    fs::{FS_END_WORKQUEUES, FsEnd},
    header::RecordKind,
    hook::HookId,
    loss::LossClass,
};

use super::{event::Arguments, fallback::with_fallback};
use crate::{cells, emit::Run, globals::off, read};

with_fallback! {
    /// `trace_btrfs_workqueue_alloc(wq, name)`: the first one of an `fs_info` begins the life of its filesystem.
    "btrfs_workqueue_alloc" WorkqueueAlloc workqueue_alloc workqueue_alloc_fallback workqueue_alloc_iter begins
}

#[inline(always)]
fn begins(run: &Run, ctx: &impl Arguments) {
    let fs_info: u64 = read::at(ctx.arg(0), off!(workqueue_fs_info));
    if fs_info != 0 {
        cells::fs_begin(run, fs_info);
    }
}

with_fallback! {
    /// `trace_btrfs_workqueue_destroy(wq)`: after it, only the release of the global reserve follows.
    "btrfs_workqueue_destroy" WorkqueueDestroy workqueue_destroy workqueue_destroy_fallback workqueue_destroy_iter ends
}

#[inline(always)]
fn ends(run: &Run, ctx: &impl Arguments) {
    let fs_info: u64 = read::at(ctx.arg(0), off!(workqueue_fs_info));
    if fs_info == 0 {
        return;
    }
    if let Some(fs) = cells::fs_end(run, fs_info) {
        run.emit::<FsEnd>(RecordKind::FsEnd, LossClass::BooksRecord, fs, |record| {
            // SAFETY: the ring gave this room.
            unsafe {
                (*record).why = FS_END_WORKQUEUES;
                (*record).fs_state = read::at::<u64>(fs_info, off!(fs_fs_state)) as u32;
            }
        });
    }
}

/// `trace_sched_process_free(task)`: fires after everything else that the thread can have done.
#[raw_tracepoint(tracepoint = "sched_process_free")]
pub fn process_free(ctx: RawTracePointContext) -> i32 {
    if Run::begin(HookId::ProcessFree, &ctx).is_some() {
        let tid: u32 = read::at(ctx.arg(0), off!(task_pid));
        if tid != 0 {
            cells::free_task(u64::from(tid));
        }
    }
    0
}
