//! Traps: what a correct kernel does and what must not alarm (attach in flight, inode numbers per subvolume, reuse,
//! free-space inodes, relocation, evict, enospc, delayed refs, silent moves, NODATASUM, log replay, remount, shared fs_info,
//! uuids, abort, loss, migration of tasks, direct IO, journal_info, integer widths, 7.3).
use probe_common::{
    chain::{CHAIN_BREAK, CHAIN_LEVEL, CHAIN_OPEN, CHAIN_REST, CHAIN_UNDERFLOW, Chain, ChainCounter},
    claim::{CLAIM_JOIN, CLAIM_LOG_RECOVERING, CLAIM_RESERVE, ClaimType, RsvType},
    fs::{FS_LOG_RECOVERING, LEVELS_COMMIT, LEVELS_ERROR},
    inode::{
        COUNTERS_FREE_SPACE, COUNTERS_NODATASUM, COUNTERS_NOT_REGULAR, Counters, DELALLOC_ORDER_KNOWN,
        DELALLOC_RESERVE, DELALLOC_ROOT_KNOWN, MOD_CHAIN_BREAK, MOD_OUTSTANDING_KNOWN, MOD_UNDERFLOW, Mod,
    },
    loss::LossClass,
    task::MarkerKind,
};
use probe_record::record::Record;
use probe_simulated::{DATA, I, M, METADATA, N};

use super::stream::{FS, ROOT, Stream};
use crate::read::summary::Verdict;

fn may_use(event: u32, old: u64, diff: i64) -> Chain {
    let counter = ChainCounter::BytesMayUse as u32;
    Chain { object_flags: METADATA, counter, event, expected: old, old, diff, links: 1, ..Chain::default() }
}

#[test]
fn trap_01_attach_in_flight() {
    let mut s = Stream::attached();
    // Mounted before the session: releases of bytes that were reserved before.
    s.seen(FS, 0)
        .release(257, 13 * M + M / 2)
        .reserve(257, 3 * M)
        .release(257, 3 * M)
        .evict(257)
        .destroy(257);
    s.assert_clean();
    // Reserved before all hooks were attached, with and without a birth in sight.
    let mut s = Stream { tid: 9, ..Stream::default() };
    s.birth(FS)
        .reserve(257, 3 * M)
        .marker(MarkerKind::Attached)
        .release(257, 5 * M)
        .destroy(257)
        .assert_clean();
}

#[test]
fn trap_02_inode_numbers_repeat_per_subvolume() {
    let mut s = Stream::born();
    let mut of = |root, bytes, flags| {
        let mut record = s.delalloc(257, bytes, flags);
        record.root = root;
        s.push(record);
    };
    of(256, 3 * M, DELALLOC_RESERVE);
    of(258, 5 * M, DELALLOC_RESERVE);
    of(258, 5 * M, 0);
    of(256, 3 * M, 0);
    for root in [256, 258] {
        let mut state = s.state(257, 2, Counters::default());
        state.root = root;
        s.push(state);
    }
    s.assert_clean();
}

#[test]
fn trap_02_a_release_without_a_subvolume_poisons_only_its_number() {
    let mut s = Stream::born();
    s.reserve(257, 3 * M);
    let mut record = s.delalloc(257, 3 * M, 0);
    (record.root, record.flags) = (0, 0);
    s.push(record).destroy(257).assert_clean();
    s.reserve(258, 3 * M).destroy(258).assert_one("leak", "inode.meta_rsv", 3 * M);
}

#[test]
fn trap_02_and_13_same_owner_on_two_filesystems() {
    let mut s = Stream::born();
    s.birth(FS + 1).reserve(257, 3 * M);
    let mut other = s.delalloc(257, 3 * M, 0);
    other.header.fs = FS + 1;
    s.push(other);
    let mut reserve = s.delalloc(257, 3 * M, DELALLOC_RESERVE);
    reserve.header.fs = FS + 1;
    s.push(reserve).release(257, 3 * M).destroy(257);
    let mut state = s.state(257, 2, Counters::default());
    state.header.fs = FS + 1;
    s.push(state).assert_clean();
}

