//! Who holds the pools: the kernel's levels of one record, and what the books hold at its place in the stream.
//!
//! Mirrors where the kernel adds to `bytes_may_use` (`fs/btrfs/space-info.c`, `block-rsv.c`, `delalloc-space.c`): metadata is what
//! all block_rsvs hold, data is what is dirty or reserved by a task, system is `chunk_block_rsv`. Nothing is judged here. What is
//! not known stays in [`SpaceHolders::rest`], so the rows always add up.
//!
//! Masked: bytes on their way from a pool to a holder; the block_rsvs of transaction handles for delayed refs; on the tracepoints
//! tier temporary block_rsvs and data in the hands of tasks; inodes that were dirty before the session and are untouched since;
//! dirty data that reserved nothing (`EXTENT_NORESERVE`).
use std::{cmp::Reverse, collections::BTreeMap};

use probe_common::{
    fs::{AuditMark, LEVELS_AUDIT, LEVELS_UNMOUNT, Levels, Rsv},
    inode::{COUNTERS_FREE_SPACE, COUNTERS_NOT_REGULAR, COUNTERS_VALID, Counters},
    shortage::FailureState,
    space::{BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA, BLOCK_GROUP_SYSTEM},
};
use rustc_hash::FxHashMap;

use super::{calls::books::Calls, tickets::Tickets};
use crate::{
    book::{
        audits::Round,
        filesystem::Fs,
        inode::InodeBook,
        loss::{Loss, Phase},
    },
    context::names::Names,
    vocabulary::{
        account::Account,
        holders::{Holder, InodesRead, NAMED_INODES, PoolHolders, SpaceHolders},
        keys::{DATA_RELOC, InodeKey},
    },
};

/// With more inodes than this, a commit costs a walk over them once a second only.
const FEW_INODES: usize = 4096;
/// With more, nobody walks over them when a reservation fails, which can happen eight times a second.
const MANY_INODES: usize = 1 << 16;
/// ns
const SECOND: u64 = 1_000_000_000;

/// What holds bytes besides the filesystem itself.
pub(crate) struct Others<'a> {
    pub loss: &'a Loss,
    pub calls: &'a Calls,
    pub tickets: &'a Tickets,
}

/// Levels came.
pub(crate) fn levels(others: &Others<'_>, fs: &mut Fs, record: &Levels) {
    if record.why == LEVELS_UNMOUNT {
        // Nobody is left, and what is left is a finding.
        fs.holders = None;
        return;
    }
    if others.loss.phase() == Phase::Detaching {
        // Some hooks are off, so the books fall behind the levels.
        return;
    }
    // Of what is dirty, only a look or an audit knows: that is better than what is a little newer.
    let better = |before: &PoolHolders| {
        let seconds = if before.inodes == InodesRead::Books { 1 } else { 2 };
        let many = fs.inodes.len() > FEW_INODES && record.why != LEVELS_AUDIT;
        (many || before.inodes != InodesRead::Books)
            && record.header.time < before.time.saturating_add(seconds * SECOND)
    };
    if !fs.audits.reads() && fs.holders.as_deref().is_some_and(better) {
        return;
    }
    let holders = snapshot(others, fs, &Figures::of(record), None);
    fs.holders = Some(Box::new(holders));
}

/// An audit or a look is about to end: what it read of inodes is known.
pub(crate) fn mark(others: &Others<'_>, fs: &mut Fs, record: &AuditMark) {
    let Some(round) = fs.audits.ends(record.phase) else { return };
    let Some(levels) = round.levels else { return };
    let inodes = if round.links.0 == record.links { InodesRead::Quiet } else { InodesRead::Moving };
    let mut holders = snapshot(others, fs, &Figures::of(&levels), Some((round, inodes)));
    if inodes == InodesRead::Moving
        && let Some(before) = fs.holders.take()
    {
        // The books of that moment are gone: what they held of metadata was taken down then.
        for (space, before) in holders.spaces.iter_mut().zip(before.spaces) {
            if space.flags & BLOCK_GROUP_DATA == 0 {
                *space = before;
            }
        }
    }
    fs.holders = Some(Box::new(holders));
}

/// Who held the pools when a reservation failed; `None` where a walk over the inodes would cost too much.
pub(crate) fn failure(
    others: &Others<'_>,
    fs: &Fs,
    record: &FailureState,
    names: &Names,
) -> Option<Box<PoolHolders>> {
    if fs.inodes.len() > MANY_INODES || others.loss.phase() == Phase::Detaching {
        return None;
    }
    let [global, trans, chunk, delayed, delayed_refs, ..] = record.rsvs;
    let figures = Figures {
        time: record.at,
        spaces: record.space.iter().map(|space| (space.flags, space.may_use)).collect(),
        rsvs: [global, trans, delayed, delayed_refs, chunk],
    };
    let mut holders = snapshot(others, fs, &figures, None);
    let rows = holders.spaces.iter().flat_map(|space| &space.rows);
    let named = rows.filter_map(|(holder, _)| match *holder {
        Holder::Inode { root, ino, .. } => {
            Some(((root, ino), names.path(fs.id, InodeKey { root, ino })?.clone()))
        }
        _ => None,
    });
    holders.paths = named.collect();
    Some(Box::new(holders))
}

/// The kernel's figures of one record.
struct Figures {
    time: u64,
    /// `flags` and `bytes_may_use`
    spaces: Vec<(u64, u64)>,
    /// global, trans, delayed, delayed_refs, chunk
    rsvs: [Rsv; 5],
}

impl Figures {
    fn of(levels: &Levels) -> Self {
        Self {
            time: levels.header.time,
            spaces: levels.space.iter().map(|space| (space.flags, space.may_use)).collect(),
            rsvs: [levels.global, levels.trans, levels.delayed, levels.delayed_refs, levels.chunk],
        }
    }
}

