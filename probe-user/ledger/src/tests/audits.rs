//! Quiet audits and sysfs, and what may follow from them.
use probe_common::{
    claim::{CLAIM_RESERVE, ClaimType, RsvType},
    fs::{Rsv, SysfsLevels},
    inode::{COUNTERS_VALID, Counters},
    loss::LossClass,
};
use probe_simulated::{I, M};

use super::stream::{FS, Stream};
use crate::{read::summary::Verdict, vocabulary::finding::Confidence};

fn holds(reserved: u64, outstanding_extents: u32) -> Counters {
    Counters { reserved, size: reserved, outstanding_extents, flags: COUNTERS_VALID, ..Counters::default() }
}

#[test]
fn a_leak_in_a_living_inode() {
    let mut s = Stream::born();
    s.reserve(257, 3 * M).audit(7, &[(257, holds(3 * M, 0))]).audit(7, &[(257, holds(3 * M, 0))]);
    let finding = s.assert_one("leak", "inode.meta_rsv", 3 * M);
    assert_eq!((finding.confidence, finding.violation.ino), (Confidence::OneSided, Some(257)));
    // The destroy proves the same bytes and adds none.
    s.audit(7, &[(257, holds(3 * M, 0))]).destroy_with(257, holds(3 * M, 0));
    let finding = s.assert_one("leak", "inode.meta_rsv", 3 * M);
    assert_eq!((finding.confidence, finding.count), (Confidence::Exact, 2));
}

#[test]
fn one_look_or_a_moving_filesystem_concludes_nothing() {
    let leak = [(257, holds(3 * M, 0))];
    Stream::born().reserve(257, 3 * M).audit(7, &leak).assert_clean();
    Stream::born().reserve(257, 3 * M).audit(7, &leak).audit(8, &leak).assert_clean();
    let mut s = Stream::born();
    s.reserve(257, 3 * M).audit(7, &leak).reserve(258, 3 * M).audit(7, &leak).assert_clean();
}

#[test]
fn a_loss_during_the_second_audit_concludes_nothing() {
    let left = [(257, holds(M, 1))];
    let mut s = Stream::born();
    s.reserve(257, 3 * M).audit(7, &left).audit(7, &left);
    let middle = s.records.len() - 2;
    for record in &mut s.records[middle..] {
        record.header_mut().lost = 1;
    }
    s.assert_silent();
}

/// A skipped program shows when the loss counters are read, after the last audits and after the hooks are gone.
#[test]
fn a_loss_that_is_read_after_the_last_audits_withdraws_what_they_concluded() {
    let left = [(257, holds(M, 1))];
    let mut s = Stream::born();
    s.reserve(257, 3 * M).audit(7, &left).audit(7, &left);
    s.assert_one("over-release", "inode.meta_rsv", 2 * M);
    let mut s = Stream::born();
    s.reserve(257, 3 * M).audit(7, &left).audit(7, &left).lose(LossClass::Recursion, 1).sample();
    let summary = s.assert_silent().summary(0);
    assert_eq!(summary.verdict, Verdict::Inconclusive);
    assert!(summary.verdict_reasons.iter().any(|reason| reason.starts_with("Possible findings dropped")));
}

#[test]
fn a_thread_stuck_between_change_and_record_is_no_leak() {
    // Two quiet audits, and only then the record of a release.
    let mut s = Stream::born();
    s.reserve(257, 3 * M).audit(7, &[(257, holds(0, 0))]).audit(7, &[(257, holds(0, 0))]).release(257, 3 * M);
    s.destroy(257).assert_clean();
    let mut s = Stream::born();
    s.reserve(257, 3 * M)
        .audit(7, &[(257, holds(3 * M, 0))])
        .audit(7, &[(257, holds(3 * M, 0))])
        .release(257, 3 * M);
    s.assert_clean();
}

#[test]
fn dirty_inodes_hold_rightly() {
    let dirty = [(257, holds(3 * M, 1))];
    Stream::born().reserve(257, 3 * M).audit(7, &dirty).audit(7, &dirty).audit(7, &dirty).assert_clean();
}

#[test]
fn bytes_that_left_a_living_inode_without_a_record() {
    let left = [(257, holds(M, 1))];
    let mut s = Stream::born();
    s.reserve(257, 3 * M).audit(7, &left).audit(7, &left).audit(7, &left);
    let finding = s.assert_one("over-release", "inode.meta_rsv", 2 * M);
    assert_eq!(finding.violation.balance_before, Some(3 * M as i64));
    let more = [(257, holds(5 * M, 1))];
    let mut s = Stream::born();
    s.reserve(257, 3 * M).audit(7, &more).audit(7, &more).assert_one(
        "counter-mismatch",
        "inode.meta_rsv",
        2 * M,
    );
}

#[test]
fn unknown_books_are_opened_by_an_audit_and_then_judged_upwards_only() {
    let idle = [(257, holds(0, 0))];
    let mut s = Stream::attached();
    s.seen(FS, 0).release(257, I).audit(7, &idle).audit(7, &idle);
    assert!(s.ledger().summary(1).inodes[0].opening_known);
    // The record of a release in flight comes late.
    s.clone().release(257, I).destroy(257).assert_clean();
    s.reserve(257, 3 * M).destroy(257).assert_one("leak", "inode.meta_rsv", 3 * M);
}