#[test]
fn trap_03_an_inode_number_comes_back() {
    let mut s = Stream::born();
    for _ in 0..3 {
        s.reserve(257, 3 * M).release(257, 3 * M).evict(257).destroy(257);
    }
    let ledger = s.unmount().assert_clean();
    assert_eq!(ledger.summary(0).statistics.inodes_closed, 3);
}

#[test]
fn trap_04_free_space_cache_inodes() {
    let counters = Counters { reserved: 5, size: 7, flags: COUNTERS_FREE_SPACE, ..Counters::default() };
    Stream::born()
        .audit(1, &[(256, counters)])
        .audit(1, &[(256, counters)])
        .destroy_with(256, counters)
        .assert_clean();
}

#[test]
fn trap_05_the_relocation_inode_does_not_pay_for_its_own_tree() {
    let mut s = Stream::born();
    s.reserve(257, 3 * M).block(257, 0);
    let Some(Record::Block(block)) = s.records.last_mut() else { panic!() };
    // The kernel side has applied the rule of `get_block_rsv()`: delayed_refs_rsv or the global block_rsv pays.
    (block.payer, block.payer_ino, block.payer_root) = (RsvType::Global as u32, 0, 0);
    s.release(257, 3 * M).destroy(257).assert_clean();
}

#[test]
fn trap_06_evict_joins_snapshots_and_subvolumes_do_not_balance() {
    let transaction = ClaimType::Transaction;
    let mut s = Stream::born();
    for _ in 0..2 {
        s.claim(transaction, 524_288, CLAIM_JOIN, RsvType::Temp);
        s.claim(transaction, 524_288, CLAIM_JOIN, RsvType::Trans);
    }
    s.claim(transaction, 2_621_440, CLAIM_RESERVE, RsvType::Temp).claim(transaction, I, 0, RsvType::Temp);
    let ledger = s.audit(1, &[]).audit(1, &[]).audit(1, &[]).unmount().assert_clean();
    assert_eq!(ledger.summary(0).filesystems[0].books[&crate::vocabulary::account::Account::TransRsv], 0);
}

#[test]
fn trap_07_enospc_of_a_node_is_a_routine_fallback() {
    let mut s = Stream::born();
    let ledger = s.enospc(N, 0).enospc(N, 4096).enospc(2 * M, 4096).enospc(M, 4096).unmount().assert_clean();
    let summary = ledger.summary(0);
    assert_eq!((summary.failed.total, summary.filesystems[0].enospc), (0, 4));
}

#[test]
fn trap_08_delayed_refs_are_never_balanced() {
    // The kernel side drops this type; a number that is no type must not be booked either.
    let mut s = Stream::born();
    s.claim(ClaimType::Transaction, 12 << 30, 0, RsvType::DelayedRefs);
    let Some(Record::Claim(claim)) = s.records.last_mut() else { panic!() };
    claim.claim = 99;
    s.unmount().assert_clean();
}

#[test]
fn trap_09_a_release_is_larger_than_what_leaves_may_use() {
    let mut s = Stream::born();
    s.chain(may_use(CHAIN_OPEN, 0, 131_072)).reserve(257, M).release(257, 131_072);
    s.chain(may_use(CHAIN_LEVEL, 131_072, -114_688)).destroy(257).assert_clean();
}

#[test]
fn trap_10_nodatasum() {
    let idle = Counters { flags: COUNTERS_NODATASUM, ..Counters::default() };
    Stream::born().reserve(257, 3 * M).release(257, 3 * M).destroy_with(257, idle).assert_clean();
}

#[test]
fn trap_11_log_replay_makes_claims_without_records() {
    let mut s = Stream::attached();
    s.birth(FS).claim(ClaimType::DelayedItem, I, CLAIM_LOG_RECOVERING, RsvType::Trans);
    s.claim(ClaimType::DelayedInode, M, 0, RsvType::DelayedOps).unmount().assert_clean();
    let mut s = Stream::attached();
    s.birth(FS)
        .seen(FS, FS_LOG_RECOVERING)
        .claim(ClaimType::DelayedItem, I, 0, RsvType::DelayedOps)
        .unmount();
    s.assert_clean();
}

