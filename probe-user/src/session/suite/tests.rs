//! A stream with tests and a finding: rows, lines and files.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
use std::path::Path;

use probe_common::{
    failure::{LINE_TEXT, LogLine, Warn},
    fs::FsSeen,
    header::Header,
    inode::{COUNTERS_VALID, Counters, InodeState, MOMENT_DESTROY},
    loss::{LOSS_SLOTS, LossSample},
    suite::{NOTE_TEXT, NoteKind, TestNote},
};
use probe_ledger::Setup;
use probe_record::record::Record;

use super::*;
use crate::{
    report::{
        build::{self, Policy, ReportInput, Unresolved},
        model,
    },
    session::result_files::ResultFiles,
};

const FS: u32 = 256;

fn note(test: u32, time: u64, kind: NoteKind, text: &str) -> TestNote {
    let header = Header { time, ..Header::default() };
    let mut note = TestNote { header, what: kind as u32, test, run: 7, status: 0, text: [0; NOTE_TEXT] };
    note.text[..text.len()].copy_from_slice(text.as_bytes());
    note
}

/// A leak on `loop31` at 25 s, in the second of two tests, whose results are in `folder`.
fn stream(folder: &Path) -> (Ledger, Windows) {
    let (mut ledger, mut windows) = (Ledger::new(Setup::default()), Windows::default());
    for (test, time) in [(1, 10_000_000_000), (2, 20_000_000_000)] {
        windows.note(&note(test, time, NoteKind::Begin, &format!("generic/00{test}")), 0);
        windows.note(&note(test, time, NoteKind::Devices, "loop30 loop31"), 0);
        windows.note(&note(test, time, NoteKind::Results, folder.to_str().unwrap()), 0);
        windows.note(&note(test, time + 9_000_000_000, NoteKind::End, ""), 0);
    }
    let mut s_id = [0; 32];
    s_id[..6].copy_from_slice(b"loop31");
    let header = Header { fs: FS, tid: 7, time: 25_000_000_000, ..Header::default() };
    ledger.apply(&Record::from(FsSeen { header, fsid: [7; 16], s_id, ..FsSeen::default() }));
    leak(&mut ledger, header.time, 257);
    ledger.finish();
    assert_eq!(ledger.findings().len(), 1);
    windows.read_doubts(&ledger);
    (ledger, windows)
}

/// One more test, and a leak of an inode in it.
fn another(ledger: &mut Ledger, windows: &mut Windows, test: u32, ino: u64) {
    let began = u64::from(test) * 10_000_000_000;
    windows.note(&note(test, began, NoteKind::Begin, "generic/003"), 0);
    leak(ledger, began + 5_000_000_000, ino);
    windows.note(&note(test, began + 9_000_000_000, NoteKind::End, ""), 0);
    windows.read_doubts(ledger);
}

fn leak(ledger: &mut Ledger, time: u64, ino: u64) {
    let header = Header { fs: FS, tid: 7, time, ..Header::default() };
    let counters = Counters { reserved: 131_072, flags: COUNTERS_VALID, ..Counters::default() };
    ledger.apply(&Record::from(InodeState {
        header,
        root: 5,
        ino,
        counters,
        moment: MOMENT_DESTROY,
        ..InodeState::default()
    }));
}

fn with_input<T>(
    ledger: &Ledger,
    tests: Vec<Test>,
    policy: &Policy,
    make: impl FnOnce(&ReportInput<'_>) -> T,
) -> T {
    let summary = ledger.summary(0);
    let header = probe_record::session::SessionHeader::default();
    let mut facts = super::super::facts::facts(&header, None, summary.span, Vec::new());
    facts.tests = tests;
    let findings = ledger.findings();
    make(&ReportInput { summary: &summary, findings, stacks: &Unresolved, facts: &facts, policy })
}

fn rows(ledger: &Ledger, instances: &[u32], policy: &Policy) -> Vec<model::Finding> {
    with_input(ledger, Vec::new(), policy, |input| build::findings_of(input, &input.groups(), instances))
}

fn ignoring_leaks() -> Policy {
    let fail_on = [probe_ledger::FindingKind::Underflow].into_iter().collect();
    Policy { fail_on, ..Policy::default() }
}

#[test]
fn a_finding_belongs_to_the_test_in_whose_window_it_fell() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, windows) = stream(folder.path());
    let rows = tests(&windows, &ledger, &Unresolved, Clock::default()).0;
    let verdicts: Vec<_> = rows.iter().map(|test| (test.verdict.name(), test.finding_ids.clone())).collect();
    // Nothing says that the hooks were ever attached.
    assert_eq!(verdicts, [("inconclusive", vec![]), ("findings", vec![0])]);
    assert_eq!(rows[1].filesystems, ["07070707-0707-0707-0707-070707070707"]);
    assert!(rows[0].filesystems.is_empty());
}

