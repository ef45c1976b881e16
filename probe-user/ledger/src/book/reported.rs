//! What the rules of calls have already reported of an inode or a filesystem. If something else shows the same bytes later,
//! it is the same bug and is not reported again.
use rustc_hash::FxHashMap;

use super::{node::Node, thread::RaceLeftover};
use crate::vocabulary::{
    account::{Account, DATA_MAY_USE, METADATA_MAY_USE, SpaceCounter},
    keys::InodeKey,
};

/// Most cleared ranges kept whose data was not freed.
const MAX_CLEARED_RANGES: usize = 256;
/// Most inodes kept. Beyond it, the same bug may be reported again by another rule.
const MAX_INODES: usize = 1 << 16;

/// How far counters are off because of a reported bug; positive: too high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CounterOffset {
    pub extents: i64,
    pub csum_bytes: i64,
    pub meta_rsv: i64,
}

#[derive(Debug, Default)]
pub(crate) struct AlreadyReported {
    pub inodes: FxHashMap<InodeKey, CounterOffset>,
    /// `bytes_may_use` of data.
    pub data: i64,
    /// Delalloc ranges that were cleared without a release of their data. Most of them had no data reserved.
    pub cleared_ranges: Vec<(Node, u64)>,
    /// Bytes that a release left to a failing task, which did not take them.
    pub race_leftovers: Vec<RaceLeftover>,
    /// `bytes_may_use` of metadata, without what inodes hold.
    pub metadata: i64,
    /// Of `data` and `metadata`, what tickets were granted too much or too little. All else in them comes from calls.
    pub tickets: (i64, i64),
    /// Pools whose `size` has wrapped, so that nothing leaves them any more.
    pub wrapped: Vec<Account>,
    /// `bytes_reserved` of data.
    pub extents: i64,
    /// `bytes_reserved` of metadata.
    pub blocks: i64,
    /// `bytes_pinned` of data, metadata and system block groups.
    pub pinned: [i64; 3],
    /// `trans_block_rsv`
    pub trans: i64,
    /// `chunk_block_rsv`
    pub chunk: i64,
    /// `delayed_block_rsv`
    pub delayed: i64,
    /// `delayed_refs_rsv`
    pub delayed_refs: i64,
    /// `BTRFS_QGROUP_RSV_DATA` of all qgroups; not split by subvolume or inode.
    pub qgroup_data: i64,
    /// `BTRFS_QGROUP_RSV_META_PREALLOC` of all qgroups.
    pub qgroup_prealloc: i64,
    /// `BTRFS_QGROUP_RSV_META_PERTRANS` of all qgroups.
    pub qgroup_pertrans: i64,
}

impl AlreadyReported {
    pub(crate) fn inode(&self, key: InodeKey) -> Option<CounterOffset> {
        if self.inodes.is_empty() { None } else { self.inodes.get(&key).copied() }
    }

    /// How far `bytes_may_use` is off because of tickets.
    pub(crate) const fn by_tickets(&self, account: Account) -> i64 {
        match account {
            DATA_MAY_USE => self.tickets.0,
            METADATA_MAY_USE => self.tickets.1,
            _ => 0,
        }
    }

    /// Whether the end of a transaction has told bytes of this account, which both tiers see.
    pub(crate) const fn by_transactions(&self, account: Account) -> bool {
        match account {
            Account::FsDelayedRefsRsv => self.delayed_refs != 0,
            Account::SpaceMetadata(SpaceCounter::BytesReserved) => self.blocks != 0,
            _ => self.pinned(account) != 0,
        }
    }

    /// How far this `bytes_pinned` is off.
    pub(crate) const fn pinned(&self, account: Account) -> i64 {
        let [data, metadata, system] = self.pinned;
        match account {
            Account::SpaceData(SpaceCounter::BytesPinned) => data,
            Account::SpaceMetadata(SpaceCounter::BytesPinned) => metadata,
            Account::SpaceSystem(SpaceCounter::BytesPinned) => system,
            _ => 0,
        }
    }

    /// A reported bug makes this `bytes_pinned` differ by `amount`.
    pub(crate) fn add_pinned(&mut self, account: Account, amount: i64) {
        let [data, metadata, system] = &mut self.pinned;
        let of = match account {
            Account::SpaceData(_) => data,
            Account::SpaceMetadata(_) => metadata,
            _ => system,
        };
        *of = of.saturating_add(amount);
    }

    /// Takes back what a report has noted of the inode's block_rsv, since its bytes are right.
    pub(crate) fn set_meta_rsv(&mut self, key: InodeKey, amount: i64) {
        if let Some(wrong) = self.inodes.get_mut(&key) {
            wrong.meta_rsv = amount;
        }
    }

    pub(crate) fn close(&mut self, key: InodeKey) -> Option<CounterOffset> {
        if self.inodes.is_empty() { None } else { self.inodes.remove(&key) }
    }

    /// The data of a cleared range was not released. That is right if none was reserved for it.
    pub(crate) fn cleared_range_kept(&mut self, node: Node, bytes: u64) {
        if self.cleared_ranges.len() < MAX_CLEARED_RANGES {
            self.cleared_ranges.push((node, bytes));
        }
    }

    /// The call that left exactly `bytes` unreleased; `None` if there is none, or more than one.
    pub(crate) fn take_cleared_range(&mut self, bytes: i64) -> Option<Node> {
        let mut fitting = self.cleared_ranges.iter().filter(|(_, kept)| *kept as i64 == bytes);
        let (node, _) = fitting.next()?;
        fitting.next().is_none().then_some(*node)
    }

    /// A reported bug makes this counter differ by `amount`.
    pub(crate) fn add(&mut self, key: InodeKey, account: Account, amount: i64) {
        if self.inodes.len() >= MAX_INODES && !self.inodes.contains_key(&key) {
            return;
        }
        let wrong = self.inodes.entry(key).or_default();
        match account {
            Account::InodeOutstandingExtents => wrong.extents = wrong.extents.saturating_add(amount),
            Account::InodeCsumBytes => wrong.csum_bytes = wrong.csum_bytes.saturating_add(amount),
            _ => wrong.meta_rsv = wrong.meta_rsv.saturating_add(amount),
        }
    }
}