#[test]
fn trap_12_the_global_reserve_is_resized_without_a_type() {
    let mut s = Stream::born();
    s.chain(may_use(CHAIN_OPEN, 0, 5_767_168))
        .chain(may_use(CHAIN_LEVEL, 5_767_168, -65_536))
        .unmount()
        .assert_clean();
}

#[test]
fn trap_14_fsid_may_change_and_is_no_key() {
    let mut s = Stream::attached();
    s.birth(FS).reserve(257, 3 * M).seen(FS, 0);
    let Some(Record::FsSeen(seen)) = s.records.last_mut() else { panic!() };
    seen.fsid = [9; 16];
    let ledger = s.release(257, 3 * M).destroy(257).assert_clean();
    let filesystems = ledger.summary(0).filesystems;
    assert_eq!((filesystems.len(), filesystems[0].fsid), (1, [9; 16]));
}

#[test]
fn trap_15_abort() {
    let mut s = Stream::born();
    s.claim(ClaimType::DelayedItem, I, CLAIM_RESERVE, RsvType::Trans)
        .levels(LEVELS_COMMIT, |l| l.fs_flags = LEVELS_ERROR);
    s.reserve(257, 3 * M).block(257, 0).release(257, 3 * M).destroy(257);
    s.unmount_with(|l| (l.space[1].reserved, l.delayed_refs.size) = (3 * N, N)).assert_clean();
}

#[test]
fn trap_16_loss_makes_books_unknown_and_breaks_explained() {
    let mut s = Stream::born();
    s.chain(may_use(CHAIN_OPEN, 0, 100)).reserve(257, 3 * M).lose(LossClass::BooksRecord, 1);
    s.chain(Chain { expected: 100, ..may_use(CHAIN_BREAK, 300, 100) }).destroy(257);
    s.reserve(258, 3 * M).destroy(258).sample();
    let ledger = s.assert_silent();
    assert_eq!(ledger.summary(0).verdict, Verdict::Inconclusive);
    let reasons = ledger.summary(0).verdict_reasons;
    assert!(reasons[0].contains("--ring-size"), "{reasons:?}");
}

#[test]
fn trap_16_a_break_after_an_announced_loss_is_explained_and_the_next_is_not() {
    let mut s = Stream::born();
    s.chain(may_use(CHAIN_OPEN, 0, 100)).lose(LossClass::ChainRecord, 1);
    s.chain(Chain { expected: 100, ..may_use(CHAIN_BREAK, 300, 100) });
    assert_eq!(s.assert_silent().summary(0).verdict, Verdict::Inconclusive);
    s.chain(Chain { expected: 400, ..may_use(CHAIN_BREAK, 300, 100) });
    s.assert_one("counter-mismatch", "space.metadata.bytes_may_use", 100);
}

#[test]
fn trap_16_a_lost_stack_is_no_doubt() {
    let mut s = Stream::born();
    s.reserve(257, 3 * M).lose(LossClass::Stack, 3).release(257, 3 * M).sample().destroy(257);
    s.reserve(258, 3 * M).release(258, 3 * M).destroy(258).assert_clean();
    s.reserve(259, 3 * M).destroy(259).assert_one("leak", "inode.meta_rsv", 3 * M);
}

#[test]
fn trap_16_recursion_shows_after_the_break() {
    let mut s = Stream::born();
    s.chain(may_use(CHAIN_OPEN, 0, 100)).chain(Chain { expected: 100, ..may_use(CHAIN_BREAK, 300, 100) });
    s.assert_one("counter-mismatch", "space.metadata.bytes_may_use", 200);
    let ledger = s
        .wait(1_000_000_000)
        .lose(LossClass::Recursion, 1)
        .sample()
        .wait(60_000_000_000)
        .unmount()
        .assert_silent();
    assert_eq!(ledger.summary(0).verdict, Verdict::Inconclusive);
}

