//! Known data: a summary with one filesystem, and findings as the ledger would make them.
use std::collections::BTreeMap;

use probe_common::{
    fs::{Levels, Rsv, SpaceLevels},
    hook::HookId,
    loss::LossClass,
};
use probe_ledger::{
    Account, AuditSummary, ChainSummary, Closing, Confidence, EndedWait, Evidence, FailedReservations,
    Finding, FindingKind, FlushRuns, FlushTotals, FsSummary, FsWaits, Holder, InodeSummary, InodesRead,
    KernelLine, KernelWarn, Origin, Place, PoolHolders, SpaceCounter, SpaceHolders, Span, Spans, StackRef,
    Statistics, Summary, TaskRef, TaskWaits, Verdict, Violation, WaitOutcome, WaitTimes, WaitingTicket,
    Worker, WorkerKind,
};

use crate::report::{
    build::{self, FsPlaces, Policy, ReportInput, SessionFacts, StackResolver},
    model::{BtrfsKind, Frame, Hook, HookState, Kernel, Report, Test, TestFinding, Tier, Timeline},
};

pub(super) const FSID: [u8; 16] = [0x2a, 0x6f, 0x7e, 0x80, 0xab, 0x5e, 0x4c, 1, 2, 3, 4, 5, 6, 7, 8, 0xff];
/// `CLOCK_MONOTONIC` at the start: beyond 2^53, as after 105 days of uptime.
pub(super) const START: u64 = (1 << 53) + 12_345;

/// Stack 1 frees, stack 2 reserves, stack 3 lies in a module and has a frame without a symbol.
pub(super) struct Stacks;

impl StackResolver for Stacks {
    fn frames(&self, id: u64) -> Vec<Frame> {
        let names: &[(&str, u64)] = match id {
            1 => &[
                ("bpf_trace_run5", 0x80),
                ("__traceiter_btrfs_space_reservation", 0x41),
                ("btrfs_inode_rsv_release", 0xd3),
                ("btrfs_delalloc_release_extents", 0x9a),
                ("btrfs_buffered_write", 0x5c1),
                ("btrfs_do_write_iter", 0x1be),
                ("vfs_write", 0x2a7),
                ("ksys_write", 0x6d),
                ("do_syscall_64", 0x82),
            ],
            2 => &[
                ("btrfs_delalloc_reserve_metadata", 0x1f0),
                ("btrfs_buffered_write", 0x2b4),
                ("btrfs_do_write_iter", 0x1be),
                ("vfs_write", 0x2a7),
            ],
            3 => &[("btrfs_destroy_inode.cold", 0x11), ("", 0), ("evict", 0x118)],
            _ => &[],
        };
        let frame = |(at, (name, offset)): (usize, &(&str, u64))| Frame {
            address: format!("{:#x}", 0xffff_ffff_8150_0000_u64 + 0x1000 * at as u64 + offset),
            symbol: (!name.is_empty()).then(|| (*name).to_owned()),
            offset: (!name.is_empty()).then_some(*offset),
            module: name.starts_with("btrfs_").then(|| "btrfs".to_owned()),
        };
        names.iter().enumerate().map(frame).collect()
    }
}

pub(super) fn over_release() -> Finding {
    let at = (START + 1_203_004_567, 4243);
    let violation = Violation {
        root: Some(5),
        ino: Some(257),
        generation: Some(9),
        amount: 131_072,
        balance_before: Some(0),
        stack: StackRef { id: 1, representative: false },
        origins: vec![Origin { bytes: 262_144, count: 2, stack: StackRef { id: 2, representative: true } }],
        explanation:
            "The inode's block_rsv gave back 131072 bytes after it had already given back all that was \
                      reserved for it."
                .to_owned(),
        ..Violation::new(FindingKind::OverRelease, Account::InodeMetaRsv, 0x101, at)
    };
    Finding {
        task: Some(TaskRef { tid: 4243, pid: 4242, comm: "fio\x1b[2J".to_owned() }),
        evidence: vec![
            Evidence {
                time: START + 1_203_001_000,
                tid: 4243,
                text: "delalloc reserve 262144, block_rsv reserved 262144 size 262144".to_owned(),
                stack: 0,
            },
            Evidence {
                time: START + 1_203_004_567,
                tid: 4243,
                text: "delalloc release 131072, block_rsv reserved 0 size 0".to_owned(),
                stack: 1,
            },
        ],
        ..Finding::new(0, violation)
    }
}

