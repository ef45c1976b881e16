//! Counts of single filesystems, summed over all, including those forgotten to bound memory.
use super::filesystem::{Fs, NotJudged};

/// Sums over filesystems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub not_judged: NotJudged,
    /// Chain breaks that a loss or an unknown opening explains.
    pub explained: u64,
    /// Changes of qgroup counters without their event.
    pub unexplained: u64,
    pub inodes_closed: u64,
}

impl Sums {
    pub(crate) fn add(&mut self, fs: &Fs) {
        let Self { not_judged, explained, unexplained, inodes_closed } = self;
        not_judged.add(&fs.not_judged);
        // Not counted when the filesystem ends, because its final levels come after that.
        let unseen = fs.ended && !fs.final_levels && fs.activity > 0;
        not_judged.no_final_levels = not_judged.no_final_levels.saturating_add(unseen.into());
        for (sum, of) in [
            (explained, fs.chains.explained),
            (unexplained, fs.chains.unexplained),
            (inodes_closed, fs.inodes_closed),
        ] {
            *sum = sum.saturating_add(of);
        }
    }
}

impl NotJudged {
    const fn add(&mut self, other: &Self) {
        let Self {
            unknown_root,
            unuse,
            not_destroyed,
            aborted,
            qgroup_clamps,
            unreadable,
            doubtful_blocks,
            log_replay,
            no_final_levels,
        } = other;
        self.unknown_root = self.unknown_root.saturating_add(*unknown_root);
        self.unuse = self.unuse.saturating_add(*unuse);
        self.not_destroyed = self.not_destroyed.saturating_add(*not_destroyed);
        self.aborted = self.aborted.saturating_add(*aborted);
        self.qgroup_clamps = self.qgroup_clamps.saturating_add(*qgroup_clamps);
        self.unreadable = self.unreadable.saturating_add(*unreadable);
        self.doubtful_blocks = self.doubtful_blocks.saturating_add(*doubtful_blocks);
        self.log_replay = self.log_replay.saturating_add(*log_replay);
        self.no_final_levels = self.no_final_levels.saturating_add(*no_final_levels);
    }
}