/// If the reader was stopped, more than ten seconds of records come before the loss sample that covers them.
#[test]
fn trap_16_recursion_shows_long_after_the_break() {
    let mut s = Stream::born();
    s.chain(may_use(CHAIN_OPEN, 0, 100)).chain(Chain { expected: 100, ..may_use(CHAIN_BREAK, 300, 100) });
    let ledger = s
        .wait(11_000_000_000)
        .reserve(257, 3 * M)
        .release(257, 3 * M)
        .destroy(257)
        .lose(LossClass::Recursion, 1)
        .sample()
        .unmount()
        .assert_silent();
    assert_eq!(ledger.summary(0).verdict, Verdict::Inconclusive);
}

#[test]
fn trap_17_reserve_and_release_in_different_threads() {
    let mut s = Stream::born();
    s.by(10)
        .reserve(257, 3 * M)
        .by(11)
        .release(257, I)
        .by(12)
        .release(257, M)
        .by(13)
        .destroy(257)
        .assert_clean();
}

#[test]
fn trap_18_no_ordered_extent_and_no_delalloc_phase() {
    let mut s = Stream::born();
    s.reserve(257, 3 * M).release(257, 3 * M).destroy(257).assert_clean();
}

#[test]
fn trap_19_a_foreign_journal_info_pays_nothing() {
    let mut s = Stream::born();
    s.claim(ClaimType::DelayedInode, M, CLAIM_RESERVE, RsvType::None);
    s.claim(ClaimType::DelayedInode, M, 0, RsvType::None).unmount().assert_clean();
}

#[test]
fn trap_20_widths_of_changes() {
    let mut s = Stream::born();
    let flags = MOD_OUTSTANDING_KNOWN;
    s.modification(Mod { ino: 257, modification: -1, outstanding: 0, expected: 1, flags, ..Mod::default() })
        .assert_clean();
    let flags = MOD_OUTSTANDING_KNOWN | MOD_UNDERFLOW;
    let mut s = Stream::born();
    s.modification(Mod {
        ino: 257,
        modification: -3,
        outstanding: u32::MAX - 1,
        expected: 1,
        flags,
        ..Mod::default()
    });
    s.modification(Mod {
        ino: 257,
        modification: 1,
        outstanding: u32::MAX,
        expected: u32::MAX - 1,
        flags,
        ..Mod::default()
    });
    s.assert_one("underflow", "inode.outstanding_extents", 2);
}

#[test]
fn trap_20_size_and_reserved_are_two_loads() {
    // A reading during other operations differs from the books in both directions.
    let mut s = Stream::born();
    let mut record = s.delalloc(257, 3 * M, DELALLOC_RESERVE);
    record.counters =
        Counters { reserved: 6 * M, size: 0, outstanding_extents: 2, flags: 1, ..Counters::default() };
    s.push(record);
    let ledger = s.reserve(257, 3 * M).release(257, 6 * M).destroy(257).assert_clean();
    assert_eq!(ledger.summary(0).statistics.overlapping, 1);
}

#[test]
fn trap_21_several_commits_and_remap_space_infos() {
    let mut s = Stream::born();
    for _ in 0..6 {
        s.levels(LEVELS_COMMIT, |l| (l.trans.size, l.space[1].may_use) = (I, I));
    }
    s.chain(Chain { object_flags: 1 << 11, ..may_use(CHAIN_BREAK, 5, 5) }).unmount().assert_clean();
}

#[test]
fn reordering_a_release_before_the_reserve_it_takes_from() {
    let mut s = Stream::born();
    s.by(2)
        .release(257, 3 * M)
        .by(1)
        .reserve(257, 3 * M)
        .by(2)
        .reserve(257, 3 * M)
        .release(257, 3 * M)
        .destroy(257);
    s.assert_clean();
}

#[test]
fn chains_that_hold_are_counted() {
    let mut s = Stream::born();
    s.chain(Chain { links: 1, ..may_use(CHAIN_OPEN, 0, 100) });
    s.chain(Chain { links: 5000, peak: 900, ..may_use(CHAIN_LEVEL, 400, -100) });
    let summary = s.assert_clean().summary(0);
    let chain = &summary.filesystems[0].chains[0];
    assert_eq!((chain.links, chain.value, chain.peak, chain.breaks), (5000, 300, 900, 0));
    assert_eq!(summary.statistics.links, 5000);
}

