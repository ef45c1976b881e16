//! Delayed nodes: their bytes of `delayed_block_rsv` go back when the inode item or the items of the directory are written.
use probe_common::{call::CALL_RETURNED, claim::RsvType, hook::HookId};

use super::{context::CallContext, report::Deviation};
use crate::{
    book::{node::Node, thread::Thread},
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

impl Thread {
    /// A `delayed_item` event says how many bytes of a node the thread is about to release, by its very next call: in
    /// `btrfs_delayed_item_release_metadata()`, `btrfs_delayed_item_release_leaves()` and `btrfs_batch_delete_items()`, all of
    /// which the compiler inlines.
    pub(crate) fn items_released(&mut self, context: &mut CallContext<'_>, node: &Node) {
        let due = std::mem::take(&mut self.items_due);
        if due.is_empty() || !context.complete(node) || context.fs.aborted {
            return;
        }
        let last = due.len() - 1;
        for (at, due) in due.into_iter().enumerate() {
            if !due.items || due.fs != node.fs {
                continue;
            }
            // The release of an earlier one would have come before the next event.
            let is_release =
                at == last && node.is(HookId::BlockRsvRelease) && node.rsv_type == RsvType::DelayedOps;
            let released = if is_release { node.args[0] } else { 0 };
            context.checked.contracts += 1;
            let off = (due.bytes as i64).wrapping_sub(released as i64);
            if off == 0 {
                continue;
            }
            let text = format!(
                "Items of the directory had {} bytes reserved in its delayed node, and {released} bytes were released for \
                 them.",
                due.bytes
            );
            let key = context.fs.only_subvolume().map(|root| InodeKey { root, ino: due.ino });
            let stack = if is_release { node.stack } else { due.stack };
            let mut deviation = Deviation::of(Account::FsDelayedRsv, off, text);
            deviation.ino = Some(due.ino);
            context.report_on(&Node { stack, ..*node }, key, deviation);
        }
    }
}
