//! Transaction handles: their metadata goes back when the outermost use ends.
//!
//! `__btrfs_end_transaction` of a nested use only counts down and releases nothing; the outermost one calls
//! `btrfs_trans_release_metadata` (so does `btrfs_commit_transaction`). A task has one handle at a time, so if it ends
//! or starts another handle of the filesystem while one that still held bytes was never released, that one is gone with
//! them.
use probe_common::{
    call::{CALL_RETURNED, CALL_TREE_TORN},
    hook::HookId,
};

use super::{context::CallContext, report::Deviation};
use crate::{
    book::{
        node::Node,
        thread::{Handle, Thread},
    },
    vocabulary::account::Account,
};

/// `btrfs_trans_release_metadata` or `__btrfs_end_transaction` has returned.
pub(crate) fn ended(context: &mut CallContext<'_>, thread: &mut Thread, node: &Node, children: &[Node]) {
    let [address, before, after, _] = node.args;
    let whole = node.has(CALL_RETURNED) && !node.has(CALL_TREE_TORN) && node.entered > context.since;
    if !whole || !context.judges || context.fs.aborted {
        // An abort takes other ways, and what is not seen in full is not known.
        thread.handle = None;
        return;
    }
    if let Some(left) = thread.handle.filter(|left| left.fs == node.fs && left.address != address) {
        thread.handle = None;
        let text = format!(
            "The task ended another transaction handle; the one before still had {} bytes reserved when its last use \
             ended, and nobody released them.",
            left.bytes
        );
        context.report_on(
            &Node { stack: left.stack, ..*node },
            None,
            Deviation::of(Account::TransRsv, left.bytes as i64, text),
        );
    }
    let own = || children.iter().filter(|child| child.parent == node.serial);
    if node.is(HookId::EndTransaction) {
        let outermost = own().any(|child| child.is(HookId::TransReleaseMetadata));
        thread.handle = (!outermost && before != 0).then_some(Handle {
            fs: node.fs,
            address,
            bytes: before,
            stack: node.stack,
        });
        return;
    }
    thread.handle = None;
    if before == 0 {
        return;
    }
    context.checked.contracts += 1;
    let released = own().any(|child| child.is(HookId::BlockRsvRelease));
    let left = if released { after } else { before };
    if left != 0 {
        let text = format!(
            "The transaction handle had {before} bytes reserved and {left} of them were not released."
        );
        context.report_on(node, None, Deviation::of(Account::TransRsv, left as i64, text));
    }
}

/// The task starts another handle, or its filesystem is unmounted: whatever handle it had is gone.
pub(crate) fn gone(context: &mut CallContext<'_>, thread: &mut Thread, tid: u32, time: u64) {
    let Some(left) = thread.handle.filter(|left| left.fs == context.fs.id) else { return };
    thread.handle = None;
    if !context.judges || context.fs.aborted {
        return;
    }
    let text = format!(
        "The last use of a transaction handle ended, and the {} bytes that it had reserved were not released.",
        left.bytes
    );
    let deviation = Deviation::of(Account::TransRsv, left.bytes as i64, text);
    let node = Node { stack: left.stack, ..Node::at(left.fs, tid, time) };
    lost(context, tid);
    context.report_on(&node, None, deviation);
}

/// From 6.12 on a handle has bytes for delayed refs of its own, which go with it.
fn lost(context: &mut CallContext<'_>, tid: u32) {
    let local = context.fs.claims.lose_handle(tid);
    context.fs.reported.metadata = context.fs.reported.metadata.saturating_add(local);
}
