//! Doubts as numbers that never decrease, so that a window can tell which grew in it.
use crate::{book::loss::Phase, ledger::Ledger};

/// Counts since the beginning of the stream, or between two moments of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    /// Losses of the classes that touch the books.
    pub lost: u64,
    /// Breaks of chains that a loss explains.
    pub explained: u64,
    /// Pending findings that were withdrawn because a loss could explain them.
    pub withdrawn: u64,
    /// Calls whose parent never returned in sight.
    pub orphans: u64,
    /// Inodes whose counters could not be read at their destroy.
    pub unreadable: u64,
    /// Changes of qgroup counters without an event.
    pub unexplained: u64,
    /// Lines of btrfs in the kernel's log that were suppressed and may have been complaints, and complaints that were only
    /// counted.
    pub unread: u64,
    /// Findings that were only counted, because there were too many.
    pub beyond: u64,
    /// A hook that the books need is missing, or the stream does not say that all hooks were attached, so something may be
    /// missing at any time.
    pub blind: bool,
}

impl Doubts {
    /// True if nothing could hide a finding.
    #[must_use]
    pub fn none(&self) -> bool {
        *self == Self::default()
    }

    /// The counts since `before`.
    #[must_use]
    pub const fn since(&self, before: &Self) -> Self {
        Self {
            lost: self.lost.saturating_sub(before.lost),
            explained: self.explained.saturating_sub(before.explained),
            withdrawn: self.withdrawn.saturating_sub(before.withdrawn),
            orphans: self.orphans.saturating_sub(before.orphans),
            unreadable: self.unreadable.saturating_sub(before.unreadable),
            unexplained: self.unexplained.saturating_sub(before.unexplained),
            unread: self.unread.saturating_sub(before.unread),
            beyond: self.beyond.saturating_sub(before.beyond),
            blind: self.blind,
        }
    }

    /// Adds the counts of another time span.
    pub const fn add(&mut self, other: &Self) {
        self.lost = self.lost.saturating_add(other.lost);
        self.explained = self.explained.saturating_add(other.explained);
        self.withdrawn = self.withdrawn.saturating_add(other.withdrawn);
        self.orphans = self.orphans.saturating_add(other.orphans);
        self.unreadable = self.unreadable.saturating_add(other.unreadable);
        self.unexplained = self.unexplained.saturating_add(other.unexplained);
        self.unread = self.unread.saturating_add(other.unread);
        self.beyond = self.beyond.saturating_add(other.beyond);
        self.blind |= other.blind;
    }

    /// One clause each, for the verdict of a window.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.blind {
            reasons.push("a hook that the books need is missing".to_owned());
        }
        let counts = [
            (self.lost, "records lost or events skipped"),
            (self.explained, "counters that had changed where records were lost"),
            (self.withdrawn, "possible findings dropped because a loss could explain them"),
            (self.orphans, "calls made inside a call that was never seen to return"),
            (self.unreadable, "inodes whose counters could not be read when they were destroyed"),
            (self.unexplained, "changes of qgroup counters without their tracepoint"),
            (self.unread, "lines of btrfs in the kernel's log that were held back or only counted"),
            (self.beyond, "findings that were only counted"),
        ];
        let some = counts.into_iter().filter(|(count, _)| *count > 0);
        reasons
            .extend(some.map(|(count, what)| format!("{} {what}", crate::vocabulary::words::grouped(count))));
        reasons
    }
}

impl Ledger {
    /// The doubts so far. Walks the filesystems, not their inodes.
    #[must_use]
    pub fn doubts(&self) -> Doubts {
        let Self { setup, context, filesystems, calls, .. } = self;
        let lost = self.touching_loss();
        let sums = filesystems.sums();
        let whole = setup.required.iter().all(|hook| setup.attached.contains(hook));
        Doubts {
            lost,
            // Breaks before all hooks were attached are normal. Without a loss there is no other reason to explain a break.
            explained: if lost > 0 { sums.explained } else { 0 },
            withdrawn: context.pending.withdrawn(),
            orphans: calls.checked.orphans,
            unreadable: sums.not_judged.unreadable,
            unexplained: sums.unexplained,
            unread: context.printed.unread(),
            beyond: context.pending.beyond_bound(),
            blind: !whole || setup.deaf().is_some() || context.loss.phase() == Phase::Before,
        }
    }

    /// Stream time: time of the latest record, `CLOCK_MONOTONIC` ns.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.context.statistics.now()
    }

    /// Stream time of the last loss sample, `CLOCK_MONOTONIC` ns. Whatever was older than the settle time was settled then.
    #[must_use]
    pub const fn read_at(&self) -> u64 {
        self.context.loss.read_at()
    }
}
