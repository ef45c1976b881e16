//! Lines of btrfs that the kernel's rate limit suppressed. Each level of btrfs has its own limit (`printk_limits`,
//! `fs/btrfs/messages.c`).
//!
//! A suppressed line may have been a complaint. The kernel prints how many lines it suppressed, but only right before the
//! next line of that level. Until then we only know that the limit was reached. The limit of a single place
//! (`btrfs_warn_rl()`) does not matter: it suppresses repeats of what that place has printed ten times.
use super::log_line::Level;

/// `DEFAULT_RATELIMIT_INTERVAL`, ns.
const INTERVAL_NS: u64 = 5_000_000_000;
/// Burst of `printk_limits`: lines of one level that the kernel prints in that time.
const BURST: u32 = 100;

#[derive(Clone, Copy, Debug, Default)]
struct Limit {
    began: u64,
    printed: u32,
}

#[derive(Debug, Default)]
pub(crate) struct HeldBack {
    limits: [Limit; Level::COUNT],
    /// Thread that printed a number of suppressed lines, and that number. The thread's next line shows their level.
    pending: Option<(u32, u64)>,
    told: [u64; Level::COUNT],
    /// Suppressed lines whose level was never shown.
    unknown: u64,
}

impl HeldBack {
    /// The kernel printed that it suppressed `count` lines.
    pub(crate) fn told(&mut self, tid: u32, count: u64) {
        if let Some((_, before)) = self.pending.replace((tid, count)) {
            self.unknown = self.unknown.saturating_add(before);
        }
    }

    /// The kernel printed a line of btrfs.
    pub(crate) fn said(&mut self, tid: u32, time: u64, level: Option<Level>) {
        let Some(level) = level else { return };
        if let Some((by, count)) = self.pending
            && by == tid
        {
            self.pending = None;
            let told = &mut self.told[level.index()];
            *told = told.saturating_add(count);
        }
        let limit = &mut self.limits[level.index()];
        if time.saturating_sub(limit.began) > INTERVAL_NS {
            *limit = Limit { began: time, printed: 0 };
        }
        limit.printed = limit.printed.saturating_add(1);
    }

    /// Suppressed lines that may have been complaints, including those whose level is not known yet.
    pub(crate) fn complaints(&self) -> u64 {
        self.settled().saturating_add(self.pending.map_or(0, |(_, count)| count))
    }

    /// Like [`Self::complaints`], without those whose level the next line shows. Never decreases.
    pub(crate) fn settled(&self) -> u64 {
        self.levels()
            .filter(|(level, _)| level.complains())
            .fold(self.unknown, |sum, (_, told)| sum.saturating_add(told))
    }

    /// Suppressed lines that were no complaints.
    pub(crate) fn others(&self) -> u64 {
        self.levels()
            .filter(|(level, _)| !level.complains())
            .fold(0, |sum, (_, told)| sum.saturating_add(told))
    }

    /// True if a limit was reached, so that more lines may have been suppressed without notice.
    pub(crate) fn may_be_more(&self) -> bool {
        let reached = |level: Level| self.limits[level.index()].printed >= BURST;
        Level::all().any(|level| level.complains() && reached(level))
    }

    fn levels(&self) -> impl Iterator<Item = (Level, u64)> + '_ {
        Level::all().zip(self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_line_of_the_same_thread_says_of_which_level_they_were() {
        let mut held = HeldBack::default();
        held.told(7, 40);
        assert_eq!((held.complaints(), held.settled(), held.others()), (40, 0, 0), "not known yet");
        held.said(8, 5, Level::named("warning"));
        held.said(7, 6, Level::named("info"));
        assert_eq!((held.complaints(), held.others()), (0, 40));
        held.told(7, 3);
        held.said(7, 9, Level::named("warning"));
        held.told(7, 2);
        held.told(9, 1);
        assert_eq!((held.complaints(), held.others()), (6, 40));
    }

    #[test]
    fn a_limit_that_was_reached_is_a_doubt_until_the_next_line() {
        let mut held = HeldBack::default();
        let second = 1_000_000_000;
        for at in 0..99 {
            held.said(7, second + at, Level::named("warning"));
        }
        assert!(!held.may_be_more());
        held.said(7, 2 * second, Level::named("warning"));
        assert!(held.may_be_more());
        // If lines had been suppressed, the kernel would have said so.
        held.said(7, 7 * second, Level::named("warning"));
        assert!(!held.may_be_more());
        // Lines of other levels are no complaints.
        (0..200).for_each(|at| held.said(7, 20 * second + at, Level::named("info")));
        assert!(!held.may_be_more());
    }
}
