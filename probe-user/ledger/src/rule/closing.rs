//! Closings: the destroy of an inode and the unmount of a filesystem. Every account must be empty then.
use probe_common::{
    fs::{FsEnd, LEVELS_AUDIT, LEVELS_ERROR, LEVELS_LOG_CLEANUP_ERROR, LEVELS_UNMOUNT, Levels, Rsv},
    inode::{
        COUNTERS_FREE_SPACE, COUNTERS_NOT_REGULAR, COUNTERS_VALID, InodeState, MOMENT_AUDIT, MOMENT_DESTROY,
        MOMENT_EVICT,
    },
};

use crate::{
    book::{filesystem::Fs, inode::InodeBook, reported::CounterOffset},
    context::Context,
    vocabulary::{
        account::{Account, SpaceCounter, is_metadata, space},
        finding::{FindingKind, Query, StackRef, Violation},
        keys::InodeKey,
    },
};

/// Most tree blocks per inode whose allocation may have failed after the charge, on a filesystem that met ENOSPC but was not
/// aborted.
const MAX_UNUSED_BLOCKS: u64 = 4;

/// The counters of an inode at evict, destroy or audit.
pub(crate) fn inode_state(context: &mut Context, fs: &mut Fs, record: &InodeState) {
    context.recent.state(record);
    if record.counters.flags & COUNTERS_VALID == 0 {
        fs.not_judged.unreadable += u64::from(record.moment == MOMENT_DESTROY);
        return;
    }
    match record.moment {
        MOMENT_DESTROY => destroy(context, fs, record),
        moment => {
            let key = InodeKey { root: record.root, ino: record.ino };
            if moment == MOMENT_AUDIT {
                fs.audits.inode(key, record);
            }
            if record.counters.flags & COUNTERS_FREE_SPACE != 0 {
                return;
            }
            if moment == MOMENT_EVICT && !fs.inodes.contains_key(&key) {
                // Most inodes never reserve anything, so they get no book.
                return;
            }
            let book = fs.book(key);
            book.set_counters(&record.counters);
            book.address = record.address;
            book.generation = record.generation;
            book.links = book.links.max(u32::try_from(record.links).unwrap_or(u32::MAX));
        }
    }
}

/// An inode is destroyed: every counter and its balance must be zero.
fn destroy(context: &mut Context, fs: &mut Fs, record: &InodeState) {
    let key = InodeKey { root: record.root, ino: record.ino };
    let book = fs.inodes.swap_remove(&key);
    let suspicion = fs.audits.inode_closed(key);
    let explained = fs.reported.close(key);
    fs.inodes_closed += 1;
    fs.closed_links = fs.closed_links.saturating_add(record.links);
    if record.counters.flags & COUNTERS_FREE_SPACE == 0 {
        let closed = Closed { key, record, book: book.as_ref() };
        kernel_counters(context, fs, &closed, suspicion, explained);
        if let Some(book) = &book
            && explained.is_none()
        {
            books(context, fs, &closed, book);
        }
    }
    if !context.pending.names_inode(fs.id, key.root, key.ino) {
        context.names.forget_path(fs.id, key);
    }
}

struct Closed<'a> {
    key: InodeKey,
    record: &'a InodeState,
    book: Option<&'a InodeBook>,
}

impl Closed<'_> {
    fn violation(&self, kind: FindingKind, account: Account, amount: u64, explanation: String) -> Violation {
        let Self { key, record, book } = *self;
        Violation {
            root: Some(key.root),
            ino: Some(key.ino),
            generation: Some(record.generation),
            amount,
            // The balance is in bytes.
            balance_before: book.map(|book| book.balance).filter(|_| account.unit() == "bytes"),
            stack: StackRef { id: record.stack, representative: false },
            origins: match kind {
                // The inode held nothing, so nobody's bytes were taken; the finding names the stack that reserved last.
                FindingKind::Underflow => book.map(InodeBook::origins_or_last),
                _ => book.map(InodeBook::origins),
            }
            .unwrap_or_default(),
            explanation,
            query: Query::Inode { fs: record.header.fs, root: key.root, ino: key.ino },
            ..Violation::new(kind, account, record.header.fs, (record.header.time, record.header.tid))
        }
    }
}

