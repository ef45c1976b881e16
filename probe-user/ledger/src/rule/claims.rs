//! Claims on the shared pools of a filesystem: `trans_block_rsv`, the handles' own `delayed_rsv`, delayed items and inodes.
//!
//! Claims that do not balance by design are left out. `delayed_refs_rsv` is not booked at all. Evict joins and temporary
//! block_rsvs are skipped: they give back under `transaction` what they never claimed under it, or the other way round.
//! Delayed items and inodes are followed per delayed node: what a node claims in a transaction must be given back before the
//! next transaction starts. A start makes its claim before `journal_info` points to the handle, so a handle is identified by
//! its thread: a thread has one handle at a time.
use probe_common::{
    claim::{
        CLAIM_JOIN, CLAIM_LOG_RECOVERING, CLAIM_NOT_GIVEN_BACK, CLAIM_RESERVE, Claim, ClaimType, RsvType,
    },
    fs::Levels,
};

use crate::{
    book::{
        claims::{close_idle, handle},
        delayed::{Overdue, Part},
        filesystem::Fs,
        loss::Phase,
        reserving_stacks::Pool,
    },
    context::Context,
    vocabulary::{
        account::Account,
        finding::{Confidence, FindingKind, Origin, Query, StackRef, Violation},
        keys::InodeKey,
    },
};

/// `btrfs_space_reservation` of type `transaction`, `local_delayed_refs_rsv`, `delayed_item` or `delayed_inode`.
pub(crate) fn claim(context: &mut Context, fs: &mut Fs, record: &Claim) {
    context.recent.claim(record);
    fs.activity += 1;
    let Some(kind) = ClaimType::from_u32(record.claim) else { return };
    let reserve = record.flags & CLAIM_RESERVE != 0;
    let payer = RsvType::from_u32(record.payer);
    if kind == ClaimType::DelayedInode && reserve && payer == RsvType::Delalloc {
        fs.book(InodeKey { root: record.payer_root, ino: record.payer_ino }).take(record.bytes);
    }
    if context.loss.phase() == Phase::Detaching {
        // While hooks are detached, the second half of a pair may be missing, so the sums stay as they are.
        return;
    }
    if record.flags & CLAIM_LOG_RECOVERING != 0 {
        fs.claims.taint();
        fs.not_judged.log_replay += 1;
        return;
    }
    let signed = if reserve { record.bytes as i64 } else { (record.bytes as i64).wrapping_neg() };
    let stack = StackRef { id: record.stack, representative: true };
    match kind {
        ClaimType::DelayedItem | ClaimType::DelayedInode => {
            let part = if kind == ClaimType::DelayedInode { Part::Inode } else { Part::Items };
            let epoch = context.loss.epoch();
            if reserve {
                fs.reserving_stacks.note(Pool::Delayed, record.bytes, stack);
                let origin = Origin { bytes: record.bytes, count: 1, stack };
                fs.claims.nodes.claimed(epoch, part, record.value, record.header.tid, origin);
            } else {
                fs.claims.nodes.given_back(epoch, part, record.value, record.bytes);
            }
            fs.claims.delayed = fs.claims.delayed.wrapping_add(signed);
        }
        ClaimType::Transaction => {
            if payer == RsvType::Temp || (!reserve && record.flags & CLAIM_JOIN != 0) {
                return;
            }
            if reserve {
                fs.reserving_stacks.note(Pool::Trans, record.bytes, stack);
            }
            fs.claims.trans = fs.claims.trans.wrapping_add(signed);
            let handle = handle(&mut fs.claims, record.header.tid, context.loss.epoch());
            // The handle may give back what an evict nested in it had claimed, so the sum does not go below zero.
            handle.trans = handle.trans.wrapping_add(signed).max(0);
            close_idle(&mut fs.claims, record.header.tid);
        }
        ClaimType::LocalDelayedRefs => local(context, fs, record, signed),
    }
}

