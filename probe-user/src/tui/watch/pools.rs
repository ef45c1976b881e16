//! What the pools of a filesystem held.
use std::collections::{BTreeMap, VecDeque};

use probe_ledger::{Account, FsSummary, SpaceNow, SpaceRest};

use super::samples::SAMPLES;
use crate::{
    format,
    tui::picture::{History, PoolKey, PoolRow},
};

/// Qgroup counters that are shown; a filesystem can have thousands.
const MAX_QGROUPS: usize = 24;

/// Histories of one filesystem.
#[derive(Debug, Default)]
pub struct Pools {
    histories: BTreeMap<PoolKey, VecDeque<u64>>,
    inodes: Option<i64>,
}

impl Pools {
    /// `due` samples have passed.
    pub fn sample(&mut self, fs: &FsSummary, due: u64) {
        for row in rows(fs, self.inodes) {
            let history = self.histories.entry(row.key).or_default();
            for _ in 0..due {
                history.push_back(u64::try_from(row.held).unwrap_or(0));
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
    pub const fn inodes(&mut self, held: i64) {
        self.inodes = Some(held);
    }
}

/// The pools of a filesystem as they are, without their histories. `inodes`: what all inodes hold, if known.
#[must_use]
pub fn rows(fs: &FsSummary, inodes: Option<i64>) -> Vec<PoolRow> {
    let mut spaces = fs.spaces();
    // Data, metadata, system: the order of importance is not that of the numbers.
    spaces.sort_by_key(|space| match space.flags & 7 {
        1 | 5 => 0,
        4 => 1,
        _ => 2,
    });
    let mut rows: Vec<PoolRow> = spaces.into_iter().map(space).collect();
    rows.extend(fs.rsvs().into_iter().map(|(account, rsv)| {
        reserve(PoolKey::Rsv(account), account.name().to_owned(), signed(rsv.reserved), rsv.size)
    }));
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
            reserve(PoolKey::Qgroup(kind, chain.object_flags), name, signed(chain.value), chain.peak)
        })
        .collect();
    qgroups.sort_by(|left, right| right.held.cmp(&left.held).then_with(|| left.key.cmp(&right.key)));
    qgroups.truncate(MAX_QGROUPS);
    rows.extend(qgroups);
    rows
}

fn space(space: SpaceNow) -> PoolRow {
    let SpaceNow { flags, nth, may_use, pinned, rest } = space;
    let SpaceRest { total, used, reserved } = rest.unwrap_or_default();
    PoolRow {
        key: PoolKey::Space(flags, nth),
        name: format!("space.{}", format::space_name(flags, nth)),
        held: signed(may_use),
        whole: total,
        parts: [used, pinned, reserved, may_use].map(signed),
        history: History::new(),
    }
}

fn reserve(key: PoolKey, name: String, held: i64, size: u64) -> PoolRow {
    PoolRow { key, name, held, whole: size, parts: [0, 0, 0, held], history: History::new() }
}

/// A counter of the kernel that went below zero is shown so.
const fn signed(value: u64) -> i64 {
    value as i64
}
