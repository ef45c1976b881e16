//! Open operations: what a task holds between reserve and release of extents.
//!
//! Sound because every caller of `btrfs_delalloc_reserve_metadata` and `btrfs_delalloc_release_extents` calls both
//! in one function, once each for the same length, before it begins another. The budget of bytes is wider than that
//! of extents: 6.1 and 6.12 release the rest of a short copy after the extents (`btrfs_buffered_write`), and
//! `btrfs_truncate_block` before; so a closed operation keeps its bytes until the task begins the next.
use probe_common::{
    call::{CALL_INODE, CALL_SPECIAL_INODE, Call},
    hook::HookId,
    inode::InodeState,
};
use rustc_hash::FxHashMap;

use super::{
    Bench, count, owner,
    report::Fault,
    tree::{Node, Thread},
};
use crate::{
    filesystem::InodeKey,
    finding::{Account, Confidence, FindingKind, Origin, StackRef},
    words,
};

/// A successful reservation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub fs: u32,
    pub key: InodeKey,
    /// Extents not given back yet.
    pub extents: i64,
    /// Bytes that the task may still release itself; what goes to dirty pages or an ordered extent stays here.
    pub bytes: u64,
    /// Metadata bytes that were reserved.
    pub reserved: u64,
    stack: StackRef,
}

impl Operation {
    pub(super) const fn is_closed(&self) -> bool {
        self.extents == 0
    }

    pub(super) fn is_open_on(&self, fs: u32, key: InodeKey) -> bool {
        self.extents != 0 && self.fs == fs && self.key == key
    }

    pub(super) const fn origin(&self) -> Origin {
        Origin { bytes: self.reserved, count: 1, stack: self.stack }
    }
}

/// `btrfs_delalloc_reserve_metadata` has returned.
pub(super) fn reserve(
    bench: &mut Bench<'_>,
    thread: &mut Thread,
    node: &Node,
    children: &[Node],
    record: &Call,
    said: bool,
) {
    if node.has(CALL_SPECIAL_INODE) || !node.has(CALL_INODE) {
        return;
    }
    bench.desk.statistics.overlapping += u64::from(record.others > 0);
    thread.settle_failure(bench, node);
    if !bench.judged(node) {
        thread.known = false;
        thread.operations.retain(|operation| operation.key != node.key);
        if node.ret < 0 {
            bench.failed.count(record);
            bench.failed.undecided += 1;
        }
        return;
    }
    // What the thread may still release of earlier operations ends here.
    thread.operations.retain(|operation| !operation.is_closed());
    if node.ret < 0 {
        thread.failed(bench, node, record, said);
        thread.known = true;
        return;
    }
    thread.known = true;
    thread.make_room();
    thread.data_used(node);
    let own = |child: &&Node| child.is(HookId::BlockRsvAddBytes) && child.parent == node.serial;
    thread.operations.push(Operation {
        fs: node.fs,
        key: node.key,
        // What is more or less than it should be was reported.
        extents: if said { count::extents(node.args[0]) } else { i64::from(node.extents) },
        bytes: count::align(node.args[1], bench.fs.sector()),
        reserved: children.iter().filter(own).map(|child| child.args[0]).fold(0, u64::wrapping_add),
        stack: node.stack,
    });
}

/// `btrfs_delalloc_release_extents`, or the shrinking of an operation, has returned.
pub(super) fn release(bench: &mut Bench<'_>, thread: &mut Thread, node: &Node, said: bool) {
    if node.has(CALL_SPECIAL_INODE) || !node.has(CALL_INODE) {
        return;
    }
    if !bench.judged(node) {
        thread.known = false;
        thread.operations.retain(|operation| operation.key != node.key);
        return;
    }
    thread.data_used(node);
    let whole = node.is(HookId::ReleaseExtents);
    let mut rest = i64::from(node.extents).saturating_neg();
    if said {
        // What the call should have done closes the operation; what it did was reported.
        rest = if whole { count::extents(node.args[0]) } else { 0 };
    }
    let held: i64 = open(thread, node).map(|operation| operation.extents).sum();
    for operation in thread.operations.iter_mut().rev().filter(|of| of.is_open_on(node.fs, node.key)) {
        let part = rest.clamp(0, operation.extents);
        operation.extents -= part;
        rest -= part;
        bench.checked.operations += u64::from(operation.extents == 0);
    }
    if rest <= 0 || !thread.known || said {
        return;
    }
    let account = Account::InodeOutstandingExtents;
    if held == 0
        && let Some(other) =
            thread.operations.iter_mut().rev().find(|of| of.fs == node.fs && of.extents == rest)
    {
        other.extents = 0;
        let other = *other;
        owner::wrong(bench, node, node.key, other.key, account, rest, vec![other.origin()]);
        return;
    }
    let mut fault = Fault::of(
        account,
        -rest,
        format!("The task released {} of the inode and held {held} of it.", words::extents(rest + held)),
    );
    // Without the operation nothing of what follows can be told either.
    thread.known &= held != 0;
    fault.before = Some(held);
    fault.origins = thread.origins(node);
    after_failure(bench, thread, node, &mut fault);
    bench.report(node, fault);
}

