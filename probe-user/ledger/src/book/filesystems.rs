//! All filesystems of the stream.
use rustc_hash::{FxHashMap, FxHashSet};

use super::{filesystem::Fs, loss::Loss, sums::Sums};
use crate::vocabulary::words::total;

/// Most filesystems kept for the summary after their unmount. Beyond it the oldest are forgotten, except those that a
/// finding names.
pub(crate) const MAX_ENDED: usize = 4096;

/// How many are forgotten at once.
const FORGOTTEN_AT_ONCE: usize = MAX_ENDED / 4;

/// All filesystems in the order in which they were met.
#[derive(Debug, Default)]
pub(crate) struct Filesystems {
    list: Vec<Fs>,
    index: FxHashMap<u32, usize>,
    last: (u32, usize),
    /// Live inodes with a book, of all filesystems.
    pub inodes: usize,
    /// Sums over the forgotten filesystems.
    pub gone: Sums,
    /// Number of forgotten filesystems.
    pub gone_count: u64,
    /// Chain links of the forgotten filesystems. Not part of `gone`, because counting links costs a walk over the chains.
    pub gone_links: u64,
}

impl Filesystems {
    /// The filesystem with this id, created if it is not known. `named`: ids that must not be forgotten.
    pub(crate) fn get(&mut self, id: u32, loss: &Loss, named: impl FnOnce() -> FxHashSet<u32>) -> &mut Fs {
        if self.last.0 != id || self.list.is_empty() {
            let position = match self.index.get(&id) {
                Some(position) => *position,
                None => self.meet(id, loss, named),
            };
            self.last = (id, position);
        }
        &mut self.list[self.last.1]
    }

    fn meet(&mut self, id: u32, loss: &Loss, named: impl FnOnce() -> FxHashSet<u32>) -> usize {
        if self.list.iter().filter(|fs| fs.ended).count() >= MAX_ENDED {
            self.forget_oldest(&named());
        }
        let position = self.list.len();
        self.list.push(Fs::new(id, loss));
        self.index.insert(id, position);
        position
    }

    /// Forgets many at once, because each time costs a walk over those that stay.
    fn forget_oldest(&mut self, named: &FxHashSet<u32>) {
        let mut left = FORGOTTEN_AT_ONCE;
        let (gone, kept) = std::mem::take(&mut self.list).into_iter().partition::<Vec<_>, _>(|fs| {
            let goes = left > 0 && fs.ended && !named.contains(&fs.id);
            left -= usize::from(goes);
            goes
        });
        self.list = kept;
        for fs in &gone {
            self.gone.add(fs);
            self.gone_count += 1;
            self.gone_links = self.gone_links.saturating_add(fs.links());
        }
        self.index = self.list.iter().enumerate().map(|(position, fs)| (fs.id, position)).collect();
    }

    /// Makes room. First drops books that no verdict needs (they hold nothing, or are not exact anyway). If that is not
    /// enough, drops all books of the filesystem with most inodes and counts that as a loss.
    pub(crate) fn fold(&mut self, loss: &mut Loss) {
        let before = self.inodes;
        for fs in &mut self.list {
            let zero_since = fs.zero_since;
            fs.inodes.retain(|_, book| book.balance != 0 && loss.exact(book.exact_since.max(zero_since)));
        }
        // Dropped books may belong to the suspected epoch, so it can never be trusted again.
        loss.give_up_suspects();
        self.inodes = self.list.iter().map(|fs| fs.inodes.len()).sum();
        if self.inodes > before - before / 8
            && let Some(largest) = self.list.iter_mut().max_by_key(|fs| fs.inodes.len())
        {
            let folded = largest.inodes.len();
            largest.inodes.clear();
            self.inodes -= folded;
            loss.fold(folded as u64);
        }
    }

    pub(crate) fn find(&self, id: u32) -> Option<&Fs> {
        self.index.get(&id).and_then(|position| self.list.get(*position))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fs> {
        self.list.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Fs> {
        self.list.iter_mut()
    }
}

impl Filesystems {
    /// Chain links of all filesystems so far. Costs a walk over all inodes and chains.
    pub(crate) fn links(&self) -> u64 {
        total(self.list.iter().map(Fs::links).chain([self.gone_links]))
    }

    /// Sums over all filesystems so far. A walk over the filesystems, not over their inodes.
    pub(crate) fn sums(&self) -> Sums {
        let mut sums = self.gone;
        self.iter().for_each(|fs| sums.add(fs));
        sums
    }
}
