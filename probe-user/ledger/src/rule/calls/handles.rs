//! Transaction handles: their metadata is released when the outermost use ends.
//!
//! A nested `__btrfs_end_transaction` only decrements `use_count` and releases nothing. The outermost one calls
//! `btrfs_trans_release_metadata`, and so does `btrfs_commit_transaction`. A task has one handle at a time. So if it ends or
//! starts another handle of the filesystem, while one that held bytes was never released, that handle is gone and its bytes
//! are lost.
use probe_common::{
    call::{CALL_RETURNED, CALL_TREE_TORN},
    claim::RsvType,
    hook::HookId,
};

use super::{context::CallContext, report::Deviation};
use crate::{
    book::{
        node::Node,
        thread::{ChunkHeld, Handle, Thread},
    },
    vocabulary::{
        account::Account,
        finding::{FindingKind, Origin},
    },
};

/// `btrfs_trans_release_metadata` or `__btrfs_end_transaction` has returned.
pub(crate) fn ended(context: &mut CallContext<'_>, thread: &mut Thread, node: &Node, children: &[Node]) {
    let [address, before, after, _] = node.args;
    let whole = node.has(CALL_RETURNED) && !node.has(CALL_TREE_TORN) && node.entered > context.since;
    if !whole || !context.judges || context.fs.aborted {
        // An abort releases in other ways, and a call that was not seen in full shows nothing.
        thread.handle = None;
        thread.chunk = None;
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
        if outermost {
            chunk_kept(context, thread, node);
        }
        thread.handle = (!outermost && before != 0).then_some(Handle {
            fs: node.fs,
            address,
            bytes: before,
            stack: node.stack,
        });
        return;
    }
    thread.handle = None;
    local_kept(context, node);
    if before == 0 {
        return;
    }
    context.checked.contracts += 1;
    // The handle's rsv is `trans_block_rsv`, or the temporary one of an operation on subvolumes.
    let released = own()
        .filter(|child| child.is(HookId::BlockRsvRelease))
        .filter(|child| matches!(child.rsv_type, RsvType::Trans | RsvType::Temp))
        .map(|child| child.args[0] as i64)
        .fold(0, i64::wrapping_add);
    let missing = (before as i64).wrapping_sub(released);
    let off = if missing == 0 { after as i64 } else { missing };
    if off != 0 {
        let text = format!(
            "The transaction handle had {before} bytes reserved; {released} of them were released, and it shows {after} \
             now."
        );
        context.report_on(node, None, Deviation::of(Account::TransRsv, off, text));
    }
}

/// From 6.12 on a handle has its own bytes for delayed refs, which end with it.
fn local_kept(context: &mut CallContext<'_>, node: &Node) {
    let kept = node.args[3];
    if kept == 0 {
        return;
    }
    context.fs.claims.lose_handle(node.tid);
    let text = format!(
        "The transaction handle ended, and its own block_rsv for delayed refs still held {kept} bytes."
    );
    context.report_on(node, None, Deviation::of(Account::TransDelayedRefsRsv, kept as i64, text));
}

/// A call on `chunk_block_rsv` has returned: what a handle reserves there for a new chunk ends with the handle.
pub(crate) fn chunk(thread: &mut Thread, node: &Node) {
    if node.rsv_type != RsvType::Chunk || !node.has(CALL_RETURNED) {
        return;
    }
    if node.is(HookId::BlockRsvAdd) && node.ret == 0 {
        let held = thread.chunk.filter(|held| held.fs == node.fs);
        let bytes = held.map_or(0, |held| held.bytes).wrapping_add(node.args[0] as i64);
        thread.chunk = Some(ChunkHeld { fs: node.fs, bytes, stack: node.stack });
    } else if node.is(HookId::BlockRsvRelease)
        && let Some(held) = &mut thread.chunk
    {
        held.bytes = held.bytes.wrapping_sub(node.args[0] as i64);
    }
}

/// The handle of the task has ended, or is gone: nothing of a new chunk may be left.
fn chunk_kept(context: &mut CallContext<'_>, thread: &mut Thread, node: &Node) {
    let Some(held) = thread.chunk.take_if(|held| held.fs == node.fs) else { return };
    if held.bytes == 0 || !context.judges || context.fs.aborted {
        return;
    }
    let text = format!(
        "A transaction handle had reserved bytes in chunk_block_rsv for a new chunk; it ended, and {} of them were not released.",
        held.bytes
    );
    let mut deviation = Deviation::of(Account::FsChunkRsv, held.bytes, text);
    deviation.origins = vec![Origin { bytes: held.bytes.unsigned_abs(), count: 1, stack: held.stack }];
    let stack = if node.stack.id == 0 { held.stack } else { node.stack };
    context.report_on(&Node { stack, ..*node }, None, deviation);
}

/// The task starts another handle, or its filesystem is unmounted, so the handle that it had is gone.
pub(crate) fn gone(context: &mut CallContext<'_>, thread: &mut Thread, tid: u32, time: u64) {
    chunk_kept(context, thread, &Node::at(context.fs.id, tid, time));
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

/// From 6.12 on a handle has its own bytes for delayed refs, which are lost with it.
fn lost(context: &mut CallContext<'_>, tid: u32) {
    let local = context.fs.claims.lose_handle(tid);
    context.fs.reported.metadata = context.fs.reported.metadata.saturating_add(local);
}

/// What the end of a handle had to release; nothing if it was a nested use. For the call around it.
pub(crate) fn released_by_end(end: &Node, children: &[Node]) -> u64 {
    let own = children.iter().filter(|child| child.parent == end.serial);
    own.filter(|child| child.is(HookId::TransReleaseMetadata))
        .map(|child| child.args[1])
        .fold(0, u64::wrapping_add)
}

/// `start_transaction` has failed: what it had added to `trans_block_rsv` for the handle must be released.
pub(crate) fn not_started(context: &mut CallContext<'_>, node: &Node, children: &[Node]) {
    if node.ret >= 0 || !context.complete(node) || !node.has(CALL_RETURNED) || context.fs.aborted {
        return;
    }
    context.checked.contracts += 1;
    let own = || {
        let own = children.iter().filter(|child| child.parent == node.serial);
        own.filter(|child| child.rsv_type == RsvType::Trans)
    };
    // Without `update_size` it is a tree block of the start's own work that comes back (`btrfs_unuse_block_rsv()`): it was taken from the
    // block_rsv before.
    let added = own().filter(|child| child.is(HookId::BlockRsvAddBytes) && child.args[1] != 0);
    let added = added.map(|child| child.args[0] as i64).fold(0, i64::wrapping_add);
    let released = own().filter(|child| child.is(HookId::BlockRsvRelease));
    let released = released.map(|child| child.args[0] as i64).fold(0, i64::wrapping_add);
    // Where the root cannot be recorded in the transaction, the handle is complete and is ended like any other: whether that
    // released all, [`ended`] has judged.
    let ends =
        children.iter().filter(|child| child.parent == node.serial && child.is(HookId::EndTransaction));
    let released = ends.map(|end| end.args[3] as i64).fold(released, i64::wrapping_add);
    let off = added.wrapping_sub(released);
    if off == 0 {
        return;
    }
    let text = format!(
        "start_transaction failed with error {}; it had added {added} bytes to trans_block_rsv for the handle, and released \
         {released} of them.",
        node.ret
    );
    let kind = if off < 0 { FindingKind::ErrorPathOverRelease } else { FindingKind::ErrorPathLeak };
    let mut deviation = Deviation::new(kind, Account::TransRsv, off, text);
    deviation.root = Some(node.key.root);
    context.report_on(node, None, deviation);
}
