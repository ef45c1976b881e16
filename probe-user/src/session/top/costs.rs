//! What this process costs.
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

/// CPU time over wall time between two readings.
#[derive(Debug, Default)]
pub struct Meter {
    last: Option<(Instant, u64)>,
}

impl Meter {
    /// Thousandths of one CPU since the last reading; none at the first.
    pub fn read(&mut self) -> Option<u64> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let micros = |time: nix::sys::time::TimeVal| {
            u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_usec()).unwrap_or(0)
        };
        let cpu = micros(usage.user_time()) + micros(usage.system_time());
        let now = Instant::now();
        let before = self.last.replace((now, cpu));
        let (then, used) = before?;
        let wall = u64::try_from(now.duration_since(then).as_micros()).unwrap_or(u64::MAX);
        (cpu.saturating_sub(used) * 1000).checked_div(wall)
    }
}

/// Resident memory in bytes, from `/proc/self/statm`.
pub fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten()?;
    Some(pages * u64::try_from(size).ok()?)
}
