//! The book of one filesystem.
use probe_common::fs::{FS_BORN, FS_LOG_RECOVERING, FsSeen, Levels};
use rustc_hash::FxHashSet;

use super::{
    audits::Audits, chains::Chains, claims::Claims, draws::Draws, inode::InodeBook, inodes::Inodes,
    loss::Loss, plain_csums::PlainCsums, reported::AlreadyReported, reserving_stacks::ReservingStacks,
    waits::Waits,
};
use crate::vocabulary::{
    account::Account,
    finding::StackRef,
    holders::PoolHolders,
    keys::InodeKey,
    words::{text, total},
};

#[derive(Debug, Default)]
pub(crate) struct Fs {
    /// Account, bytes below zero and thread of the last underflow of a pool.
    pub underflow: Option<(Account, u64, u32)>,
    pub id: u32,
    /// Two of the subvolumes that were written to.
    pub subvolumes: [Option<u64>; 2],
    pub fsid: [u8; 16],
    pub device: String,
    /// Bytes; 0 while unknown.
    pub nodesize: u64,
    /// Bytes; 0 while unknown.
    pub sectorsize: u64,
    /// Its extents are shorter than `BTRFS_MAX_EXTENT_SIZE`, as its reservations show.
    pub zoned: bool,
    /// What its kernel does with `csum_bytes` of inodes without checksums.
    pub plain_csums: PlainCsums,
    /// Times of its first and last record, `CLOCK_MONOTONIC` ns.
    pub span: (u64, u64),
    pub born: bool,
    pub ended: bool,
    pub aborted: bool,
    /// Epoch of its first record. If the birth was seen, every opening balance is zero from here on.
    pub first_epoch: u32,
    /// Epoch since which an account without a book holds nothing; 0 if not known.
    pub zero_since: u32,
    /// `zero_since` comes from an audit; see [`InodeBook::by_audit`].
    pub zero_by_audit: bool,
    pub inodes: Inodes,
    /// Inode numbers that had a record without a known subvolume. Their books are not judged.
    pub poisoned: FxHashSet<u64>,
    pub claims: Claims,
    pub chains: Chains,
    pub audits: Audits,
    pub levels: Option<Box<Levels>>,
    /// Position in the stream of the record with `levels`.
    pub levels_at: u64,
    /// Who held the pools when their levels were read last.
    pub holders: Option<Box<PoolHolders>>,
    /// The levels at its unmount were seen.
    pub final_levels: bool,
    pub tickets: (u64, u64),
    /// Transactions that were committed.
    pub commits: u64,
    /// Since when it is known what transactions pin: the epoch, and the transaction that may have been running when it began.
    pub pinned_since: (u32, u64),
    /// `None` until something waits or flushes.
    pub waits: Option<Box<Waits>>,
    /// `None` until something moves or is read.
    pub draws: Option<Box<Draws>>,
    pub enospc: u64,
    pub inodes_closed: u64,
    /// Chain links of destroyed inodes.
    pub closed_links: u64,
    /// Records of the books so far. Shows whether anything happened between two audits.
    pub activity: u64,
    /// Bytes that inodes of this filesystem leaked, by the kernel's counters.
    pub leaked_by_inodes: u64,
    pub not_judged: NotJudged,
    /// The first transaction at whose end `delayed_refs_rsv` had bytes beyond its size, until one at whose end it has none.
    pub refs_surplus: Option<u64>,
    /// What rules of calls have reported already.
    pub reported: AlreadyReported,
    /// The stacks that reserve from its pools.
    pub reserving_stacks: ReservingStacks,
    /// The stack that released the global block_rsv at unmount, if that call was seen.
    pub unmount_stack: StackRef,
    /// qgroups whose counters were read when the filesystem was unmounted.
    pub qgroups_ended: u64,
    /// When the qgroup of a subvolume ended last, at unmount or before; ns.
    pub qgroup_ended: u64,
}

