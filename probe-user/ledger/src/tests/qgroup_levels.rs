//! What a qgroup holds when it ends, where no hook shows its end: a line of the kernel's log and the chain together.
use probe_common::{
    chain::{CHAIN_BREAK, CHAIN_LEVEL, CHAIN_OPEN, Chain, ChainCounter, QgroupLevel},
    fs::{FS_BORN, LEVELS_ERROR},
    hook::HookId,
    loss::LossClass,
};
use probe_simulated::N;

use super::{
    call_stream::Calls,
    stream::{FS, ROOT, Stream},
};
use crate::{
    ledger::Ledger,
    read::summary::Verdict,
    vocabulary::{
        finding::{Confidence, Finding},
        setup::Setup,
    },
};

const OBJECT: u64 = 0xffff_8880_1000_0000;
const BYTES: u64 = 28_672;
const OTHER: u32 = 0x102;

/// A filesystem on `sdb` whose birth was seen, with a qgroup that has reserved [`BYTES`] of this kind.
fn holding(counter: ChainCounter) -> Stream {
    let mut stream = Stream::attached();
    stream.on(FS, FS_BORN, "sdb");
    stream.chain(Chain {
        object_flags: ROOT,
        counter: counter as u32,
        event: CHAIN_OPEN,
        diff: BYTES as i64,
        links: 1,
        peak: BYTES,
        stack: 77,
        ..Chain::default()
    });
    stream
}

/// The line of `btrfs_check_quota_leak()`.
fn unreleased(stream: &mut Stream, kind: u32, bytes: u64) {
    stream.line(&format!(
        "BTRFS warning (device sdb): qgroup 0/{ROOT} has unreleased space, type {kind} rsv {bytes}"
    ));
}

fn level(stream: &mut Stream, counter: ChainCounter, value: u64) {
    let header = probe_common::header::Header { tid: 0, lost: 0, ..stream.header(FS) };
    let (object, counter) = (OBJECT, counter as u32);
    stream.push(QgroupLevel { header, object, qgroupid: ROOT, value, links: 9, counter, reserved: 0 });
}

/// As at the unmount of a kernel with such a leak.
fn leaked(counter: ChainCounter, kind: u32) -> Stream {
    let mut stream = holding(counter);
    unreleased(&mut stream, kind, BYTES);
    stream.line("BTRFS error (device sdb): qgroup reserved space leaked");
    // The capture reads the chain when it has emptied the ring.
    stream.unmount();
    level(&mut stream, counter, BYTES);
    stream
}

#[track_caller]
fn inconclusive(stream: &Stream) {
    assert_eq!(stream.assert_silent().summary(0).verdict, Verdict::Inconclusive);
}

fn with(stream: &Stream, setup: Setup) -> (Vec<Finding>, Verdict) {
    let mut ledger = Ledger::new(setup);
    stream.records.iter().for_each(|record| ledger.apply(record));
    ledger.finish();
    (ledger.findings().to_vec(), ledger.summary(0).verdict)
}

#[test]
fn what_line_and_chain_agree_on_is_a_leak_of_the_subvolume() {
    for (counter, kind, account) in [
        (ChainCounter::QgroupData, 0, "inode.qgroup_data"),
        (ChainCounter::QgroupMetaPertrans, 1, "root.qgroup_meta_pertrans"),
        (ChainCounter::QgroupMetaPrealloc, 2, "root.qgroup_meta_prealloc"),
    ] {
        let stream = leaked(counter, kind);
        let finding = stream.assert_one("leak", account, BYTES);
        let violation = &finding.violation;
        assert_eq!((violation.root, violation.ino), (Some(ROOT), None));
        assert_eq!(finding.confidence, Confidence::Exact);
        assert!(
            violation.explanation.starts_with("At unmount 28672 bytes were still reserved in qgroup 0/5")
        );
        let stacks: Vec<u64> = violation.origins.iter().map(|origin| origin.stack.id).collect();
        assert_eq!(stacks, [77]);
        assert_eq!(finding.evidence.len(), 2, "the first sight and the last level: {finding:#?}");
        // The lines are evidence of it, and no doubt.
        let summary = stream.ledger().summary(0);
        assert_eq!(summary.verdict, Verdict::Findings);
        assert_eq!(summary.doubts, [""; 0]);
        assert!(summary.lines.iter().all(|line| line.findings == [finding.id] && line.open.is_empty()));
    }
}

