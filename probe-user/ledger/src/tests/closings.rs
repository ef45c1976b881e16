//! Rules of destroy and unmount, one by one.
use probe_common::{
    claim::{CLAIM_RESERVE, ClaimType, RsvType},
    fs::{LEVELS_ERROR, LEVELS_LOG_CLEANUP_ERROR, Rsv},
    inode::{
        COUNTERS_FREE_SPACE, COUNTERS_NOT_REGULAR, Counters, DELALLOC_RESERVE, DELALLOC_ROOT_KNOWN,
        InodeState,
    },
    loss::LossClass,
    task::MarkerKind,
};
use probe_record::record::Record;
use probe_simulated::{I, M, N};

use super::stream::{FS, Stream};
use crate::{
    ledger::Ledger,
    read::{closings::Closing, summary::Verdict},
    vocabulary::{
        account::{Account, SpaceCounter},
        finding::Confidence,
    },
};

fn counters(reserved: u64, size: u64) -> Counters {
    Counters { reserved, size, ..Counters::default() }
}

#[test]
fn kernel_leak_at_destroy_is_one_finding_with_origins() {
    let mut s = Stream::born();
    let mut record = s.delalloc(257, 3 * M, DELALLOC_RESERVE);
    record.stack = 77;
    s.push(record).evict(257).destroy_with(257, counters(3 * M, 0));
    let finding = s.assert_one("leak", "inode.meta_rsv", 3 * M);
    assert_eq!(
        (finding.violation.root, finding.violation.ino, finding.confidence),
        (Some(5), Some(257), Confidence::Exact)
    );
    assert_eq!(
        (
            finding.violation.origins.len(),
            finding.violation.origins[0].stack.id,
            finding.violation.origins[0].bytes
        ),
        (1, 77, 3 * M)
    );
    assert!(
        finding.evidence.iter().any(|line| line.text.starts_with("delalloc reserve 393216")),
        "{finding:#?}"
    );
    assert_eq!(finding.violation.balance_before, Some(3 * M as i64));
}

#[test]
fn size_without_reserved_is_a_leak_too() {
    Stream::born().destroy_with(257, counters(0, M)).assert_one("leak", "inode.meta_rsv", M);
}

#[test]
fn each_counter_has_its_own_finding() {
    let mut s = Stream::born();
    let left =
        Counters { csum_bytes: 4096, delalloc_bytes: 8192, outstanding_extents: 2, ..Counters::default() };
    let findings = s.destroy_with(257, left).findings();
    let names: Vec<_> =
        findings.iter().map(|f| (f.violation.kind.name(), f.violation.account.name(), f.amount)).collect();
    assert_eq!(
        names,
        [
            ("leak", "inode.outstanding_extents", 2),
            ("leak", "inode.csum_bytes", 4096),
            ("leak", "inode.delalloc_bytes", 8192)
        ]
    );
}

#[test]
fn wrapped_counters_are_underflows() {
    let left = Counters { csum_bytes: 4096_u64.wrapping_neg(), ..Counters::default() };
    Stream::born().destroy_with(257, left).assert_one("underflow", "inode.csum_bytes", 4096);
    let left = Counters { outstanding_extents: u32::MAX, ..Counters::default() };
    Stream::born().destroy_with(257, left).assert_one("underflow", "inode.outstanding_extents", 1);
}

#[test]
fn a_wrapped_block_rsv_that_the_books_explain_is_one_finding() {
    let mut s = Stream::born();
    s.release(257, M).destroy_with(257, counters(M.wrapping_neg(), 0)).unmount();
    let finding = s.assert_one("underflow", "inode.meta_rsv", M);
    assert_eq!(finding.violation.balance_before, Some(-(M as i64)));
}

#[test]
fn new_delalloc_bytes_count_as_delalloc_bytes() {
    let mut s = Stream::born();
    let mut state = s.state(257, 2, Counters::default());
    state.new_delalloc_bytes = 4096;
    s.push(state).assert_one("leak", "inode.delalloc_bytes", 4096);
}

