//! The pools over time, as a page draws them. Not a part of the JSON report, which would be many times as long with it.

/// All filesystems. Times are ns since the start of the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// In the order in which they were met.
    pub filesystems: Vec<FsTimeline>,
    /// Filesystems that gave way to newer ones.
    pub forgotten: u64,
    /// When records were lost that touch the books, and how many.
    pub lost: Vec<(u64, u64)>,
}

/// One filesystem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsTimeline {
    /// `fs_devices->fsid`
    pub uuid: String,
    /// When it was first seen.
    pub from_ns: u64,
    /// When its end was seen, or the session ended.
    pub to_ns: u64,
    /// Its pools.
    pub pools: Vec<PoolTimeline>,
    /// When tickets failed, and how many.
    pub failed: Vec<(u64, u64)>,
    /// When requests that may not wait were refused, and how many.
    pub refused: Vec<(u64, u64)>,
}

/// A pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolTimeline {
    /// Type of a space_info, or account id of a block_rsv.
    pub name: String,
    /// True for a space_info.
    pub is_space: bool,
    /// Its counters, by the kernel's names: of a space_info `bytes_may_use`, `bytes_reserved`, `bytes_pinned`, `bytes_used` and
    /// `total_bytes`, of a block_rsv `reserved`. One that was never seen is left out.
    pub counters: Vec<CounterTimeline>,
}

/// A counter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterTimeline {
    /// Its name.
    pub name: &'static str,
    /// A time is exact to this, ns.
    pub exact_to_ns: u64,
    /// What it was, oldest first.
    pub points: Vec<TimePoint>,
}

/// What a counter was from a time until the next point. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimePoint {
    /// ns since the start of the session.
    pub time_ns: u64,
    /// The lowest until the next point.
    pub low: i64,
    /// The highest until the next point.
    pub high: i64,
    /// The last until the next point.
    pub last: i64,
}

impl PoolTimeline {
    /// A counter by its name.
    #[must_use]
    pub fn counter(&self, name: &str) -> Option<&CounterTimeline> {
        self.counters.iter().find(|counter| counter.name == name)
    }
}

impl CounterTimeline {
    /// The highest value.
    #[must_use]
    pub fn high(&self) -> i64 {
        self.points.iter().map(|point| point.high).max().unwrap_or(0)
    }

    /// The lowest value.
    #[must_use]
    pub fn low(&self) -> i64 {
        self.points.iter().map(|point| point.low).min().unwrap_or(0)
    }

    /// The point that a time lies in; `None` before the first.
    #[must_use]
    pub fn at(&self, time_ns: u64) -> Option<&TimePoint> {
        let after = self.points.partition_point(|point| point.time_ns <= time_ns);
        self.points.get(after.checked_sub(1)?)
    }
}
