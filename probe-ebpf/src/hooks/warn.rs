//! WARNs of the kernel.
use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use probe_common::{failure::Warn, header::RecordKind, hook::HookId, loss::LossClass};

use crate::{emit::Run, stack};

/// `trace_error_report_end(detector, id)`: a WARN_ON printed its report; `id` is the address of the caller.
#[raw_tracepoint(tracepoint = "error_report_end")]
pub fn error_report_end(ctx: RawTracePointContext) -> i32 {
    let Some(run) = Run::begin(HookId::ErrorReportEnd, &ctx) else { return 0 };
    let stack = stack::exact(&run);
    run.emit::<Warn>(RecordKind::Warn, LossClass::BooksRecord, 0, |record| {
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).address = ctx.arg(1);
            (*record).detector = ctx.arg::<u64>(0) & 0xffff_ffff;
            (*record).stack = stack;
        }
    });
    0
}