pub(super) fn leak() -> Finding {
    let at = (START + 2_000_000_000, 0);
    let violation = Violation {
        root: Some(-9_i64 as u64),
        ino: Some(258),
        amount: 3,
        stack: StackRef { id: 3, representative: false },
        confidence: Confidence::OneSided,
        explanation: "outstanding_extents was not zero when the inode was destroyed.".to_owned(),
        ..Violation::new(FindingKind::Leak, Account::InodeOutstandingExtents, 0x101, at)
    };
    Finding {
        last_seen: START + 9_500_000_000,
        seen: Spans::at(START + 9_500_000_000),
        count: 3,
        ..Finding::new(1, violation)
    }
}

pub(super) fn summary(verdict: Verdict, reasons: &[&str]) -> Summary {
    Summary {
        verdict,
        verdict_reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        doubts: Vec::new(),
        loss: BTreeMap::new(),
        filesystems: vec![filesystem()],
        failed: FailedReservations { total: 317, raced: 12, not_raced: 305, balanced: 317, undecided: 0 },
        shortages: (Vec::new(), 0),
        inodes: vec![
            inode(5, 257, 2_621_440, Some("/data/\x1b]0;owned\x07file"), true),
            inode(
                256,
                1_048_577,
                393_216,
                Some("/a/rather/long/path/that/does/not/fit/into/the/table/db.sqlite"),
                false,
            ),
        ],
        warnings: Vec::new(),
        lines: Vec::new(),
        statistics: Statistics {
            records_by_hook: BTreeMap::from([
                (HookId::SpaceReservation, 40_000),
                (HookId::BytesMayUse, 1_200),
            ]),
            records: 41_200,
            links: 1_234_567,
            order_checked: 20_000,
            order_unknown: 3,
            inodes_closed: 121,
            overlapping: 17,
            peak_records_per_second: 9_800,
        },
        span: (START + 1, START + 12_345_000_000),
    }
}

fn inode(root: u64, ino: u64, meta_rsv: i64, path: Option<&str>, opening_known: bool) -> InodeSummary {
    InodeSummary {
        fs: 0x101,
        root,
        ino,
        generation: Some(9),
        path: path.map(Into::into),
        meta_rsv,
        opening_known,
        counters: opening_known.then_some((2_621_440, 2_752_512, 4096, 1_052_672, 9)),
        reserved_total: 5_242_880,
        reservations: 20,
        last_tid: 4243,
        last_comm: "fio".to_owned(),
    }
}