/// The chain goes on from its last record without one, as long as its links fit.
#[test]
fn the_level_counts_and_not_the_last_record_of_the_chain() {
    let counter = ChainCounter::QgroupData;
    let mut stream = holding(counter);
    unreleased(&mut stream, 0, 4096);
    level(&mut stream, counter, 4096);
    // Or before the unmount has ended.
    stream.unmount().assert_one("leak", "inode.qgroup_data", 4096);
}

#[test]
fn a_line_that_the_chain_does_not_bear_out_stays_a_doubt() {
    let counter = ChainCounter::QgroupData;
    // Other bytes, another kind, another qgroup.
    let mut stream = holding(counter);
    unreleased(&mut stream, 0, BYTES + 4096);
    unreleased(&mut stream, 1, BYTES);
    stream.line("BTRFS warning (device sdb): qgroup 0/257 has unreleased space, type 0 rsv 28672");
    level(&mut stream, counter, BYTES);
    inconclusive(stream.unmount());
    // A qgroup whose chain was not seen.
    let mut stream = Stream::attached();
    stream.on(FS, FS_BORN, "sdb");
    unreleased(&mut stream, 0, BYTES);
    level(&mut stream, counter, BYTES);
    inconclusive(stream.unmount());
    // The cell is that of a newer chain than the books have.
    let mut stream = holding(counter);
    let (event, diff, links) = (CHAIN_LEVEL, 4096, 10);
    let newer = Chain { object_flags: ROOT, counter: counter as u32, event, diff, links, ..Chain::default() };
    stream.chain(newer);
    unreleased(&mut stream, 0, BYTES);
    level(&mut stream, counter, BYTES);
    inconclusive(stream.unmount());
    // A filesystem on another device.
    let mut stream = holding(counter);
    stream.on(OTHER, FS_BORN, "sdc");
    stream.line(&format!(
        "BTRFS warning (device sdc): qgroup 0/{ROOT} has unreleased space, type 0 rsv {BYTES}"
    ));
    level(&mut stream, counter, BYTES);
    inconclusive(stream.unmount());
}

/// Quotas were switched off, or the qgroup was deleted, with bytes in it: they are dropped without an event.
#[test]
fn a_chain_without_a_line_is_not_judged() {
    let mut stream = holding(ChainCounter::QgroupData);
    level(&mut stream, ChainCounter::QgroupData, BYTES);
    stream.unmount().assert_clean();
}

#[test]
fn one_line_is_one_leak_and_a_parent_adds_none() {
    let counter = ChainCounter::QgroupData;
    let mut stream = leaked(counter, 0);
    let parent = 1 << 48 | 100;
    let object = OBJECT + 4096;
    let event = CHAIN_OPEN;
    let chain =
        Chain { object_flags: parent, counter: 3, event, diff: BYTES as i64, links: 1, ..Chain::default() };
    let header = stream.header(FS);
    stream.push(Chain { header, object, ..chain });
    stream.line("BTRFS warning (device sdb): qgroup 1/100 has unreleased space, type 0 rsv 28672");
    let header = stream.header(FS);
    stream.push(QgroupLevel {
        header,
        object,
        qgroupid: parent,
        value: BYTES,
        links: 9,
        counter: 3,
        reserved: 0,
    });
    // The second line made the capture read all chains again.
    level(&mut stream, counter, BYTES);
    let finding = stream.assert_one("leak", "inode.qgroup_data", BYTES);
    assert_eq!(finding.count, 1);
    assert!(stream.ledger().summary(0).doubts.is_empty());
}

