//! What a transaction has pinned, its commit must unpin (`btrfs_finish_extent_commit()`).
//!
//! The kernel side counts both by transaction, and tells only what is not the same. It does not know when all hooks were attached, so
//! transactions that may have begun before that are left out here, unless the mount was seen.
use probe_common::{fs::Levels, pinned::PinnedLeft};

use crate::{
    book::filesystem::Fs,
    context::Context,
    vocabulary::{
        account::{SpaceCounter, space},
        finding::{FindingKind, Query, StackRef, Violation},
    },
};

/// The levels were read. The transaction that may be running, or is being committed, was not seen from its begin; the next one is.
pub(crate) fn levels(context: &Context, fs: &mut Fs, record: &Levels) {
    let epoch = context.loss.epoch();
    if context.loss.judges() && fs.pinned_since.0 != epoch {
        fs.pinned_since = (epoch, record.transid);
    }
}

/// A commit has unpinned more or less than its transaction had pinned.
pub(crate) fn left(context: &mut Context, fs: &mut Fs, record: &PinnedLeft) {
    let (epoch, transid) = fs.pinned_since;
    let from_birth = fs.born_since() != 0 && context.loss.exact(fs.born_since());
    let seen = from_birth || (epoch == context.loss.epoch() && record.transid > transid);
    let judged = context.loss.judges() && seen;
    let Some(account) = space(record.flags, SpaceCounter::BytesPinned) else { return };
    if !judged || fs.aborted || record.bytes == 0 {
        return;
    }
    let (transid, bytes) = (record.transid, record.bytes.unsigned_abs());
    let (kind, explanation) = if record.bytes > 0 {
        (
            FindingKind::Leak,
            format!("Transaction {transid} had pinned {bytes} bytes that its commit did not unpin."),
        )
    } else {
        (
            FindingKind::OverRelease,
            format!(
                "The commit of transaction {transid} unpinned {bytes} bytes that the transaction had not pinned."
            ),
        )
    };
    fs.reported.add_pinned(account, record.bytes);
    context.defer(Violation {
        amount: bytes,
        stack: StackRef { id: record.stack, representative: false },
        origins: fs.reserving_stacks.origins(account),
        explanation,
        query: Query::Task { fs: fs.id, tid: record.header.tid },
        ..Violation::new(kind, account, fs.id, (record.header.time, record.header.tid))
    });
}
