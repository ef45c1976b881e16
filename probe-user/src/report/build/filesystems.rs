//! Filesystems: books, pools, space_infos, chains and audits.
use std::collections::BTreeMap;

use probe_ledger::{Account, AuditSummary, ChainSummary, Closing, FsSummary, SpaceNow, SpaceRest};

use super::{ReportInput, WaitNames, draws, holders};
use crate::{
    format,
    report::model::{
        AccountState, Audit, AuditedAccount, ChainState, ClosingName, Filesystem, SpaceState, Tickets,
    },
};

/// All filesystems, in the order met.
pub(super) fn build(input: &ReportInput<'_>) -> Vec<Filesystem> {
    let names = input.facts.wait_names(input.policy);
    input.summary.filesystems.iter().map(|fs| one(input, fs, &names)).collect()
}

fn one(input: &ReportInput<'_>, fs: &FsSummary, names: &WaitNames<'_>) -> Filesystem {
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
        // See `rsvs` and `spaces`.
        levels: _,
        levels_at: _,
        holders: _,
        books,
        closings,
        audit,
        tickets,
        enospc,
        // See `WaitNames::flushes`.
        commits: _,
        waits,
        draws,
    } = fs;
    let places = input.facts.places.get(fsid).cloned().unwrap_or_default();
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
        accounts: accounts(fs, books, closings),
        space: fs.spaces().into_iter().filter_map(space).collect(),
        holders: holders(fs, input.facts.started_monotonic_ns),
        chains: chains.iter().map(chain).collect(),
        audit: audit_of(audit),
        tickets: Tickets { granted: tickets.0, failed: tickets.1 },
        enospc: *enospc,
        waits: names.waits(waits.as_deref()),
        flushes: names.flushes(fs),
        draws: draws.as_ref().map(|draws| draws::build(input, draws)),
        inodes: *inodes,
        inodes_closed: *inodes_closed,
    }
}

/// The books' balances joined with the kernel's own levels of the pools, and what became of each account.
fn accounts(
    fs: &FsSummary,
    books: &BTreeMap<Account, i64>,
    closings: &BTreeMap<Account, Closing>,
) -> BTreeMap<String, AccountState> {
    let mut accounts: BTreeMap<String, AccountState> = BTreeMap::new();
    let mut entry = |account: Account, change: &dyn Fn(&mut AccountState)| {
        let state = accounts.entry(account.name().to_owned()).or_default();
        account.unit().clone_into(&mut state.unit);
        change(state);
    };
    for (account, balance) in books {
        entry(*account, &|state| state.balance = Some(*balance));
    }
    for (account, rsv) in fs.rsvs() {
        entry(account, &|state| {
            state.size = Some(rsv.size as i64);
            state.reserved = Some(rsv.reserved as i64);
        });
    }
    for (account, closing) in closings {
        entry(*account, &|state| {
            (state.closing, state.not_judged) = match closing {
                Closing::Closed => (ClosingName::Closed, None),
                Closing::Open => (ClosingName::Open, None),
                Closing::NotJudged(why) => (ClosingName::NotJudged, Some(why.clone())),
            };
        });
    }
    accounts
}

/// One of which only chains are known has no size, and so no row.
fn space(space: SpaceNow) -> Option<(String, SpaceState)> {
    let SpaceNow { flags, nth, may_use, pinned, rest } = space;
    let SpaceRest { total, used, reserved } = rest?;
    let state = SpaceState {
        total: total as i64,
        used: used as i64,
        bytes_may_use: may_use as i64,
        bytes_reserved: reserved as i64,
        bytes_pinned: pinned as i64,
    };
    Some((format::space_name(flags, nth), state))
}

fn chain(chain: &ChainSummary) -> ChainState {
    let ChainSummary { account, object_flags, links, breaks, value, at: _, peak } = chain;
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