/// On both tiers: the hook of a qgroup's end does not tell whether what is dropped is right.
#[test]
fn a_qgroup_that_is_deleted_with_bytes_is_a_leak_of_each_of_its_counters() {
    let mut stream = holding(ChainCounter::QgroupData);
    stream.chain(Chain {
        object_flags: ROOT,
        counter: ChainCounter::QgroupMetaPertrans as u32,
        event: CHAIN_OPEN,
        diff: N as i64,
        links: 1,
        ..Chain::default()
    });
    stream.line(&format!(
        "BTRFS warning (device sdb): to be deleted qgroup 0/{ROOT} has non-zero numbers, data {BYTES} meta prealloc 0 \
         meta pertrans {N}"
    ));
    level(&mut stream, ChainCounter::QgroupData, BYTES);
    level(&mut stream, ChainCounter::QgroupMetaPertrans, N);
    stream.unmount();
    for setup in [Setup::default(), super::calls::functions()] {
        let (findings, _) = with(&stream, setup);
        let told: Vec<_> = findings.iter().map(|f| (f.violation.account.name(), f.amount)).collect();
        assert_eq!(told, [("inode.qgroup_data", BYTES), ("root.qgroup_meta_pertrans", N)]);
        let text = &findings[0].violation.explanation;
        assert!(text.starts_with("Qgroup 0/5 was deleted while 28672 bytes"), "{text}");
    }
    assert!(stream.ledger().summary(0).doubts.is_empty());
}

#[test]
fn a_filesystem_with_an_error_is_not_judged() {
    let counter = ChainCounter::QgroupData;
    let mut stream = holding(counter);
    stream.line(&format!(
        "BTRFS warning (device sdb state EA): qgroup 0/{ROOT} has unreleased space, type 0 rsv {BYTES}"
    ));
    level(&mut stream, counter, BYTES);
    stream.unmount().assert_clean();
    let mut stream = holding(counter);
    stream.levels(1, |levels| levels.fs_flags = LEVELS_ERROR);
    unreleased(&mut stream, 0, BYTES);
    level(&mut stream, counter, BYTES);
    stream.unmount_with(|levels| levels.fs_flags = LEVELS_ERROR).assert_clean();
}

#[test]
fn what_was_lost_may_explain_it() {
    let counter = ChainCounter::QgroupData;
    for before in [true, false] {
        let mut stream = holding(counter);
        if before {
            stream.lose(LossClass::ChainRecord, 1).sample();
        }
        unreleased(&mut stream, 0, BYTES);
        level(&mut stream, counter, BYTES);
        if !before {
            stream.lose(LossClass::Recursion, 1).sample();
        }
        inconclusive(stream.unmount());
    }
}

/// The hook of a qgroup's end tells the same bytes with more.
#[test]
fn it_is_told_once_where_the_end_of_a_qgroup_is_hooked() {
    let stream = leaked(ChainCounter::QgroupData, 0);
    let functions = || super::calls::functions();
    assert_eq!(with(&stream, functions()), (Vec::new(), Verdict::Inconclusive));
    let mut setup = functions();
    setup.attached.retain(|hook| *hook != HookId::QgroupEnd);
    let (findings, verdict) = with(&stream, setup);
    assert_eq!((findings.len(), verdict), (1, Verdict::Findings));
}

/// Quotas are switched off and on: the new qgroup of the subvolume has the address of the old one, which was seen to end.
#[test]
fn a_qgroup_at_the_address_of_one_that_ended_begins_anew() {
    let chain = |calls: &mut Calls, event, expected, old, diff| {
        let counter = ChainCounter::QgroupData as u32;
        calls.stream.chain(Chain {
            counter,
            object_flags: 256,
            event,
            expected,
            old,
            diff,
            ..Chain::default()
        });
    };
    let inconclusive = |calls: &Calls| {
        let mut ledger = Ledger::new(super::calls::functions());
        calls.stream.records.iter().for_each(|record| ledger.apply(record));
        ledger.summary(0).verdict == Verdict::Inconclusive
    };
    let mut calls = Calls::new();
    chain(&mut calls, CHAIN_OPEN, 0, 0, 8192);
    let mut ended = calls.clone();
    ended.call(HookId::QgroupEnd, 0, [256, 8192, 0, 0], |_| {});
    let mut other = calls.clone();
    other.call(HookId::QgroupEnd, 0, [257, 0, 0, 0], |_| {});
    for (mut of, old, doubt) in
        [(calls, 0, true), (other, 0, true), (ended.clone(), 4096, true), (ended, 0, false)]
    {
        chain(&mut of, CHAIN_BREAK, 8192, old, 4096);
        of.silent();
        assert_eq!(inconclusive(&of), doubt, "{old}");
    }
}
