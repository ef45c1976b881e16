//! Claims on the pools that a filesystem shares: the transaction rsv, handles' local rsvs, delayed items and inodes.
//!
//! What does not balance by design is not balanced: `delayed_refs_rsv` never reaches the books, evict joins and
//! temporary rsvs are left out (they give back under `transaction` what they never claimed under it, or the other
//! way round), and delayed items are summed per filesystem, since they are keyed by directory but claimed and
//! given back through other inodes' nodes. A start emits its claim before `journal_info` points to the handle, so
//! the identity of a handle is its thread: a thread has one handle at a time.
use probe_common::claim::{CLAIM_JOIN, CLAIM_LOG_RECOVERING, CLAIM_RESERVE, Claim, ClaimType, RsvType};

use crate::{
    book::{
        claims::{close_idle, handle},
        filesystem::Fs,
        loss::Phase,
        reserving_stacks::Pool,
    },
    context::{Context, evidence::Query, violation::Violation},
    vocabulary::{
        account::Account,
        finding::{Confidence, FindingKind, StackRef},
        keys::InodeKey,
    },
};

/// `SR transaction`, `local_delayed_refs_rsv`, `delayed_item`, `delayed_inode`.
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
        // The other half of a pair may not come any more: the sums stay as they were.
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
            if reserve {
                fs.reserving_stacks.note(Pool::Delayed, record.bytes, stack);
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
            // A handle may give back what an evict nested in it took: no less than nothing stays open.
            handle.trans = handle.trans.wrapping_add(signed).max(0);
            close_idle(&mut fs.claims, record.header.tid);
        }
        ClaimType::LocalDelayedRefs => local(context, fs, record, signed),
    }
}

/// Claim and release carry the same bytes and net to zero per handle.
fn local(context: &mut Context, fs: &mut Fs, record: &Claim, signed: i64) {
    let epoch = context.loss.epoch();
    let seen_from_start = context.loss.exact(epoch);
    let handle = handle(&mut fs.claims, record.header.tid, epoch);
    let before = handle.local;
    let (kind, confidence, amount, explanation) = if signed > 0 {
        handle.local = signed;
        if before <= 0 {
            return;
        }
        (
            FindingKind::Leak,
            Confidence::OneSided,
            before,
            format!(
                "A new handle was started while {before} bytes of the thread's last handle were not given back."
            ),
        )
    } else {
        handle.local = before.wrapping_add(signed).max(0);
        close_idle(&mut fs.claims, record.header.tid);
        // Nothing known of the start: the handle was begun before the attach or a loss.
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