#[test]
fn kernel_leak_is_found_without_books_and_before_attach() {
    let mut s = Stream::default();
    s.destroy_with(257, counters(M, M)).assert_one("leak", "inode.meta_rsv", M);
}

#[test]
fn over_release_by_the_books() {
    let mut s = Stream::born();
    s.reserve(257, 3 * M).release(257, 3 * M).release(257, I).destroy(257);
    let finding = s.assert_one("over-release", "inode.meta_rsv", I);
    assert_eq!(finding.violation.balance_before, Some(-(I as i64)));
}

#[test]
fn bytes_that_vanish_without_a_record_are_a_leak_of_the_books() {
    Stream::born().reserve(257, 3 * M).destroy(257).assert_one("leak", "inode.meta_rsv", 3 * M);
}

#[test]
fn the_same_rule_on_the_same_owner_is_one_finding_with_a_count() {
    let mut s = Stream::born();
    s.reserve(257, 3 * M).destroy(257).reserve(257, 5 * M).destroy(257);
    let finding = s.assert_one("leak", "inode.meta_rsv", 8 * M);
    assert_eq!(finding.count, 2);
    assert!(finding.last_seen > finding.violation.time);
}

#[test]
fn books_close_with_blocks_and_delayed_inodes() {
    let mut s = Stream::born();
    s.reserve(257, 3 * M).block(257, 0).delayed_inode(257).release(257, 2 * M - N).destroy(257);
    s.claim(ClaimType::DelayedInode, M, 0, RsvType::DelayedOps).unmount().assert_clean();
}

#[test]
fn a_block_paid_on_the_spot_or_by_the_global_reserve_takes_nothing() {
    let mut s = Stream::born();
    s.reserve(257, 3 * M).block(257, 1).block(257, 2).release(257, 3 * M).destroy(257).assert_clean();
}

#[test]
fn states_that_could_not_be_validated_are_not_judged_but_a_doubt() {
    let mut s = Stream::born();
    let record = InodeState { counters: counters(M, M), ..s.state(257, 2, Counters::default()) };
    let summary = s.push(record).assert_silent().summary(0);
    assert_eq!(summary.verdict, Verdict::Inconclusive);
    assert!(summary.verdict_reasons[0].contains("could not be read"));
}

#[test]
fn unions_of_directories_are_not_read() {
    let left =
        Counters { csum_bytes: 276, delalloc_bytes: 9, flags: COUNTERS_NOT_REGULAR, ..Counters::default() };
    Stream::born().destroy_with(256, left).assert_clean();
}

#[test]
fn free_space_inodes_have_their_own_rules() {
    let left = Counters { reserved: N, flags: COUNTERS_FREE_SPACE, ..Counters::default() };
    Stream::born().destroy_with(256, left).assert_clean();
}

#[test]
fn a_block_that_could_not_be_allocated_explains_a_shortfall_only_when_full() {
    let full = |s: &mut Stream, over: u64| {
        s.enospc(N, 0).reserve(257, 3 * M).block(257, 0).release(257, 3 * M - N + over).destroy(257);
    };
    let mut s = Stream::born();
    full(&mut s, N);
    assert!(s.assert_clean().summary(0).verdict_reasons.iter().any(|r| r.contains("could not be allocated")));
    let mut s = Stream::born();
    full(&mut s, 2 * N);
    s.assert_one("over-release", "inode.meta_rsv", 2 * N);
    let mut s = Stream::born();
    s.reserve(257, 3 * M).block(257, 0).release(257, 3 * M).destroy(257);
    s.assert_one("over-release", "inode.meta_rsv", N);
}

