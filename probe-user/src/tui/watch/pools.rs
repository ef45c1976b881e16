//! What the pools of a filesystem held.
use std::collections::{BTreeMap, VecDeque};

use super::{
    super::picture::{History, PoolKey, PoolRow},
    SAMPLES,
};
use crate::{
    ledger::{
        finding::{Account, SpaceCounter},
        summary::FsSummary,
    },
    report::format,
};

/// Qgroup counters that are shown; a filesystem can have thousands.
const MAX_QGROUPS: usize = 24;

/// Histories of one filesystem.
#[derive(Debug, Default)]
pub struct Pools {
    histories: BTreeMap<PoolKey, VecDeque<u64>>,
    inodes: Option<u64>,
}

impl Pools {
    /// `due` samples have passed.
    pub fn sample(&mut self, fs: &FsSummary, due: u64) {
        for row in rows(fs, self.inodes) {
            let history = self.histories.entry(row.key).or_default();
            for _ in 0..due {
                history.push_back(row.held);
            }
            while history.len() > SAMPLES {
                history.pop_front();
            }
        }
    }

    /// The samples of a pool.
    #[must_use]
    pub fn history(&self, key: &PoolKey) -> History {
        self.histories.get(key).map(|history| history.iter().copied().collect()).unwrap_or_default()
    }

    /// What all inodes hold, which is found out now and then: samples show it until it is found out anew.
    pub const fn inodes(&mut self, held: u64) {
        self.inodes = Some(held);
    }
}

/// The pools of a filesystem as they are, without their histories. `inodes`: what all inodes hold, if known.
#[must_use]
pub fn rows(fs: &FsSummary, inodes: Option<u64>) -> Vec<PoolRow> {
    let mut rows: Vec<PoolRow> = space_flags(fs).into_iter().map(|flags| space(fs, flags)).collect();
    if let Some(levels) = &fs.levels {
        let rsvs = [
            (PoolKey::Global, Account::FsGlobalRsv, levels.global),
            (PoolKey::Trans, Account::TransRsv, levels.trans),
            (PoolKey::Chunk, Account::FsChunkRsv, levels.chunk),
            (PoolKey::Delayed, Account::FsDelayedRsv, levels.delayed),
            (PoolKey::DelayedRefs, Account::FsDelayedRefsRsv, levels.delayed_refs),
        ];
        rows.extend(
            rsvs.map(|(key, account, rsv)| reserve(key, account.name().to_owned(), rsv.reserved, rsv.size)),
        );
    }
    if let Some(held) = inodes {
        rows.push(reserve(PoolKey::Inodes, Account::InodeMetaRsv.name().to_owned(), held, 0));
    }
    let qgroups = fs.chains.iter().filter(|chain| {
        matches!(
            chain.account,
            Account::InodeQgroupData | Account::RootQgroupMetaPertrans | Account::RootQgroupMetaPrealloc
        )
    });
    let mut qgroups: Vec<PoolRow> = qgroups
        .map(|chain| {
            let kind = match chain.account {
                Account::InodeQgroupData => "data",
                Account::RootQgroupMetaPertrans => "pertrans",
                _ => "prealloc",
            };
            let name = format!("qgroup {} {kind}", format::qgroup(chain.object_flags));
            reserve(PoolKey::Qgroup(kind, chain.object_flags), name, chain.value, chain.peak)
        })
        .collect();
    qgroups.sort_by(|left, right| right.held.cmp(&left.held).then_with(|| left.key.cmp(&right.key)));
    qgroups.truncate(MAX_QGROUPS);
    rows.extend(qgroups);
    rows
}

/// The space_infos that are known, from the kernel's levels or from their chains, data first.
fn space_flags(fs: &FsSummary) -> Vec<u64> {
    let of_levels = fs.levels.iter().flat_map(|levels| levels.space).map(|space| space.flags);
    let of_chains = fs
        .chains
        .iter()
        .filter(|chain| space_counter(chain.account).is_some())
        .map(|chain| chain.object_flags);
    let mut flags: Vec<u64> = of_levels.chain(of_chains).filter(|flags| *flags & 7 != 0).collect();
    // Data, metadata, system: the order of importance is not that of the numbers.
    flags.sort_by_key(|flags| {
        (
            match flags & 7 {
                1 | 5 => 0,
                4 => 1,
                _ => 2,
            },
            *flags,
        )
    });
    flags.dedup();
    flags
}

const fn space_counter(account: Account) -> Option<SpaceCounter> {
    match account {
        Account::SpaceData(counter) | Account::SpaceMetadata(counter) | Account::SpaceSystem(counter) => {
            Some(counter)
        }
        _ => None,
    }
}

/// A space_info: the chains know its counters at any moment, the levels know the rest.
fn space(fs: &FsSummary, flags: u64) -> PoolRow {
    let levels = fs.levels.iter().flat_map(|levels| levels.space).find(|space| space.flags == flags);
    let levels = levels.unwrap_or_default();
    let chain = |wanted: SpaceCounter| {
        let found = fs
            .chains
            .iter()
            .find(|chain| chain.object_flags == flags && space_counter(chain.account) == Some(wanted));
        found.map(|chain| chain.value)
    };
    let may_use = chain(SpaceCounter::BytesMayUse).unwrap_or(levels.may_use);
    let pinned = chain(SpaceCounter::BytesPinned).unwrap_or(levels.pinned);
    PoolRow {
        key: PoolKey::Space(flags),
        name: format!("space.{}", format::space_type(flags)),
        held: may_use,
        whole: levels.total,
        parts: [levels.used, pinned, levels.reserved, may_use],
        history: History::new(),
    }
}

fn reserve(key: PoolKey, name: String, held: u64, size: u64) -> PoolRow {
    PoolRow { key, name, held, whole: size, parts: [0, 0, 0, held], history: History::new() }
}
