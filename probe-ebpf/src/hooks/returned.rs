//! Ends of system calls, of work items and of threads.
use aya_ebpf::{EbpfContext, macros::raw_tracepoint, programs::RawTracePointContext};
use probe_common::{header::RecordKind, hook::HookId, loss::LossClass, task::Returned};

use super::fallback;
use crate::{cells, emit::Run};

/// `trace_sys_exit(regs, ret)`: each system call of the machine, so nearly all runs must end after one look at the thread's
/// cell. Only a thread that has called hooked functions since it last came here sends a record.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn sys_exit(ctx: RawTracePointContext) -> i32 {
    returned(HookId::SysExit, &ctx, ctx.arg(1), Run::begin);
    0
}

/// Fallback program of [`sys_exit`]. Where both see an event, the second finds that nothing is left to do.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn sys_exit_fallback(ctx: RawTracePointContext) -> i32 {
    returned(HookId::SysExit, &ctx, ctx.arg(1), fallback::rescue);
    0
}

/// `trace_workqueue_execute_end(work, function)`: each work item of the machine. As above.
#[raw_tracepoint(tracepoint = "workqueue_execute_end")]
pub fn workqueue_execute_end(ctx: RawTracePointContext) -> i32 {
    returned(HookId::WorkEnd, &ctx, 0, Run::begin);
    0
}

/// Fallback program of [`workqueue_execute_end`], as above.
#[raw_tracepoint(tracepoint = "workqueue_execute_end")]
pub fn workqueue_execute_end_fallback(ctx: RawTracePointContext) -> i32 {
    returned(HookId::WorkEnd, &ctx, 0, fallback::rescue);
    0
}

/// `trace_sched_process_exit(task)`: a thread that works by page faults alone makes no system call that returns after them. It is in
/// the middle of nothing here, though it still closes its files.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn thread_end(ctx: RawTracePointContext) -> i32 {
    returned(HookId::ThreadEnd, &ctx, 0, Run::begin);
    0
}

/// Fallback program of [`thread_end`], as above.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn thread_end_fallback(ctx: RawTracePointContext) -> i32 {
    returned(HookId::ThreadEnd, &ctx, 0, fallback::rescue);
    0
}

#[inline(always)]
fn returned<C: EbpfContext>(hook: HookId, ctx: &C, ret: i64, begin: impl Fn(HookId, &C) -> Option<Run>) {
    // Not counted as a run: the count would be that of all system calls.
    let Some(run) = Run::unseen(hook, ctx) else { return };
    let Some(task) = cells::known_task(&run) else { return };
    // SAFETY: the cell is this thread's.
    let fs = unsafe { (*task).in_hand };
    if fs == 0 {
        return;
    }
    // SAFETY: as above.
    unsafe { (*task).in_hand = 0 };
    if let Some(run) = begin(hook, ctx).map(Run::identify) {
        run.emit::<Returned>(RecordKind::Returned, LossClass::BooksRecord, fs, |record| {
            // SAFETY: the ring gave this room.
            unsafe { (*record).ret = ret };
        });
    }
}