/// What the kernel's counters still hold. This record alone proves it.
fn kernel_counters(
    context: &mut Context,
    fs: &mut Fs,
    closed: &Closed<'_>,
    seen_alive: bool,
    explained: Option<CounterOffset>,
) {
    let counters = &closed.record.counters;
    let record = closed.record;
    let rsv = if counters.reserved != 0 { counters.reserved } else { counters.size };
    let explained = explained.unwrap_or_default();
    let regular = counters.flags & COUNTERS_NOT_REGULAR == 0;
    // On the functions tier, the counters that `size` follows from are exact. What the block_rsv holds for them is no bug of
    // its own. Nor is what a release left to a reservation that raced with it: the next release would have freed it, but
    // there was none.
    let follows = context.pending.calls
        && (counters.outstanding_extents != 0 || (regular && counters.csum_bytes != 0))
        && counters.size != 0;
    let mut wrong = Vec::with_capacity(4);
    if follows || (rsv != 0 && rsv as i64 == explained.meta_rsv) {
        let leaked = u64::try_from(counters.reserved as i64).unwrap_or(0);
        fs.leaked_by_inodes = fs.leaked_by_inodes.saturating_add(leaked);
    } else if rsv != 0 {
        let text = format!(
            "The inode was destroyed while its block_rsv held {} bytes of a size of {} (qgroup: {} of {}).",
            counters.reserved, counters.size, record.qgroup_reserved, record.qgroup_size
        );
        wrong.push((Account::InodeMetaRsv, rsv, text));
        let leaked = u64::try_from(counters.reserved as i64).unwrap_or(0);
        fs.leaked_by_inodes = fs.leaked_by_inodes.saturating_add(leaked);
    }
    let extents = i64::from(counters.outstanding_extents as i32).wrapping_sub(explained.extents);
    if counters.outstanding_extents != 0 && extents != 0 {
        let extents = extents as u64;
        let text = format!("The inode was destroyed with outstanding_extents at {}.", extents as i64);
        wrong.push((Account::InodeOutstandingExtents, extents, text));
    }
    if regular {
        let csums = (counters.csum_bytes as i64).wrapping_sub(explained.csum_bytes);
        if counters.csum_bytes != 0 && csums != 0 {
            let text = format!("The inode was destroyed with csum_bytes of {}.", counters.csum_bytes as i64);
            wrong.push((Account::InodeCsumBytes, csums as u64, text));
        }
        let dirty =
            if counters.delalloc_bytes != 0 { counters.delalloc_bytes } else { record.new_delalloc_bytes };
        if dirty != 0 {
            let text = format!(
                "The inode was destroyed with delalloc_bytes of {} and new_delalloc_bytes of {}.",
                counters.delalloc_bytes as i64, record.new_delalloc_bytes as i64
            );
            wrong.push((Account::InodeDelallocBytes, dirty, text));
        }
    }
    if wrong.is_empty() && !follows && rsv == 0 && record.qgroup_reserved != 0 && extents == 0 {
        let text = format!(
            "The inode was destroyed while the qgroup half of its block_rsv held {} bytes of META_PREALLOC of a size \
             of {}.",
            record.qgroup_reserved, record.qgroup_size
        );
        wrong.push((Account::RootQgroupMetaPrealloc, record.qgroup_reserved, text));
    }
    for (account, value, text) in wrong {
        let signed = value as i64;
        let kind = if signed < 0 { FindingKind::Underflow } else { FindingKind::Leak };
        let mut violation = closed.violation(kind, account, signed.unsigned_abs(), text);
        let known = kind == FindingKind::Leak && account == Account::InodeMetaRsv && seen_alive;
        if known {
            // An audit reported these bytes while the inode was alive. The destroy proves them and adds none.
            violation.amount = 0;
        }
        context.file(violation);
    }
}

