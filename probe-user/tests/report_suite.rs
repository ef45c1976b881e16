//! A recording of a test suite with two sections, with a leak that was put into it: what counts, by the flags of `report`,
//! and the cases of its JUnit.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use probe_common::{
    fs::FsSeen,
    header::Header,
    inode::{COUNTERS_VALID, Counters, InodeState, MOMENT_DESTROY},
    suite::{NOTE_TEXT, NoteKind, TestNote},
    task::{Marker, MarkerKind},
};
use probe_record::{
    batch::RecordBatch,
    file::{RecordingWriter, WriterOptions},
    record::Record,
    session::{HookRow, HookState, SessionEnd, SessionHeader},
};
use probe_user::hooks::catalogue;
use serde_json::Value;

const SECOND: u64 = 1_000_000_000;

fn note(test: u32, second: u64, kind: NoteKind, text: &str) -> Record {
    let header = Header { time: second * SECOND, ..Header::default() };
    let mut note = TestNote { header, what: kind as u32, test, run: 7, status: 0, text: [0; NOTE_TEXT] };
    note.text[..text.len()].copy_from_slice(text.as_bytes());
    note.into()
}

/// generic/001 and generic/002 in the sections `one` and `two`; the last of the four has the leak.
fn stream() -> Vec<Record> {
    let at = |second: u64| Header { fs: 256, tid: 7, time: second * SECOND, ..Header::default() };
    let mut s_id = [0; 32];
    s_id[..6].copy_from_slice(b"loop31");
    let mut records: Vec<Record> = vec![
        Marker {
            header: Header { fs: 0, ..at(1) },
            kind: MarkerKind::Attached as u32,
            reserved: 0,
            text: [0; 64],
        }
        .into(),
        FsSeen { header: at(2), fsid: [7; 16], s_id, ..FsSeen::default() }.into(),
    ];
    for test in 1..=4 {
        let begin = u64::from(test) * 10;
        let name = if test % 2 == 1 { "generic/001" } else { "generic/002" };
        records.push(note(test, begin, NoteKind::Begin, name));
        records.push(note(test, begin, NoteKind::Section, if test < 3 { "one" } else { "two" }));
        records.push(note(test, begin, NoteKind::Devices, "loop30 loop31"));
        if test == 4 {
            let counters = Counters { reserved: 131_072, flags: COUNTERS_VALID, ..Counters::default() };
            let (root, ino, moment) = (5, 257, MOMENT_DESTROY);
            let header = at(begin + 5);
            records.push(InodeState { header, root, ino, counters, moment, ..InodeState::default() }.into());
        }
        records.push(note(test, begin + 9, NoteKind::Result, "pass"));
        records.push(note(test, begin + 9, NoteKind::End, name));
    }
    records
}

fn recording(folder: &Path) -> PathBuf {
    let row = |name: &str| HookRow {
        id: name.to_owned(),
        kind: "raw_tracepoint".to_owned(),
        target: name.to_owned(),
        state: HookState::Attached,
        reason: String::new(),
    };
    let hooks = catalogue::required().into_iter().map(|hook| row(hook.name())).collect();
    let file = folder.join("suite.rsv");
    let header = SessionHeader { hooks, ..SessionHeader::default() };
    let mut writer = RecordingWriter::create(&file, &header, &WriterOptions::default()).unwrap();
    let mut batch = RecordBatch::new();
    for record in stream() {
        batch.push_record(&record);
    }
    writer.push_batch(&mut batch);
    assert_eq!(writer.finish(SessionEnd::default()).unwrap().status.stopped, None);
    file
}

/// Exit code, JSON and JUnit of `report` with these flags.
fn report(flags: &[&str]) -> (i32, Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = recording(folder.path());
    let (json, junit) = (folder.path().join("json"), folder.path().join("junit"));
    let output = Command::new(env!("CARGO_BIN_EXE_btrfs-probe"))
        .arg("report")
        .arg(&file)
        .arg(format!("--format=json={}", json.display()))
        .arg(format!("--format=junit={}", junit.display()))
        .args(flags)
        .output()
        .unwrap();
    let text = std::fs::read_to_string(json).unwrap_or_else(|_| panic!("{output:?}"));
    let xml = std::fs::read_to_string(junit).unwrap();
    (output.status.code().unwrap(), serde_json::from_str(&text).unwrap(), xml)
}

fn verdicts(report: &Value) -> Vec<&str> {
    report["tests"].as_array().unwrap().iter().map(|test| test["verdict"].as_str().unwrap()).collect()
}

#[test]
fn a_finding_fails_its_test_in_its_section_and_no_other() {
    let (code, report, xml) = report(&[]);
    assert_eq!(code, 3, "{}", report["verdict_reasons"]);
    assert_eq!(verdicts(&report), ["clean", "clean", "clean", "findings"]);
    assert_eq!(report["findings"][0]["test"], "generic/002");
    let cases: Vec<&str> = xml.split("<testcase ").skip(1).collect();
    let begins = [("001", "one"), ("002", "one"), ("001", "two"), ("002", "two")]
        .map(|(number, section)| format!("name=\"generic/{number}\" classname=\"xfstests.{section}\""));
    assert_eq!(cases.len(), begins.len(), "{xml}");
    for (case, begin) in cases.iter().zip(&begins) {
        assert!(case.starts_with(begin.as_str()), "{begin}: {case}");
        assert_eq!(case.contains("<failure "), begin.contains("002") && begin.contains("two"), "{case}");
    }
    assert!(xml.contains("tests=\"4\" failures=\"1\""), "{xml}");
}

#[test]
fn a_finding_that_is_known_does_not_count() {
    let (_, found, _) = report(&[]);
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known");
    let fingerprint = found["findings"][0]["fingerprint"].as_str().unwrap();
    std::fs::write(&known, format!("# since May\n{fingerprint}\n")).unwrap();
    let flag = format!("--ignore={}", known.display());
    let (code, ignoring, xml) = report(&[&flag]);
    assert_eq!(code, 0, "{}", ignoring["verdict_reasons"]);
    assert_eq!(verdicts(&ignoring), ["clean"; 4]);
    assert_eq!(ignoring["findings"][0]["ignored"], "ignore-file");
    assert!(xml.contains("tests=\"4\" failures=\"0\""), "{xml}");
    // Another one.
    std::fs::write(&known, "0000000000000001\n").unwrap();
    assert_eq!(report(&[&flag]).0, 3);
}

#[test]
fn only_the_kinds_named_fail_a_run() {
    let (code, other, _) = report(&["--fail-on", "underflow,over-release"]);
    assert_eq!((code, verdicts(&other)), (0, vec!["clean"; 4]));
    let (code, own, _) = report(&["--fail-on", "underflow,leak"]);
    assert_eq!((code, verdicts(&own)[3]), (3, "findings"));
}

#[test]
fn one_test_alone_is_reported() {
    let (code, report_of_one, xml) = report(&["--test", "generic/001"]);
    assert_eq!(code, 0, "{}", report_of_one["verdict_reasons"]);
    assert_eq!(verdicts(&report_of_one), ["clean"; 2], "one in each section");
    assert!(report_of_one["findings"].as_array().unwrap().is_empty());
    assert_eq!(report_of_one["part"]["test"], "generic/001");
    assert!(xml.contains("tests=\"2\" failures=\"0\""), "{xml}");
    let (code, other, _) = report(&["--test", "generic/002"]);
    assert_eq!((code, verdicts(&other)), (3, vec!["clean", "findings"]));
    assert_eq!(other["findings"][0]["test"], "generic/002");
}
