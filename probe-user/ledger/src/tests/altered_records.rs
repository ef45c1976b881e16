//! Recorded streams with one altered record that proves its finding, alone or with what its task does next.
use probe_common::{
    chain::{CHAIN_BREAK, CHAIN_LEVEL, CHAIN_UNDERFLOW},
    fs::{LEVELS_UNMOUNT, Levels},
    inode::{COUNTERS_FREE_SPACE, COUNTERS_NOT_REGULAR, DELALLOC_RESERVE, InodeState},
};
use probe_record::record::Record;

use super::{
    alter::{self, Expected, reduced},
    recorded::{RECORDED, Recorded, assert_complete, recorded},
};
use crate::vocabulary::{
    account::{Account, SpaceCounter},
    finding::{
        Confidence,
        FindingKind::{CounterMismatch, Leak, PublishBeforeReserve, Underflow},
    },
};

/// Most sites of one recording and alteration; beyond it, evenly spaced sites are taken.
const MAX_SITES: usize = 10;

fn sample<T: Copy>(sites: &[T]) -> impl Iterator<Item = T> {
    sites.iter().step_by(sites.len().div_ceil(MAX_SITES).max(1)).copied()
}

/// Recordings without loss.
fn whole() -> impl Iterator<Item = &'static Recorded> {
    RECORDED.iter().filter(|recorded| recorded.name != "lossy")
}

fn positions(recorded: &Recorded, wanted: impl Fn(&Record) -> bool) -> Vec<usize> {
    recorded.records.iter().enumerate().filter(|(_, record)| wanted(record)).map(|(at, _)| at).collect()
}

#[track_caller]
fn assert_found(recorded: &Recorded, records: &[Record], expected: &[Expected]) {
    let ledger = recorded.run(records);
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(reduced(ledger.findings()), expected, "{}", recorded.name);
    for finding in ledger.findings() {
        assert_complete(finding);
        if finding.violation.stack.id != 0 {
            assert!(ledger.stack(finding.violation.stack.id).is_some(), "{finding:#?}");
        }
    }
}

#[test]
fn publish_before_reserve() {
    let mut tried = 0;
    for recorded in whole() {
        let reserves = positions(
            recorded,
            |record| matches!(record, Record::Delalloc(d) if d.flags & DELALLOC_RESERVE != 0),
        );
        for position in sample(&reserves) {
            let mut records = recorded.records.clone();
            let Record::Delalloc(d) = &mut records[position] else { unreachable!() };
            std::mem::swap(&mut d.fund_before, &mut d.fund_after);
            let of = *d;
            let owner = Some((of.root, of.ino));
            let extents = u64::from(of.published.unsigned_abs());
            let account = Account::InodeOutstandingExtents;
            assert_found(
                recorded,
                &records,
                &[(PublishBeforeReserve, account, of.header.fs, owner, extents)],
            );
            let ledger = recorded.run(&records);
            let finding = &ledger.findings()[0];
            assert_eq!((finding.violation.stack.id, finding.confidence), (of.stack, Confidence::Exact));
            assert!(
                finding.violation.stack.id != 0
                    && finding.task.as_ref().is_some_and(|task| task.tid == of.header.tid)
            );
            tried += 1;
        }
    }
    assert!(tried >= 50, "{tried}");
}

type Forge = fn(&mut InodeState);

#[test]
fn a_leftover_at_destroy() {
    let forgeries: [(Account, u64, Forge); 5] = [
        (Account::InodeMetaRsv, 131_072, |s| s.counters.reserved = 131_072),
        (Account::InodeMetaRsv, 393_216, |s| s.counters.size = 393_216),
        (Account::InodeOutstandingExtents, 3, |s| s.counters.outstanding_extents = 3),
        (Account::InodeCsumBytes, 4096, |s| s.counters.csum_bytes = 4096),
        (Account::InodeDelallocBytes, 8192, |s| s.counters.delalloc_bytes = 8192),
    ];
    let mut tried = 0;
    for recorded in RECORDED.iter() {
        let regular = |record: &Record| {
            matches!(record, Record::InodeState(s)
                if s.moment == 2 && s.counters.flags & (COUNTERS_FREE_SPACE | COUNTERS_NOT_REGULAR) == 0)
        };
        for position in sample(&positions(recorded, regular)) {
            for (account, amount, forge) in forgeries {
                let mut records = recorded.records.clone();
                let Record::InodeState(state) = &mut records[position] else { unreachable!() };
                forge(state);
                let (fs, owner) = (state.header.fs, Some((state.root, state.ino)));
                assert_found(recorded, &records, &[(Leak, account, fs, owner, amount)]);
                tried += 1;
            }
        }
    }
    assert!(tried >= 300, "{tried}");
}

type ForgeLevels = fn(&mut Levels, u64);