#[test]
fn an_underflow_is_exact_at_any_time() {
    let mut s = Stream::default();
    s.chain(may_use(CHAIN_OPEN, 4096, 0)).chain(may_use(CHAIN_UNDERFLOW, 4096, -8192));
    s.assert_one("underflow", "space.metadata.bytes_may_use", 4096);
    let mut s = Stream::born();
    s.chain(Chain {
        object_flags: DATA,
        counter: ChainCounter::BytesPinned as u32,
        ..may_use(CHAIN_UNDERFLOW, 0, -1)
    });
    s.assert_one("underflow", "space.data.bytes_pinned", 1);
}

/// If there are more qgroup counters than cells, counters at zero give up their cells and open again later.
#[test]
fn a_qgroup_that_gave_way_at_zero_opens_again() {
    let qgroup = |event, old, diff| Chain {
        object_flags: 257,
        ..Chain { counter: ChainCounter::QgroupData as u32, expected: old, ..may_use(event, old, diff) }
    };
    let mut s = Stream::born();
    s.chain(Chain { links: 1, ..qgroup(CHAIN_OPEN, 0, 4096) });
    s.chain(Chain { links: 7, ..qgroup(CHAIN_REST, 0, 0) });
    s.assert_clean();
    assert_eq!(s.ledger().summary(0).filesystems[0].chains.len(), 0, "nothing is kept of it");
    assert_eq!(s.ledger().summary(0).statistics.links, 7);
    s.chain(Chain { links: 1, ..qgroup(CHAIN_OPEN, 0, 4096) }).assert_clean();
    assert_eq!(s.ledger().summary(0).statistics.links, 8);
    // Which qgroups were followed before is not known any more, so an underflow may come from ranges of earlier quotas.
    s.chain(Chain { links: 2, ..qgroup(CHAIN_UNDERFLOW, 4096, -8192) });
    assert_eq!(s.ledger().findings().len(), 0);
    assert_eq!(s.ledger().summary(0).verdict, Verdict::Inconclusive);
}

#[test]
fn qgroup_data_is_exact_and_metadata_is_clamped() {
    let qgroup = |counter: ChainCounter, event, old, diff| Chain {
        object_flags: 256,
        counter: counter as u32,
        ..may_use(event, old, diff)
    };
    let mut s = Stream::born();
    s.chain(qgroup(ChainCounter::QgroupData, CHAIN_OPEN, 0, 4096)).chain(qgroup(
        ChainCounter::QgroupData,
        CHAIN_UNDERFLOW,
        4096,
        -8192,
    ));
    s.assert_one("underflow", "inode.qgroup_data", 4096);
    let mut s = Stream::born();
    for counter in [ChainCounter::QgroupMetaPrealloc, ChainCounter::QgroupMetaPertrans] {
        s.chain(qgroup(counter, CHAIN_OPEN, 0, 0)).chain(qgroup(counter, CHAIN_UNDERFLOW, 0, -8192));
    }
    s.assert_clean();
    // Quotas were switched off and on: a new object for the same qgroup.
    let mut s = Stream::born();
    s.chain(qgroup(ChainCounter::QgroupData, CHAIN_OPEN, 0, 4096));
    s.chain(qgroup(ChainCounter::QgroupData, CHAIN_OPEN, 0, 0)).chain(qgroup(
        ChainCounter::QgroupData,
        CHAIN_UNDERFLOW,
        0,
        -4096,
    ));
    s.assert_clean();
    // The same, and the new object has the address of the old one.
    let mut s = Stream::born();
    s.chain(qgroup(ChainCounter::QgroupData, CHAIN_OPEN, 0, 4096));
    s.chain(Chain { expected: 4096, ..qgroup(ChainCounter::QgroupData, CHAIN_UNDERFLOW, 0, -4096) });
    s.chain(qgroup(ChainCounter::QgroupData, CHAIN_UNDERFLOW, 0, -4096));
    assert_eq!(s.assert_silent().summary(0).verdict, Verdict::Inconclusive);
    // A value that changed without an event is no finding, but a doubt.
    let mut s = Stream::born();
    s.chain(qgroup(ChainCounter::QgroupData, CHAIN_OPEN, 0, 4096));
    s.chain(Chain { expected: 4096, ..qgroup(ChainCounter::QgroupData, CHAIN_BREAK, 0, 4096) });
    assert_eq!(s.assert_silent().summary(0).verdict, Verdict::Inconclusive);
}

