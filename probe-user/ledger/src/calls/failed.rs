//! Failed reservations: what had been taken, whether somebody raced, what was given back, and what should have been.
//!
//! All four kernels reserve first and publish after: a failing `btrfs_delalloc_reserve_metadata` has changed nothing
//! of the inode, raced or not, so it must undo nothing. What its caller had taken before, the data of the range, must
//! come back exactly once: in the same function, before the task reserves anything else. Without data of its own
//! (a write to existing nodatacow or preallocated extents, `IOCB_NOWAIT`) there is nothing to give back.
use probe_common::{call::Call, fs::Levels, hook::HookId, inode::InodeState};

use super::{
    Bench, count, published,
    report::{DATA, Fault},
    tree::{Node, Thread},
};
use crate::{
    filesystem::InodeKey,
    finding::{Account, FindingKind, StackRef},
    summary::FailedReservations,
    words,
};

/// A failed reservation whose task has not moved on yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    node: Node,
    /// Data that its caller had taken.
    held: u64,
    raced: u32,
    /// All of it came back.
    done: bool,
    counted: bool,
    /// A finding says what was wrong: neither balanced nor undecided.
    pub wrong: bool,
}

impl FailedReservations {
    pub(super) const fn count(&mut self, record: &Call) {
        self.total += 1;
        if record.others_released > 0 {
            self.raced += 1;
        } else {
            self.not_raced += 1;
        }
    }
}

impl Failure {
    pub(super) fn is_of(&self, fs: u32, key: InodeKey) -> bool {
        self.node.fs == fs && self.node.key == key
    }

    /// The thread cannot be followed any further.
    pub(super) const fn undecided(&self, failed: &mut FailedReservations) {
        if !self.done && !self.wrong {
            failed.undecided += 1;
        }
    }

    /// What happened, for an explanation.
    pub(super) fn story(&self) -> String {
        story(&self.node, self.held, self.raced)
    }

    const fn balanced(&mut self, failed: &mut FailedReservations) {
        self.done = true;
        if !self.wrong {
            self.counted = true;
            failed.balanced += 1;
        }
    }
}

fn story(node: &Node, held: u64, raced: u32) -> String {
    let taken = if held == 0 { "no data".to_owned() } else { format!("{held} bytes of data") };
    let race = match raced {
        0 => "no release on the inode raced with it".to_owned(),
        1 => "1 release on the inode raced with it".to_owned(),
        n => format!("{n} releases on the inode raced with it"),
    };
    format!(
        "The reservation for {} bytes failed with error {}; its task had taken {taken} before, and {race}.",
        node.args[0], node.ret
    )
}

impl Thread {
    /// `btrfs_delalloc_reserve_metadata` has failed. `said`: it broke its own contract.
    pub(super) fn failed(&mut self, bench: &mut Bench<'_>, node: &Node, record: &Call, said: bool) {
        bench.failed.count(record);
        let held = self.data_at_failure(node, count::align(node.args[1], bench.fs.sector()));
        let raced = record.others_released;
        let mut failure = Failure { node: *node, held, raced, done: false, counted: false, wrong: said };
        if held == 0 {
            if self.data_known || node.args[2] != 0 {
                failure.balanced(bench.failed);
            } else {
                failure.undecided(bench.failed);
                failure.done = true;
            }
        }
        self.failure = Some(failure);
    }

    /// What the task had taken before this failing reservation, before anything is booked for it.
    pub(super) fn held_by_failing(&self, node: &Node) -> u64 {
        let data = self.data.iter().find(|data| data.fs == node.fs && data.key == node.key);
        data.map_or(0, |data| data.left)
    }

    /// Everything that had been taken came back.
    pub(super) fn data_returned(&mut self, bench: &mut Bench<'_>, node: &Node) {
        if let Some(failure) = self.failure.as_mut().filter(|of| of.is_of(node.fs, node.key) && !of.done) {
            failure.balanced(bench.failed);
        }
    }