#[test]
fn unmount_leaves_nothing_in_any_pool() {
    Stream::born().unmount().assert_clean();
    type Alter = fn(&mut probe_common::fs::Levels);
    let cases: [(&str, u64, Alter); 9] = [
        ("trans.rsv", 5, |l| l.trans.reserved = 5),
        ("trans.rsv", 6, |l| l.trans.size = 6),
        ("fs.chunk_rsv", 7, |l| l.chunk = Rsv { size: 9, reserved: 7 }),
        ("fs.delayed_rsv", 8, |l| l.delayed.reserved = 8),
        ("fs.delayed_refs_rsv", 9, |l| l.delayed_refs.reserved = 9),
        ("space.data.bytes_may_use", 4096, |l| l.space[0].may_use = 4096),
        ("space.metadata.bytes_may_use", N, |l| l.space[1].may_use = N),
        ("space.system.bytes_reserved", N, |l| l.space[2].reserved = N),
        ("space.metadata.bytes_pinned", N, |l| l.space[1].pinned = N),
    ];
    for (account, amount, alter) in cases {
        Stream::born().unmount_with(alter).assert_one("leak", account, amount);
    }
    let wrapped = |l: &mut probe_common::fs::Levels| l.space[0].may_use = 4096_u64.wrapping_neg();
    Stream::born().unmount_with(wrapped).assert_one("underflow", "space.data.bytes_may_use", 4096);
}

#[test]
fn an_inode_leak_explains_the_residue_at_unmount() {
    let mut s = Stream::born();
    s.destroy_with(257, counters(M, 0)).unmount_with(|l| l.space[1].may_use = M);
    let findings = s.findings();
    assert_eq!(findings.len(), 2);
    assert!(
        findings[1].violation.explanation.contains("131072 of these bytes are those of the inode findings")
    );
}

#[test]
fn aborted_filesystems_are_not_judged_as_a_whole_but_their_inodes_are() {
    let mut s = Stream::born();
    s.unmount_with(|l| {
        l.fs_flags = LEVELS_ERROR;
        l.space[1].may_use = N;
    });
    let summary = s.assert_clean().summary(0);
    assert!(summary.filesystems[0].aborted);
    assert!(summary.verdict_reasons.iter().any(|reason| reason.contains("aborted")));
    let mut s = Stream::born();
    s.levels(1, |l| l.fs_flags = LEVELS_ERROR).destroy_with(257, counters(M, M));
    s.assert_one("leak", "inode.meta_rsv", M);
}

/// Final levels come with the release of the global block_rsv, which may be empty.
#[test]
fn filesystems_that_go_without_final_levels_are_counted() {
    let said = |s: &mut Stream| {
        let summary = s.assert_clean().summary(0);
        summary.verdict_reasons.iter().any(|reason| reason.starts_with("1 filesystems ended without"))
    };
    let used = || {
        let mut s = Stream::born();
        s.claim(ClaimType::DelayedItem, I, CLAIM_RESERVE, RsvType::Trans);
        s.claim(ClaimType::DelayedItem, I, 0, RsvType::DelayedOps);
        s
    };
    assert!(said(used().end(FS)));
    assert!(!said(used().unmount()));
    // Like a mount that failed: the filesystem has reserved nothing.
    assert!(!said(Stream::born().end(FS)));
}

#[test]
fn log_cleanup_error_excuses_reserved_metadata_only() {
    let alter = |l: &mut probe_common::fs::Levels| {
        l.fs_flags = LEVELS_LOG_CLEANUP_ERROR;
        l.space[1].reserved = N;
        l.space[0].reserved = 4096;
    };
    Stream::born().unmount_with(alter).assert_one("leak", "space.data.bytes_reserved", 4096);
}

#[test]
fn delayed_claims_net_to_zero_at_unmount() {
    let mut s = Stream::born();
    s.claim(ClaimType::DelayedItem, I, CLAIM_RESERVE, RsvType::Trans);
    s.claim(ClaimType::DelayedItem, I, 0, RsvType::DelayedOps).unmount().assert_clean();
    let mut s = Stream::born();
    s.claim(ClaimType::DelayedItem, I, CLAIM_RESERVE, RsvType::Trans).unmount();
    s.assert_one("leak", "fs.delayed_rsv", I);
    let mut s = Stream::born();
    s.claim(ClaimType::DelayedInode, M, 0, RsvType::DelayedOps).unmount();
    s.assert_one("over-release", "fs.delayed_rsv", M);
}