#[test]
fn a_finding_that_comes_again_is_of_each_test_in_which_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, mut windows) = stream(folder.path());
    for test in [3, 5] {
        another(&mut ledger, &mut windows, test, 257);
    }
    let found: Vec<_> = tests(&windows, &ledger, &Unresolved, Clock::default())
        .0
        .into_iter()
        .map(|test| test.finding_ids)
        .collect();
    assert_eq!(found, [vec![], vec![0], vec![0], vec![0]]);
}

/// A kernel that leaks every inode has more findings than are kept.
#[test]
fn findings_that_are_only_counted_are_a_doubt_of_their_test() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, mut windows) = stream(folder.path());
    (0..10_000).for_each(|ino| leak(&mut ledger, 26_000_000_000, 1_000 + ino));
    windows.read_doubts(&ledger);
    // A test of long after.
    another(&mut ledger, &mut windows, 10, 20_000);
    let rows = tests(&windows, &ledger, &Unresolved, Clock::default()).0;
    let said = |at: usize| rows[at].verdict_reasons.iter().any(|reason| reason.contains("only counted"));
    assert!(rows[2].finding_ids.is_empty() && rows[2].verdict.0 == Verdict::Inconclusive);
    assert!(said(1) && said(2), "{:?}", rows[2].verdict_reasons);
}

#[test]
fn a_warn_is_a_doubt_of_the_test_that_ran() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, windows) = stream(folder.path());
    let header = Header { time: 12_000_000_000, ..Header::default() };
    ledger.apply(&Record::from(Warn { header, address: 0x1000, detector: 2, stack: 0 }));
    let rows = tests(&windows, &ledger, &Unresolved, Clock::default()).0;
    let warned = |test: &Test| test.verdict_reasons.iter().any(|reason| reason.contains("warned in 0x1000"));
    assert!(warned(&rows[0]), "{:?}", rows[0].verdict_reasons);
    assert!(!warned(&rows[1]), "{:?}", rows[1].verdict_reasons);
}

/// Of the filesystems that a test worked on.
#[test]
fn a_complaint_of_the_kernel_is_a_doubt_of_the_test_that_ran_on_its_filesystem() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, windows) = stream(folder.path());
    // Mounted before the tests, of which none names it.
    let mut s_id = [0; 32];
    s_id[..6].copy_from_slice(b"loop40");
    let header = Header { fs: FS + 1, time: 11_000_000_000, ..Header::default() };
    ledger.apply(&Record::from(FsSeen { header, fsid: [8; 16], s_id, ..FsSeen::default() }));
    for (time, device) in [(27_000_000_000, "loop31"), (12_000_000_000, "loop31"), (12_500_000_000, "loop40")]
    {
        let line =
            format!("BTRFS warning (device {device}): qgroup 0/257 has unreleased space, type 0 rsv 4096");
        let mut text = [0; LINE_TEXT];
        text[..line.len()].copy_from_slice(line.as_bytes());
        let header = Header { time, ..Header::default() };
        ledger.apply(&Record::from(LogLine { header, length: line.len() as u32, reserved: 0, text }));
    }
    let rows = tests(&windows, &ledger, &Unresolved, Clock::default()).0;
    let said = |test: &Test| -> Vec<String> {
        let reasons = test.verdict_reasons.iter().filter(|reason| reason.starts_with("the kernel said of "));
        reasons.map(|reason| reason[19..25].to_owned()).collect()
    };
    assert_eq!(rows.iter().map(said).collect::<Vec<_>>(), [["loop31"], ["loop31"]]);
}

