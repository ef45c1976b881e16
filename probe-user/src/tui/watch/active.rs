//! Which inodes are active: rates and trends. The inode that has been quiet for longest gives way.
use std::collections::VecDeque;

use probe_ledger::Ledger;
use rustc_hash::FxHashMap;

use super::samples::SAMPLE_NS;
use crate::tui::picture::InodeId;

/// Inodes with a rate and a trend at most.
const MOST: usize = 8192;
/// Samples of a trend.
const TREND: usize = 24;

/// One active inode.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// Time of its last record.
    pub last: u64,
    /// Bytes reserved a second, lately.
    pub rate: u64,
    reserved: u64,
    held: VecDeque<u64>,
}

/// The active inodes.
#[derive(Debug, Default)]
pub struct Active {
    inodes: FxHashMap<InodeId, Activity>,
    folded: u64,
}

impl Active {
    /// A reservation (`reserved` bytes) or a release (0) of an inode.
    pub fn seen(&mut self, id: InodeId, time: u64, reserved: u64) {
        if self.inodes.len() >= MOST && !self.inodes.contains_key(&id) {
            self.fold();
        }
        let activity = self.inodes.entry(id).or_default();
        activity.last = activity.last.max(time);
        activity.reserved = activity.reserved.saturating_add(reserved);
    }

    /// Half of them go, those that were quiet for longest.
    fn fold(&mut self) {
        let mut times: Vec<u64> = self.inodes.values().map(|activity| activity.last).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        let before = self.inodes.len();
        self.inodes.retain(|_, activity| activity.last > median);
        // Coarse time: all of them may have the same.
        if self.inodes.len() == before {
            self.inodes.clear();
        }
        self.folded += (before - self.inodes.len()) as u64;
    }

    /// The inode is destroyed.
    pub fn gone(&mut self, id: InodeId) {
        self.inodes.remove(&id);
    }

    /// The filesystem is gone.
    pub fn filesystem_gone(&mut self, fs: u32) {
        self.inodes.retain(|id, _| id.fs != fs);
    }

    /// `due` samples have passed.
    pub fn sample(&mut self, now: u64, due: u64, ledger: &Ledger) {
        self.inodes.retain(|id, activity| {
            let Some(book) = ledger.inode(id.fs, id.root, id.ino) else { return false };
            let held = u64::try_from(book.meta_rsv).unwrap_or(0);
            let fresh = activity.reserved.saturating_mul(1_000_000_000 / SAMPLE_NS) / due.max(1);
            activity.reserved = 0;
            // Half of what is new, half of what was: a burst fades within a few samples.
            for _ in 0..due.min(8) {
                activity.rate = (activity.rate + fresh) / 2;
            }
            for _ in 0..due.min(TREND as u64) {
                activity.held.push_back(held);
            }
            while activity.held.len() > TREND {
                activity.held.pop_front();
            }
            // Quiet and empty for long: no longer active.
            held != 0 || activity.rate != 0 || now.saturating_sub(activity.last) < 10_000_000_000
        });
    }

    /// What is known of an inode's activity.
    #[must_use]
    pub fn of(&self, id: InodeId) -> Option<&Activity> {
        self.inodes.get(&id)
    }

    /// What an inode held at the last samples, newest last.
    #[must_use]
    pub fn trend(&self, id: InodeId) -> Vec<u64> {
        self.inodes.get(&id).map(|activity| activity.held.iter().copied().collect()).unwrap_or_default()
    }

    /// Inodes that gave way to more active ones.
    #[must_use]
    pub const fn folded(&self) -> u64 {
        self.folded
    }

    /// Inodes that are followed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inodes.len()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inodes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_the_quiet_ones_go_first() {
        let mut active = Active::default();
        for ino in 0..1_000_000 {
            active.seen(InodeId { fs: 1, root: 5, ino }, ino, 4096);
            assert!(active.len() <= MOST);
        }
        assert!(active.of(InodeId { fs: 1, root: 5, ino: 999_999 }).is_some());
        assert!(active.of(InodeId { fs: 1, root: 5, ino: 0 }).is_none());
        assert_eq!(active.folded() + active.len() as u64, 1_000_000);
    }

    #[test]
    fn one_moment_for_all_does_not_break_the_bound() {
        let mut active = Active::default();
        for ino in 0..3 * MOST as u64 {
            active.seen(InodeId { fs: 1, root: 5, ino }, 7, 0);
        }
        assert!(active.len() <= MOST);
    }
}
