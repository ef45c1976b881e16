//! Fallback programs, for hooks whose program can be preempted.
//!
//! From 7.0 on, the kernel does not switch off preemption around tracepoint programs. While a program is preempted on a
//! CPU, the kernel skips it there for every other task (`prog->active` in `kernel/trace/bpf_trace.c`). So hooks that fire
//! outside all spinlocks lose events. Such a hook gets a fallback program: the same program once more, with a guard of its
//! own, attached right behind the first, so that it runs right after it in the same task. The first program leaves a
//! mark in the task's cell. The fallback removes the mark; where there is none, it does the work. The events that the
//! kernel skipped and no fallback rescued are the difference of two counts, and are reported as a loss.
//!
//! Where many tasks are preempted, two programs are not enough. So where the kernel has kprobes, a kprobe takes their place: it runs
//! with preemption off, so the kernel skips nothing. It sits on `__traceiter_NAME`, which calls the programs of a tracepoint. The
//! kernel calls that function only if a tracepoint has two programs or more, so [`hold`] is attached twice.
use aya_ebpf::{EbpfContext, macros::raw_tracepoint, programs::RawTracePointContext};
use probe_common::hook::{FALLBACK_SLOT, HookId};

use crate::{cells, emit::Run, globals::config};

/// Makes the program of a hook, its fallback program, and the kprobe in place of both. All run `body(&Run, &impl Arguments)`.
macro_rules! with_fallback {
    ($(#[$doc:meta])* $tracepoint:literal $hook:ident $program:ident $fallback:ident $kprobe:ident $body:path) => {
        $(#[$doc])*
        #[aya_ebpf::macros::raw_tracepoint(tracepoint = $tracepoint)]
        pub fn $program(ctx: aya_ebpf::programs::RawTracePointContext) -> i32 {
            if let Some(run) = $crate::hooks::fallback::first(probe_common::hook::HookId::$hook, &ctx) {
                $body(&run, &ctx);
            }
            0
        }

        #[doc = concat!("Fallback program of [`", stringify!($program), "`], see [`crate::hooks::fallback`].")]
        #[aya_ebpf::macros::raw_tracepoint(tracepoint = $tracepoint)]
        pub fn $fallback(ctx: aya_ebpf::programs::RawTracePointContext) -> i32 {
            if let Some(run) = $crate::hooks::fallback::second(probe_common::hook::HookId::$hook, &ctx) {
                $body(&run, &ctx);
            }
            0
        }

        #[doc = concat!("Kprobe in place of [`", stringify!($program), "`], see [`crate::hooks::fallback`].")]
        #[aya_ebpf::macros::kprobe]
        pub fn $kprobe(ctx: aya_ebpf::programs::ProbeContext) -> u32 {
            if let Some(run) = $crate::emit::Run::begin(probe_common::hook::HookId::$hook, &ctx) {
                $body(&run, &ctx);
            }
            0
        }
    };
}
pub(crate) use with_fallback;

/// Keeps a tracepoint on.
#[raw_tracepoint(tracepoint = "hold")]
pub fn hold(_: RawTracePointContext) -> i32 {
    0
}

/// Place of a hook's mark in `TaskCell::handled`.
const fn mark(hook: HookId) -> (usize, u64) {
    (hook as usize / 64, 1 << (hook as u32 % 64))
}

/// Run of the first program.
#[inline(always)]
pub fn first(hook: HookId, ctx: &impl EbpfContext) -> Option<Run> {
    let run = Run::begin(hook, ctx)?;
    if config!(fallbacks) == 0 {
        return Some(run);
    }
    let run = run.identify();
    if let Some(task) = cells::task_cell(&run) {
        let (word, bit) = mark(hook);
        // SAFETY: the cell is this thread's.
        unsafe { (*task).handled[word] |= bit };
    }
    Some(run)
}

/// Run of the fallback, if the first program did not run for this event.
///
/// Without a cell of the task this cannot be told; the first program has counted that loss.
#[inline(always)]
pub fn second(hook: HookId, ctx: &impl EbpfContext) -> Option<Run> {
    // Only a rescued event counts as a run.
    let quiet = Run::unseen(hook, ctx)?;
    let task = cells::task_cell(&quiet)?;
    let (word, bit) = mark(hook);
    // SAFETY: the cell is this thread's.
    unsafe {
        if (*task).handled[word] & bit != 0 {
            (*task).handled[word] &= !bit;
            return None;
        }
    }
    rescue(hook, ctx)
}

/// Run of a fallback for an event that the first program did not see.
#[inline(always)]
pub fn rescue(hook: HookId, ctx: &impl EbpfContext) -> Option<Run> {
    Run::in_slot(hook, hook as u32 + FALLBACK_SLOT, ctx).map(Run::identify)
}
