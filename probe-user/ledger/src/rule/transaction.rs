//! A transaction ends: what belongs to it must be gone from the pools.
//!
//! All its delayed items and delayed refs have run, all its block groups are written, and no other transaction has started. So
//! nothing may be left in `delayed_block_rsv` and `delayed_refs_rsv`, and no tree block may be reserved and not used. The functions
//! tier sees that moment of each commit (`calls/commit.rs`). Both tiers see it when a commit has ended and no transaction runs.
use probe_common::{
    fs::{LEVELS_LOG_CLEANUP_ERROR, LEVELS_QUIET, Levels, Rsv},
    space::{BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA},
};

use super::claims;
use crate::{
    book::filesystem::Fs,
    context::Context,
    vocabulary::{
        account::{Account, SpaceCounter},
        finding::{FindingKind, Query, StackRef, Violation},
    },
};

/// What the pools hold when a transaction has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TransactionEnd {
    pub transid: u64,
    pub time: u64,
    pub tid: u32,
    pub stack: StackRef,
    pub delayed: Rsv,
    pub delayed_refs: Rsv,
    /// `bytes_reserved` of metadata; `None` where it may hold other bytes too.
    pub blocks: Option<u64>,
}

/// A commit has ended. If no transaction runs, nothing of one may be there.
pub(crate) fn committed(context: &mut Context, fs: &mut Fs, record: &Levels) {
    if record.fs_flags & LEVELS_QUIET == 0 {
        return;
    }
    let metadata = record.space.iter().find(|space| space.flags & BLOCK_GROUP_METADATA != 0);
    let certain = record.fs_flags & LEVELS_LOG_CLEANUP_ERROR == 0;
    let end = TransactionEnd {
        transid: record.transid,
        time: record.header.time,
        tid: record.header.tid,
        stack: StackRef { id: 0, representative: false },
        delayed: record.delayed,
        delayed_refs: record.delayed_refs,
        blocks: metadata
            .filter(|space| certain && space.flags & BLOCK_GROUP_DATA == 0)
            .map(|space| space.reserved),
    };
    ended(context, fs, &end);
}

/// A transaction has ended, and no other has started.
pub(crate) fn ended(context: &mut Context, fs: &mut Fs, end: &TransactionEnd) {
    let left = fs.claims.nodes.left(context.loss.epoch());
    if fs.aborted || !context.loss.judges() {
        return;
    }
    let delayed = level(end.delayed).saturating_sub(fs.reported.delayed);
    let named = left.iter().fold(0, |sum: i64, of| sum.saturating_add_unsigned(of.bytes));
    // The kernel's own level and the books must agree. If they do not, the level is right.
    if named > 0 && named <= delayed {
        let when = format!("Its transaction {} was committed", end.transid);
        for of in left {
            let stack = if end.stack.id == 0 { of.origin.stack } else { end.stack };
            claims::kept(context, fs, of, (end.time, stack), &when);
        }
    }
    pool(context, fs, end, (Account::FsDelayedRsv, level(end.delayed)), "delayed items and inodes");
    let delayed_refs = refs_level(fs, end);
    pool(context, fs, end, (Account::FsDelayedRefsRsv, delayed_refs), "delayed refs and block groups");
    if let Some(bytes) = end.blocks {
        let account = Account::SpaceMetadata(SpaceCounter::BytesReserved);
        pool(context, fs, end, (account, bytes as i64), "tree blocks");
    }
}

/// What a pool of a transaction still holds at its end; below zero if it has wrapped.
const fn level(rsv: Rsv) -> i64 {
    if rsv.size == 0 { rsv.reserved as i64 } else { rsv.size as i64 }
}

/// What `delayed_refs_rsv` holds, without bytes beyond its size that the next transaction gives back.
///
/// btrfs puts a block group on the list of those to write, and then counts it into the size (`btrfs_update_block_group()`). If another task
/// writes it in between, the size is below zero for a moment. All that tasks release meanwhile goes into this block_rsv
/// (`block_rsv_release_bytes()`), and stays there until it is released from the next time.
fn refs_level(fs: &mut Fs, end: &TransactionEnd) -> i64 {
    let Rsv { size, reserved } = end.delayed_refs;
    if size != 0 || reserved == 0 {
        fs.refs_surplus = None;
        return level(end.delayed_refs);
    }
    let first = *fs.refs_surplus.get_or_insert(end.transid);
    if first < end.transid { level(end.delayed_refs) } else { fs.reported.delayed_refs }
}

/// A pool is not empty, and no finding tells why.
fn pool(
    context: &mut Context,
    fs: &mut Fs,
    end: &TransactionEnd,
    (account, level): (Account, i64),
    of: &str,
) {
    if fs.reported.wrapped.contains(&account) {
        return;
    }
    let told = match account {
        Account::FsDelayedRsv => &mut fs.reported.delayed,
        Account::FsDelayedRefsRsv => &mut fs.reported.delayed_refs,
        _ => &mut fs.reported.blocks,
    };
    let (known, off) = (*told, level.saturating_sub(*told));
    if off == 0 {
        return;
    }
    if off < 0 && level >= 0 {
        // What was told was given back after all, so it can hide nothing later. Of delayed nodes other rules tell too.
        if account != Account::FsDelayedRsv {
            *told = level;
        }
        return;
    }
    *told = level;
    let (kind, name) = (if off < 0 { FindingKind::OverRelease } else { FindingKind::Leak }, account.name());
    let holds = if level < 0 {
        format!("had given back {} bytes more than it held", level.unsigned_abs())
    } else {
        format!("still held {level} bytes")
    };
    let others = if known == 0 { String::new() } else { format!(", of which other findings tell {known}") };
    context.defer(Violation {
        amount: off.unsigned_abs(),
        balance_before: Some(level),
        stack: end.stack,
        origins: fs.reserving_stacks.origins(account),
        explanation: format!(
            "At the end of transaction {}, all its {of} were done, and no other transaction had started: {name} {holds}{others}.",
            end.transid
        ),
        query: Query::Claims { fs: fs.id },
        ..Violation::new(kind, account, fs.id, (end.time, end.tid))
    });
}
