//! Block_rsvs and `bytes_may_use` of metadata: what a call takes out of one side it adds to the other.
//!
//! Each function that changes `reserved` of a block_rsv is such a call. The kernel side compares, because only there it is known
//! that no other task changed a block_rsv of the filesystem meanwhile; see `hooks/functions/pools.rs` there. It sends a record
//! of its own if the two differ.
use probe_common::{
    call::{CALL_FS_ERROR, CALL_TREE_TORN, Call},
    claim::RsvType,
    hook::HookId,
};

use super::{context::CallContext, report::Deviation};
use crate::{book::node::Node, vocabulary::account::METADATA_MAY_USE};

/// A call has changed `bytes_may_use` and the block_rsvs differently.
pub(crate) fn lost(context: &mut CallContext<'_>, record: &Call) {
    let node = Node::of(record);
    let seen = context.judges && context.follows.pools && node.entered > context.since;
    if !seen || node.flags & (CALL_TREE_TORN | CALL_FS_ERROR) != 0 || context.fs.aborted || node.ret == 0 {
        return;
    }
    let (bytes, name) = (node.ret.unsigned_abs(), node.hook().map_or("", |hook| hook.name()));
    let on = match node.rsv_type {
        RsvType::Global => " on the global reserve",
        RsvType::Delalloc => " on an inode's block_rsv",
        RsvType::Trans => " on trans_block_rsv",
        RsvType::DelayedOps => " on delayed_block_rsv",
        RsvType::DelayedRefs => " on a block_rsv for delayed refs",
        RsvType::Temp => " on a temporary block_rsv",
        _ => "",
    };
    let text = if node.is(HookId::TransReleaseMetadata) {
        blocks(node.ret)
    } else if node.ret < 0 {
        format!(
            "{name}{on} changed bytes_may_use and the block_rsvs differently: since then the block_rsvs hold {bytes} bytes that \
             are not in bytes_may_use."
        )
    } else {
        format!(
            "{name}{on} changed bytes_may_use and the block_rsvs differently: since then bytes_may_use contains {bytes} bytes that \
             no block_rsv holds."
        )
    };
    let mut deviation = Deviation::of(METADATA_MAY_USE, node.ret, text);
    // The counter is everybody's: the inode only paid, and what it had reserved is not what is wrong.
    (deviation.root, deviation.ino) = node.inode().map(|key| (key.root, key.ino)).unzip();
    context.report_on(&node, None, deviation);
}

/// A transaction handle has ended, and the tree blocks of its task do not add up.
fn blocks(off: i64) -> String {
    let bytes = off.unsigned_abs();
    if off < 0 {
        format!(
            "Up to the end of its transaction handle the task allocated, or put back into block_rsvs, {bytes} bytes of tree blocks \
             more than it had taken out of block_rsvs for them."
        )
    } else {
        format!(
            "Up to the end of its transaction handle the task had taken {bytes} bytes out of block_rsvs for tree blocks, and neither \
             allocated nor put them back."
        )
    }
}
