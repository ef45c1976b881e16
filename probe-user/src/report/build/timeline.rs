//! Pools over time: from the clock of the stream to that of the session, and with names.
use crate::{
    format,
    history::{Counts, FsLevels, History, SpaceTracks, Track},
    report::model::{CounterTimeline, FsTimeline, PoolTimeline, TimePoint, Timeline},
};

/// `started`: `CLOCK_MONOTONIC` at the start of the session, ns. `end`: at its end.
#[must_use]
pub fn timeline(history: &History, started: u64, end: u64) -> Timeline {
    let clock = Clock { started };
    Timeline {
        filesystems: history.levels.filesystems().map(|fs| clock.filesystem(fs, end)).collect(),
        forgotten: history.levels.forgotten,
        lost: clock.counts(&history.lost),
    }
}

struct Clock {
    started: u64,
}

impl Clock {
    /// Records from before the session (opening state) are at its start.
    const fn since_start(&self, at: u64) -> u64 {
        at.saturating_sub(self.started)
    }

    fn counts(&self, counts: &Counts) -> Vec<(u64, u64)> {
        counts.points().iter().map(|(at, count)| (self.since_start(*at), *count)).collect()
    }

    fn filesystem(&self, fs: &FsLevels, end: u64) -> FsTimeline {
        let mut pools: Vec<PoolTimeline> = fs.spaces.iter().map(|space| self.space(space)).collect();
        // Data, metadata, system: the order of importance is not that of the kernel's list.
        pools.sort_by_key(|pool| match pool.name.split('#').next() {
            Some("data" | "mixed") => 0,
            Some("metadata") => 1,
            _ => 2,
        });
        let reserves = fs.rsvs.iter().map(|pool| PoolTimeline {
            name: pool.account.name().to_owned(),
            is_space: false,
            counters: self.counter("reserved", &pool.reserved).into_iter().collect(),
        });
        pools.extend(reserves);
        FsTimeline {
            uuid: format::uuid(&fs.fsid),
            from_ns: self.since_start(fs.from),
            to_ns: self.since_start(fs.to.unwrap_or(end).max(fs.from)),
            pools,
            failed: self.counts(&fs.failed),
            refused: self.counts(&fs.refused),
        }
    }

    fn space(&self, space: &SpaceTracks) -> PoolTimeline {
        // Destructured, so that a new counter cannot be forgotten here.
        let SpaceTracks { flags, nth, may_use, reserved, pinned, used, total } = space;
        let counters = [
            ("bytes_used", used),
            ("bytes_reserved", reserved),
            ("bytes_pinned", pinned),
            ("bytes_may_use", may_use),
            ("total_bytes", total),
        ];
        PoolTimeline {
            name: format::space_name(*flags, *nth),
            is_space: true,
            counters: counters.into_iter().filter_map(|(name, track)| self.counter(name, track)).collect(),
        }
    }

    fn counter(&self, name: &'static str, track: &Track) -> Option<CounterTimeline> {
        let point = |point: &crate::history::Point| TimePoint {
            time_ns: self.since_start(point.at),
            low: point.low,
            high: point.high,
            last: point.last,
        };
        let points: Vec<TimePoint> = track.points().iter().map(point).collect();
        (!points.is_empty()).then_some(CounterTimeline { name, exact_to_ns: track.span_ns(), points })
    }
}