/// Counts of what was seen and could not be judged, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NotJudged {
    /// Releases without a known subvolume.
    pub unknown_root: u64,
    /// Balances that were too low by tree blocks whose allocation may have failed (`btrfs_unuse_block_rsv`).
    pub unuse: u64,
    /// Inodes with a balance for which no destroy was seen when the filesystem ended.
    pub not_destroyed: u64,
    /// Final levels of an aborted filesystem.
    pub aborted: u64,
    /// qgroup counters that went below zero in a way that a correct kernel allows: it clamps them.
    pub qgroup_clamps: u64,
    /// Destroyed inodes whose counters the kernel side could not validate.
    pub unreadable: u64,
    /// Balances that were too high by tree blocks of an unknown payer.
    pub doubtful_blocks: u64,
    /// Claims during log replay.
    pub log_replay: u64,
    /// Filesystems that reserved something and ended without final levels. Those come with the release of the global
    /// block_rsv, and it was already empty.
    pub no_final_levels: u64,
}

/// `is_fstree()`
const fn is_subvolume(root: u64) -> bool {
    root == 5 || root as i64 >= 256
}

impl Fs {
    pub(crate) fn new(id: u32, loss: &Loss) -> Self {
        Self { id, first_epoch: loss.epoch(), ..Self::default() }
    }

    /// A tree block of this root was allocated.
    pub(crate) fn wrote(&mut self, root: u64) {
        if !is_subvolume(root) || self.subvolumes.contains(&Some(root)) {
            return;
        }
        let [first, second] = &mut self.subvolumes;
        let free = if first.is_none() { first } else { second };
        *free = Some(root);
    }

    /// The only subvolume that was written to. What is done to an inode of which only the number is known, is done there.
    pub(crate) const fn only_subvolume(&self) -> Option<u64> {
        match self.subvolumes {
            [Some(root), None] => Some(root),
            _ => None,
        }
    }

    /// A record of this filesystem came at `time`.
    pub(crate) const fn met(&mut self, time: u64) {
        if self.span.0 == 0 {
            self.span.0 = time;
        }
        if time > self.span.1 {
            self.span.1 = time;
        }
    }

    /// Takes what is known of the filesystem. May come again with more; zero means unknown.
    pub(crate) fn seen(&mut self, seen: &FsSeen) {
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

    /// Bytes of a sector; 4096 while not known.
    pub(crate) const fn sector(&self) -> u64 {
        if self.sectorsize == 0 { 4096 } else { self.sectorsize }
    }

    /// The book of an inode; opened at first sight.
    pub(crate) fn book(&mut self, key: InodeKey) -> &mut InodeBook {
        let by_audit = self.zero_by_audit;
        self.inodes.or_insert_with(key, || InodeBook::open(by_audit))
    }

    /// True if the balance of `book` is what the kernel must hold when nothing is in flight.
    pub(crate) fn is_exact(&self, book: &InodeBook, loss: &Loss) -> bool {
        loss.exact(book.exact_since.max(self.zero_since))
    }

    /// Epoch of the birth; 0 if it was not seen, or if it no longer makes the openings known.
    pub(crate) const fn born_since(&self) -> u32 {
        if self.zero_by_audit { 0 } else { self.zero_since }
    }

    /// Chain links of the filesystem and its inodes. Costs a walk over its inodes and chains.
    pub(crate) fn links(&self) -> u64 {
        let open = self.inodes.values().map(|book| u64::from(book.links));
        total([self.chains.links(), self.closed_links].into_iter().chain(open))
    }

    /// What waits and flushes; opened at first use.
    pub(crate) fn waits(&mut self) -> &mut Waits {
        self.waits.get_or_insert_default()
    }

    /// Who draws on what; opened at first use.
    pub(crate) fn draws(&mut self) -> &mut Draws {
        self.draws.get_or_insert_default()
    }

    /// The filesystem is gone; its id never comes back.
    pub(crate) fn end(&mut self, loss: &Loss) {
        if let Some(waits) = &mut self.waits {
            waits.end();
        }
        if let Some(draws) = &mut self.draws {
            draws.end();
        }
        let open = std::mem::take(&mut self.inodes);
        self.not_judged.not_destroyed +=
            open.values().filter(|book| book.balance != 0 && self.is_exact(book, loss)).count() as u64;
        self.closed_links =
            self.closed_links.saturating_add(total(open.values().map(|book| u64::from(book.links))));
        self.poisoned = FxHashSet::default();
        self.claims.end();
        self.holders = None;
        self.audits.end();
        self.ended = true;
    }
}
