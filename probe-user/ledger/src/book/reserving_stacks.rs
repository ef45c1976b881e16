//! Who reserves from the shared pools of a filesystem.
//!
//! A pool does not show whose bytes it still holds, only who took some. So a leak of a pool names the stacks that reserved
//! most from it; the one that forgot to release is likely among them.
use probe_common::chain::ChainCounter;

use crate::vocabulary::{
    account::{Account, SpaceCounter},
    finding::{Origin, StackRef},
};

/// Most stacks kept per pool.
const MAX_STACKS: usize = 16;
/// Most stacks named in a finding.
const MAX_NAMED: usize = 4;

/// Reserving stacks of one filesystem by pool.
#[derive(Debug, Default)]
pub(crate) struct ReservingStacks {
    data: Vec<Origin>,
    trans: Vec<Origin>,
    delayed: Vec<Origin>,
    qgroup_data: Vec<Origin>,
    qgroup_pertrans: Vec<Origin>,
    qgroup_prealloc: Vec<Origin>,
}

/// A shared pool.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pool {
    /// `bytes_may_use` of the data `space_info`
    Data,
    /// `trans_block_rsv`
    Trans,
    /// `delayed_block_rsv`
    Delayed,
    /// A counter of the qgroups of subvolumes. Its stacks are samples: one from time to time, for each qgroup.
    Qgroup(ChainCounter),
}

impl ReservingStacks {
    /// Bytes were reserved from this stack.
    pub(crate) fn note(&mut self, pool: Pool, bytes: u64, stack: StackRef) {
        if stack.id == 0 {
            return;
        }
        let stacks = match pool {
            Pool::Data => &mut self.data,
            Pool::Trans => &mut self.trans,
            Pool::Delayed => &mut self.delayed,
            Pool::Qgroup(ChainCounter::QgroupData) => &mut self.qgroup_data,
            Pool::Qgroup(ChainCounter::QgroupMetaPertrans) => &mut self.qgroup_pertrans,
            Pool::Qgroup(ChainCounter::QgroupMetaPrealloc) => &mut self.qgroup_prealloc,
            Pool::Qgroup(ChainCounter::BytesMayUse | ChainCounter::BytesPinned) => return,
        };
        if let Some(known) = stacks.iter_mut().find(|origin| origin.stack.id == stack.id) {
            known.bytes = known.bytes.wrapping_add(bytes);
            known.count += 1;
            return;
        }
        if stacks.len() >= MAX_STACKS {
            // Replaces the stack with the fewest bytes.
            let least = (0..stacks.len()).min_by_key(|index| stacks[*index].bytes);
            least.map(|index| stacks.swap_remove(index));
        }
        stacks.push(Origin { bytes, count: 1, stack });
    }

    /// The stacks that reserved most for this account; empty if the account is not a pool.
    pub(crate) fn origins(&self, account: Account) -> Vec<Origin> {
        let mut origins = match account {
            Account::SpaceData(SpaceCounter::BytesMayUse) => self.data.clone(),
            Account::TransRsv => self.trans.clone(),
            Account::FsDelayedRsv => self.delayed.clone(),
            Account::InodeQgroupData => self.qgroup_data.clone(),
            Account::RootQgroupMetaPertrans => self.qgroup_pertrans.clone(),
            Account::RootQgroupMetaPrealloc => self.qgroup_prealloc.clone(),
            _ => Vec::new(),
        };
        origins.sort_by_key(|origin| (std::cmp::Reverse(origin.bytes), origin.stack.id));
        origins.truncate(MAX_NAMED);
        origins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_are_named_and_the_rest_is_bounded() {
        let mut reserving_stacks = ReservingStacks::default();
        for id in 1..=40 {
            reserving_stacks.note(Pool::Data, id * 10, StackRef { id, representative: true });
        }
        reserving_stacks.note(Pool::Data, 1000, StackRef { id: 40, representative: true });
        reserving_stacks.note(Pool::Trans, 5, StackRef { id: 0, representative: false });
        let named = reserving_stacks.origins(Account::SpaceData(SpaceCounter::BytesMayUse));
        let ids: Vec<u64> = named.iter().map(|origin| origin.stack.id).collect();
        assert_eq!(ids, [40, 39, 38, 37]);
        assert_eq!((named[0].bytes, named[0].count), (1400, 2));
        assert!(reserving_stacks.data.len() <= MAX_STACKS);
        assert!(reserving_stacks.origins(Account::TransRsv).is_empty());
    }
}