#[test]
fn a_test_with_a_finding_has_a_file_beside_its_results_and_no_other_has() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, windows) = stream(folder.path());
    // Of an earlier session.
    std::fs::write(folder.path().join("001.rsv"), "old").unwrap();
    let mut files = ResultFiles::default();
    files.write_new(&windows, &ledger, |findings| rows(&ledger, findings, &Policy::default()));
    assert!(!folder.path().join("001.rsv").exists());
    let text = std::fs::read_to_string(folder.path().join("002.rsv")).unwrap();
    assert!(text.contains("leak of inode.meta_rsv"), "{text}");
    // It is not written again while nothing changes.
    std::fs::remove_file(folder.path().join("002.rsv")).unwrap();
    files.write_new(&windows, &ledger, |findings| rows(&ledger, findings, &Policy::default()));
    assert!(!folder.path().join("002.rsv").exists());
}

#[test]
fn a_finding_that_is_ignored_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, windows) = stream(folder.path());
    let policy = ignoring_leaks();
    ResultFiles::default().write_new(&windows, &ledger, |findings| rows(&ledger, findings, &policy));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// `check -i 2` gives both runs of a test one folder.
#[test]
fn a_test_that_runs_again_keeps_the_file_of_its_first_run() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, mut windows) = stream(folder.path());
    let file = folder.path().join("002.rsv");
    std::fs::write(&file, "old").unwrap();
    let mut files = ResultFiles::default();
    let mut look = |windows: &Windows| {
        files.write_new(windows, &ledger, |findings| rows(&ledger, findings, &Policy::default()))
    };
    look(&windows);
    assert!(std::fs::read_to_string(&file).unwrap().contains("leak"), "that of this session");
    windows.note(&note(3, 40_000_000_000, NoteKind::Begin, "generic/002"), 0);
    windows.note(&note(3, 40_000_000_000, NoteKind::Results, folder.path().to_str().unwrap()), 0);
    look(&windows);
    assert!(std::fs::read_to_string(&file).unwrap().contains("leak"));
}

/// One of two suites side by side may never show its folder.
#[test]
fn a_test_without_a_folder_does_not_keep_the_files_of_others_from_their_turn() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, mut windows) = (Ledger::new(Setup::default()), Windows::default());
    std::fs::write(folder.path().join("002.rsv"), "old").unwrap();
    windows.note(&note(1, 10, NoteKind::Begin, "generic/001"), 0);
    windows.note(&note(2, 20, NoteKind::Begin, "generic/002"), 0);
    windows.note(&note(2, 20, NoteKind::Results, folder.path().to_str().unwrap()), 0);
    ResultFiles::default()
        .write_new(&windows, &ledger, |findings| rows(&ledger, findings, &Policy::default()));
    assert!(!folder.path().join("002.rsv").exists());
}

/// The stream does not say that all hooks were attached: that hides others, whatever is ignored.
#[test]
fn a_finding_that_is_ignored_leaves_the_doubts_that_were_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, windows) = stream(folder.path());
    let rows = tests(&windows, &ledger, &Unresolved, Clock::default()).0;
    assert_eq!(rows[1].verdict.0, Verdict::Findings);
    let report = with_input(&ledger, rows, &ignoring_leaks(), build::build);
    assert_eq!(report.verdict.0, Verdict::Inconclusive);
    assert!(report.verdict_reasons[0].contains("all hooks were attached"), "{:?}", report.verdict_reasons);
    assert_eq!(report.tests[1].verdict.0, Verdict::Inconclusive);
}

fn told(lines: &mut TestLines, windows: &Windows, ledger: &Ledger, over: bool) -> Vec<String> {
    told_by(lines, windows, ledger, over, &Policy::default())
}

fn told_by(
    lines: &mut TestLines,
    windows: &Windows,
    ledger: &Ledger,
    over: bool,
    policy: &Policy,
) -> Vec<String> {
    let news = lines.news(windows, ledger, &Unresolved, policy, (Clock::default(), over)).into_iter();
    news.map(|line| match line {
        StreamLine::TestStart(start) => format!("start {}", start.name),
        StreamLine::TestEnd(test) => format!("end {} {}", test.name, test.verdict.name()),
        _ => String::new(),
    })
    .collect()
}

