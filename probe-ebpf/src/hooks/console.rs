//! Lines of the kernel's log: what btrfs prints, and which test of a test suite begins.
use aya_ebpf::{
    helpers::generated::bpf_probe_read_kernel, macros::raw_tracepoint, programs::RawTracePointContext,
};
use probe_common::{
    failure::{LINE_TEXT, LogLine},
    header::RecordKind,
    hook::HookId,
    loss::LossClass,
};

use super::suite;
use crate::{cells, emit::Run, globals::config, read};

/// Bytes at the begin of a line that tell whether it is wanted.
const BEGIN: usize = 16;
/// `trace_console(text, len)`: every line of the log at any level, also those written to `/dev/kmsg`. Runs in the
/// context of the task that prints, with interrupts off.
#[raw_tracepoint(tracepoint = "console")]
pub fn console(ctx: RawTracePointContext) -> i32 {
    let Some(run) = Run::begin(HookId::Console, &ctx) else { return 0 };
    let (text, length): (u64, u64) = (ctx.arg(0), ctx.arg(1));
    let begin: [u8; BEGIN] = read::at(text, 0);
    if length <= BEGIN as u64 {
        return 0;
    }
    if of_btrfs(&begin) {
        // So that the thread has a name: an abort is told by such a line alone.
        let _ = cells::task_cell(&run);
        line(&run, text, length);
    } else if config!(suite) != 0 && begins(&begin, b"run fstests ") {
        // `check` of xfstests announces a test.
        suite::announced(&run, text, length);
    }
    0
}

/// Lines of btrfs (`btrfs_printk()`), the notice of its rate limit about suppressed lines, and the texts of two WARNs of
/// debug builds (`fs/btrfs/qgroup.c`, `disk-io.c`).
#[inline(always)]
fn of_btrfs(begin: &[u8; BEGIN]) -> bool {
    begins(begin, b"BTRFS")
        || begins(begin, b"_btrfs_printk: ")
        || begins(begin, b"btrfs_printk: ")
        || begins(begin, b"qgroup ")
}

#[inline(always)]
fn begins<const LENGTH: usize>(begin: &[u8; BEGIN], with: &[u8; LENGTH]) -> bool {
    (0..LENGTH).all(|at| begin[at] == with[at])
}

/// A function of its own: the line has no terminator, only its length.
#[inline(never)]
fn line(run: &Run, text: u64, length: u64) {
    // A lost line may have been a complaint, so the verdict must not be `clean`.
    run.emit::<LogLine>(RecordKind::LogLine, LossClass::BooksRecord, 0, |record| {
        // SAFETY: the ring gave this room; the helper writes at most the room of the text.
        unsafe {
            (*record).length = length as u32;
            (*record).reserved = 0;
            (*record).text = [0; LINE_TEXT];
            const MOST: u32 = LINE_TEXT as u32 - 1;
            let take = if length < u64::from(MOST) { length as u32 } else { MOST };
            // The mask changes nothing; it tells the verifier that the length is not negative.
            let (to, from) = ((&raw mut (*record).text).cast(), text as *const core::ffi::c_void);
            bpf_probe_read_kernel(to, take & MOST, from);
        }
    });
}