#[test]
fn a_break_of_outstanding_extents_needs_a_complete_stream() {
    let flags = MOD_OUTSTANDING_KNOWN | MOD_CHAIN_BREAK;
    let broken = Mod { ino: 257, modification: 1, outstanding: 5, expected: 2, flags, ..Mod::default() };
    Stream::born().modification(broken).assert_one("counter-mismatch", "inode.outstanding_extents", 2);
    let mut s = Stream::born();
    s.lose(LossClass::InodeCell, 1).sample().modification(broken).assert_silent();
}

#[test]
fn order_is_judged_only_where_it_is_known() {
    let mut s = Stream::born();
    let mut reserve = |before, after, flags| {
        let mut record = s.delalloc(257, 3 * M, DELALLOC_RESERVE | flags);
        (record.fund_before, record.fund_after, record.published) = (before, after, 2);
        s.push(record).release(257, 3 * M);
    };
    reserve(3 * M, 0, DELALLOC_ORDER_KNOWN);
    reserve(0, 3 * M, 0);
    reserve(0, 0, DELALLOC_ORDER_KNOWN);
    reserve(M, M, DELALLOC_ORDER_KNOWN);
    reserve(3 * M, 3 * M, DELALLOC_ORDER_KNOWN);
    let summary = s.assert_clean().summary(0);
    assert_eq!((summary.statistics.order_checked, summary.statistics.order_unknown), (2, 3));
    let mut record = s.delalloc(257, 3 * M, DELALLOC_RESERVE | DELALLOC_ORDER_KNOWN);
    (record.fund_after, record.published) = (3 * M, 2);
    let finding = s.push(record).assert_one("publish-before-reserve", "inode.outstanding_extents", 2);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), Some(257)));
    let mut before = Stream::default();
    before.birth(FS).push(Record::Delalloc(record)).assert_silent();
    assert!(record.flags & DELALLOC_ROOT_KNOWN != 0 && COUNTERS_NOT_REGULAR != 0);
}

/// A tracepoint is switched on for one CPU after the other.
#[test]
fn a_break_while_hooks_go_on_is_an_opening() {
    let mut s = Stream::attaching();
    s.seen(FS, 0).chain(may_use(CHAIN_OPEN, 0, 100));
    s.chain(Chain { expected: 100, ..may_use(CHAIN_BREAK, 300, 100) }).marker(MarkerKind::Attached);
    s.chain(may_use(CHAIN_LEVEL, 400, 100));
    let summary = s.assert_silent().summary(0);
    assert_eq!(summary.filesystems[0].chains[0].breaks, 0);
    assert!(!summary.verdict_reasons.iter().any(|reason| reason.contains("breaks")));
    s.chain(Chain { expected: 500, ..may_use(CHAIN_BREAK, 600, 100) });
    s.assert_one("counter-mismatch", "space.metadata.bytes_may_use", 100);
}

/// A tracepoint is also switched off CPU by CPU.
#[test]
fn a_break_while_hooks_go_off_is_none() {
    let mut s = Stream::attached();
    s.seen(FS, 0).chain(may_use(CHAIN_OPEN, 0, 100)).marker(MarkerKind::Detaching);
    s.chain(Chain { expected: 100, ..may_use(CHAIN_BREAK, 300, 100) });
    let summary = s.assert_silent().summary(0);
    assert_eq!(summary.filesystems[0].chains[0].breaks, 0);
}