fn filesystem() -> FsSummary {
    let metadata = SpaceLevels {
        flags: 4,
        total: 1 << 28,
        used: 131_072,
        may_use: 8_650_752,
        reserved: 0,
        pinned: 16_384,
    };
    let mut levels = Levels {
        global: Rsv { size: 5_767_168, reserved: 5_767_168 },
        trans: Rsv { size: 524_288, reserved: 131_072 },
        delayed_refs: Rsv { size: 262_144, reserved: 0 },
        ..Levels::default()
    };
    levels.space[0] = SpaceLevels {
        flags: 1,
        total: 8 << 20,
        used: 6 << 20,
        may_use: 1_052_672,
        reserved: 4096,
        pinned: 0,
    };
    levels.space[1] = metadata;
    levels.space[2] = SpaceLevels { flags: 2, total: 8 << 20, used: 16_384, ..SpaceLevels::default() };
    let may_use = Account::SpaceMetadata(SpaceCounter::BytesMayUse);
    FsSummary {
        fs: 0x101,
        fsid: FSID,
        device: "vdb".to_owned(),
        span: (0, 0),
        born: true,
        ended: false,
        aborted: false,
        inodes: 2,
        inodes_closed: 121,
        chains: vec![
            ChainSummary {
                account: may_use,
                object_flags: 4,
                links: 1_200,
                breaks: 0,
                value: 8_650_752,
                at: 0,
                peak: 9 << 20,
            },
            ChainSummary {
                account: Account::InodeQgroupData,
                object_flags: 1 << 48 | 100,
                links: 7,
                breaks: 0,
                value: 4096,
                at: 0,
                peak: 65_536,
            },
        ],
        levels: Some(levels),
        levels_at: 0,
        holders: Some(Box::new(holders())),
        books: BTreeMap::from([(Account::TransRsv, 131_072), (Account::InodeMetaRsv, 3_014_656)]),
        closings: BTreeMap::from([
            (Account::TransRsv, Closing::Open),
            (Account::TempRsv, Closing::NotJudged("is judged only as a part of its pool".to_owned())),
        ]),
        audit: AuditSummary {
            compared: 14,
            equal: 14,
            moving: 2,
            last: vec![(may_use, 8_650_752, 8_650_752)],
        },
        tickets: (6511, 3),
        enospc: 47,
        commits: 9,
        waits: Some(Box::new(waits())),
        draws: Some(Box::new(super::draws::draws())),
    }
}

fn holders() -> PoolHolders {
    let inode = |ino| Holder::Inode { account: Account::InodeMetaRsv, root: 256, ino };
    let metadata = SpaceHolders {
        flags: 4,
        may_use: 8_650_752,
        rows: vec![
            (Holder::Rsv(Account::FsGlobalRsv), 5_767_168),
            (inode(257), 2_359_296),
            (Holder::Inodes { account: Account::InodeMetaRsv, count: 3 }, 262_144),
            (Holder::Rsv(Account::TransRsv), 131_072),
            (Holder::Tickets { count: 1 }, 65_536),
        ],
        rest: 65_536,
        handles: (2, 524_288),
    };
    let data = SpaceHolders {
        flags: 1,
        may_use: 1_052_672,
        rows: vec![(Holder::Inode { account: Account::InodeDelallocBytes, root: 256, ino: 257 }, 1_052_672)],
        ..SpaceHolders::default()
    };
    let system = SpaceHolders { flags: 2, ..SpaceHolders::default() };
    PoolHolders {
        time: START + 12_100_000_000,
        inodes: InodesRead::Quiet,
        spaces: vec![data, metadata, system],
        paths: BTreeMap::from([((256, 257), "dir/big\u{1b}file".into())]),
    }
}