fn snapshot(
    others: &Others<'_>,
    fs: &Fs,
    figures: &Figures,
    read: Option<(&Round, InodesRead)>,
) -> PoolHolders {
    let mut shares = Shares::default();
    shares.read(others.loss, fs, read);
    let (mut metadata_told, mut data_told, mut system_told) = (false, false, false);
    let [global, trans, delayed, delayed_refs, chunk] = figures.rsvs.map(|rsv| rsv.reserved as i64);
    let space = |(flags, may_use): &(u64, u64)| {
        let (flags, may_use) = (*flags, *may_use);
        let mut rows = Vec::new();
        // A second space_info of a kind (zoned) holds what is in flight only.
        if flags & BLOCK_GROUP_METADATA != 0 && !std::mem::replace(&mut metadata_told, true) {
            rows.extend([
                (Holder::Rsv(Account::FsGlobalRsv), global),
                (Holder::Rsv(Account::TransRsv), trans),
                (Holder::Rsv(Account::FsDelayedRsv), delayed),
                (Holder::Rsv(Account::FsDelayedRefsRsv), delayed_refs),
            ]);
            shares.metadata.rows(Account::InodeMetaRsv, &mut rows);
            let (count, bytes) = others.calls.temporary(fs.id);
            rows.push((Holder::Temporary { count }, bytes));
        }
        if flags & BLOCK_GROUP_SYSTEM != 0 && !std::mem::replace(&mut system_told, true) {
            rows.push((Holder::Rsv(Account::FsChunkRsv), chunk));
        }
        if flags & BLOCK_GROUP_DATA != 0 && !std::mem::replace(&mut data_told, true) {
            shares.data.rows(Account::InodeDelallocBytes, &mut rows);
            let (count, bytes) = others.calls.data_in_hands(fs.id);
            rows.push((Holder::Tasks { count }, bytes));
        }
        let (count, bytes) = others.tickets.granted_of(fs.id, flags, others.loss.epoch());
        rows.push((Holder::Tickets { count }, bytes));
        rows.retain(|(_, bytes)| *bytes != 0);
        rows.sort_by_key(|(_, bytes)| Reverse(*bytes));
        let sum = rows.iter().fold(0, |sum: i64, (_, bytes)| sum.wrapping_add(*bytes));
        let handles = if flags & BLOCK_GROUP_METADATA != 0 {
            fs.claims.local_of_handles(others.loss.epoch())
        } else {
            (0, 0)
        };
        SpaceHolders { flags, may_use, rest: (may_use as i64).wrapping_sub(sum), rows, handles }
    };
    PoolHolders {
        time: figures.time,
        inodes: read.map_or(InodesRead::Books, |(_, read)| read),
        spaces: figures.spaces.iter().filter(|(flags, _)| *flags != 0).map(space).collect(),
        // Names may come later.
        paths: BTreeMap::new(),
    }
}

/// What inodes hold of metadata and of data.
#[derive(Default)]
struct Shares {
    metadata: Share,
    data: Share,
}

impl Shares {
    fn read(&mut self, loss: &Loss, fs: &Fs, read: Option<(&Round, InodesRead)>) {
        let none = FxHashMap::default();
        let counters = read.map_or(&none, |(round, _)| &round.inodes);
        let quiet = read.is_some_and(|(_, read)| read == InodesRead::Quiet);
        for (key, book) in fs.inodes.iter() {
            let held = match counters.get(key) {
                Some(counters) if quiet => Some(counters.reserved as i64),
                _ => by_books(loss, fs, book),
            };
            self.metadata.add(*key, held.unwrap_or(0));
        }
        for (key, counters) in counters {
            self.data.add(*key, dirty(*key, counters));
        }
    }
}

/// The balance if it is exact, else the kernel's last figure. After a loss that may be long outdated.
fn by_books(loss: &Loss, fs: &Fs, book: &InodeBook) -> Option<i64> {
    if fs.is_exact(book, loss) {
        return Some(book.balance);
    }
    let read = book.counters.flags & COUNTERS_VALID != 0;
    (read && loss.complete()).then_some(book.counters.reserved as i64)
}

/// Dirty data that has reserved its bytes.
const fn dirty(key: InodeKey, counters: &Counters) -> i64 {
    let reserves = counters.flags & (COUNTERS_NOT_REGULAR | COUNTERS_FREE_SPACE) == 0;
    // What is dirty in the relocation tree was reserved as a preallocation.
    if reserves && key.root != DATA_RELOC { counters.delalloc_bytes as i64 } else { 0 }
}

/// The inodes that hold most, and the sum of the others.
#[derive(Default)]
struct Share {
    most: Vec<(Reverse<i64>, InodeKey)>,
    others: (u64, i64),
}

impl Share {
    fn add(&mut self, key: InodeKey, bytes: i64) {
        if bytes == 0 {
            return;
        }
        self.most.push((Reverse(bytes), key));
        if self.most.len() > 8 * NAMED_INODES {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.most.sort_unstable();
        for (bytes, _) in self.most.drain(NAMED_INODES.min(self.most.len())..) {
            self.others = (self.others.0 + 1, self.others.1.wrapping_add(bytes.0));
        }
    }

    fn rows(&mut self, account: Account, rows: &mut Vec<(Holder, i64)>) {
        self.cut();
        rows.extend(
            self.most
                .iter()
                .map(|(bytes, key)| (Holder::Inode { account, root: key.root, ino: key.ino }, bytes.0)),
        );
        let (count, bytes) = self.others;
        rows.push((Holder::Inodes { account, count }, bytes));
    }
}
