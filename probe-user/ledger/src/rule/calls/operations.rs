//! Open operations: what a task holds between `btrfs_delalloc_reserve_metadata` and `btrfs_delalloc_release_extents`.
//!
//! Every caller of the two calls both in one function, once each for the same length, before it begins another operation.
//! Bytes have a wider budget than extents: 6.1 and 6.12 release the rest of a short copy after the extents
//! (`btrfs_buffered_write`), and `btrfs_truncate_block` before them. So a closed operation keeps its bytes until the task
//! begins the next one.
use probe_common::{
    call::{CALL_INODE, CALL_SPECIAL_INODE, Call},
    hook::HookId,
    inode::InodeState,
};
use rustc_hash::FxHashMap;

use super::{context::CallContext, owner, report::Deviation};
use crate::{
    book::{
        node::Node,
        thread::{Operation, Thread},
    },
    vocabulary::{
        account::Account,
        finding::{Confidence, FindingKind, Origin, StackRef},
        keys::{DATA_RELOC, InodeKey},
        lengths, words,
    },
};

/// Relocation takes and gives back extents of its own inode as all others do. What is special of that inode is its data.
fn of_relocation(node: &Node) -> Node {
    let special = if node.key.root == DATA_RELOC { CALL_SPECIAL_INODE } else { 0 };
    Node { flags: node.flags & !special, ..*node }
}

/// `btrfs_delalloc_reserve_metadata` has returned.
pub(crate) fn reserve(
    context: &mut CallContext<'_>,
    thread: &mut Thread,
    node: &Node,
    children: &[Node],
    record: &Call,
    already_reported: bool,
) {
    let node = &of_relocation(node);
    if node.has(CALL_SPECIAL_INODE) || !node.has(CALL_INODE) {
        return;
    }
    context.shared.statistics.overlapping += u64::from(record.others > 0);
    thread.settle_failure(context, node);
    if !context.judged(node) {
        thread.known = false;
        thread.operations.retain(|operation| operation.key != node.key);
        if node.ret < 0 {
            context.failed.count(record);
            context.failed.undecided += 1;
        }
        return;
    }
    if !thread.missed {
        begun_again(context, thread, node);
    }
    // The thread can release nothing of earlier operations any more.
    thread.operations.retain(|operation| !operation.is_closed());
    if node.ret < 0 && node.key.root == DATA_RELOC {
        return;
    }
    if node.ret < 0 {
        thread.failed(context, node, record, already_reported);
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
        // If the call raised another number of extents, that was reported.
        extents: if already_reported { lengths::extents(node.args[0]) } else { i64::from(node.extents) },
        bytes: lengths::align(node.args[1], context.fs.sector()),
        reserved: children.iter().filter(own).map(|child| child.args[0]).fold(0, u64::wrapping_add),
        exit: node.caller,
        doubtful: false,
        stack: node.stack,
    });
}

/// `btrfs_delalloc_release_extents` or `btrfs_delalloc_shrink_extents` has returned.
pub(crate) fn release(
    context: &mut CallContext<'_>,
    thread: &mut Thread,
    node: &Node,
    already_reported: bool,
) {
    let node = &of_relocation(node);
    if node.has(CALL_SPECIAL_INODE) || !node.has(CALL_INODE) {
        return;
    }
    if !context.judged(node) {
        thread.known = false;
        thread.operations.retain(|operation| operation.key != node.key);
        return;
    }
    thread.data_used(node);
    let whole = node.is(HookId::ReleaseExtents);
    let mut rest = i64::from(node.extents).saturating_neg();
    if already_reported {
        // Books what the call should have released; what it did instead was reported.
        rest = if whole { lengths::extents(node.args[0]) } else { 0 };
    }
    let held: i64 = open(thread, node).map(|operation| operation.extents).sum();
    for operation in thread.operations.iter_mut().rev().filter(|of| of.is_open_on(node.fs, node.key)) {
        let part = rest.clamp(0, operation.extents);
        operation.extents -= part;
        rest -= part;
        context.checked.operations += u64::from(operation.extents == 0);
    }
    if rest <= 0 || !thread.known || already_reported {
        return;
    }
    let account = Account::InodeOutstandingExtents;
    if held == 0
        && let Some(other) =
            thread.operations.iter_mut().rev().find(|of| of.fs == node.fs && of.extents == rest)
    {
        other.extents = 0;
        let other = *other;
        owner::wrong(context, node, node.key, other.key, account, rest, vec![other.origin()]);
        return;
    }
    let mut deviation = Deviation::of(
        account,
        -rest,
        format!("The task released {} of the inode and held {held} of it.", words::extents(rest + held)),
    );
    // Without the operation, nothing can be said of the thread's next releases either.
    thread.known &= held != 0;
    deviation.before = Some(held);
    deviation.origins = thread.origins(node);
    after_failure(context, thread, node, &mut deviation);
    context.report(node, deviation);
}