/// One stall that is over, one wait that goes on, and the flushes of both.
fn waits() -> FsWaits {
    let stack = |names: &str| names.split(' ').map(str::to_owned).collect();
    let worker = Worker {
        kind: WorkerKind::Data,
        task: TaskRef { tid: 77, pid: 77, comm: "kworker/u4:1".to_owned() },
        place: Place {
            stack: stack(
                "schedule wait_current_trans btrfs_commit_transaction flush_space btrfs_async_reclaim_data_space",
            ),
            at: START + 9_000_000_000,
        },
        last_state: Some(5),
    };
    let ticket = WaitingTicket {
        ticket: 0xffff_c900_0010_0e80,
        space_flags: 1,
        bytes: 1 << 20,
        flush: 3,
        priority: false,
        task: Some(TaskRef { tid: 1234, pid: 1230, comm: "dd".to_owned() }),
        root: 5,
        ino: 257,
        seen: (START + 3_000_000_000, START + 9_200_000_000),
        not_before: START + 2_750_000_000,
        flusher: true,
        place: Place {
            stack: stack(
                "handle_reserve_ticket reserve_bytes btrfs_reserve_data_bytes btrfs_check_data_free_space \
                 btrfs_buffered_write vfs_write",
            ),
            at: START + 9_000_000_000,
        },
    };
    let totals = |state, calls, time| FlushTotals {
        space_flags: 1,
        state,
        calls,
        asked: calls << 20,
        won: 1 << 20,
        won_known: calls,
        time,
        longest: time / 2,
        timed: calls,
        ..FlushTotals::default()
    };
    FsWaits {
        waiting: vec![WaitingTicket {
            task: None,
            priority: true,
            flush: 2,
            space_flags: 4,
            ..ticket.clone()
        }],
        counted: 1,
        walked: START + 9_200_000_000,
        workers: vec![worker.clone()],
        longest: vec![EndedWait {
            ticket: ticket.clone(),
            outcome: WaitOutcome::Failed(28),
            waited: 6_400_000_000,
            at_least: false,
            ended: START + 9_400_000_000,
            worker: Some(worker),
        }],
        times: WaitTimes {
            count: 6514,
            unmeasured: 0,
            total: 9_000_000_000,
            p50: 310_000,
            p90: 1_900_000,
            p99: 12_000_000,
            max: 6_400_000_000,
            octaves: vec![(524_288, 6000), (16_777_216, 513), (8_589_934_592, 1)],
        },
        tasks: vec![TaskWaits {
            task: TaskRef { tid: 1234, pid: 1230, comm: "dd".to_owned() },
            count: 12,
            failed: 1,
            total: 7_100_000_000,
            longest: 6_400_000_000,
        }],
        flushes: vec![
            totals(5, 40, 900_000_000),
            FlushTotals { errors: 1, last_error: 28, ..totals(11, 3, 6_300_000_000) },
        ],
        runs: vec![FlushRuns { space_flags: 1, for_tickets: 43, preemptive: 0, preemptive_done: 0 }],
    }
}

pub(super) fn facts() -> SessionFacts {
    let hook = |id: HookId, state, reason: Option<&str>, hits| Hook {
        id: id.name().to_owned(),
        kind: "raw_tracepoint".to_owned(),
        target: id.name().to_owned(),
        state,
        reason: reason.map(str::to_owned),
        hits,
        missed: 0,
    };
    SessionFacts {
        kernel: Kernel {
            release: "6.18.44".to_owned(),
            machine: "x86_64".to_owned(),
            btrfs: BtrfsKind::Builtin,
        },
        tier: Tier::Tracepoints,
        tier_reason: Some("this kernel was built without CONFIG_KPROBES".to_owned()),
        hooks: vec![
            hook(HookId::SpaceReservation, HookState::Attached, None, 52_000),
            hook(HookId::BytesMayUse, HookState::Attached, None, 33_000),
            hook(
                HookId::ErrorReportEnd,
                HookState::Skipped,
                Some("the kernel has no error_report events, so its own WARNs are not counted"),
                0,
            ),
        ],
        command: Some(vec!["./check".to_owned(), "-g".to_owned(), "quick group".to_owned()]),
        started_at: "2026-11-22T20:40:48Z".parse().unwrap(),
        ended_at: "2026-11-22T20:41:00.345Z".parse().unwrap(),
        started_monotonic_ns: START,
        duration_ns: 12_345_000_000,
        places: BTreeMap::from([(
            FSID,
            FsPlaces { devices: vec!["/dev/vdb".to_owned()], mounts: vec!["/mnt/test".to_owned()] },
        )]),
        paths: BTreeMap::from([((0x101, 5, 257), "/data/\x1b]0;owned\x07file".into())]),
        tests: Vec::new(),
        outside_tests: Vec::new(),
        doubts: Vec::new(),
        flush_states: BTreeMap::from([(5, "FLUSH_DELALLOC".to_owned()), (11, "COMMIT_TRANS".to_owned())]),
        timeline: Timeline::default(),
        reserving: Default::default(),
        part: None,
    }
}

pub(super) fn report_of(
    summary: &Summary,
    findings: &[Finding],
    facts: &SessionFacts,
    policy: &Policy,
) -> Report {
    build::build(&ReportInput { summary, findings, stacks: &Stacks, facts, policy })
}

