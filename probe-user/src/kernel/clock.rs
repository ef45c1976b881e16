//! The clock of the records.
use nix::time::{ClockId, clock_gettime};

/// Wall time, ns since the Unix epoch.
#[must_use]
pub fn wall_ns() -> i64 {
    jiff::Timestamp::now().as_nanosecond().try_into().unwrap_or(i64::MAX)
}

/// `CLOCK_MONOTONIC` in ns, as `bpf_ktime_get_ns()` reads it.
#[must_use]
pub fn monotonic_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec()).unwrap_or(0))
    })
}
