//! `btrfs_commit_device_sizes`: the functions tier sees the end of each transaction.
//!
//! It runs once per commit, in `TRANS_STATE_COMMIT_DOING`: all handles but the committer's have ended, all delayed items and delayed
//! refs have run, and no task can start another transaction yet. What the pools must hold then: `rule/transaction.rs`. What
//! subvolumes had reserved in their qgroups for this transaction must be gone too.
use probe_common::{
    call::{BYTES_UNKNOWN, Call},
    fs::Rsv,
};

use super::{context::CallContext, qgroup::Qgroups};
use crate::{
    book::node::Node,
    rule::transaction::{self, TransactionEnd},
};

/// `btrfs_commit_device_sizes`
pub(crate) fn ended(context: &mut CallContext<'_>, qgroups: &mut Qgroups, node: &Node, record: &Call) {
    let judged = context.judges && node.entered > context.since && !context.fs.aborted;
    if judged {
        context.checked.commits += 1;
        let [transid, size, reserved, blocks] = node.args;
        let end = TransactionEnd {
            transid,
            time: node.time,
            tid: node.tid,
            stack: node.stack,
            delayed: Rsv { size, reserved },
            delayed_refs: Rsv { size: record.before.size, reserved: record.before.reserved },
            blocks: (blocks != BYTES_UNKNOWN).then_some(blocks),
        };
        transaction::ended(context.shared, context.fs, &end);
    }
    qgroups.transaction_ended(context, node, judged);
}
