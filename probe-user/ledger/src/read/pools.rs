//! What the pools of a filesystem hold: the last levels, and newer values from chains.
use probe_common::fs::{Rsv, SpaceLevels};
use probe_common::space::BLOCK_GROUP_TYPE_MASK;

use super::summary::FsSummary;
use crate::vocabulary::account::{Account, SpaceCounter};

/// A `space_info` as it was last seen. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceNow {
    /// `space_info->flags`
    pub flags: u64,
    /// 0 for the first space_info of its type, 1 for the second; zoned filesystems have two.
    pub nth: u32,
    /// `bytes_may_use`, bytes.
    pub may_use: u64,
    /// `bytes_pinned`
    pub pinned: u64,
    /// Figures that only levels show; `None` before the first levels.
    pub rest: Option<SpaceRest>,
}

/// See [`SpaceNow::rest`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpaceRest {
    /// `total_bytes`
    pub total: u64,
    /// `bytes_used`
    pub used: u64,
    /// `bytes_reserved`
    pub reserved: u64,
}

impl FsSummary {
    /// The space_infos of the filesystem in the kernel's order; those known from a chain only come last.
    ///
    /// Levels and chains both show `bytes_may_use` and `bytes_pinned`; the later record counts.
    #[must_use]
    pub fn spaces(&self) -> Vec<SpaceNow> {
        let levels = self.levels.iter().flat_map(|levels| levels.space).filter(|space| space.flags != 0);
        let mut spaces: Vec<SpaceNow> = levels.map(|levels| self.space(levels.flags, Some(levels))).collect();
        for chain in self.chains.iter().filter(|chain| space_counter(chain.account).is_some()) {
            if !spaces.iter().any(|space| space.flags == chain.object_flags) {
                spaces.push(self.space(chain.object_flags, None));
            }
        }
        for at in 0..spaces.len() {
            let (before, this) = spaces.split_at_mut(at);
            let same = before
                .iter()
                .filter(|space| space.flags & BLOCK_GROUP_TYPE_MASK == this[0].flags & BLOCK_GROUP_TYPE_MASK);
            this[0].nth = same.count() as u32;
        }
        spaces
    }

    fn space(&self, flags: u64, levels: Option<SpaceLevels>) -> SpaceNow {
        let seen = levels.unwrap_or_default();
        SpaceNow {
            flags,
            nth: 0,
            may_use: self.newer(flags, SpaceCounter::BytesMayUse).unwrap_or(seen.may_use),
            pinned: self.newer(flags, SpaceCounter::BytesPinned).unwrap_or(seen.pinned),
            rest: levels.map(|levels| SpaceRest {
                total: levels.total,
                used: levels.used,
                reserved: levels.reserved,
            }),
        }
    }

    /// The value of a counter's chain, if its record is later than the levels. `None` if two space_infos have the same
    /// flags, because the chain may belong to either.
    fn newer(&self, flags: u64, counter: SpaceCounter) -> Option<u64> {
        let mut chains = self
            .chains
            .iter()
            .filter(|chain| chain.object_flags == flags && space_counter(chain.account) == Some(counter));
        let chain = chains.next()?;
        let Some(levels) = &self.levels else { return Some(chain.value) };
        let twins = levels.space.iter().filter(|space| space.flags == flags).count() > 1;
        (!twins && chains.next().is_none() && chain.at > self.levels_at).then_some(chain.value)
    }

    /// The block_rsvs by the last levels; empty before the first.
    #[must_use]
    pub fn rsvs(&self) -> Vec<(Account, Rsv)> {
        let Some(levels) = &self.levels else { return Vec::new() };
        vec![
            (Account::FsGlobalRsv, levels.global),
            (Account::TransRsv, levels.trans),
            (Account::FsChunkRsv, levels.chunk),
            (Account::FsDelayedRsv, levels.delayed),
            (Account::FsDelayedRefsRsv, levels.delayed_refs),
        ]
    }
}

const fn space_counter(account: Account) -> Option<SpaceCounter> {
    match account {
        Account::SpaceData(counter) | Account::SpaceMetadata(counter) | Account::SpaceSystem(counter) => {
            Some(counter)
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use probe_common::fs::Levels;

    use super::super::summary::ChainSummary;
    use super::*;

    const DATA: Account = Account::SpaceData(SpaceCounter::BytesMayUse);

    fn chain(value: u64, at: u64) -> ChainSummary {
        ChainSummary { account: DATA, object_flags: 1, links: 9, breaks: 0, value, at, peak: value }
    }

    fn filesystem(spaces: &[SpaceLevels], levels_at: u64, chains: Vec<ChainSummary>) -> FsSummary {
        let mut levels = Levels::default();
        levels.space[..spaces.len()].copy_from_slice(spaces);
        FsSummary { levels: Some(levels), levels_at, chains, ..FsSummary::default() }
    }

    fn data(may_use: u64) -> SpaceLevels {
        SpaceLevels { flags: 1, total: 100, used: 50, may_use, ..SpaceLevels::default() }
    }

    /// A chain sends its value only now and then. After the final levels a filesystem holds nothing, whatever its chain last
    /// sent.
    #[test]
    fn the_later_of_two_records_says_what_a_space_info_holds() {
        let may_use = |fs: &FsSummary| fs.spaces()[0].may_use;
        assert_eq!(may_use(&filesystem(&[data(7)], 20, vec![chain(4096, 10)])), 7);
        assert_eq!(may_use(&filesystem(&[data(7)], 20, vec![chain(4096, 30)])), 4096);
        let unread = FsSummary { chains: vec![chain(4096, 10)], ..FsSummary::default() };
        assert_eq!(unread.spaces(), [SpaceNow { flags: 1, may_use: 4096, ..SpaceNow::default() }]);
    }

    #[test]
    fn two_of_a_type_are_two_rows_with_their_own_levels() {
        let fs = filesystem(&[data(7), data(9)], 20, vec![chain(1, 30), chain(2, 31)]);
        let rows: Vec<_> = fs.spaces().iter().map(|space| (space.nth, space.may_use)).collect();
        assert_eq!(rows, [(0, 7), (1, 9)]);
    }
}
