//! One filesystem of the stream, and the list of all.
use probe_common::fs::{FS_BORN, FS_LOG_RECOVERING, FsSeen, Levels};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    audit::Audits, calls::Explained, chains::Chains, claims::Claims, finding::StackRef, givers::Givers,
    inode_book::InodeBook, loss::Loss, names::text, statistics::total, summarise::links, sums::Sums,
};

/// Filesystems that have ended are kept for the summary; beyond so many the oldest go, but none that a finding names.
pub(super) const MAX_ENDED: usize = 4096;
/// How many go when there are too many.
const FORGOTTEN_AT_ONCE: usize = MAX_ENDED / 4;

/// An inode of a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct InodeKey {
    pub root: u64,
    pub ino: u64,
}

#[derive(Debug, Default)]
pub(super) struct Fs {
    pub id: u32,
    pub fsid: [u8; 16],
    pub device: String,
    /// Bytes; 0 while unknown.
    pub nodesize: u64,
    /// Bytes; 0 while unknown.
    pub sectorsize: u64,
    /// Extents are shorter than on other filesystems, which shows in the reservations.
    pub zoned: bool,
    /// First and last record, `CLOCK_MONOTONIC` ns.
    pub span: (u64, u64),
    pub born: bool,
    pub ended: bool,
    pub aborted: bool,
    /// Epoch of the first record: where a birth makes every opening zero.
    first_epoch: u32,
    /// Epoch since which an account that was never seen holds nothing; 0 if not known.
    pub zero_since: u32,
    /// `zero_since` comes from an audit, see [`InodeBook::by_audit`].
    pub zero_by_audit: bool,
    pub inodes: FxHashMap<InodeKey, InodeBook>,
    /// Inode numbers with bytes whose subvolume is not known.
    pub poisoned: FxHashSet<u64>,
    pub claims: Claims,
    pub chains: Chains,
    pub audits: Audits,
    pub levels: Option<Box<Levels>>,
    /// Position of these in the stream.
    pub levels_at: u64,
    /// The levels at its unmount were seen.
    pub final_levels: bool,
    pub tickets: (u64, u64),
    pub enospc: u64,
    pub inodes_closed: u64,
    /// Chain links of inodes that are gone.
    pub closed_links: u64,
    /// Records of the books so far: tells whether anything happened between two audits.
    pub activity: u64,
    /// Bytes that inodes of this filesystem leaked, by the kernel's own counters.
    pub leaked_by_inodes: u64,
    pub not_judged: NotJudged,
    /// What rules of calls have reported already.
    pub explained: Explained,
    /// Who reserved from its pools.
    pub givers: Givers,
    /// The stack that released the global reserve at unmount, if that call was seen.
    pub unmount_stack: StackRef,
}

/// What was seen but could not be judged, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NotJudged {
    /// Releases without a known subvolume.
    pub unknown_root: u64,
    /// A shortfall that a failed tree block allocation explains.
    pub unuse: u64,
    /// Books with a balance when the filesystem ended, without a destroy.
    pub not_destroyed: u64,
    /// Final levels of an aborted filesystem.
    pub aborted: u64,
    /// qgroup metadata reservations that the kernel clamped.
    pub qgroup_clamps: u64,
    /// Destroyed inodes whose counters the kernel side could not validate.
    pub unreadable: u64,
    /// A surplus that blocks of an unknown payer explain.
    pub doubtful_blocks: u64,
    /// Claims during log replay.
    pub log_replay: u64,
    /// Filesystems that reserved something and went without final levels: those come with the release of the global
    /// reserve, and there was none left.
    pub no_final_levels: u64,
}

impl Fs {
    fn new(id: u32, loss: &Loss) -> Self {
        Self { id, first_epoch: loss.epoch(), ..Self::default() }
    }

    /// A record of it.
    pub(super) const fn met(&mut self, time: u64) {
        if self.span.0 == 0 {
            self.span.0 = time;
        }
        if time > self.span.1 {
            self.span.1 = time;
        }
    }

