//! Lines that the kernel did not print: each level of btrfs has a limit of its own (`printk_limits`, `fs/btrfs/messages.c`).
//!
//! What was held back may have been complaints. The kernel says how many it was, but only when a line of that level passes
//! again, right before it; until then, that the limit was reached is all that shows. The limit of a single place of the
//! source (`btrfs_warn_rl()`) is no matter: it holds back more of what that place has said ten times.
use super::log_line::Level;

/// `DEFAULT_RATELIMIT_INTERVAL`, ns.
const INTERVAL_NS: u64 = 5_000_000_000;
/// Lines of one level in that time.
const BURST: u32 = 100;

#[derive(Clone, Copy, Debug, Default)]
struct Limit {
    began: u64,
    printed: u32,
}

#[derive(Debug, Default)]
pub(crate) struct HeldBack {
    limits: [Limit; Level::COUNT],
    /// So many were held back, by whom it was said; of which level is said by the next line of the same thread.
    pending: Option<(u32, u64)>,
    told: [u64; Level::COUNT],
    /// Told, and never followed by a line.
    unknown: u64,
}

impl HeldBack {
    /// The kernel says that lines were held back.
    pub(crate) fn told(&mut self, tid: u32, count: u64) {
        if let Some((_, before)) = self.pending.replace((tid, count)) {
            self.unknown = self.unknown.saturating_add(before);
        }
    }

    /// A line.
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

    /// Lines that may have been complaints about what leaks. Those of which the level is about to show are among them.
    pub(crate) fn complaints(&self) -> u64 {
        self.settled().saturating_add(self.pending.map_or(0, |(_, count)| count))
    }

    /// The same without those: a number that only grows.
    pub(crate) fn settled(&self) -> u64 {
        self.levels()
            .filter(|(level, _)| level.complains())
            .fold(self.unknown, |sum, (_, told)| sum.saturating_add(told))
    }

    /// Lines that were none.
    pub(crate) fn others(&self) -> u64 {
        self.levels()
            .filter(|(level, _)| !level.complains())
            .fold(0, |sum, (_, told)| sum.saturating_add(told))
    }

    /// True if more may have been held back, and nobody has said so yet.
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
        // The kernel would have said it.
        held.said(7, 7 * second, Level::named("warning"));
        assert!(!held.may_be_more());
        // Those of other levels are no complaints.
        (0..200).for_each(|at| held.said(7, 20 * second + at, Level::named("info")));
        assert!(!held.may_be_more());
    }
}
