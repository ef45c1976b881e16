//! Second programs for hooks whose program can be preempted.
//!
//! From 7.0 on tracepoints no longer switch preemption off. A program that was preempted on a CPU is skipped there for
//! every other task until it goes on (`prog->active` in `kernel/trace/bpf_trace.c`), which loses events of hooks that
//! fire outside all spinlocks. Such a hook gets a fallback program: the same program once more, with a guard of its own, attached
//! right behind the first, so that it runs right after it in the same task. The first leaves a mark in the task's
//! cell; the fallback takes the mark away and does the work where there is none. What the kernel skipped and no fallback
//! rescued is the difference of two counts, and is reported as before.
use aya_ebpf::EbpfContext;
use probe_common::hook::{FALLBACK_SLOT, HookId};

use crate::{cells, emit::Run, globals::config};

/// The first program's run.
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

/// The fallback's run, if the first program did not run for this event.
///
/// Without a cell for the task nobody can tell, and the first has counted that.
#[inline(always)]
pub fn second(hook: HookId, ctx: &impl EbpfContext) -> Option<Run> {
    // Only what is rescued counts as a run.
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
