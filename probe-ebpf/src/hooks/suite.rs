//! Tests of a test suite: their processes start and end, and log lines announce them. Attached on demand only.
use aya_ebpf::helpers::{
    bpf_get_current_comm,
    generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str},
};
use probe_common::{
    header::RecordKind,
    loss::LossClass,
    suite::{SIGN_TEXT, SignKind, TestSign},
};

use super::{event::Arguments, fallback::with_fallback};
use crate::{emit::Run, globals::off, maps::TEST_PIDS, read};

/// Digits that the name of a test has at least.
const DIGITS: usize = 3;

with_fallback! {
    /// `trace_sched_process_exec(task, old_pid, bprm)`: runs in the new program, which already has its name.
    "sched_process_exec" ProcessExec process_exec process_exec_fallback process_exec_iter executed
}

#[inline(always)]
fn executed(run: &Run, ctx: &impl Arguments) {
    if named_by_number() {
        let pid = (run.pid_tgid() >> 32) as u32;
        let path: u64 = read::at(ctx.arg(2), off!(binprm_filename));
        let _ = TEST_PIDS.insert(&pid, &1, 0);
        sign(run, SignKind::Exec, pid, 0, path);
    }
}

with_fallback! {
    /// `trace_sched_process_exit(task)`: `exit_code` is set by then (`do_exit()` in `kernel/exit.c`).
    "sched_process_exit" ProcessExit process_exit process_exit_fallback process_exit_iter exited
}

#[inline(always)]
fn exited(run: &Run, ctx: &impl Arguments) {
    let pid = run.pid_tgid() as u32;
    // Other threads of the process, and children of a test, are not tests.
    // SAFETY: the value is not used.
    if unsafe { TEST_PIDS.get(&pid) }.is_some() {
        let _ = TEST_PIDS.remove(&pid);
        let status: u32 = read::at(ctx.arg(0), off!(task_exit_code));
        sign(run, SignKind::Exit, pid, status, 0);
    }
}

/// A function of its own: the line has no terminator, only its length.
#[inline(never)]
pub fn announced(run: &Run, text: u64, length: u64) {
    run.emit::<TestSign>(RecordKind::TestSign, LossClass::Descriptive, 0, |record| {
        // SAFETY: the ring gave this room; the helper writes at most the room of the text.
        unsafe {
            (*record).what = SignKind::Console as u32;
            (*record).pid = (run.pid_tgid() >> 32) as u32;
            (*record).status = 0;
            (*record).reserved = 0;
            (*record).text = [0; SIGN_TEXT];
            let take = if length < SIGN_TEXT as u64 { length as u32 } else { SIGN_TEXT as u32 };
            // The mask changes nothing; it tells the verifier that the length is not negative.
            let (to, from) = ((&raw mut (*record).text).cast(), text as *const core::ffi::c_void);
            bpf_probe_read_kernel(to, take & 127, from);
        }
    });
}

#[inline(never)]
fn sign(run: &Run, what: SignKind, pid: u32, status: u32, path: u64) {
    run.emit::<TestSign>(RecordKind::TestSign, LossClass::Descriptive, 0, |record| {
        // SAFETY: the ring gave this room; the helper writes at most the room of the text.
        unsafe {
            (*record).what = what as u32;
            (*record).pid = pid;
            (*record).status = status;
            (*record).reserved = 0;
            (*record).text = [0; SIGN_TEXT];
            if path != 0 {
                bpf_probe_read_kernel_str(
                    (&raw mut (*record).text).cast(),
                    SIGN_TEXT as u32,
                    path as *const core::ffi::c_void,
                );
            }
        }
    });
}

/// Names of xfstests tests are numbers of three or more digits.
#[inline(always)]
fn named_by_number() -> bool {
    let Ok(comm) = bpf_get_current_comm() else { return false };
    let digit = |at: usize| comm[at].is_ascii_digit();
    (0..DIGITS).all(digit)
        && (comm[DIGITS] == 0 || digit(DIGITS) && (comm[DIGITS + 1] == 0 || digit(DIGITS + 1)))
}
