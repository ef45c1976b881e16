//! Ends of system calls.
use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use probe_common::{header::RecordKind, hook::HookId, loss::LossClass, task::Returned};

use crate::{cells, emit::Run};

/// `trace_sys_exit(regs, ret)`: each system call of the machine, so nearly all runs must end after one look at the thread's
/// cell. Only a thread that has called hooked functions since it last came here sends a record.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn sys_exit(ctx: RawTracePointContext) -> i32 {
    // Not counted as a run: the count would be that of all system calls.
    let Some(run) = Run::unseen(HookId::SysExit, &ctx) else { return 0 };
    let Some(task) = cells::known_task(&run) else { return 0 };
    // SAFETY: the cell is this thread's.
    let fs = unsafe { (*task).in_hand };
    if fs == 0 {
        return 0;
    }
    // SAFETY: as above.
    unsafe { (*task).in_hand = 0 };
    if let Some(run) = Run::begin(HookId::SysExit, &ctx).map(Run::identify) {
        run.emit::<Returned>(RecordKind::Returned, LossClass::BooksRecord, fs, |record| {
            // SAFETY: the ring gave this room.
            unsafe { (*record).ret = ctx.arg(1) };
        });
    }
    0
}
