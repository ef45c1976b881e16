//! A stream with tests and a finding: rows, lines and files.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
use probe_common::{
    fs::FsSeen,
    header::Header,
    inode::{COUNTERS_VALID, Counters, InodeState, MOMENT_DESTROY},
    suite::{NOTE_TEXT, NoteKind, TestNote},
};

use super::*;
use crate::{
    capture::record::Record,
    ledger::Setup,
    report::build::{self, Policy, ReportInput, Unresolved},
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
    let counters = Counters { reserved: 131_072, flags: COUNTERS_VALID, ..Counters::default() };
    let state =
        InodeState { header, root: 5, ino: 257, counters, moment: MOMENT_DESTROY, ..InodeState::default() };
    ledger.apply(&Record::from(state));
    ledger.finish();
    assert_eq!(ledger.findings().len(), 1);
    windows.look(ledger.now(), ledger.record_count(), ledger.doubts());
    (ledger, windows)
}

fn row(ledger: &Ledger, finding: &Finding, policy: &Policy) -> model::Finding {
    let summary = ledger.summary(0);
    let header = crate::capture::session::SessionHeader::default();
    let facts = super::super::facts::facts(&header, None, summary.span, Vec::new());
    let findings = ledger.findings();
    build::build_finding(
        &ReportInput { summary: &summary, findings, stacks: &Unresolved, facts: &facts, policy },
        finding,
    )
}

#[test]
fn a_finding_belongs_to_the_test_in_whose_window_it_fell() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, windows) = stream(folder.path());
    let rows = tests(&windows, &ledger, 0);
    let verdicts: Vec<_> = rows.iter().map(|test| (test.verdict.name(), test.finding_ids.clone())).collect();
    // Nothing says that the hooks were ever attached.
    assert_eq!(verdicts, [("inconclusive", vec![]), ("findings", vec![0])]);
    assert_eq!(rows[1].filesystems, ["07070707-0707-0707-0707-070707070707"]);
    assert!(rows[0].filesystems.is_empty());
}

#[test]
fn a_test_with_a_finding_has_a_file_beside_its_results_and_no_other_has() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, windows) = stream(folder.path());
    // Of an earlier session.
    std::fs::write(folder.path().join("001.rsv"), "old").unwrap();
    let mut files = ResultFiles::new();
    files.look(&windows, &ledger, |finding| row(&ledger, finding, &Policy::default()));
    assert!(!folder.path().join("001.rsv").exists());
    let text = std::fs::read_to_string(folder.path().join("002.rsv")).unwrap();
    assert!(text.contains("leak of inode.meta_rsv"), "{text}");
    // It is not written again while nothing changes.
    std::fs::remove_file(folder.path().join("002.rsv")).unwrap();
    files.look(&windows, &ledger, |finding| row(&ledger, finding, &Policy::default()));
    assert!(!folder.path().join("002.rsv").exists());
}

#[test]
fn a_finding_that_is_ignored_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, windows) = stream(folder.path());
    let fail_on = [crate::ledger::finding::FindingKind::Underflow].into_iter().collect();
    let policy = Policy { fail_on, ..Policy::default() };
    ResultFiles::new().look(&windows, &ledger, |finding| row(&ledger, finding, &policy));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn begins_and_ends_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let (ledger, windows) = stream(folder.path());
    let mut lines = TestLines::new();
    let news: Vec<_> = lines
        .news(&windows, &ledger, 0)
        .into_iter()
        .map(|line| match line {
            StreamLine::TestStart(start) => format!("start {}", start.name),
            StreamLine::TestEnd(test) => format!("end {}", test.name),
            _ => String::new(),
        })
        .collect();
    assert_eq!(news, ["start generic/001", "start generic/002", "end generic/001", "end generic/002"]);
    assert!(lines.news(&windows, &ledger, 0).is_empty());
}
