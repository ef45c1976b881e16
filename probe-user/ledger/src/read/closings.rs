//! Which accounts of a filesystem were judged at their end.
//!
//! A clean verdict is worth as much as what it covers. So each account says whether it was closed at its end, is still
//! open, or was not judged, and why.
use std::collections::BTreeMap;

use crate::{
    book::filesystem::Fs,
    context::Context,
    rule::calls::books::Calls,
    vocabulary::{
        account::{Account, SpaceCounter, space},
        words::grouped,
    },
};

/// What became of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It was judged at its end: that of the inode, the qgroup or the filesystem.
    Closed,
    /// Its end was not seen, since the filesystem is still there.
    Open,
    /// No rule judged it. Why, as the rest of a sentence that begins with the account.
    NotJudged(String),
}

const OF_INODES: [Account; 4] = [
    Account::InodeMetaRsv,
    Account::InodeOutstandingExtents,
    Account::InodeCsumBytes,
    Account::InodeDelallocBytes,
];
const POOLS: [Account; 4] =
    [Account::TransRsv, Account::FsDelayedRsv, Account::FsDelayedRefsRsv, Account::FsChunkRsv];
const OF_ROOTS: [Account; 2] = [Account::RootQgroupMetaPrealloc, Account::RootQgroupMetaPertrans];
const COUNTERS: [SpaceCounter; 3] =
    [SpaceCounter::BytesMayUse, SpaceCounter::BytesReserved, SpaceCounter::BytesPinned];

/// Each account of the filesystem. Those of qgroups only if there is a qgroup.
pub(crate) fn of(context: &Context, calls: &Calls, fs: &Fs) -> BTreeMap<Account, Closing> {
    let mut closings = BTreeMap::new();
    let levels = fs.levels.iter().flat_map(|levels| levels.space.iter()).filter(|space| space.flags != 0);
    let spaces = levels.flat_map(|levels| COUNTERS.map(|counter| space(levels.flags, counter))).flatten();
    let whole = whole(fs);
    for account in POOLS.into_iter().chain(spaces) {
        closings.insert(account, whole.clone());
    }
    // None of these has a counter of its own that is judged at the end; `bytes_may_use`, which contains
    // them, is.
    let part = match &whole {
        Closing::Closed => not(&format!(
            "is judged only as a part of {}",
            Account::SpaceMetadata(SpaceCounter::BytesMayUse).name()
        )),
        other => other.clone(),
    };
    closings.insert(Account::TempRsv, if calls.active { whole.clone() } else { part.clone() });
    closings.insert(Account::FsGlobalRsv, part.clone());
    closings.insert(Account::TransDelayedRefsRsv, part);
    for account in OF_INODES {
        closings.insert(account, inodes(context, fs));
    }
    if fs.chains.has_qgroups() {
        let marks =
            if !calls.followed_marks() { not("was not followed call by call") } else { inodes(context, fs) };
        closings.insert(Account::InodeQgroupData, marks);
        for account in OF_ROOTS {
            let closing = match &whole {
                Closing::Closed if fs.qgroups_ended == 0 => {
                    not("was not read when its qgroup ended; the kernel's own check is all there is")
                }
                other => other.clone(),
            };
            closings.insert(account, closing);
        }
    }
    closings
}

fn not(why: &str) -> Closing {
    Closing::NotJudged(why.to_owned())
}

/// What is judged when the filesystem is unmounted.
fn whole(fs: &Fs) -> Closing {
    if !fs.ended {
        Closing::Open
    } else if fs.aborted {
        not("may hold something after the filesystem was aborted")
    } else if fs.final_levels || fs.activity == 0 {
        Closing::Closed
    } else {
        not("was not read at unmount")
    }
}

/// What is judged when an inode is destroyed.
fn inodes(context: &Context, fs: &Fs) -> Closing {
    let lacking = fs.not_judged.not_destroyed + fs.not_judged.unreadable;
    if !fs.ended {
        Closing::Open
    } else if lacking > 0 {
        not(&format!("was not read at the end of {} inodes", grouped(lacking)))
    } else if !context.loss.trusts_all() {
        not("may have ended in a record that was lost")
    } else {
        Closing::Closed
    }
}
