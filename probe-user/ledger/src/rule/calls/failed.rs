//! Failed reservations: what the task had reserved before, whether a release raced, what the task gave back, and what it
//! should have given back.
//!
//! All four kernels reserve first and publish after. So a failing `btrfs_delalloc_reserve_metadata` has changed nothing of
//! the inode, raced or not, and must undo nothing. The data that its caller reserved before must come back exactly once: in
//! the same function, before the task reserves anything else. A write without data of its own (to nodatacow or preallocated
//! extents, or with `IOCB_NOWAIT`) has nothing to give back.
use probe_common::{call::Call, fs::Levels, hook::HookId, inode::InodeState};

use super::{context::CallContext, published, report::Deviation};
use crate::{
    book::{
        node::Node,
        thread::{FailedReservation, Thread, story},
    },
    vocabulary::{
        account::{Account, DATA_MAY_USE},
        finding::{FindingKind, StackRef},
        keys::InodeKey,
        lengths, words,
    },
};

impl Thread {
    /// `btrfs_delalloc_reserve_metadata` has failed. `already_reported`: the call also broke its contract.
    pub(crate) fn failed(
        &mut self,
        context: &mut CallContext<'_>,
        node: &Node,
        record: &Call,
        already_reported: bool,
    ) {
        context.failed.count(record);
        let held = self.data_at_failure(node, lengths::align(node.args[1], context.fs.sector()));
        let raced = record.others_released;
        let mut failure = FailedReservation {
            node: *node,
            held,
            raced,
            done: false,
            counted: false,
            wrong: already_reported,
        };
        if held == 0 {
            if self.data_known || node.args[2] != 0 {
                failure.balanced(context.failed);
            } else {
                failure.undecided(context.failed);
                failure.done = true;
            }
        }
        self.failure = Some(failure);
    }

    /// Data bytes that the task had reserved for the inode before this call. Valid before the call is booked.
    pub(crate) fn held_by_failing(&self, node: &Node) -> u64 {
        let data = self.data.iter().find(|data| data.fs == node.fs && data.key == node.key);
        data.map_or(0, |data| data.left)
    }

    /// The task gave back all data that it had reserved.
    pub(crate) fn data_returned(&mut self, context: &mut CallContext<'_>, node: &Node) {
        if let Some(failure) = self.failure.as_mut().filter(|of| of.is_of(node.fs, node.key) && !of.done) {
            failure.balanced(context.failed);
        }
    }

    /// The failure was not balanced after all. Returns the first part of the explanation.
    pub(crate) fn failure_is_wrong(&mut self, context: &mut CallContext<'_>) -> String {
        let Some(failure) = self.failure.as_mut() else { return String::new() };
        failure.wrong = true;
        if std::mem::take(&mut failure.counted) {
            context.failed.balanced -= 1;
        }
        format!("{} ", failure.story())
    }

    /// The thread went on: what it has not given back by now, it never will.
    pub(crate) fn settle_failure(&mut self, context: &mut CallContext<'_>, node: &Node) {
        if let Some(failure) = self.failure.take() {
            let next = if node.is(HookId::ReserveSpace) { "its caller returned" } else { "the task went on" };
            self.settle(context, failure, next, node.time);
        }
    }

    /// The system call has ended, in which a reservation may have failed.
    pub(super) fn returned_after_failure(&mut self, context: &mut CallContext<'_>, time: u64, end: &str) {
        if let Some(failure) = self.failure.take() {
            self.settle(context, failure, &format!("its {end} ended"), time);
        }
    }

    fn settle(&mut self, context: &mut CallContext<'_>, failure: FailedReservation, next: &str, time: u64) {
        if failure.done {
            return;
        }
        let kept = self.data_kept(failure.node.fs, failure.node.key);
        if kept == 0 || !context.judges || failure.node.fs != context.fs.id {
            failure.undecided(context.failed);
            return;
        }
        let text = format!(
            "{} It gave back {} bytes when {next}, and should have given back {}.",
            failure.story(),
            failure.held - kept.min(failure.held),
            failure.held
        );
        let mut deviation = Deviation::new(FindingKind::ErrorPathLeak, DATA_MAY_USE, kept as i64, text);
        deviation.origins = self.data_origins(failure.node.fs, failure.node.key);
        let exit = self.data_exit(failure.node.fs, failure.node.key).unwrap_or(failure.node.caller);
        context.report(&Node { time, exit, ..failure.node }, deviation);
        self.data.retain(|data| !data.failed);
    }

    /// The inode is destroyed, so the thread is past its failure on it.
    pub(crate) fn destroyed_failure(
        &mut self,
        context: &mut CallContext<'_>,
        key: InodeKey,
        record: &InodeState,
    ) {
        if let Some(failure) = self.failure.filter(|failure| failure.is_of(context.fs.id, key)) {
            self.failure = None;
            self.settle(context, failure, "the inode was destroyed", record.header.time);
        }
    }

