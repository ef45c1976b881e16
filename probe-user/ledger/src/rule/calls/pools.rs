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
use crate::{
    book::{
        node::Node,
        thread::{PoolOver, Thread},
    },
    vocabulary::account::Account,
};

impl Thread {
    /// A call on a block_rsv has returned.
    pub(crate) fn pool_released(&mut self, context: &mut CallContext<'_>, node: &Node, record: &Call) {
        let account = match node.rsv_type {
            RsvType::Trans => Account::TransRsv,
            RsvType::DelayedOps => Account::FsDelayedRsv,
            _ => return,
        };
        let (size, bytes) = (record.before.size, node.args[0]);
        let known = node.has(CALL_RSV | CALL_RETURNED) && context.complete(node);
        if !node.is(HookId::BlockRsvRelease) || !known || bytes == u64::MAX || size >= bytes {
            return;
        }
        let over = PoolOver { node: *node, account, bytes, size };
        if node.parent == 0 {
            report(context, &over);
        } else {
            self.pool_over = Some(over);
        }
    }

    /// The call around such a release has returned. `told`: by its own contract, which names the owner.
    pub(crate) fn pool_settled(&mut self, context: &mut CallContext<'_>, node: &Node, told: bool) {
        if let Some(over) = self.pool_over.take_if(|over| over.node.parent == node.serial)
            && !told
        {
            report(context, &over);
        }
        if node.parent == 0 {
            self.pool_over = None;
        }
    }
}

fn report(context: &mut CallContext<'_>, over: &PoolOver) {
    let PoolOver { node, account, bytes, size } = *over;
    if context.fs.aborted || context.fs.reported.wrapped.contains(&account) {
        return;
    }
    context.fs.reported.wrapped.push(account);
    let off = size as i64 - bytes as i64;
    let text = format!("{bytes} bytes of the pool were given back, and only {size} were claimed of it.");
    context.report_on(&node, None, Deviation::of(account, off, text));
}