#[test]
fn a_leftover_at_unmount() {
    use SpaceCounter::{BytesMayUse, BytesPinned, BytesReserved};
    fn space(levels: &mut Levels, flags: u64) -> &mut probe_common::fs::SpaceLevels {
        levels.space.iter_mut().find(|space| space.flags & 7 == flags).unwrap()
    }
    let forgeries: [(Account, ForgeLevels); 13] = [
        (Account::TransRsv, |l, n| l.trans.reserved = n),
        (Account::TransRsv, |l, n| l.trans.size = n),
        (Account::FsChunkRsv, |l, n| l.chunk.reserved = n),
        (Account::FsDelayedRsv, |l, n| l.delayed.size = n),
        (Account::FsDelayedRefsRsv, |l, n| l.delayed_refs.reserved = n),
        (Account::SpaceData(BytesMayUse), |l, n| space(l, 1).may_use = n),
        (Account::SpaceData(BytesPinned), |l, n| space(l, 1).pinned = n),
        (Account::SpaceData(BytesReserved), |l, n| space(l, 1).reserved = n),
        (Account::SpaceMetadata(BytesMayUse), |l, n| space(l, 4).may_use = n),
        (Account::SpaceMetadata(BytesPinned), |l, n| space(l, 4).pinned = n),
        (Account::SpaceMetadata(BytesReserved), |l, n| space(l, 4).reserved = n),
        (Account::SpaceSystem(BytesMayUse), |l, n| space(l, 2).may_use = n),
        (Account::SpaceSystem(BytesReserved), |l, n| space(l, 2).reserved = n),
    ];
    // The final levels are proof by themselves, also after a loss.
    for recorded in RECORDED.iter().filter(|recorded| recorded.name != "audited") {
        let unmounts = alter::unmounts(&recorded.records);
        let filesystems = if recorded.name == "failures" { 2 } else { 1 };
        assert_eq!(unmounts.len(), filesystems, "{}", recorded.name);
        for ((account, forge), unmount) in
            forgeries.into_iter().flat_map(|forgery| unmounts.iter().map(move |at| (forgery, *at)))
        {
            let mut records = recorded.records.clone();
            let Record::Levels(levels) = &mut records[unmount] else { unreachable!() };
            assert_eq!(levels.why, LEVELS_UNMOUNT);
            forge(levels, 81_920);
            let fs = levels.header.fs;
            assert_found(recorded, &records, &[(Leak, account, fs, None, 81_920)]);
        }
    }
}

#[test]
fn an_underflow_and_a_break_of_a_chain() {
    let mut tried = 0;
    for recorded in whole() {
        let level = |record: &Record| matches!(record, Record::Chain(c) if c.event == CHAIN_LEVEL && c.counter <= 2 && c.object_flags & 7 != 0);
        for position in sample(&positions(recorded, level)) {
            for event in [CHAIN_UNDERFLOW, CHAIN_BREAK] {
                let mut records = recorded.records.clone();
                let Record::Chain(chain) = &mut records[position] else { unreachable!() };
                chain.event = event;
                let counter =
                    if chain.counter == 1 { SpaceCounter::BytesMayUse } else { SpaceCounter::BytesPinned };
                let fs = chain.header.fs;
                let account = crate::vocabulary::account::space(chain.object_flags, counter).unwrap();
                let (kind, amount) = if event == CHAIN_UNDERFLOW {
                    (chain.old, chain.diff) = (4096, -69_632);
                    (Underflow, 65_536)
                } else {
                    chain.expected = chain.old + 12_288;
                    (CounterMismatch, 12_288)
                };
                assert_found(recorded, &records, &[(kind, account, fs, None, amount)]);
                tried += 1;
            }
        }
    }
    assert!(tried >= 20, "{tried}");
}

#[test]
fn sysfs_disagrees() {
    let recorded = recorded("audited");
    let readings = positions(
        recorded,
        |record| matches!(record, Record::SysfsLevels(s) if s.stable == 1 && s.chain_may_use != u64::MAX),
    );
    assert!(!readings.is_empty());
    for position in readings {
        let mut records = recorded.records.clone();
        let Record::SysfsLevels(levels) = &mut records[position] else { unreachable!() };
        levels.may_use += 16_384;
        let fs = levels.header.fs;
        let account = crate::vocabulary::account::space(levels.flags, SpaceCounter::BytesMayUse).unwrap();
        let ledger = recorded.run(&records);
        assert_eq!(reduced(ledger.findings()), [(CounterMismatch, account, fs, None, 16_384)]);
    }
}

#[test]
fn a_failing_side_that_misbehaves() {
    let recorded = recorded("enospc");
    let failures = alter::failures(&recorded.records);
    assert!(failures.len() >= 50, "{}", failures.len());
    for failure in sample(&failures) {
        for how in 0..6 {
            let mut records = recorded.records.clone();
            let Record::Enospc(enospc) = records[failure.0] else { unreachable!() };
            let mut expected = vec![alter::misbehave(&mut records, failure, how)];
            if how == 4 {
                // The stranger whose bytes it released had reserved none. It is not closed, so only the release shows.
                expected.truncate(1);
            }
            assert_found(recorded, &records, &expected);
            let ledger = recorded.run(&records);
            let finding = &ledger.findings()[0];
            assert_eq!(finding.violation.stack.id, enospc.stack, "{how}");
            assert!(finding.task.as_ref().is_some_and(|task| task.tid == enospc.header.tid), "{how}");
            let failed = ledger.summary(0).failed;
            assert_eq!((failed.total, failed.balanced), (67, 60), "{how}");
        }
    }
}

#[test]
fn nothing_lost_on_purpose_is_a_false_alarm() {
    // In a stream with losses, a loss explains a break.
    let recorded = recorded("lossy");
    let after_loss = positions(
        recorded,
        |record| matches!(record, Record::Chain(c) if c.header.lost != 0 && c.event == CHAIN_LEVEL && c.counter <= 2),
    );
    assert!(!after_loss.is_empty());
    let mut silent = 0;
    for position in sample(&after_loss) {
        let mut records = recorded.records.clone();
        // All records between the loss and this one may be missing.
        let Record::Chain(chain) = &mut records[position] else { unreachable!() };
        chain.event = CHAIN_BREAK;
        chain.expected = chain.old + 4096;
        let ledger = recorded.run(&records);
        silent += usize::from(ledger.findings().is_empty());
        assert!(
            ledger.findings().iter().all(|f| f.violation.kind == CounterMismatch),
            "{:?}",
            ledger.findings()
        );
    }
    assert!(silent > 0);
}
