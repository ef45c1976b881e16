//! What the kernel counts of a loaded program.
use std::os::fd::{AsRawFd, BorrowedFd};

/// `bpf_prog_show_fdinfo()` in `kernel/bpf/syscall.c`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProgramCounts {
    /// ns that it ran, where that is measured.
    pub(super) run_time_ns: u64,
    /// Runs that were measured.
    pub(super) runs: u64,
    /// Runs that the kernel skipped because the program was already running on that CPU.
    pub(super) misses: u64,
    /// Instructions that the verifier processed.
    pub(super) verified: u64,
}

impl ProgramCounts {
    /// Those of a program that this process has open.
    pub(super) fn of(program: BorrowedFd<'_>) -> Option<Self> {
        let file = format!("/proc/self/fdinfo/{}", program.as_raw_fd());
        Some(Self::parse(&std::fs::read_to_string(file).ok()?))
    }

    /// Lines that a kernel does not have count as zero.
    fn parse(text: &str) -> Self {
        let mut counts = Self::default();
        for (name, number) in text.lines().filter_map(|line| line.split_once(':')) {
            let number = number.trim().parse().unwrap_or(0);
            match name {
                "run_time_ns" => counts.run_time_ns = number,
                "run_cnt" => counts.runs = number,
                "recursion_misses" => counts.misses = number,
                "verified_insns" => counts.verified = number,
                _ => {}
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_a_program_and_of_something_else() {
        let text = "pos:\t0\nprog_type:\t26\nprog_tag:\td4c0\nrun_time_ns:\t91\nrun_cnt:\t7\nrecursion_misses:\t2\n\
            verified_insns:\t4096\n";
        assert_eq!(
            ProgramCounts::parse(text),
            ProgramCounts { run_time_ns: 91, runs: 7, misses: 2, verified: 4096 }
        );
        assert_eq!(ProgramCounts::parse("pos:\t0\nflags:\t02\nrun_cnt\n"), ProgramCounts::default());
    }
}
