//! A transaction ends: what belongs to it must be gone.
//!
//! `btrfs_commit_device_sizes` runs once per commit, in `TRANS_STATE_COMMIT_DOING`: all handles but the committer's have ended, all
//! delayed items and delayed refs have run, all block groups are written, and no task can start another transaction yet. So
//! nothing may be left in `delayed_refs_rsv` and `delayed_block_rsv`, no tree block may be reserved and not used, nor may anything be left of what subvolumes had reserved in their qgroups for
//! this transaction.
use probe_common::{
    call::{BYTES_UNKNOWN, Call},
    fs::Rsv,
};

use super::{context::CallContext, qgroup::Qgroups, report::Deviation};
use crate::{
    book::node::Node,
    rule::claims,
    vocabulary::account::{Account, SpaceCounter},
};

/// `btrfs_commit_device_sizes`
pub(crate) fn ended(context: &mut CallContext<'_>, qgroups: &mut Qgroups, node: &Node, record: &Call) {
    let epoch = context.shared.loss.epoch();
    let left = context.fs.claims.nodes.left(epoch);
    if !context.judges || node.entered <= context.since || context.fs.aborted {
        qgroups.transaction_ended(context, node, false);
        return;
    }
    context.checked.commits += 1;
    let [transid, size, reserved, _] = node.args;
    let delayed = level(Rsv { size, reserved }).saturating_sub(context.fs.reported.delayed);
    let named = left.iter().fold(0, |sum: i64, of| sum.saturating_add_unsigned(of.bytes));
    // The kernel's own level and the books must agree. If they do not, the level is right.
    if named > 0 && named <= delayed {
        let when = format!("Its transaction {transid} was committed");
        for of in left {
            claims::kept(context.shared, context.fs, of, (node.time, node.stack), &when);
        }
    }
    pool(context, node, Account::FsDelayedRsv, level(Rsv { size, reserved }), "delayed items and inodes");
    let refs = Rsv { size: record.before.size, reserved: record.before.reserved };
    pool(context, node, Account::FsDelayedRefsRsv, level(refs), "delayed refs and block groups");
    blocks(context, node);
    qgroups.transaction_ended(context, node, true);
}

/// What a pool of a transaction still holds at its end; below zero if it has wrapped.
const fn level(rsv: Rsv) -> i64 {
    if rsv.reserved == 0 { rsv.size as i64 } else { rsv.reserved as i64 }
}

/// A pool is not empty, and no finding tells why.
fn pool(context: &mut CallContext<'_>, node: &Node, account: Account, level: i64, of: &str) {
    let reported = &context.fs.reported;
    if reported.wrapped.contains(&account) {
        return;
    }
    let known =
        if account == Account::FsDelayedRsv { reported.delayed } else { reported.delayed_refs };
    let off = level.saturating_sub(known);
    // What was told and was given back later leaves the level below what was told.
    if off == 0 || (off < 0 && level >= 0) {
        return;
    }
    let (transid, name) = (node.args[0], account.name());
    let text = format!(
        "At the end of transaction {transid}, all its {of} had been run and no task could have started another transaction: {name} \
         still held {level} bytes{}.",
        if known == 0 { String::new() } else { format!(", and other findings tell {known} of them") }
    );
    context.report_on(node, None, Deviation::of(account, off, text));
}

/// Tree blocks that were reserved, and are neither in the extent tree nor given back.
fn blocks(context: &mut CallContext<'_>, node: &Node) {
    let [transid, .., reserved] = node.args;
    let off = (reserved as i64).saturating_sub(context.fs.reported.blocks);
    if reserved == BYTES_UNKNOWN || off == 0 || (off < 0 && reserved as i64 >= 0) {
        return;
    }
    let text = format!(
        "At the end of transaction {transid}, {off} bytes of metadata were still reserved for tree blocks that are not in the \
         extent tree."
    );
    let account = Account::SpaceMetadata(SpaceCounter::BytesReserved);
    context.fs.reported.blocks = context.fs.reported.blocks.saturating_add(off);
    context.report_on(node, None, Deviation::of(account, off, text));
}