#[test]
fn an_operation_in_flight_opens_no_books() {
    // The bytes are in the block_rsv, but their record is still to come.
    let busy = [(257, holds(3 * M, 1))];
    let more = |l: &mut probe_common::fs::Levels| l.space[1].may_use += 3 * M;
    let mut s = Stream::attached();
    s.seen(FS, 0)
        .audit_with(7, &busy, more)
        .audit_with(7, &busy, more)
        .reserve(257, 3 * M)
        .release(257, 3 * M);
    s.destroy(257).assert_clean();
}

#[test]
fn pools_that_account_for_everything_open_all_inodes_at_zero() {
    let mut s = Stream::attached();
    s.seen(FS, 0).audit(7, &[]).audit(7, &[]).reserve(300, 3 * M).destroy(300);
    s.assert_one("leak", "inode.meta_rsv", 3 * M);
    // An unknown inode holds bytes, so no opening balance is known.
    let mut s = Stream::attached();
    s.seen(FS, 0)
        .audit_with(7, &[], |l| l.space[1].may_use += 3 * M)
        .audit_with(7, &[], |l| l.space[1].may_use += 3 * M);
    s.reserve(300, 3 * M).destroy(300).assert_clean();
}

#[test]
fn claims_and_levels() {
    let pool = |size| move |l: &mut probe_common::fs::Levels| l.delayed = Rsv { size, reserved: 0 };
    let mut s = Stream::born();
    s.claim(ClaimType::DelayedItem, I, CLAIM_RESERVE, RsvType::Trans).audit_with(7, &[], pool(I)).audit_with(
        7,
        &[],
        pool(I),
    );
    s.assert_clean();
    let mut s = Stream::born();
    s.audit_with(7, &[], pool(I)).audit_with(7, &[], pool(I)).assert_one("leak", "fs.delayed_rsv", I);
    let mut s = Stream::born();
    s.claim(ClaimType::DelayedItem, I, CLAIM_RESERVE, RsvType::Trans);
    s.audit_with(7, &[], pool(0)).audit_with(7, &[], pool(0)).assert_one(
        "counter-mismatch",
        "fs.delayed_rsv",
        I,
    );
    let trans = |l: &mut probe_common::fs::Levels| l.trans.size = I;
    let mut s = Stream::born();
    // A task that waits for a commit in `start_transaction` has reserved, and its event is still to come.
    s.audit_with(7, &[], trans).audit_with(7, &[], trans).audit_with(7, &[], trans).assert_clean();
}

#[test]
fn claims_that_were_open_at_attach_are_not_judged_by_sums() {
    let busy = |l: &mut probe_common::fs::Levels| l.delayed.size = I;
    let mut s = Stream::attached();
    s.seen(FS, 0);
    for _ in 0..4 {
        s.audit_with(7, &[], busy);
    }
    // From here on the opening balances of inodes are known, but not those of claims.
    s.claim(ClaimType::DelayedItem, I, 0, RsvType::DelayedOps).audit(8, &[]).audit(8, &[]).assert_clean();
    // An audit that sees no claims opens them.
    let only = |l: &mut probe_common::fs::Levels| l.delayed.size = I;
    s.audit_with(9, &[], only).audit_with(9, &[], only).assert_one("leak", "fs.delayed_rsv", I);
}

#[test]
fn sysfs_must_equal_the_chain_where_it_stood_still() {
    let equal = SysfsLevels {
        flags: 4,
        may_use: 5,
        pinned: 6,
        chain_may_use: 5,
        chain_pinned: u64::MAX,
        stable: 1,
        ..SysfsLevels::default()
    };
    let moving = SysfsLevels { stable: 0, chain_may_use: 9, ..equal };
    let mut s = Stream::born();
    let audit = s.sysfs(equal).sysfs(moving).assert_clean().summary(0).filesystems[0].audit.clone();
    assert_eq!((audit.compared, audit.equal, audit.moving, audit.last.len()), (1, 1, 1, 1));
    let differs = SysfsLevels { chain_may_use: 3, ..equal };
    s.sysfs(differs).assert_one("counter-mismatch", "space.metadata.bytes_may_use", 2);
    let mut s = Stream::born();
    let ledger = s.lose(LossClass::Recursion, 1).sample().sysfs(differs).assert_silent();
    assert_eq!(ledger.summary(0).verdict, Verdict::Inconclusive);
}

/// `btrfs_alloc_tree_block` charges the inode, finds no room, and puts the bytes back without an event
/// (`btrfs_unuse_block_rsv`).
#[test]
fn a_tree_block_that_was_put_back_is_no_mismatch() {
    let mut s = Stream::born();
    s.enospc(I, 0).reserve(257, 3 * M).block(257, 0).release(257, 3 * M);
    s.audit(7, &[(257, holds(0, 0))]).audit(7, &[(257, holds(0, 0))]).audit(7, &[(257, holds(0, 0))]);
    s.assert_clean();
}
