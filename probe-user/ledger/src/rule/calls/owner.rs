//! Reserved for one inode, freed from another.
use super::{context::CallContext, report::Deviation};
use crate::{
    book::node::Node,
    vocabulary::{
        account::Account,
        finding::{FindingKind, Origin},
        keys::InodeKey,
    },
};

/// Inode `freed` lost `amount` that belongs to inode `right`. One finding, not an over-release on one and a leak on the
/// other.
pub(crate) fn wrong(
    context: &mut CallContext<'_>,
    node: &Node,
    freed: InodeKey,
    right: InodeKey,
    account: Account,
    amount: i64,
    origins: Vec<Origin>,
) {
    let amounts = match (account, amount) {
        (Account::InodeOutstandingExtents, 1) => "1 extent that was".to_owned(),
        (Account::InodeOutstandingExtents, _) => format!("{amount} extents that were"),
        _ => format!("{amount} bytes that were"),
    };
    let text = if right.root == freed.root {
        format!(
            "Inode {} gave back {amounts} reserved for inode {} of the same subvolume.",
            freed.ino, right.ino
        )
    } else {
        format!(
            "Inode {} of subvolume {} gave back {amounts} reserved for inode {} of subvolume {}.",
            freed.ino, freed.root, right.ino, right.root
        )
    };
    context.explain(Some(right), account, amount);
    let mut deviation = Deviation::new(FindingKind::WrongOwner, account, amount.saturating_neg(), text);
    deviation.origins = origins;
    context.report_on(node, Some(freed), deviation);
}
