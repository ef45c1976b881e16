//! Filesystems: books, pools, space_infos, chains and audits.
use std::collections::BTreeMap;

use probe_common::fs::{Levels, Rsv, SpaceLevels};

use super::SessionFacts;
use crate::{
    ledger::{
        finding::Account,
        summary::{AuditSummary, ChainSummary, FsSummary, Summary},
    },
    report::{
        format,
        model::{AccountState, Audit, AuditedAccount, ChainState, Filesystem, SpaceState, Tickets},
    },
};

/// All filesystems, in the order met.
pub(super) fn build(summary: &Summary, facts: &SessionFacts) -> Vec<Filesystem> {
    summary.filesystems.iter().map(|fs| one(fs, facts)).collect()
}

fn one(fs: &FsSummary, facts: &SessionFacts) -> Filesystem {
    let FsSummary {
        fs: _,
        fsid,
        device,
        span: _,
        born,
        ended,
        aborted,
        inodes,
        inodes_closed,
        chains,
        levels,
        books,
        audit,
        tickets,
        enospc,
    } = fs;
    let places = facts.places.get(fsid).cloned().unwrap_or_default();
    let mut devices = places.devices;
    if devices.is_empty() && !device.is_empty() {
        devices.push(device.clone());
    }
    Filesystem {
        uuid: format::uuid(fsid),
        devices,
        mounts: places.mounts,
        born: *born,
        ended: *ended,
        aborted: *aborted,
        accounts: accounts(books, levels.as_ref()),
        space: levels.as_ref().map(space).unwrap_or_default(),
        chains: chains.iter().map(chain).collect(),
        audit: audit_of(audit),
        tickets: Tickets { granted: tickets.0, failed: tickets.1 },
        enospc: *enospc,
        inodes: *inodes,
        inodes_closed: *inodes_closed,
    }
}

/// The books' balances joined with the kernel's own levels of the pools.
fn accounts(books: &BTreeMap<Account, i64>, levels: Option<&Levels>) -> BTreeMap<String, AccountState> {
    let mut accounts: BTreeMap<String, AccountState> = BTreeMap::new();
    let mut entry = |account: Account, change: &dyn Fn(&mut AccountState)| {
        let state = accounts.entry(account.name().to_owned()).or_default();
        account.unit().clone_into(&mut state.unit);
        change(state);
    };
    for (account, balance) in books {
        entry(*account, &|state| state.balance = Some(*balance));
    }
    for (account, rsv) in levels.into_iter().flat_map(pools) {
        entry(account, &|state| {
            state.size = Some(rsv.size as i64);
            state.reserved = Some(rsv.reserved as i64);
        });
    }
    accounts
}

fn pools(levels: &Levels) -> [(Account, Rsv); 5] {
    [
        (Account::FsGlobalRsv, levels.global),
        (Account::TransRsv, levels.trans),
        (Account::FsDelayedRsv, levels.delayed),
        (Account::FsDelayedRefsRsv, levels.delayed_refs),
        (Account::FsChunkRsv, levels.chunk),
    ]
}

fn space(levels: &Levels) -> BTreeMap<String, SpaceState> {
    let mut spaces = BTreeMap::new();
    for level in levels.space.iter().filter(|level| level.flags != 0) {
        let SpaceLevels { flags, total, used, may_use, reserved, pinned } = *level;
        let state = SpaceState {
            total: total as i64,
            used: used as i64,
            bytes_may_use: may_use as i64,
            bytes_reserved: reserved as i64,
            bytes_pinned: pinned as i64,
        };
        // Zoned filesystems have two space_infos of one type.
        let name = format::space_type(flags);
        let name = if spaces.contains_key(name) { format!("{name}#2") } else { name.to_owned() };
        spaces.insert(name, state);
    }
    spaces
}

fn chain(chain: &ChainSummary) -> ChainState {
    let ChainSummary { account, object_flags, links, breaks, value, peak } = chain;
    let object = match account {
        Account::InodeQgroupData | Account::RootQgroupMetaPrealloc | Account::RootQgroupMetaPertrans => {
            format::qgroup(*object_flags)
        }
        _ => format::space_type(*object_flags).to_owned(),
    };
    ChainState {
        account: (*account).into(),
        object,
        links: *links,
        breaks: *breaks,
        value: *value as i64,
        peak: *peak as i64,
    }
}

fn audit_of(audit: &AuditSummary) -> Audit {
    let AuditSummary { compared, equal, moving, last } = audit;
    Audit {
        compared: *compared,
        equal: *equal,
        moving: *moving,
        last: last
            .iter()
            .map(|&(account, sysfs, books)| AuditedAccount {
                account: account.into(),
                sysfs: sysfs as i64,
                books: books as i64,
            })
            .collect(),
    }
}
