//! Memory stays bounded, and dropping books never makes a finding.
use probe_common::{
    inode::{Counters, MOMENT_DESTROY},
    loss::LossClass,
    task::MarkerKind,
};
use probe_simulated::{I, M};

use super::stream::{FS, Stream};
use crate::{book::filesystems::MAX_ENDED, ledger::Ledger, read::summary::Verdict, vocabulary::setup::Setup};

#[test]
fn inodes_are_bounded_and_folding_is_silent() {
    let setup = Setup { max_inodes: 100, ..Setup::default() };
    let mut s = Stream::born();
    for ino in 257..1257 {
        s.reserve(ino, 3 * M);
    }
    for ino in 257..1257 {
        s.release(ino, 3 * M).destroy(ino);
    }
    let mut ledger = Ledger::new(setup.clone());
    let mut most = 0;
    for record in &s.records {
        ledger.apply(record);
        most = most.max(ledger.filesystems.inodes);
    }
    ledger.finish();
    assert!(most <= 101, "{most}");
    assert_eq!(ledger.findings(), []);
    let summary = ledger.summary(0);
    assert_eq!(summary.verdict, Verdict::Inconclusive);
    assert!(summary.loss[&LossClass::LedgerBound] > 0);
    // Inodes that hold nothing are dropped first, and that loses nothing.
    let mut s = Stream::born();
    for ino in 257..1257 {
        s.reserve(ino, 3 * M).release(ino, 3 * M);
    }
    s.reserve(300, 3 * M).destroy(300);
    let mut ledger = Ledger::new(setup);
    s.records.iter().for_each(|record| ledger.apply(record));
    ledger.finish();
    assert_eq!(ledger.summary(0).loss[&LossClass::LedgerBound], 0);
    assert_eq!(ledger.findings().len(), 1);
}

#[test]
fn findings_are_bounded() {
    let mut s = Stream::born();
    for ino in 0..10_100 {
        s.destroy_with(ino, Counters { reserved: M, ..Default::default() });
    }
    let ledger = s.ledger();
    assert_eq!(ledger.findings().len(), 10_000);
    assert!(ledger.summary(0).verdict_reasons[1].starts_with("100 more findings"));
}

#[test]
fn what_waits_settles_by_the_time_of_the_stream() {
    let mut s = Stream::born();
    s.reserve(257, 3 * M).destroy(257);
    let mut ledger = Ledger::new(Setup::default());
    s.records.iter().for_each(|record| ledger.apply(record));
    assert_eq!(ledger.findings().len(), 0);
    assert_eq!(ledger.summary(0).verdict, Verdict::Inconclusive);
    let position = s.records.len();
    s.wait(11_000_000_000).evict(300);
    s.records[position..].iter().for_each(|record| ledger.apply(record));
    // Nothing is found before a loss sample shows that nothing was missed until then.
    assert_eq!(ledger.findings().len(), 0);
    let position = s.records.len();
    s.sample();
    s.records[position..].iter().for_each(|record| ledger.apply(record));
    assert_eq!(ledger.findings().len(), 1);
}

#[test]
fn after_detaching_only_single_records_are_judged() {
    let mut s = Stream::born();
    s.reserve(257, 3 * M).marker(MarkerKind::Detaching).destroy(257).assert_clean();
    s.destroy_with(258, Counters { reserved: M, ..Default::default() });
    s.assert_one("leak", "inode.meta_rsv", M);
    assert_eq!(s.ledger().summary(0).filesystems[0].fs, FS);
}

#[test]
fn many_filesystems_come_and_go() {
    let mut s = Stream::attached();
    for fs in 1..5000_u32 {
        s.birth(fs << 8);
        let mut record = s.delalloc(257, 3 * M, 1);
        record.header.fs = fs << 8;
        s.push(record);
        let header = s.header(fs << 8);
        s.push(probe_common::fs::FsEnd { header, why: 1, fs_state: 0 });
    }
    let ledger = s.ledger();
    assert!(ledger.summary(0).filesystems.len() <= 4098);
    assert_eq!(ledger.filesystems.inodes, 0);
}

#[test]
fn names_and_stacks_are_found_again() {
    let mut s = Stream::born();
    s.task_seen(100, 99, "fsstress").destroy_with(257, Counters { reserved: M, ..Default::default() });
    let header = s.header(0);
    let mut stack = probe_common::task::Stack { header, id: 9, frames: 2, addresses: [0; 40] };
    (stack.addresses[0], stack.addresses[1]) = (11, 12);
    stack.header.len = 56;
    s.records.push(probe_record::record::Record::Stack(stack));
    let header = s.header(FS);
    let mut components = [[0; 48]; 4];
    components[0][..1].copy_from_slice(b"f");
    components[1][..3].copy_from_slice(b"dir");
    s.push(probe_common::inode::Name { header, root: 5, ino: 257, components });
    let ledger = s.ledger();
    assert_eq!(ledger.stack(9), Some([11, 12].as_slice()));
    assert_eq!(ledger.task(100).unwrap().comm, "fsstress");
    assert_eq!(ledger.path(FS, 5, 257), Some(&"dir/f".into()));
    assert_eq!(ledger.findings()[0].task.as_ref().unwrap().pid, 99);
}

/// A test suite mounts a few filesystems per test, and thousands in a night.
#[test]
fn filesystems_that_are_forgotten_leave_what_was_counted_on_them() {
    let mut s = Stream::born();
    // One inode that could not be read, and one that was correct.
    let mut unreadable = s.state(300, MOMENT_DESTROY, Counters::default());
    unreadable.counters.flags = 0;
    s.push(unreadable).reserve(257, 3 * M).release(257, 3 * M).destroy(257).unmount();
    let before = s.ledger();
    assert_eq!(before.doubts().unreadable, 1);
    s.birth(FS + 1);
    let mut leaked = s.state(258, MOMENT_DESTROY, Counters { reserved: I, ..Counters::default() });
    leaked.header.fs = FS + 1;
    s.push(leaked).end(FS + 1);
    for fs in FS + 2..FS + MAX_ENDED as u32 + 200 {
        s.birth(fs).end(fs);
    }
    let after = s.ledger();
    let summary = after.summary(0);
    assert!(summary.filesystems.len() <= MAX_ENDED + 2, "{}", summary.filesystems.len());
    assert!(!summary.filesystems.iter().any(|fs| fs.fs == FS), "it was the first to end");
    assert_eq!(after.doubts().unreadable, 1);
    assert!(summary.doubts.iter().any(|doubt| doubt.contains("could not be read")), "{:?}", summary.doubts);
    let counted = |ledger: &Ledger| {
        let statistics = ledger.summary(0).statistics;
        (statistics.links, statistics.inodes_closed)
    };
    assert!(counted(&after) >= counted(&before), "{:?} {:?}", counted(&after), counted(&before));
    let [finding] = after.findings() else { panic!("{:?}", after.findings()) };
    assert!(summary.filesystems.iter().any(|fs| fs.fs == finding.violation.fs));
}

#[test]
fn a_hundred_thousand_filesystems_are_clean_and_no_more_is_kept_than_of_a_few() {
    let mut ledger = Stream::born().ledger();
    for fs in FS + 1..FS + 100_000 {
        let mut one = Stream::default();
        one.birth(fs).end(fs);
        for record in &one.records {
            ledger.apply(record);
        }
    }
    ledger.finish();
    let summary = ledger.summary(0);
    assert_eq!(summary.verdict, Verdict::Clean, "{:?}", summary.doubts);
    assert!(summary.filesystems.len() <= MAX_ENDED + 2, "{}", summary.filesystems.len());
}
