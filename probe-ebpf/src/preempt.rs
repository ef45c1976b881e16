//! Programs that keep their CPU to themselves.
//!
//! From 7.0 on a raw tracepoint's program can be preempted where its tracepoint can, and the kernel then skips the
//! program for every other task of that CPU. `bpf_preempt_disable()` (6.10 and later, `kernel/bpf/helpers.c`) leaves
//! only the few instructions around it. It is a function of the kernel, not a helper: its number is not known before
//! the running kernel's BTF is read, so calls to two numbers that no helper has stand for it, and userspace replaces
//! them when it loads the object (`hooks/preempt.rs` there), by nothing where there is no need or no such function.
use probe_common::preempt::{DISABLE, ENABLE};

/// Runs a program's body without being preempted.
#[inline(always)]
pub fn held(body: impl FnOnce() -> i32) -> i32 {
    call(DISABLE);
    let result = body();
    call(ENABLE);
    result
}

#[inline(always)]
fn call(number: i32) {
    // SAFETY: a call by number, as those of helpers are; what it becomes takes no argument.
    unsafe {
        let function: unsafe extern "C" fn() = core::mem::transmute(number as usize);
        function();
    }
}
