//! Queries: one piece of the books at a time. The screen cannot afford a whole [`super::summary::Summary`] each time. The
//! summary is made of the same pieces, so each number is computed in one place.
//!
//! Read-only. A query that walks all inodes says so.
use std::{cmp::Reverse, collections::BTreeMap};

use probe_common::{
    hook::HookId,
    inode::{COUNTERS_VALID, Counters},
    loss::LossClass,
};

use super::{
    summary::{Judged, Statistics},
    verdict::verdict,
};
use crate::{
    book::{filesystem::Fs, inode::InodeBook},
    context::warnings::KernelWarn,
    ledger::Ledger,
    vocabulary::{
        failed_reservations::FailedReservations,
        finding::{Evidence, Finding, Origin, Query, TaskRef},
        keys::{AuditCandidate, InodeKey},
        path::SeenPath,
        shortage::Shortage,
        waits::FsWaits,
        words::total,
    },
};

/// What the book of one inode shows, without names.
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
    /// Bytes in the inode's block_rsv: the balance if it is exact, else the kernel's last figure.
    pub meta_rsv: i64,
    /// True if the balance is exact.
    pub opening_known: bool,
    /// The kernel's counters as last seen; `None` if never.
    pub counters: Option<Counters>,
    /// Bytes reserved so far.
    pub reserved_total: u64,
    /// Reservations so far.
    pub reservations: u32,
    /// Thread that reserved last.
    pub last_tid: u32,
}

