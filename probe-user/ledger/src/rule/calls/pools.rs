//! The pools that transaction handles and delayed nodes share: `size` is the sum of what is claimed of a pool.
//!
//! A release of a claim takes it off `size`. All other claims are still in it, whatever other tasks do at that moment. So a
//! release of more than `size` gives back what nobody has claimed; `size` wraps, and nothing leaves the pool from then on.
use probe_common::{
    call::{CALL_RETURNED, CALL_RSV, Call},
    claim::RsvType,
    hook::HookId,
};

use super::{context::CallContext, report::Deviation};
use crate::{book::node::Node, vocabulary::account::Account};

/// A call on a block_rsv has returned.
pub(crate) fn released(context: &mut CallContext<'_>, node: &Node, record: &Call) {
    let account = match node.rsv_type {
        RsvType::Trans => Account::TransRsv,
        RsvType::DelayedOps => Account::FsDelayedRsv,
        _ => return,
    };
    let (size, bytes) = (record.before.size, node.args[0]);
    let known = node.has(CALL_RSV | CALL_RETURNED) && context.complete(node);
    // A call around it has a contract of its own, which names the owner.
    let alone = node.parent == 0;
    if !node.is(HookId::BlockRsvRelease) || !known || !alone || bytes == u64::MAX || size >= bytes {
        return;
    }
    if context.fs.aborted || context.fs.reported.wrapped.contains(&account) {
        return;
    }
    context.fs.reported.wrapped.push(account);
    let over = (bytes - size) as i64;
    let text = format!("{bytes} bytes of the pool were given back, and only {size} were claimed of it.");
    context.report_on(node, None, Deviation::of(account, over.saturating_neg(), text));
}