    /// The filesystem is unmounted, so the thread is past its failure on it.
    pub(crate) fn unmounted_failure(&mut self, context: &mut CallContext<'_>, record: &Levels) {
        if let Some(failure) = self.failure.filter(|failure| failure.node.fs == context.fs.id) {
            self.failure = None;
            self.settle(context, failure, "the filesystem was unmounted", record.header.time);
        }
    }
}

/// A failed `btrfs_delalloc_reserve_metadata` must not have published, added or released anything. True if it did.
pub(crate) fn contract(
    context: &mut CallContext<'_>,
    thread: &Thread,
    node: &Node,
    children: &[Node],
    record: &Call,
) -> bool {
    let own = || children.iter().filter(|child| child.parent == node.serial && child.key == node.key);
    let added: u64 =
        own().filter(|of| of.is(HookId::BlockRsvAddBytes)).map(|of| of.args[0]).fold(0, u64::wrapping_add);
    let released: i64 = own()
        .filter(|of| of.is(HookId::BlockRsvRelease) || of.is(HookId::InodeRsvRelease))
        .map(|of| of.ret.max(0))
        .fold(0, i64::wrapping_add);
    let inner: i64 =
        own().filter(|of| of.is(HookId::ReleaseMetadata)).map(|of| of.csum_bytes).fold(0, i64::wrapping_add);
    let csums = node.csum_bytes.wrapping_add(inner);
    let untouched = node.extents == 0 && csums == 0 && node.calculations == 0;
    if untouched && added == 0 && released == 0 {
        return false;
    }
    let story = story(node, thread.held_by_failing(node), record.others_released);
    let extents = i64::from(node.extents);
    let stack: StackRef = node.stack;
    if added == 0 && node.calculations > 0 && extents == 0 && csums == 0 && released == 0 {
        // What the task must undo depends on what a race has left. A release that lowered the counters before this call
        // began, and gave back its bytes during it, is not in `others_released` but leaves as much.
        let story =
            format!("{story} It had published extents for it before the bytes were granted, and undid that.");
        published::leave(context, node, story, record.others_released > 0);
        return true;
    }
    let granted = record.metadata > 0 || thread.granted;
    let mut deviation = if added > 0 && !granted {
        let (kind, off) = if released > 0 {
            (FindingKind::ErrorPathOverRelease, released.saturating_neg())
        } else {
            (FindingKind::PublishBeforeReserve, added as i64)
        };
        let text = format!(
            "{story} It had added {added} bytes to the inode's block_rsv before they were granted, and then released \
             {released} bytes, none of which was ever reserved."
        );
        Deviation::new(kind, Account::InodeMetaRsv, off, text)
    } else if added > 0 {
        Deviation::new(
            FindingKind::ErrorPathLeak,
            Account::InodeMetaRsv,
            added as i64,
            format!(
                "{story} It had been granted {added} bytes of metadata, added them to the inode with {}, and \
                 gave back {released}; a failure must leave nothing.",
                words::extents(extents)
            ),
        )
    } else if extents < 0 || csums < 0 || (untouched && released > 0) {
        let (account, off) = if extents < 0 {
            (Account::InodeOutstandingExtents, extents)
        } else if csums < 0 {
            (Account::InodeCsumBytes, csums)
        } else {
            (Account::InodeMetaRsv, released.saturating_neg())
        };
        Deviation::new(
            FindingKind::ErrorPathOverRelease,
            account,
            off,
            format!(
                "{story} It had published nothing, and released {}, {} bytes of csum_bytes and {released} bytes \
                 of the block_rsv; it should have released nothing.",
                words::extents(extents.saturating_neg()),
                csums.saturating_neg()
            ),
        )
    } else if extents == 0 && csums == 0 && record.others_released == 0 && released > 0 {
        Deviation::new(
            FindingKind::ErrorPathOverRelease,
            Account::InodeMetaRsv,
            released.saturating_neg(),
            format!(
                "{story} It had published extents for it before the bytes were granted, undid that, and released \
                 {released} bytes of the block_rsv that were never reserved; it should have released nothing."
            ),
        )
    } else {
        let undone = if extents == 0 && csums == 0 {
            format!("undid it and released {released} bytes")
        } else {
            format!("left {} and {csums} bytes of csum_bytes behind", words::extents(extents))
        };
        let mut deviation = Deviation::new(
            FindingKind::PublishBeforeReserve,
            Account::InodeOutstandingExtents,
            extents,
            format!(
                "{story} It had published extents for it before the bytes were granted, and {undone}: a release that runs \
                 in between frees bytes that nobody reserved."
            ),
        );
        deviation.amount = Some(lengths::extents(node.args[0]).unsigned_abs());
        deviation
    };
    deviation.origins.push(crate::vocabulary::finding::Origin { bytes: added, count: 1, stack });
    // The other counters are wrong for the same reason.
    if deviation.account != Account::InodeOutstandingExtents && extents != 0 {
        context.explain(node.inode(), Account::InodeOutstandingExtents, extents);
    }
    if deviation.account != Account::InodeCsumBytes && csums != 0 {
        context.explain(node.inode(), Account::InodeCsumBytes, csums);
    }
    context.report(node, deviation);
    true
}
