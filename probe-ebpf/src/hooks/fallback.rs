//! Fallback programs, for hooks whose program can be preempted.
//!
//! From 7.0 on, the kernel does not switch off preemption around tracepoint programs. While a program is preempted on a
//! CPU, the kernel skips it there for every other task (`prog->active` in `kernel/trace/bpf_trace.c`). So hooks that fire
//! outside all spinlocks lose events. Such a hook gets a fallback program: the same program once more, with a guard of its
//! own, attached right behind the first, so that it runs right after it in the same task. The first program leaves a
//! mark in the task's cell. The fallback removes the mark; where there is none, it does the work. The events that the
//! kernel skipped and no fallback rescued are the difference of two counts, and are reported as a loss.
use aya_ebpf::EbpfContext;
use probe_common::hook::{FALLBACK_SLOT, HookId};

use crate::{cells, emit::Run, globals::config};

/// Run of the first program.
#[inline(always)]
pub fn first(hook: HookId, ctx: &impl EbpfContext) -> Option<Run> {
    let run = Run::begin(hook, ctx)?;
    if config!(fallbacks) == 0 {
        return Some(run);
    }
    let run = run.identify();
    if let Some(task) = cells::task_cell(&run) {
        // SAFETY: the cell is this thread's.
        unsafe { (*task).handled |= 1 << hook as u32 };
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
    let bit = 1 << hook as u32;
    // SAFETY: the cell is this thread's.
    unsafe {
        if (*task).handled & bit != 0 {
            (*task).handled &= !bit;
            return None;
        }
    }
    Run::in_slot(hook, hook as u32 + FALLBACK_SLOT, ctx).map(Run::identify)
}
