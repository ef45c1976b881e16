//! The chains of a filesystem: counters that show their value before each change.
use probe_common::chain::{Chain, ChainCounter};
use rustc_hash::FxHashMap;

use crate::vocabulary::words::total;

/// Most deleted qgroups kept. Beyond it all are forgotten, and one in the place of another leaves a doubt.
const MAX_ENDED: usize = 1 << 16;

/// Chains of one filesystem, by object and counter.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    pub by_object: FxHashMap<(u64, u32), ChainBook>,
    /// Number of followed objects by counter and flags.
    pub with_flags: FxHashMap<(u32, u64), u32>,
    /// Chains opened so far.
    pub opened: u64,
    /// Links of chains that ended or rest.
    pub gone_links: u64,
    /// The counter of at least one qgroup rests (see `CHAIN_REST`). A qgroup that opens may be one that was followed before.
    pub some_rest: bool,
    /// Qgroups that were deleted, and how many chains had been opened by then.
    ended: FxHashMap<u64, u64>,
    /// Breaks that a loss explains.
    pub explained: u64,
    /// Breaks that no loss explains, but that a correct kernel can cause (qgroups).
    pub unexplained: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ChainBook {
    /// Number of this chain in the order of opening.
    pub number: u64,
    pub flags: u64,
    pub epoch: u32,
    pub links: u64,
    pub breaks: u64,
    pub value: u64,
    /// Position in the stream of the record that showed the value.
    pub at: u64,
    pub peak: u64,
    /// Another object with the same qgroup id was followed before, or the value changed without an event: quotas were
    /// switched off and on.
    pub replaced: bool,
}

impl Chains {
    pub(crate) fn links(&self) -> u64 {
        total(self.by_object.values().map(|chain| chain.links)).saturating_add(self.gone_links)
    }

    /// True if any qgroup counter is or was followed.
    pub(crate) fn has_qgroups(&self) -> bool {
        let mut counters = self.by_object.keys().filter_map(|(_, counter)| ChainCounter::from_u32(*counter));
        self.some_rest || counters.any(is_qgroup)
    }

    pub(crate) fn open(&mut self, record: &Chain, epoch: u32) {
        let key = (record.object, record.counter);
        let before = self.take(key);
        let same = self.with_flags.entry((record.counter, record.object_flags)).or_default();
        let replaced = *same > 0 || before || self.some_rest;
        *same += 1;
        self.opened += 1;
        let chain = ChainBook {
            number: self.opened,
            flags: record.object_flags,
            epoch,
            links: 0,
            breaks: 0,
            value: 0,
            at: 0,
            peak: 0,
            replaced,
        };
        self.by_object.insert(key, chain);
    }

    /// A qgroup's counter is zero and is not followed until it opens again.
    pub(crate) fn rest(&mut self, record: &Chain) {
        if let Some(chain) = self.by_object.get_mut(&(record.object, record.counter)) {
            chain.links = chain.links.max(record.links);
        }
        self.take((record.object, record.counter));
        self.some_rest = true;
    }

    /// A qgroup was deleted, by itself or because quotas were switched off. One that is made at the same address begins at zero.
    pub(crate) fn qgroup_ended(&mut self, id: u64) {
        if self.ended.len() >= MAX_ENDED {
            self.ended.clear();
        }
        self.ended.insert(id, self.opened);
    }

    /// Whether the qgroup of this chain was deleted since the chain was opened.
    pub(crate) fn has_ended(&self, counter: ChainCounter, chain: &ChainBook) -> bool {
        is_qgroup(counter) && self.ended.get(&chain.flags).is_some_and(|opened| chain.number <= *opened)
    }

    /// Ends a chain; its links stay counted. False if there was none.
    pub(crate) fn take(&mut self, key: (u64, u32)) -> bool {
        let Some(chain) = self.by_object.remove(&key) else { return false };
        self.gone_links = self.gone_links.saturating_add(chain.links);
        let flags = (key.1, chain.flags);
        match self.with_flags.get_mut(&flags) {
            Some(same) if *same > 1 => *same -= 1,
            _ => {
                self.with_flags.remove(&flags);
            }
        }
        true
    }
}

pub(crate) const fn is_qgroup(counter: ChainCounter) -> bool {
    match counter {
        ChainCounter::BytesMayUse | ChainCounter::BytesPinned => false,
        ChainCounter::QgroupData | ChainCounter::QgroupMetaPertrans | ChainCounter::QgroupMetaPrealloc => {
            true
        }
    }
}