#[test]
fn a_handle_gives_back_its_local_claim_exactly() {
    let local = ClaimType::LocalDelayedRefs;
    let mut s = Stream::born();
    s.claim(local, I, CLAIM_RESERVE, RsvType::None).claim(local, I, 0, RsvType::Trans).assert_clean();
    let mut s = Stream::born();
    s.claim(local, I, CLAIM_RESERVE, RsvType::None).claim(local, I + N, 0, RsvType::Trans);
    s.assert_one("over-release", "trans.delayed_refs_rsv", N);
    let mut s = Stream::born();
    s.claim(local, I, CLAIM_RESERVE, RsvType::None).claim(local, I, CLAIM_RESERVE, RsvType::None);
    assert_eq!(s.assert_one("leak", "trans.delayed_refs_rsv", I).confidence, Confidence::OneSided);
    // The handle began before the attach, so only its end is seen.
    Stream::born().claim(local, I, 0, RsvType::Trans).assert_clean();
    // The thread id belongs to another thread now.
    let mut s = Stream::born();
    s.task_seen(100, 1, "a").claim(local, I, CLAIM_RESERVE, RsvType::None);
    s.task_seen(100, 2, "b").claim(local, I, CLAIM_RESERVE, RsvType::None).assert_clean();
}

#[test]
fn inodes_of_an_ended_filesystem_whose_destroy_was_not_seen_are_counted() {
    let mut s = Stream::born();
    let ledger = s.reserve(257, 3 * M).unmount().assert_clean();
    assert!(ledger.summary(0).verdict_reasons.iter().any(|reason| reason.contains("still held something")));
    assert!(ledger.summary(4).inodes.is_empty());
}

#[test]
fn the_verdict_names_missing_hooks_marker_and_what_was_checked() {
    use crate::{ledger::Ledger, vocabulary::setup::Setup};
    use probe_common::hook::HookId;
    let mut setup = Setup::default();
    setup.attached.retain(|hook| *hook != HookId::BytesPinned);
    setup.missing_reasons.push((HookId::BytesPinned, "no such tracepoint".to_owned()));
    let mut ledger = Ledger::new(setup);
    ledger.apply(&Stream::attached().records[0]);
    let summary = ledger.summary(0);
    assert_eq!(summary.verdict, Verdict::Inconclusive);
    assert_eq!(
        summary.verdict_reasons,
        [
            "The hook update_bytes_pinned is not attached (no such tracepoint): `btrfs-probe doctor` says what it needs."
        ]
    );
    let unmarked = Ledger::new(Setup::default()).summary(0);
    assert_eq!(unmarked.verdict, Verdict::Inconclusive);
    assert!(unmarked.verdict_reasons[0].contains("all hooks were attached"));
    let mut s = Stream::born();
    let clean = s.reserve(257, 3 * M).release(257, 3 * M).destroy(257).assert_clean().summary(0);
    assert!(clean.verdict_reasons.contains(&"1 inode was destroyed, and held nothing.".to_owned()));
}

#[test]
fn books_without_one_of_their_hooks_are_not_judged() {
    use crate::{ledger::Ledger, vocabulary::setup::Setup};
    use probe_common::hook::HookId;
    // The reservations were not seen, but the tree blocks that they paid for were.
    let mut s = Stream::born();
    s.block(257, 0).evict(257).destroy(257);
    s.assert_one("over-release", "inode.meta_rsv", N);
    for missing in [HookId::SpaceReservation, HookId::BytesMayUse] {
        let mut setup = Setup::default();
        setup.attached.retain(|hook| *hook != missing);
        let mut ledger = Ledger::new(setup);
        s.records.iter().for_each(|record| ledger.apply(record));
        ledger.finish();
        assert_eq!(ledger.findings(), []);
        assert_eq!(ledger.summary(0).verdict, Verdict::Inconclusive);
    }
}