/// A complaint of the kernel, twice, that these findings explain.
pub(super) fn line(findings: &[u32]) -> KernelLine {
    let seen = Span { from: START + 5_000, to: START + 6_000, count: 2 };
    KernelLine {
        text: "qgroup 0/257 has unreleased space, type 0 rsv 4096\x1b[2J".to_owned(),
        device: Some("vdb".to_owned()),
        fs: vec![0x101],
        place: "of vdb (2a6f7e80-ab5e-4c01-0203-0405060708ff)".to_owned(),
        tid: 77,
        first_seen: seen.from,
        last_seen: seen.to,
        count: seen.count,
        after_error: false,
        findings: findings.to_vec(),
        open: if findings.is_empty() { vec![seen] } else { Vec::new() },
    }
}

/// A run without a finding.
pub(super) fn clean() -> Report {
    let summary = summary(Verdict::Clean, &["1,234,567 changes were checked; no rule was broken."]);
    report_of(&summary, &[], &facts(), &Policy::default())
}

/// Two findings that count.
pub(super) fn with_findings() -> Report {
    let summary = summary(
        Verdict::Findings,
        &["inode 257 of subvolume 5 freed 131,072 bytes that were never reserved."],
    );
    report_of(&summary, &[over_release(), leak()], &facts(), &Policy::default())
}

/// Losses that could hide a finding.
pub(super) fn inconclusive() -> Report {
    let mut summary = summary(
        Verdict::Inconclusive,
        &["12 records of the books were lost, and 3 accounts not repaired since."],
    );
    summary.loss = BTreeMap::from([(LossClass::BooksRecord, 12), (LossClass::Stack, 4)]);
    let (address, mut seen) = (0xffff_ffff_8151_2345, Spans::at(START + 5));
    seen.add(START + 6);
    summary.lines = vec![line(&[])];
    summary.warnings = vec![KernelWarn { address, detector: 2, count: 2, stack: 3, seen }];
    let fs = &mut summary.filesystems[0];
    fs.aborted = true;
    fs.chains[1].breaks = 1;
    // A counter that wrapped below zero by one sector.
    fs.chains[1].value = 4096_u64.wrapping_neg();
    fs.audit.equal = 13;
    fs.audit.last[0].2 -= 131_072;
    // Too large for exact figures at 80 columns.
    fs.levels.as_mut().unwrap().space[0].total = 7 << 50;
    fs.levels.as_mut().unwrap().space[0].may_use = 3 << 50;
    fs.levels.as_mut().unwrap().space[0].pinned = (1 << 50) + (1 << 49);
    let mut facts = facts();
    facts.tests = vec![
        test("generic/001", Verdict::Clean, &[], 0),
        test("generic/269", Verdict::Inconclusive, &[], 12),
        test("btrfs/\x1b[31m", Verdict::Inconclusive, &[], 1),
    ];
    report_of(&summary, &[], &facts, &Policy::default())
}

pub(super) fn test(name: &str, verdict: Verdict, findings: &[u32], lost: u64) -> Test {
    Test {
        name: name.to_owned(),
        started_at: "2026-11-22T20:40:50Z".to_owned(),
        duration_ns: 4_200_000_000,
        result: Some("pass".to_owned()),
        result_reason: None,
        verdict: verdict.into(),
        verdict_reasons: if lost > 0 {
            vec![format!("{lost} records lost or events skipped")]
        } else {
            Vec::new()
        },
        section: None,
        run: Some(4242),
        scope: None,
        ended: true,
        devices: vec!["loop30".to_owned(), "loop31".to_owned()],
        filesystems: Vec::new(),
        finding_ids: findings.to_vec(),
        findings: parts(findings),
        records: 13_733,
        lost,
    }
}

/// The findings with these ids, as the row of a test has them.
pub(super) fn parts(ids: &[u32]) -> Vec<TestFinding> {
    let all = [over_release(), leak()];
    let one = |id: &u32| {
        build::finding_of_test(*id, &[&all[*id as usize]], &|_, _, _| None, &|time| {
            time.saturating_sub(START)
        })
    };
    ids.iter().map(one).collect()
}