/// `btrfs_delalloc_release_metadata`, called by the task for bytes of its own operation.
pub(crate) fn release_metadata(context: &mut CallContext<'_>, thread: &mut Thread, node: &Node) {
    if !context.judged(node) {
        thread.known = false;
        return;
    }
    let bytes = lengths::align(node.args[0], context.fs.sector());
    let mut rest = bytes;
    for operation in thread.operations.iter_mut().rev().filter(|of| of.fs == node.fs && of.key == node.key) {
        let part = rest.min(operation.bytes);
        operation.bytes -= part;
        rest -= part;
    }
    if rest == 0 || !thread.known {
        return;
    }
    // Without the operation, nothing can be said of the thread's next releases either.
    thread.known = thread.operations.iter().any(|of| of.is_open_on(node.fs, node.key));
    let account = Account::InodeCsumBytes;
    let other = thread.operations.iter_mut().rev().find(|of| {
        // A closed operation has handed on most of its bytes, so it matches only a release of all that is left.
        of.fs == node.fs && if of.is_closed() { of.bytes == bytes } else { of.bytes >= bytes }
    });
    if rest == bytes
        && let Some(other) = other
    {
        other.bytes -= bytes;
        let other = *other;
        owner::wrong(context, node, node.key, other.key, account, bytes as i64, vec![other.origin()]);
        return;
    }
    let held = bytes - rest;
    let mut deviation = Deviation::of(
        account,
        (rest as i64).saturating_neg(),
        format!(
            "The task released the metadata of {bytes} bytes of the inode; of what it had reserved itself, {held} bytes \
             were left to release."
        ),
    );
    deviation.before = Some(held as i64);
    deviation.origins = thread.origins(node);
    after_failure(context, thread, node, &mut deviation);
    context.report(node, deviation);
}

/// A release after a failed reservation belongs to the error path.
fn after_failure(context: &mut CallContext<'_>, thread: &mut Thread, node: &Node, deviation: &mut Deviation) {
    if thread.failure.is_some_and(|failure| failure.is_of(node.fs, node.key)) {
        deviation.kind = FindingKind::ErrorPathOverRelease;
        deviation.text = format!("{}{}", thread.failure_is_wrong(context), deviation.text);
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

/// The task begins another operation, so the one before has ended. A task that works by page faults alone makes no system call
/// whose end could show it.
fn begun_again(context: &mut CallContext<'_>, thread: &mut Thread, node: &Node) {
    let is_kept =
        |operation: &Operation| operation.fs == node.fs && !operation.doubtful && !operation.is_closed();
    // On a correct kernel there is none.
    if !thread.operations.iter().any(is_kept) {
        return;
    }
    let (ended, others): (Vec<_>, Vec<_>) = thread.operations.drain(..).partition(is_kept);
    thread.operations = others;
    if !context.fs.aborted {
        kept(context, ended, (node.tid, node.time), "when it began another operation");
    }
}

/// The system call or the work item of the task has ended, and with it all its operations.
pub(super) fn returned(context: &mut CallContext<'_>, thread: &mut Thread, moment: (u32, u64), when: &str) {
    let fs = context.fs.id;
    let (left, others): (Vec<_>, Vec<_>) =
        thread.operations.drain(..).partition(|of| of.fs == fs && !of.doubtful);
    thread.operations = others;
    if context.judges && !context.fs.aborted {
        kept(context, left, moment, when);
    }
}

/// Operations that have ended with extents.
fn kept(context: &mut CallContext<'_>, ended: Vec<Operation>, (tid, time): (u32, u64), when: &str) {
    for operation in ended.into_iter().filter(|operation| !operation.is_closed()) {
        let held = operation.extents;
        let text = format!(
            "The task reserved metadata for {} of the inode, and had not released them {when}.",
            words::extents(held)
        );
        let node = Node {
            flags: CALL_INODE,
            key: operation.key,
            stack: operation.stack,
            exit: operation.exit,
            ..Node::at(context.fs.id, tid, time)
        };
        let mut deviation = Deviation::of(Account::InodeOutstandingExtents, held, text);
        deviation.before = Some(held);
        deviation.origins = vec![operation.origin()];
        context.report(&node, deviation);
    }
}

/// The inode is destroyed: extents that a thread still holds of it were never released. `holders`: threads with such
/// extents.
pub(crate) fn destroyed(
    context: &mut CallContext<'_>,
    threads: &mut FxHashMap<u32, Thread>,
    holders: &[u32],
    key: InodeKey,
    record: &InodeState,
) {
    let fs = context.fs.id;
    let mut held = 0;
    let mut origins = Vec::new();
    let mut tid = record.header.tid;
    for of in holders {
        let Some(thread) = threads.get_mut(of) else { continue };
        thread.destroyed_failure(context, key, record);
        for operation in thread.operations.iter_mut().filter(|of| of.is_open_on(fs, key)) {
            held += operation.extents;
            origins.push(operation.origin());
            tid = *of;
            operation.extents = 0;
        }
    }
    if held <= 0 || !context.judges {
        return;
    }
    let kernel = i64::from(record.counters.outstanding_extents as i32);
    // The destroy shows it; the stack that reserved is in `origins`.
    let stack = StackRef { id: record.stack, representative: false };
    let node = Node { flags: CALL_INODE, key, stack, ..Node::at(fs, tid, record.header.time) };
    let before = context.fs.reported.inode(key).map_or(0, |wrong| wrong.extents);
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
    let mut deviation = Deviation::new(kind, Account::InodeOutstandingExtents, held, text);
    deviation.before = Some(held);
    deviation.origins = origins;
    deviation.confidence = Confidence::Exact;
    if kind == FindingKind::CounterMismatch {
        deviation.confidence = Confidence::OneSided;
    }
    context.report(&node, deviation);
}