/// A commit has ended: delayed nodes must have given back what they had claimed in it.
pub(crate) fn committed(context: &mut Context, fs: &mut Fs, record: &Levels) {
    let epoch = context.loss.epoch();
    let overdue = fs.claims.nodes.committed(epoch, record.transid);
    if fs.aborted || !context.loss.judges() {
        return;
    }
    for of in overdue {
        let when = "Its transaction was committed, and the next one as well";
        kept(context, fs, of, (record.header.time, of.origin.stack), when);
    }
}

/// The filesystem is unmounted: delayed nodes that still hold bytes are named, if they explain the size of the pool.
pub(crate) fn unmounted(context: &mut Context, fs: &mut Fs, record: &Levels) {
    let left = fs.claims.nodes.left(context.loss.epoch());
    let claimed = left.iter().fold(0, |sum: u64, of| sum.saturating_add(of.bytes));
    if fs.aborted || !context.loss.judges() || claimed == 0 || claimed != record.delayed.size {
        return;
    }
    for of in left {
        kept(context, fs, of, (record.header.time, of.origin.stack), "The filesystem was unmounted");
    }
}

/// A delayed node kept bytes. `stack`: of the moment at which that shows, or of the claim if no stack shows it.
pub(crate) fn kept(
    context: &mut Context,
    fs: &mut Fs,
    of: Overdue,
    (time, stack): (u64, StackRef),
    when: &str,
) {
    let Overdue { part, ino, bytes, tid, origin } = of;
    let what = match part {
        Part::Inode => "its inode item",
        Part::Items => "items of the directory",
    };
    let explanation = format!(
        "The delayed node of inode {ino} had claimed {} bytes for {what}. {when}, and no call had given them back.",
        origin.bytes
    );
    let root = fs.only_subvolume();
    fs.reported.delayed = fs.reported.delayed.saturating_add_unsigned(bytes);
    context.defer(Violation {
        root,
        ino: Some(ino),
        amount: bytes,
        balance_before: Some(bytes as i64),
        stack,
        origins: vec![origin],
        explanation,
        query: match root {
            Some(root) => Query::Inode { fs: fs.id, root, ino },
            None => Query::Claims { fs: fs.id },
        },
        ..Violation::new(FindingKind::Leak, Account::FsDelayedRsv, fs.id, (time, tid))
    });
}

/// A handle must give back as many bytes for delayed refs as it claimed.
fn local(context: &mut Context, fs: &mut Fs, record: &Claim, signed: i64) {
    let epoch = context.loss.epoch();
    let seen_from_start = context.loss.exact(epoch);
    let handle = handle(&mut fs.claims, record.header.tid, epoch);
    let before = handle.local;
    let (kind, confidence, amount, explanation) = if signed > 0 {
        let gone = record.flags & CLAIM_NOT_GIVEN_BACK != 0;
        let kept = if gone { signed } else { before };
        handle.local = if gone { 0 } else { signed };
        if kept <= 0 {
            return;
        }
        fs.reported.metadata = fs.reported.metadata.saturating_add(if gone { kept } else { 0 });
        (
            FindingKind::Leak,
            Confidence::OneSided,
            kept,
            format!(
                "A new handle was started while {kept} bytes of the thread's last handle were not given back."
            ),
        )
    } else {
        handle.local = before.wrapping_add(signed).max(0);
        close_idle(&mut fs.claims, record.header.tid);
        // The handle was started before the attach or a loss, so its claim is not known.
        if before <= 0 || before.wrapping_add(signed) >= 0 {
            return;
        }
        let over = before.wrapping_add(signed).wrapping_neg();
        (
            FindingKind::OverRelease,
            Confidence::Exact,
            over,
            format!("The handle gave back {over} bytes more than the {before} that it had claimed."),
        )
    };
    if !seen_from_start {
        return;
    }
    context.defer(Violation {
        amount: amount as u64,
        balance_before: Some(before),
        stack: StackRef { id: record.stack, representative: false },
        confidence,
        explanation,
        query: Query::Task { fs: fs.id, tid: record.header.tid },
        ..Violation::new(kind, Account::TransDelayedRefsRsv, fs.id, (record.header.time, record.header.tid))
    });
}