    /// May come again when more is known; zero means unknown.
    pub(super) fn seen(&mut self, seen: &FsSeen) {
        if seen.fsid != [0; 16] {
            self.fsid = seen.fsid;
        }
        let device = text(&seen.s_id);
        if !device.is_empty() {
            self.device = device;
        }
        if seen.nodesize != 0 {
            self.nodesize = u64::from(seen.nodesize);
        }
        if seen.sectorsize != 0 {
            self.sectorsize = u64::from(seen.sectorsize);
        }
        if seen.flags & FS_BORN != 0 && !self.born {
            self.born = true;
            self.zero_since = self.first_epoch;
        }
        if seen.flags & FS_LOG_RECOVERING != 0 {
            self.claims.taint();
        }
    }

    /// Bytes of a sector; the smallest there is while it is not known.
    pub(super) const fn sector(&self) -> u64 {
        if self.sectorsize == 0 { 4096 } else { self.sectorsize }
    }

    /// The book of an inode; opened at first sight.
    pub(super) fn book(&mut self, key: InodeKey) -> &mut InodeBook {
        self.inodes.entry(key).or_insert_with(|| InodeBook::open(self.zero_by_audit))
    }

    /// True if the balance of `book` is what the kernel must hold whenever nothing is in flight.
    pub(super) fn is_exact(&self, book: &InodeBook, loss: &Loss) -> bool {
        loss.exact(book.exact_since.max(self.zero_since))
    }

    /// Epoch of the birth, 0 if it was not seen or is no longer what makes the openings known.
    pub(super) const fn born_since(&self) -> u32 {
        if self.zero_by_audit { 0 } else { self.zero_since }
    }

    /// The filesystem is gone; its id never comes back.
    pub(super) fn end(&mut self, loss: &Loss) {
        let open = std::mem::take(&mut self.inodes);
        self.not_judged.not_destroyed +=
            open.values().filter(|book| book.balance != 0 && self.is_exact(book, loss)).count() as u64;
        self.closed_links =
            self.closed_links.saturating_add(total(open.values().map(|book| u64::from(book.links))));
        self.poisoned = FxHashSet::default();
        self.claims.end();
        self.audits.end();
        self.ended = true;
    }
}

/// All filesystems in the order met.
#[derive(Debug, Default)]
pub(super) struct Filesystems {
    list: Vec<Fs>,
    index: FxHashMap<u32, usize>,
    last: (u32, usize),
    /// Live inodes with a book, of all filesystems.
    pub inodes: usize,
    /// What was counted on those that were forgotten.
    pub gone: Sums,
    /// How many those are.
    pub gone_count: u64,
    /// Chain links of those. Apart, since to count them costs a walk over the chains.
    pub gone_links: u64,
}

impl Filesystems {
    /// The filesystem with this id; met here if it was not known. `named`: those that have to be kept.
    pub(super) fn get(&mut self, id: u32, loss: &Loss, named: impl FnOnce() -> FxHashSet<u32>) -> &mut Fs {
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

    /// Many at a time: each time costs a walk over all that stay.
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
            self.gone_links = self.gone_links.saturating_add(links(fs));
        }
        self.index = self.list.iter().enumerate().map(|(position, fs)| (fs.id, position)).collect();
    }

    /// Makes room: first books whose loss loses nothing (they hold nothing, or are not right anyway); if that is
    /// not enough, all of the filesystem with most inodes, which is counted.
    pub(super) fn fold(&mut self, loss: &mut Loss) {
        let before = self.inodes;
        for fs in &mut self.list {
            let zero_since = fs.zero_since;
            fs.inodes.retain(|_, book| book.balance != 0 && loss.exact(book.exact_since.max(zero_since)));
        }
        // Books of a suspected epoch may be among those that went: it cannot be trusted again.
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

    pub(super) fn find(&self, id: u32) -> Option<&Fs> {
        self.index.get(&id).and_then(|position| self.list.get(*position))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Fs> {
        self.list.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Fs> {
        self.list.iter_mut()
    }
}