    /// The failure was not balanced after all. What is to be said of it.
    pub(super) fn failure_is_wrong(&mut self, bench: &mut Bench<'_>) -> String {
        let Some(failure) = self.failure.as_mut() else { return String::new() };
        failure.wrong = true;
        if std::mem::take(&mut failure.counted) {
            bench.failed.balanced -= 1;
        }
        format!("{} ", failure.story())
    }

    /// The thread is past its failure: what has not come back never will.
    pub(super) fn settle_failure(&mut self, bench: &mut Bench<'_>, node: &Node) {
        if let Some(failure) = self.failure.take() {
            let next = if node.is(HookId::ReserveSpace) { "its caller returned" } else { "the task went on" };
            self.settle(bench, failure, next, node.time);
        }
    }

    fn settle(&mut self, bench: &mut Bench<'_>, failure: Failure, next: &str, time: u64) {
        if failure.done {
            return;
        }
        let kept = self.data_kept(failure.node.fs, failure.node.key);
        if kept == 0 || !bench.judges || failure.node.fs != bench.fs.id {
            failure.undecided(bench.failed);
            return;
        }
        let text = format!(
            "{} It gave back {} bytes when {next}, and should have given back {}.",
            failure.story(),
            failure.held - kept.min(failure.held),
            failure.held
        );
        let mut fault = Fault::new(FindingKind::ErrorPathLeak, DATA, kept as i64, text);
        fault.origins = self.data_origins(failure.node.fs, failure.node.key);
        bench.report(&Node { time, ..failure.node }, fault);
        self.data.retain(|data| !data.failed);
    }

    /// The inode is destroyed, so the thread is past its failure on it.
    pub(super) fn destroyed_failure(
        &mut self,
        bench: &mut Bench<'_>,
        _tid: u32,
        key: InodeKey,
        record: &InodeState,
    ) {
        if let Some(failure) = self.failure.filter(|failure| failure.is_of(bench.fs.id, key)) {
            self.failure = None;
            self.settle(bench, failure, "the inode was destroyed", record.header.time);
        }
    }

    /// The filesystem is unmounted, so the thread is past its failure on it.
    pub(super) fn unmounted_failure(&mut self, bench: &mut Bench<'_>, _tid: u32, record: &Levels) {
        if let Some(failure) = self.failure.filter(|failure| failure.node.fs == bench.fs.id) {
            self.failure = None;
            self.settle(bench, failure, "the filesystem was unmounted", record.header.time);
        }
    }
}

/// A failed `btrfs_delalloc_reserve_metadata` has published nothing, added nothing, released nothing. True if it was
/// found wrong.
pub(super) fn contract(
    bench: &mut Bench<'_>,
    held: u64,
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
    let story = story(node, held, record.others_released);
    let extents = i64::from(node.extents);
    let stack: StackRef = node.stack;
    if added == 0 && node.calculations > 0 && extents == 0 && csums == 0 && released == 0 {
        // What is right then depends on what a race has left. One that lowered the counters before this call began and gave
        // its bytes back within it is none of `others_released`, and leaves as much.
        let story =
            format!("{story} It had published extents for it before the bytes were granted, and undid that.");
        published::leave(bench, node, story, record.others_released > 0);
        return true;
    }
    let mut fault = if added > 0 {
        Fault::new(
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
        Fault::new(
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
        Fault::new(
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
        let mut fault = Fault::new(
            FindingKind::PublishBeforeReserve,
            Account::InodeOutstandingExtents,
            extents,
            format!(
                "{story} It had published extents for it before the bytes were granted, and {undone}: a release that runs \
                 in between frees bytes that nobody reserved."
            ),
        );
        fault.amount = Some(count::extents(node.args[0]).unsigned_abs());
        fault
    };
    fault.origins.push(crate::finding::Origin { bytes: added, count: 1, stack });
    // The other counters are off for the same reason.
    if fault.account != Account::InodeOutstandingExtents && extents != 0 {
        bench.explain(node.inode(), Account::InodeOutstandingExtents, extents);
    }
    if fault.account != Account::InodeCsumBytes && csums != 0 {
        bench.explain(node.inode(), Account::InodeCsumBytes, csums);
    }
    bench.report(node, fault);
    true
}