/// What is left by the balance, if that is exact.
fn books(context: &mut Context, fs: &mut Fs, closed: &Closed<'_>, book: &InodeBook) {
    let kernel = closed.record.counters.reserved as i64;
    let balance = book.balance;
    if balance == 0 || balance == kernel || !fs.is_exact(book, &context.loss) {
        return;
    }
    if fs.poisoned.contains(&closed.key.ino) {
        return;
    }
    if balance > 0 {
        if book.explained_by_doubtful_blocks(balance, fs.nodesize) {
            fs.not_judged.doubtful_blocks += 1;
            return;
        }
        if kernel > 0 {
            // The leak was reported with the kernel's counter.
            return;
        }
        let text = format!(
            "The inode was destroyed while {balance} bytes that it had reserved were neither released nor spent; its \
             block_rsv held {kernel}, so they left it without a record."
        );
        context.defer(closed.violation(
            FindingKind::Leak,
            Account::InodeMetaRsv,
            balance.unsigned_abs(),
            text,
        ));
        return;
    }
    let over = balance.unsigned_abs();
    // If an audit opened the book, the record of a release in flight then can explain what was released too much.
    if book.by_audit || explained_by_unuse(fs, book, over) {
        return;
    }
    let text = format!(
        "{over} bytes more were released from the inode's block_rsv, or spent from it, than it had ever reserved; at \
         its destroy it held {kernel}."
    );
    context.defer(closed.violation(FindingKind::OverRelease, Account::InodeMetaRsv, over, text));
}

/// The kernel puts back a charged tree block without an event if its allocation fails (`btrfs_unuse_block_rsv`).
fn explained_by_unuse(fs: &mut Fs, book: &InodeBook, over: u64) -> bool {
    let explained = is_unuse(fs, book, over);
    fs.not_judged.unuse += u64::from(explained);
    explained
}

/// True if `over` bytes can be tree blocks that the kernel put back.
pub(crate) fn is_unuse(fs: &Fs, book: &InodeBook, over: u64) -> bool {
    if fs.nodesize == 0 || book.blocks == 0 || !(fs.aborted || fs.enospc > 0) {
        return false;
    }
    let most =
        if fs.aborted { u64::from(book.blocks) } else { u64::from(book.blocks).min(MAX_UNUSED_BLOCKS) };
    over <= most * fs.nodesize && (over.is_multiple_of(fs.nodesize) || over < fs.nodesize)
}

/// Levels of the pools.
pub(crate) fn levels(context: &mut Context, fs: &mut Fs, record: &Levels) {
    fs.levels = Some(Box::new(*record));
    fs.levels_at = context.statistics.records();
    if record.fs_flags & LEVELS_ERROR != 0 {
        fs.aborted = true;
    }
    match record.why {
        LEVELS_UNMOUNT => {
            fs.final_levels = true;
            unmount(context, fs, record);
        }
        LEVELS_AUDIT => fs.audits.levels(record),
        _ => {}
    }
}

/// The global block_rsv is released at unmount: no account of the filesystem may hold anything.
fn unmount(context: &mut Context, fs: &mut Fs, record: &Levels) {
    if fs.aborted {
        fs.not_judged.aborted += 1;
        return;
    }
    let Levels {
        header: _,
        why: _,
        fs_flags,
        transid: _,
        global: _,
        trans,
        chunk,
        delayed,
        delayed_refs,
        space: spaces,
    } = record;
    let mut wrong: Vec<(Account, u64)> = Vec::new();
    for (account, rsv) in [
        (Account::TransRsv, trans),
        (Account::FsChunkRsv, chunk),
        (Account::FsDelayedRsv, delayed),
        (Account::FsDelayedRefsRsv, delayed_refs),
    ] {
        let Rsv { size, reserved } = *rsv;
        wrong.push((account, if reserved != 0 { reserved } else { size }));
    }
    for levels in spaces.iter().filter(|levels| levels.flags != 0) {
        let log_cleanup = fs_flags & LEVELS_LOG_CLEANUP_ERROR != 0 && is_metadata(levels.flags);
        let reserved = if log_cleanup { 0 } else { levels.reserved };
        for (counter, value) in [
            (SpaceCounter::BytesMayUse, levels.may_use),
            (SpaceCounter::BytesReserved, reserved),
            (SpaceCounter::BytesPinned, levels.pinned),
        ] {
            if let Some(account) = space(levels.flags, counter) {
                wrong.push((account, value));
            }
        }
    }
    for (account, mut value) in wrong.into_iter().filter(|(_, value)| *value != 0) {
        if fs.reported.wrapped.contains(&account) {
            continue;
        }
        // Bytes that a finding named where they were lost are not reported again.
        let known = if context.pending.calls
            || account == Account::FsDelayedRsv
            || fs.reported.by_transactions(account)
        {
            explained_at_unmount(fs, record, account)
        } else {
            fs.reported.by_tickets(account)
        };
        if known != 0 {
            let rest = (value as i64).wrapping_sub(known);
            if rest == 0 || (known > 0 && rest < 0 && value as i64 > 0) {
                continue;
            }
            value = rest as u64;
        }
        let signed = value as i64;
        if signed < 0 && fs.underflow == Some((account, signed.unsigned_abs(), record.header.tid)) {
            // The level after the very change that underflowed.
            continue;
        }
        let kind = if signed < 0 { FindingKind::Underflow } else { FindingKind::Leak };
        let mut text = format!("At unmount, with everything released, {} was {signed}.", account.name());
        if account == Account::SpaceMetadata(SpaceCounter::BytesMayUse) && fs.leaked_by_inodes > 0 {
            let explained = fs.leaked_by_inodes.min(value);
            text.push_str(&format!(" {explained} of these bytes are those of the inode findings."));
        }
        let mut violation = of_filesystem(fs.id, record, kind, account, signed.unsigned_abs(), None, text);
        violation.stack = fs.unmount_stack;
        violation.origins = fs.reserving_stacks.origins(account);
        context.file(violation);
    }
    claims(context, fs, record);
}

