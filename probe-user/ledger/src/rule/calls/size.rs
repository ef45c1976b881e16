//! The size of an inode's block_rsv: what the inode may need for its `outstanding_extents` and `csum_bytes`. A release gives back
//! what is above it, so a size that is too small gives back bytes that are still needed.
//!
//! The kernel side compares, under `inode->lock`, because only there the counters and the size belong together.
use probe_common::call::{CALL_SPECIAL_INODE, Call};

use super::{context::CallContext, report::Deviation};
use crate::{
    book::node::Node,
    vocabulary::{account::Account, finding::FindingKind, words},
};

/// `btrfs_calculate_inode_block_rsv_size` had set a size that is too small.
pub(crate) fn too_small(context: &mut CallContext<'_>, record: &Call) {
    let (size, least) = (record.before.size, record.args[0]);
    let node = Node::of(record);
    if !context.judges || node.has(CALL_SPECIAL_INODE) || size >= least {
        return;
    }
    let wrong = context.fs.reported.inode(node.key).map_or(0, |wrong| wrong.meta_rsv);
    if wrong.unsigned_abs() >= least - size {
        // A call that gave back what was never reserved took it off the size too, and was reported.
        return;
    }
    let text = format!(
        "The size of the inode's block_rsv was {size} for {} and {} bytes of csum_bytes, and must not be below {least}: what is \
         above the size is given back, and these bytes were still needed.",
        words::extents(i64::from(record.before.outstanding_extents)),
        record.before.csum_bytes
    );
    let off = size as i64 - least as i64;
    let mut deviation = Deviation::new(FindingKind::CounterMismatch, Account::InodeMetaRsv, off, text);
    deviation.before = Some(size as i64);
    context.report(&node, deviation);
    // The bytes in the block_rsv are right; only less of them are kept.
    context.fs.reported.set_meta_rsv(node.key, wrong);
}