#[test]
fn begins_and_ends_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, windows) = stream(folder.path());
    let mut lines = TestLines::new();
    assert_eq!(
        told(&mut lines, &windows, &ledger, true),
        [
            "start generic/001",
            "start generic/002",
            "end generic/001 inconclusive",
            "end generic/002 findings"
        ]
    );
    assert!(told(&mut lines, &windows, &ledger, true).is_empty());
}

/// A line that is sent while the session runs said `findings`, and the report `inconclusive`.
#[test]
fn the_end_of_a_test_is_told_with_the_verdict_that_the_report_has() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, windows) = stream(folder.path());
    let lines = told_by(&mut TestLines::new(), &windows, &ledger, true, &ignoring_leaks());
    assert_eq!(lines[2..], ["end generic/001 inconclusive", "end generic/002 inconclusive"]);
}

/// What looks broken is settled ten seconds later: until then an end would say `clean`.
#[test]
fn an_end_is_told_when_its_verdict_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    // The stream is at 25 s, the first test ended at 19 s.
    let (mut ledger, windows) = stream(folder.path());
    let mut lines = TestLines::new();
    assert_eq!(told(&mut lines, &windows, &ledger, false), ["start generic/001", "start generic/002"]);
    let read_at = |time| LossSample { header: Header { time, ..Header::default() }, counts: [0; LOSS_SLOTS] };
    ledger.apply(&Record::from(read_at(28_999_999_999)));
    // Time alone settles nothing: what was missed is not known yet.
    let header = Header { fs: FS, time: 40_000_000_000, ..Header::default() };
    ledger.apply(&Record::from(FsSeen { header, ..FsSeen::default() }));
    assert!(told(&mut lines, &windows, &ledger, false).is_empty());
    ledger.apply(&Record::from(read_at(29_000_000_000)));
    assert_eq!(told(&mut lines, &windows, &ledger, false), ["end generic/001 inconclusive"]);
    assert_eq!(told(&mut lines, &windows, &ledger, true), ["end generic/002 findings"]);
    assert!(told(&mut lines, &windows, &ledger, true).is_empty());
}

/// Leaks of one fingerprint in two tests and between them are one finding. Each test, and its file, has its own inodes of it.
#[test]
fn tests_have_their_own_part_of_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, mut windows) = stream(folder.path());
    another(&mut ledger, &mut windows, 3, 258);
    leak(&mut ledger, 45_000_000_000, 259);
    another(&mut ledger, &mut windows, 5, 260);
    windows.note(&note(5, 50_000_000_000, NoteKind::Results, folder.path().to_str().unwrap()), 0);
    leak(&mut ledger, 56_000_000_000, 261);
    windows.read_doubts(&ledger);
    let (rows, outside) =
        tests(&windows, &ledger, &Unresolved, Clock { started: 1_000_000_000, wall_offset_ns: 0 });
    let inodes = |part: &TestFinding| {
        let inodes: Vec<_> = part.instances.iter().filter_map(|instance| instance.inode).collect();
        (part.id, part.amount, part.inodes, inodes)
    };
    let parts: Vec<Vec<_>> = rows.iter().map(|test| test.findings.iter().map(inodes).collect()).collect();
    const EACH: i64 = 131_072;
    assert_eq!(
        parts,
        [
            vec![],
            vec![(0, EACH, 1, vec![257])],
            vec![(0, EACH, 1, vec![258])],
            vec![(0, 2 * EACH, 2, vec![260, 261])]
        ]
    );
    assert_eq!(outside.iter().map(inodes).collect::<Vec<_>>(), [(0, EACH, 1, vec![259])]);
    assert_eq!(rows[1].findings[0].first_seen_ns, 24_000_000_000);
    let report = with_input(&ledger, rows, &Policy::default(), build::build);
    assert_eq!((report.findings.len(), report.findings[0].inodes), (1, 5));
    ResultFiles::default()
        .write_new(&windows, &ledger, |instances| self::rows(&ledger, instances, &Policy::default()));
    let text = std::fs::read_to_string(folder.path().join("003.rsv")).unwrap();
    assert!(text.contains("#0 leak") && text.contains("260 of subvolume 5"), "{text}");
    assert!(!text.contains("257") && !text.contains("258"), "of other tests: {text}");
}