/// `btrfs_delalloc_release_metadata`, called by the task for bytes of its own operation.
pub(super) fn release_metadata(bench: &mut Bench<'_>, thread: &mut Thread, node: &Node) {
    if !bench.judged(node) {
        thread.known = false;
        return;
    }
    let bytes = count::align(node.args[0], bench.fs.sector());
    let mut rest = bytes;
    for operation in thread.operations.iter_mut().rev().filter(|of| of.fs == node.fs && of.key == node.key) {
        let part = rest.min(operation.bytes);
        operation.bytes -= part;
        rest -= part;
    }
    if rest == 0 || !thread.known {
        return;
    }
    // Without the operation nothing of what follows can be told either.
    thread.known = thread.operations.iter().any(|of| of.is_open_on(node.fs, node.key));
    let account = Account::InodeCsumBytes;
    let other = thread.operations.iter_mut().rev().find(|of| {
        // Of a closed one most bytes were handed on: only all of them can have been meant.
        of.fs == node.fs && if of.is_closed() { of.bytes == bytes } else { of.bytes >= bytes }
    });
    if rest == bytes
        && let Some(other) = other
    {
        other.bytes -= bytes;
        let other = *other;
        owner::wrong(bench, node, node.key, other.key, account, bytes as i64, vec![other.origin()]);
        return;
    }
    let held = bytes - rest;
    let mut fault = Fault::of(
        account,
        (rest as i64).saturating_neg(),
        format!(
            "The task released the metadata of {bytes} bytes of the inode; of what it had reserved itself, {held} bytes \
             were left to release."
        ),
    );
    fault.before = Some(held as i64);
    fault.origins = thread.origins(node);
    after_failure(bench, thread, node, &mut fault);
    bench.report(node, fault);
}

/// A release after a reservation that failed is the failing side's.
fn after_failure(bench: &mut Bench<'_>, thread: &mut Thread, node: &Node, fault: &mut Fault) {
    if thread.failure.is_some_and(|failure| failure.is_of(node.fs, node.key)) {
        fault.kind = FindingKind::ErrorPathOverRelease;
        fault.text = format!("{}{}", thread.failure_is_wrong(bench), fault.text);
    }
}

fn open<'a>(thread: &'a Thread, node: &'a Node) -> impl Iterator<Item = &'a Operation> {
    thread.operations.iter().filter(|of| of.is_open_on(node.fs, node.key))
}

impl Thread {
    /// The reservations of the thread on this inode, closed or not.
    fn origins(&self, node: &Node) -> Vec<Origin> {
        let own = self.operations.iter().filter(|of| of.fs == node.fs && of.key == node.key);
        own.map(Operation::origin).collect()
    }
}

/// The inode is destroyed: what any thread still holds of it was never given back. `holders`: those threads.
pub(super) fn destroyed(
    bench: &mut Bench<'_>,
    threads: &mut FxHashMap<u32, Thread>,
    holders: &[u32],
    key: InodeKey,
    record: &InodeState,
) {
    let fs = bench.fs.id;
    let mut held = 0;
    let mut origins = Vec::new();
    let mut tid = record.header.tid;
    for of in holders {
        let Some(thread) = threads.get_mut(of) else { continue };
        thread.destroyed_failure(bench, *of, key, record);
        for operation in thread.operations.iter_mut().filter(|of| of.is_open_on(fs, key)) {
            held += operation.extents;
            origins.push(operation.origin());
            tid = *of;
            operation.extents = 0;
        }
    }
    if held <= 0 || !bench.judges {
        return;
    }
    let kernel = i64::from(record.counters.outstanding_extents as i32);
    // It shows here; where it was reserved is its origin.
    let stack = StackRef { id: record.stack, representative: false };
    let node = Node { flags: CALL_INODE, key, stack, ..Node::at(fs, tid, record.header.time) };
    let before = bench.fs.explained.inode(key).map_or(0, |wrong| wrong.extents);
    let (kind, text) = if kernel.wrapping_sub(before) == held {
        let text = format!(
            "The inode was destroyed with {kernel} outstanding extents: a task reserved {held} and never released them."
        );
        (FindingKind::Leak, text)
    } else {
        let text = format!(
            "A task reserved {} that no call released, but the inode was destroyed with {kernel}: released by nobody \
             that we saw.",
            words::extents(held)
        );
        (FindingKind::CounterMismatch, text)
    };
    let mut fault = Fault::new(kind, Account::InodeOutstandingExtents, held, text);
    fault.before = Some(held);
    fault.origins = origins;
    fault.confidence = Confidence::Exact;
    if kind == FindingKind::CounterMismatch {
        fault.confidence = Confidence::OneSided;
    }
    bench.report(&node, fault);
}