impl Ledger {
    /// Findings so far, in the order in which they were made.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        self.context.pending.findings()
    }

    /// Frames of a stack, innermost first; `None` if its record was not seen.
    #[must_use]
    pub fn stack(&self, id: u64) -> Option<&[u64]> {
        self.context.names.frames(id)
    }

    /// A thread; `None` if its name was not seen.
    #[must_use]
    pub fn task(&self, tid: u32) -> Option<TaskRef> {
        self.context.names.task(tid)
    }

    /// Ids of the filesystems in which reservations wait for space. Cheap.
    pub fn waiting(&self) -> impl Iterator<Item = u32> {
        self.filesystems
            .iter()
            .filter(|fs| fs.waits.as_ref().is_some_and(|waits| waits.is_waiting()))
            .map(|fs| fs.id)
    }

    /// Waits and flushes of a filesystem, with its `fs_devices->fsid`; `None` if there were none.
    #[must_use]
    pub fn waits(&self, fs: u32) -> Option<([u8; 16], FsWaits)> {
        let fs = self.filesystems.iter().find(|of| of.id == fs)?;
        Some((fs.fsid, fs.waits.as_ref()?.view()))
    }

    /// Path of an inode; `None` if its name was not seen, or if the inode is gone and has no finding.
    #[must_use]
    pub fn path(&self, fs: u32, root: u64, ino: u64) -> Option<&SeenPath> {
        self.context.names.path(fs, InodeKey { root, ino })
    }

    /// Losses so far in the classes that touch the books. Cheap; changes exactly when there is something new to show.
    #[must_use]
    pub fn touching_loss(&self) -> u64 {
        let touching = LossClass::ALL.into_iter().filter(|class| class.touches_books());
        total(touching.map(|class| self.context.loss.count(class)))
    }

    /// Live inodes of a filesystem that hold something, or whose balance is not exact. Those that hold most come first.
    #[must_use]
    pub fn audit_candidates(&self, fs: u32, limit: usize) -> Vec<AuditCandidate> {
        let Some(fs) = self.filesystems.find(fs) else { return Vec::new() };
        let worth = |book: &InodeBook| {
            book.balance != 0 || book.counters.reserved != 0 || !fs.is_exact(book, &self.context.loss)
        };
        let mut holders: Vec<_> = fs
            .inodes
            .iter()
            .filter(|(_, book)| worth(book))
            .map(|(key, book)| (Reverse(book.balance.unsigned_abs()), *key, book.address))
            .collect();
        holders.sort_unstable();
        holders
            .into_iter()
            .take(limit)
            .map(|(_, key, address)| AuditCandidate { root: key.root, ino: key.ino, address })
            .collect()
    }

    /// Calls `visit` for every live inode with a book, in no order. Walks all inodes.
    pub fn for_each_inode(&self, mut visit: impl FnMut(&InodeView)) {
        for fs in self.filesystems.iter() {
            for (key, book) in fs.inodes.iter() {
                visit(&self.view(fs, *key, book));
            }
        }
    }

    /// What all inodes of a filesystem hold together, by filesystem id. Walks all inodes.
    #[must_use]
    pub fn held_by_inodes(&self) -> BTreeMap<u32, i64> {
        let mut held = BTreeMap::new();
        self.for_each_inode(|inode| add_held(&mut held, inode));
        held
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
            meta_rsv: self.shown(fs, book),
            opening_known: fs.is_exact(book, &self.context.loss),
            counters: (book.counters.flags & COUNTERS_VALID != 0).then_some(book.counters),
            reserved_total: book.reserved_total,
            reservations: book.reservations,
            last_tid: book.last_tid,
        }
    }

    /// The balance if it is exact, else the kernel's last figure.
    fn shown(&self, fs: &Fs, book: &InodeBook) -> i64 {
        if !fs.is_exact(book, &self.context.loss) && book.counters.flags & COUNTERS_VALID != 0 {
            book.counters.reserved as i64
        } else {
            book.balance
        }
    }

    /// The stacks that reserved for an inode since it was last empty, most bytes first.
    #[must_use]
    pub fn inode_origins(&self, fs: u32, root: u64, ino: u64) -> Vec<Origin> {
        let book = self.filesystems.find(fs).and_then(|fs| fs.inodes.get(&InodeKey { root, ino }));
        book.map(InodeBook::origins).unwrap_or_default()
    }

    /// The newest records of an inode that are still kept as evidence, oldest first.
    #[must_use]
    pub fn inode_records(&self, fs: u32, root: u64, ino: u64) -> Vec<Evidence> {
        self.context.recent.search(Query::Inode { fs, root, ino })
    }

    /// Number of live inodes with a book.
    #[must_use]
    pub fn inodes(&self) -> u64 {
        self.filesystems.inodes as u64
    }

    /// The verdict so far and its reasons. Walks all inodes if it is clean.
    #[must_use]
    pub fn judged(&self) -> Judged {
        verdict(&self.setup, &self.context, &self.filesystems, &self.calls)
    }

    /// Failed reservations so far: by calls on the functions tier, else by tracepoints.
    #[must_use]
    pub fn failed(&self) -> FailedReservations {
        if self.calls.active { self.calls.failures() } else { self.failures.so_far() }
    }

    /// Failures for lack of space, one kind each, in the order of their first.
    #[must_use]
    pub fn shortages(&self) -> &[Shortage] {
        self.shortages.list()
    }

    /// Failures that found no room among [`Ledger::shortages`].
    #[must_use]
    pub const fn shortages_beyond(&self) -> u64 {
        self.shortages.beyond
    }

    /// Loss by class since the session began.
    #[must_use]
    pub fn loss(&self) -> BTreeMap<LossClass, u64> {
        self.context.loss.by_class()
    }

    /// First and last time in the stream, `CLOCK_MONOTONIC` ns.
    #[must_use]
    pub fn span(&self) -> (u64, u64) {
        self.context.statistics.span()
    }

    /// Records so far.
    #[must_use]
    pub const fn record_count(&self) -> u64 {
        self.context.statistics.records()
    }

    /// Records by the hook that sent them.
    #[must_use]
    pub fn records_by_hook(&self) -> BTreeMap<HookId, u64> {
        self.context.statistics.by_hook()
    }

    /// Statistics of the run. Walks all inodes.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let counts = &self.context.statistics;
        Statistics {
            records_by_hook: counts.by_hook(),
            records: counts.records(),
            links: self.filesystems.links(),
            order_checked: counts.order_checked,
            order_unknown: counts.order_unknown,
            inodes_closed: self.filesystems.sums().inodes_closed,
            overlapping: counts.overlapping,
            peak_records_per_second: counts.peak,
        }
    }

    /// Number of WARNs of the kernel so far.
    #[must_use]
    pub fn warned(&self) -> u64 {
        self.context.warnings.count()
    }

    /// The kernel's WARNs so far, sorted by address.
    #[must_use]
    pub fn warnings(&self) -> Vec<KernelWarn> {
        self.context.warnings.list()
    }
}

/// Adds what an inode holds to the sum of its filesystem.
pub fn add_held(held: &mut BTreeMap<u32, i64>, inode: &InodeView) {
    let sum = held.entry(inode.fs).or_default();
    *sum = sum.saturating_add(inode.meta_rsv);
}
