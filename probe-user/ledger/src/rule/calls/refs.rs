//! What ends gives back its part of `delayed_refs_rsv`: the head of delayed refs of an extent, and a block group whose item is
//! written.
//!
//! The parts: a head of data that is dropped has the leaves of the checksums to delete (`btrfs_cleanup_ref_head_accounting`, up to
//! 6.6 also a unit for itself). A block group has a unit for its item (`btrfs_dec_delayed_refs_rsv_bg_updates`, `_inserts`).
use probe_common::{
    call::{CALL_RETURNED, HEAD_DROPS_DATA, HEAD_KNOWN},
    claim::RsvType,
    hook::HookId,
};

use super::{context::CallContext, report::Deviation};
use crate::{book::node::Node, vocabulary::account::Account};

/// `BTRFS_MAX_LEVEL`: `btrfs_calc_metadata_size()` of one item is a tree block for each level.
const MAX_LEVEL: u64 = 8;
/// More leaves of checksums than the largest extent has: 128 MiB with the longest checksums have some hundred.
const MOST_LEAVES: u64 = 1024;

/// A call that ends such a holder has returned.
pub(crate) fn ended(context: &mut CallContext<'_>, node: &Node, children: &[Node]) {
    let unit = MAX_LEVEL * context.fs.nodesize;
    if !node.has(CALL_RETURNED) || !context.complete(node) || context.fs.aborted || unit == 0 {
        return;
    }
    let (due, holder) = match node.hook() {
        Some(HookId::BlockGroupUpdated) => (unit, "A block group whose item was updated".to_owned()),
        Some(HookId::BlockGroupInserted) => (2 * unit, "A block group whose item was inserted".to_owned()),
        _ => match head(node, unit) {
            Some(head) => head,
            None => return,
        },
    };
    context.checked.contracts += 1;
    let released: Vec<u64> = children
        .iter()
        .filter(|child| child.parent == node.serial && child.is(HookId::BlockRsvRelease))
        .filter(|child| child.rsv_type == RsvType::DelayedRefs)
        .map(|child| child.args[0])
        .collect();
    let (off, text) = match released.as_slice() {
        [_] => return,
        [] => {
            let text =
                format!("{holder} had {due} bytes of delayed_refs_rsv, and nothing was released for it.");
            (due as i64, text)
        }
        [first, more @ ..] => {
            let over = more.iter().copied().fold(0, u64::saturating_add);
            let text = format!(
                "{holder} had {first} bytes of delayed_refs_rsv, and {over} bytes more were released."
            );
            ((over as i64).saturating_neg(), text)
        }
    };
    context.report_on(node, None, Deviation::of(Account::FsDelayedRefsRsv, off, text));
}

/// What a head of delayed refs has at least; `None`: nothing, or it is not known. Its function says what it has released from 6.7 on.
fn head(node: &Node, unit: u64) -> Option<(u64, String)> {
    let [bytes, state, ..] = node.args;
    let holder = format!("The head of delayed refs of an extent of {bytes} bytes");
    if state & HEAD_KNOWN == 0 {
        // Up to 6.6 each head has a unit.
        return Some((unit, holder));
    }
    if state & HEAD_DROPS_DATA == 0 {
        return None;
    }
    let said = node.ret.unsigned_abs();
    let is_leaves = node.ret > 0 && said.is_multiple_of(unit) && said / unit <= MOST_LEAVES;
    Some((if is_leaves { said } else { unit }, format!("{holder}, whose data is dropped,")))
}
