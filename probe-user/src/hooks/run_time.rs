//! Time that our programs take, as the kernel measures it on demand.
use probe_common::hook::HookId;

use super::Probe;

/// Time in a program, and how many runs of it were timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunTime {
    /// ns
    pub ns: u64,
    /// Runs.
    pub runs: u64,
}

impl RunTime {
    /// The sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { ns: self.ns.saturating_add(other.ns), runs: self.runs.saturating_add(other.runs) }
    }
}

/// `kernel.bpf_stats_enabled`
#[must_use]
pub fn run_time_is_measured() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/bpf_stats_enabled").is_ok_and(|text| text.trim() == "1")
}

impl Probe {
    /// Logs what each program cost while it was measured, for `cargo xtask bench`: the slowest program of a hook is not visible
    /// in the sum of the hook.
    pub fn show_run_times(&self) {
        if !log::log_enabled!(log::Level::Info) {
            return;
        }
        for (_, name) in &self.programs {
            if let Some(counts) = self.counts_of(name).filter(|counts| counts.runs > 0) {
                log::info!("{name}: {} runs, {} ns", counts.runs, counts.run_time_ns);
            }
        }
    }

    /// Run times of all programs by hook, zero where nothing was measured. A hook may have several programs.
    #[must_use]
    pub fn run_times(&self) -> Vec<(HookId, RunTime)> {
        let time = |name: &str| {
            let counts = self.counts_of(name)?;
            Some(RunTime { ns: counts.run_time_ns, runs: counts.runs })
        };
        self.programs.iter().filter_map(|(hook, name)| Some((*hook, time(name)?))).collect()
    }
}
