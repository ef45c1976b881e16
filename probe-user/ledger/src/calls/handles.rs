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

use super::{
    Bench,
    report::Fault,
    tree::{Node, Thread},
};
use crate::finding::{Account, StackRef};

/// A handle of which a use ended without a release.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handle {
    pub fs: u32,
    address: u64,
    bytes: u64,
    stack: StackRef,
}

/// `btrfs_trans_release_metadata` or `__btrfs_end_transaction` has returned.
pub(super) fn ended(bench: &mut Bench<'_>, thread: &mut Thread, node: &Node, children: &[Node]) {
    let [address, before, after, _] = node.args;
    let whole = node.has(CALL_RETURNED) && !node.has(CALL_TREE_TORN) && node.entered > bench.since;
    if !whole || !bench.judges || bench.fs.aborted {
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
        bench.report_on(
            &Node { stack: left.stack, ..*node },
            None,
            Fault::of(Account::TransRsv, left.bytes as i64, text),
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
    bench.checked.contracts += 1;
    let released = own().any(|child| child.is(HookId::BlockRsvRelease));
    let left = if released { after } else { before };
    if left != 0 {
        let text = format!(
            "The transaction handle had {before} bytes reserved and {left} of them were not released."
        );
        bench.report_on(node, None, Fault::of(Account::TransRsv, left as i64, text));
    }
}

/// The task starts another handle, or its filesystem is unmounted: whatever handle it had is gone.
pub(super) fn gone(bench: &mut Bench<'_>, thread: &mut Thread, tid: u32, time: u64) {
    let Some(left) = thread.handle.filter(|left| left.fs == bench.fs.id) else { return };
    thread.handle = None;
    if !bench.judges || bench.fs.aborted {
        return;
    }
    let text = format!(
        "The last use of a transaction handle ended, and the {} bytes that it had reserved were not released.",
        left.bytes
    );
    let fault = Fault::of(Account::TransRsv, left.bytes as i64, text);
    let node = Node { stack: left.stack, ..Node::at(left.fs, tid, time) };
    lost(bench, tid);
    bench.report_on(&node, None, fault);
}

/// From 6.12 on a handle has bytes for delayed refs of its own, which go with it.
fn lost(bench: &mut Bench<'_>, tid: u32) {
    let local = bench.fs.claims.lose_handle(tid);
    bench.fs.explained.metadata = bench.fs.explained.metadata.saturating_add(local);
}
