//! Ends of system calls, of work items and of threads.
use aya_ebpf::{EbpfContext, macros::raw_tracepoint, programs::RawTracePointContext};
use probe_common::{header::RecordKind, hook::HookId, loss::LossClass, task::Returned};

use crate::{cells, emit::Run};

/// `trace_sys_exit(regs, ret)`: each system call of the machine, so nearly all runs must end after one look at the thread's
/// cell. Only a thread that has called hooked functions since it last came here sends a record.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn sys_exit(ctx: RawTracePointContext) -> i32 {
    returned(HookId::SysExit, &ctx, ctx.arg(1));
    0
}

/// `trace_workqueue_execute_end(work, function)`: each work item of the machine. As above.
#[raw_tracepoint(tracepoint = "workqueue_execute_end")]
pub fn workqueue_execute_end(ctx: RawTracePointContext) -> i32 {
    returned(HookId::WorkEnd, &ctx, 0);
    0
}

/// `trace_sched_process_exit(task)`: a thread that works by page faults alone makes no system call that returns after them. It is in
/// the middle of nothing here, though it still closes its files.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn thread_end(ctx: RawTracePointContext) -> i32 {
    returned(HookId::ThreadEnd, &ctx, 0);
    0
}

#[inline(always)]
fn returned(hook: HookId, ctx: &impl EbpfContext, ret: i64) {
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
    if let Some(run) = Run::begin(hook, ctx).map(Run::identify) {
        run.emit::<Returned>(RecordKind::Returned, LossClass::BooksRecord, fs, |record| {
            // SAFETY: the ring gave this room.
            unsafe { (*record).ret = ret };
        });
    }
}