#[test]
fn books_keep_subvolumes_apart() {
    let mut s = Stream::born();
    for root in [256, 257] {
        let mut record = s.delalloc(300, 3 * M, DELALLOC_RESERVE | DELALLOC_ROOT_KNOWN);
        record.root = root;
        s.push(record);
    }
    let candidates = s.ledger().audit_candidates(FS, 8);
    assert_eq!(candidates.iter().map(|c| (c.root, c.ino)).collect::<Vec<_>>(), [(256, 300), (257, 300)]);
    assert!(matches!(s.records.last(), Some(Record::Delalloc(d)) if d.root == 257));
}

fn closing(ledger: &Ledger, account: Account) -> Option<Closing> {
    ledger.summary(0).filesystems[0].closings.get(&account).cloned()
}

#[test]
fn each_account_says_whether_it_was_judged_at_its_end() {
    const DATA: Account = Account::SpaceData(SpaceCounter::BytesMayUse);
    let not_judged = |closing: Option<Closing>| matches!(closing, Some(Closing::NotJudged(_)));
    let mut s = Stream::born();
    s.reserve(257, 3 * M).release(257, 3 * M);
    let ledger = s.ledger();
    assert_eq!(closing(&ledger, Account::InodeMetaRsv), Some(Closing::Open));
    assert_eq!(closing(&ledger, Account::TransRsv), Some(Closing::Open));
    assert_eq!(closing(&ledger, Account::InodeQgroupData), None, "there is no qgroup");
    s.evict(257).destroy(257).unmount().end(FS);
    let ledger = s.ledger();
    for account in [Account::InodeMetaRsv, Account::TransRsv, Account::FsDelayedRsv, DATA] {
        assert_eq!(closing(&ledger, account), Some(Closing::Closed), "{account:?}");
    }
    // Only calls show temporary block_rsvs.
    assert!(not_judged(closing(&ledger, Account::TempRsv)));
    assert_eq!(closing(&super::calls::run(&s.records), Account::TempRsv), Some(Closing::Closed));

    let mut s = Stream::born();
    s.reserve(257, 3 * M).release(257, 3 * M).evict(257).destroy(257);
    s.unmount_with(|levels| levels.fs_flags |= LEVELS_ERROR).end(FS);
    let ledger = s.ledger();
    assert!(not_judged(closing(&ledger, Account::TransRsv)), "aborted");
    assert_eq!(closing(&ledger, Account::InodeMetaRsv), Some(Closing::Closed));

    // An inode with bytes was never destroyed.
    let mut s = Stream::born();
    s.reserve(257, 3 * M).unmount().end(FS);
    assert!(not_judged(closing(&s.ledger(), Account::InodeMetaRsv)));
    // What was judged stays judged when the hooks are detached; what may have been lost was not.
    let mut s = Stream::born();
    s.reserve(257, 3 * M).release(257, 3 * M).evict(257).destroy(257).unmount().end(FS);
    s.marker(MarkerKind::Detaching);
    assert_eq!(closing(&s.ledger(), Account::InodeMetaRsv), Some(Closing::Closed));
    let mut s = Stream::born();
    s.reserve(257, 3 * M).release(257, 3 * M).evict(257).destroy(257);
    s.lose(LossClass::BooksRecord, 1).unmount().end(FS);
    assert!(not_judged(closing(&s.ledger(), Account::InodeMetaRsv)));
    // No levels at the end.
    let mut s = Stream::born();
    s.reserve(257, 3 * M).release(257, 3 * M).end(FS);
    assert!(not_judged(closing(&s.ledger(), Account::TransRsv)));
}
