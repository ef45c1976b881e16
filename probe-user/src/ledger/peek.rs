//! Reading the books a piece at a time, for a screen that cannot afford a whole [`super::summary::Summary`] each time.
//!
//! Read-only. What costs a walk over all inodes says so.
use std::collections::BTreeMap;

use probe_common::{
    hook::HookId,
    inode::{COUNTERS_VALID, Counters},
    loss::LossClass,
};

use super::{
    Ledger,
    evidence::Query,
    filesystem::{Fs, InodeKey},
    finding::{Evidence, Origin},
    inode_book::InodeBook,
    summarise,
    summary::{FailedReservations, FsSummary, Verdict},
    verdict::verdict,
};

/// The book of one inode, without names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InodeView {
    /// Filesystem id of the stream.
    pub fs: u32,
    /// Subvolume (root objectid).
    pub root: u64,
    /// Inode number.
    pub ino: u64,
    /// Generation; 0 if not known.
    pub generation: u64,
    /// Bytes in the inode's block_rsv: the books where they are right, else the kernel's last figure.
    pub meta_rsv: i64,
    /// True if the books are what the kernel must hold.
    pub opening_known: bool,
    /// The kernel's own counters as last seen.
    pub counters: Option<Counters>,
    /// Bytes reserved so far.
    pub reserved_total: u64,
    /// Reservations so far.
    pub reservations: u32,
    /// Thread that reserved last.
    pub last_tid: u32,
}

impl Ledger {
    /// Shows every live inode with a book, in no order. Walks all of them.
    pub fn for_each_inode(&self, mut visit: impl FnMut(&InodeView)) {
        for fs in self.filesystems.iter() {
            for (key, book) in &fs.inodes {
                visit(&self.view(fs, *key, book));
            }
        }
    }

    /// The book of one inode.
    #[must_use]
    pub fn inode(&self, fs: u32, root: u64, ino: u64) -> Option<InodeView> {
        let fs = self.filesystems.find(fs)?;
        let key = InodeKey { root, ino };
        Some(self.view(fs, key, fs.inodes.get(&key)?))
    }

    fn view(&self, fs: &Fs, key: InodeKey, book: &InodeBook) -> InodeView {
        InodeView {
            fs: fs.id,
            root: key.root,
            ino: key.ino,
            generation: book.generation,
            meta_rsv: summarise::shown(self, fs, book),
            opening_known: fs.is_exact(book, &self.desk.loss),
            counters: (book.counters.flags & COUNTERS_VALID != 0).then_some(book.counters),
            reserved_total: book.reserved_total,
            reservations: book.reservations,
            last_tid: book.last_tid,
        }
    }

    /// The stacks that reserved for an inode since it was last empty, most bytes first.
    #[must_use]
    pub fn inode_origins(&self, fs: u32, root: u64, ino: u64) -> Vec<Origin> {
        let book = self.filesystems.find(fs).and_then(|fs| fs.inodes.get(&InodeKey { root, ino }));
        book.map(InodeBook::origins).unwrap_or_default()
    }

    /// The newest records of an inode that are still remembered, oldest first. Searches what is kept as evidence.
    #[must_use]
    pub fn inode_records(&self, fs: u32, root: u64, ino: u64) -> Vec<Evidence> {
        self.desk.ring.search(Query::Inode { fs, root, ino })
    }

    /// Live inodes with a book.
    #[must_use]
    pub fn inodes(&self) -> u64 {
        self.filesystems.inodes as u64
    }

    /// All filesystems, without the sum over their inodes in [`FsSummary::books`].
    #[must_use]
    pub fn pools(&self) -> Vec<FsSummary> {
        self.filesystems.iter().map(|fs| summarise::pools(self, fs)).collect()
    }

    /// The verdict so far and why. Walks all inodes if it is clean.
    #[must_use]
    pub fn verdict(&self) -> (Verdict, Vec<String>) {
        let judged = verdict(&self.setup, &self.desk, &self.filesystems, &self.calls);
        (judged.verdict, judged.reasons)
    }

    /// Failed reservations so far.
    #[must_use]
    pub fn failed(&self) -> FailedReservations {
        let mut failed = self.failures.totals;
        failed.undecided += self.failures.open() as u64;
        failed
    }

    /// Loss by class, absolute.
    #[must_use]
    pub fn loss(&self) -> BTreeMap<LossClass, u64> {
        self.desk.loss.by_class()
    }

    /// First and last time in the stream, `CLOCK_MONOTONIC` ns.
    #[must_use]
    pub fn span(&self) -> (u64, u64) {
        self.desk.statistics.span()
    }

    /// Records by the hook that sent them, and all.
    #[must_use]
    pub fn records(&self) -> (BTreeMap<HookId, u64>, u64) {
        let statistics = self.desk.statistics.summary(0, 0);
        (statistics.records_by_hook, statistics.records)
    }
}
