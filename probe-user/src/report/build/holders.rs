//! Who holds the pools: the ledger's rows with names.
use std::collections::BTreeMap;

use probe_common::space::BLOCK_GROUP_TYPE_MASK;
use probe_ledger::{FsSummary, Holder, InodesRead, PoolHolders, SeenPath};

use crate::{
    format,
    report::model::{self, DirtyData, Holders, InodePath, SpaceHolders},
};

/// Who holds the pools of a filesystem; `None` if that is not known. `started`: `CLOCK_MONOTONIC` ns of the session's start.
#[must_use]
pub fn holders(fs: &FsSummary, started: u64) -> Option<Holders> {
    let PoolHolders { time, inodes, spaces, paths } = fs.holders.as_deref()?;
    let mut named = BTreeMap::new();
    for (at, space) in spaces.iter().enumerate() {
        let kind = space.flags & BLOCK_GROUP_TYPE_MASK;
        let same = spaces[..at].iter().filter(|before| before.flags & BLOCK_GROUP_TYPE_MASK == kind);
        let nth = u32::try_from(same.count()).unwrap_or(u32::MAX);
        named.insert(format::space_name(space.flags, nth), of_space(space, paths));
    }
    Some(Holders {
        time_ns: time.saturating_sub(started),
        dirty_data: match inodes {
            InodesRead::Books => DirtyData::NotRead,
            InodesRead::Quiet => DirtyData::Read,
            InodesRead::Moving => DirtyData::ReadWhileItChanged,
        },
        spaces: named,
    })
}

/// Who held a space_info when a reservation failed; `None` if that was not found out. `kind`: its block group type.
#[must_use]
pub(super) fn at_failure(holders: &PoolHolders, kind: u64) -> Option<SpaceHolders> {
    let space = holders.spaces.iter().find(|space| space.flags & BLOCK_GROUP_TYPE_MASK == kind)?;
    Some(of_space(space, &holders.paths))
}

fn of_space(space: &probe_ledger::SpaceHolders, paths: &BTreeMap<(u64, u64), SeenPath>) -> SpaceHolders {
    let probe_ledger::SpaceHolders { flags: _, may_use, rows, rest, handles } = space;
    let row = |(holder, bytes): &(Holder, i64)| row(holder, *bytes, paths);
    SpaceHolders {
        bytes_may_use: *may_use as i64,
        holders: rows.iter().map(row).collect(),
        not_attributed: *rest,
        handles: handles.0,
        handles_claimed: handles.1,
    }
}

fn row(holder: &Holder, bytes: i64, paths: &BTreeMap<(u64, u64), SeenPath>) -> model::Holder {
    let of = |name: &str, count: Option<u64>| model::Holder {
        holder: name.to_owned(),
        bytes,
        count,
        root: None,
        inode: None,
        path: None,
        path_truncated: false,
        path_bytes: None,
    };
    match *holder {
        Holder::Rsv(account) => of(account.name(), None),
        Holder::Inode { account, root, ino } => {
            let place = InodePath::from(paths.get(&(root, ino)));
            model::Holder {
                root: Some(root as i64),
                inode: Some(ino),
                path: place.path,
                path_truncated: place.path_truncated,
                path_bytes: place.path_bytes,
                ..of(account.name(), Some(1))
            }
        }
        Holder::Inodes { account, count } => of(account.name(), Some(count)),
        Holder::Temporary { count } => of("temp.rsv", Some(count)),
        Holder::Tickets { count } => of("tickets", Some(count)),
        Holder::Tasks { count } => of("tasks", Some(count)),
    }
}
