//! Delayed nodes: their bytes of `delayed_block_rsv` go back when the inode item is written.
use probe_common::{call::CALL_RETURNED, claim::RsvType, hook::HookId};

use super::{context::CallContext, report::Deviation};
use crate::{
    book::node::Node,
    vocabulary::{account::Account, keys::InodeKey},
};

/// `btrfs_delayed_inode_release_metadata` has returned: it must have released what the node held.
pub(crate) fn released(context: &mut CallContext<'_>, node: &Node, children: &[Node]) {
    let [ino, held, ..] = node.args;
    // Records of older versions do not show the subvolume.
    let known = node.key.root != 0;
    if !known || !node.has(CALL_RETURNED) || !context.complete(node) || context.fs.aborted {
        return;
    }
    context.checked.contracts += 1;
    let released: i64 = children
        .iter()
        .filter(|child| child.parent == node.serial && child.is(HookId::BlockRsvRelease))
        .filter(|child| child.rsv_type == RsvType::DelayedOps)
        .map(|child| child.args[0] as i64)
        .fold(0, i64::wrapping_add);
    let off = (held as i64).wrapping_sub(released);
    if off == 0 {
        return;
    }
    let text =
        format!("The delayed inode had {held} bytes reserved, and {released} bytes were released for it.");
    let key = InodeKey { root: node.key.root, ino };
    context.report_on(node, Some(key), Deviation::of(Account::FsDelayedRsv, off, text));
}
