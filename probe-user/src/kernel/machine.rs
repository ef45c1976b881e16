//! Which kernel on which machine, and how its clocks relate.
use std::path::Path;

use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::files;

/// What runs here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// As `uname -r`.
    pub release: String,
    /// As `uname -v`.
    pub version: String,
    /// As `uname -m`.
    pub machine: String,
    /// Changes with every boot; addresses of two recordings compare only if it is the same.
    pub boot_id: String,
    /// Possible CPUs, as the kernel writes the list: `0-3`.
    pub cpus: String,
}

impl Machine {
    /// Reads procfs and sysfs; what they do not show stays empty.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let text = |file: &str| files::text(&root.join(file)).unwrap_or_default();
        let mut machine = text("proc/sys/kernel/arch");
        if machine.is_empty() {
            // Older kernels do not publish it there; uname answers for the kernel we run on, which is the same.
            machine = nix::sys::utsname::uname()
                .map(|uname| uname.machine().to_string_lossy().into_owned())
                .unwrap_or_default();
        }
        Self {
            release: text("proc/sys/kernel/osrelease"),
            version: text("proc/sys/kernel/version"),
            machine,
            boot_id: text("proc/sys/kernel/random/boot_id"),
            cpus: text("sys/devices/system/cpu/possible"),
        }
    }

    /// Number of the highest possible CPU; that of the largest kernel (`NR_CPUS`) if this one does not tell.
    #[must_use]
    pub fn highest_cpu(&self) -> u32 {
        const UNKNOWN: u32 = 8191;
        let last = self.cpus.trim().rsplit([',', '-']).next();
        last.and_then(|last| last.parse().ok()).unwrap_or(UNKNOWN)
    }

    /// True from 7.0 on: tracepoints no longer switch preemption off around their programs
    /// (`__DECLARE_TRACE()`, `include/linux/tracepoint.h`).
    #[must_use]
    pub fn preempts_tracepoints(&self) -> bool {
        let major = self.release.split('.').next().and_then(|major| major.parse::<u32>().ok());
        major.is_some_and(|major| major >= 7)
    }
}

/// How the clock of the records relates to the time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClockOffset {
    /// `CLOCK_REALTIME` minus `CLOCK_MONOTONIC` in ns: add it to a record's time to get ns since 1970.
    pub realtime_minus_monotonic_ns: i64,
    /// The true offset at that moment was at most this far off, in ns.
    pub uncertainty_ns: u64,
}

impl ClockOffset {
    /// Measures it: the closest of a few tries.
    ///
    /// # Errors
    /// The kernel refuses to tell the time.
    pub fn measure() -> nix::Result<Self> {
        const TRIES: u32 = 8;
        let mut best: Option<Self> = None;
        for _ in 0..TRIES {
            let before = now(ClockId::CLOCK_MONOTONIC)?;
            let realtime = now(ClockId::CLOCK_REALTIME)?;
            let after = now(ClockId::CLOCK_MONOTONIC)?;
            let half = (after - before) / 2;
            let tried = Self {
                realtime_minus_monotonic_ns: realtime - (before + half),
                uncertainty_ns: u64::try_from(half + 1).unwrap_or(u64::MAX),
            };
            if best.is_none_or(|best| tried.uncertainty_ns < best.uncertainty_ns) {
                best = Some(tried);
            }
        }
        best.ok_or(nix::errno::Errno::EINVAL)
    }
}

fn now(clock: ClockId) -> nix::Result<i64> {
    let time = clock_gettime(clock)?;
    Ok(time.tv_sec().saturating_mul(1_000_000_000).saturating_add(time.tv_nsec()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_offset_leads_from_one_clock_to_the_other() {
        let offset = ClockOffset::measure().unwrap();
        let derived = now(ClockId::CLOCK_MONOTONIC).unwrap() + offset.realtime_minus_monotonic_ns;
        let real = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
        assert!((real - derived).abs() < 1_000_000_000, "{real} {derived}");
        assert!(offset.uncertainty_ns < 1_000_000_000);
    }

    #[test]
    fn an_empty_tree_gives_empty_facts() {
        let machine = Machine::read(Path::new("/nonexistent"));
        assert_eq!((machine.release.as_str(), machine.boot_id.as_str()), ("", ""));
        assert!(!machine.machine.is_empty());
    }

    #[test]
    fn the_highest_cpu_is_the_last_of_the_list() {
        let of = |cpus: &str| {
            let machine = Machine::read(Path::new("/nonexistent"));
            Machine { cpus: cpus.to_owned(), ..machine }.highest_cpu()
        };
        assert_eq!((of("0"), of("0-3\n"), of("0-3,8-11"), of("0,6")), (0, 3, 11, 6));
        assert_eq!(of(""), 8191);
    }

    #[test]
    fn this_machine() {
        let machine = Machine::read(Path::new("/"));
        assert_eq!(machine.release, nix::sys::utsname::uname().unwrap().release().to_str().unwrap());
        assert_eq!(machine.boot_id.len(), 36);
    }
}