/// Bytes of an account that findings have already named.
fn explained_at_unmount(fs: &Fs, record: &Levels, account: Account) -> i64 {
    match account {
        Account::SpaceMetadata(SpaceCounter::BytesMayUse) => {
            let inodes = i64::try_from(fs.leaked_by_inodes).unwrap_or(i64::MAX);
            // What a pool still holds is part of `bytes_may_use`, and is the finding of that pool.
            let pools = [record.trans, record.delayed, record.delayed_refs];
            let pools = pools.iter().fold(0, |sum: i64, pool| sum.saturating_add(pool.reserved as i64));
            inodes.saturating_add(fs.reported.metadata).saturating_add(pools)
        }
        Account::SpaceData(SpaceCounter::BytesMayUse) => fs.reported.data.max(0),
        Account::SpaceData(SpaceCounter::BytesReserved) => fs.reported.extents,
        Account::SpaceMetadata(SpaceCounter::BytesReserved) => fs.reported.blocks,
        Account::FsChunkRsv | Account::SpaceSystem(SpaceCounter::BytesMayUse) => fs.reported.chunk,
        Account::TransRsv => fs.reported.trans,
        Account::SpaceData(SpaceCounter::BytesPinned)
        | Account::SpaceMetadata(SpaceCounter::BytesPinned)
        | Account::SpaceSystem(SpaceCounter::BytesPinned) => fs.reported.pinned(account),
        Account::FsDelayedRsv => fs.reported.delayed,
        Account::FsDelayedRefsRsv => fs.reported.delayed_refs,
        _ => 0,
    }
}

/// Claims of delayed items and inodes must sum to zero. The level of `delayed_block_rsv` was judged by the caller.
fn claims(context: &mut Context, fs: &Fs, record: &Levels) {
    let balance = fs.claims.delayed.wrapping_sub(fs.reported.delayed);
    if balance == 0
        || (fs.reported.delayed != 0 && fs.claims.delayed == 0)
        || balance == record.delayed.size as i64
        || !fs.claims.is_exact(fs.born_since(), &context.loss)
    {
        return;
    }
    let kind = if balance < 0 { FindingKind::OverRelease } else { FindingKind::Leak };
    if kind == FindingKind::Leak && record.delayed.size != 0 {
        return;
    }
    let text = if balance < 0 {
        format!(
            "Delayed items and inodes gave back {} bytes more than they had claimed.",
            balance.unsigned_abs()
        )
    } else {
        format!("Delayed items and inodes claimed {balance} bytes that no record gave back.")
    };
    let account = Account::FsDelayedRsv;
    context.defer(of_filesystem(fs.id, record, kind, account, balance.unsigned_abs(), Some(balance), text));
}

fn of_filesystem(
    fs: u32,
    record: &Levels,
    kind: FindingKind,
    account: Account,
    amount: u64,
    balance_before: Option<i64>,
    explanation: String,
) -> Violation {
    Violation {
        amount,
        balance_before,
        explanation,
        query: Query::Claims { fs },
        ..Violation::new(kind, account, fs, (record.header.time, record.header.tid))
    }
}

/// The filesystem is torn down.
pub(crate) fn end(context: &mut Context, fs: &mut Fs, _record: &FsEnd) {
    fs.end(&context.loss);
    context.names.forget_filesystem(fs.id);
}
