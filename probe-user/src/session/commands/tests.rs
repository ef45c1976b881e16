//! Commands get their documents, one at a time, and never hold up the session.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
use std::path::Path;

use probe_record::file::RecordingReader;
use tempfile::TempDir;

use super::{runner::Runs, *};
use crate::session::consume::{Nobody, into_books};

fn runner(command: &str) -> Runner {
    Runner::start("test", command.into()).unwrap()
}

#[test]
fn each_run_gets_its_document_and_the_environment() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("got");
    let mut runner = runner(&format!("cat >> {}; test -n \"$PATH\"", file.display()));
    for number in 0..5 {
        runner.run(format!("{{\"number\":{number}}}\n").into_bytes());
    }
    assert_eq!(runner.close(), Runs { well: 5, ..Runs::default() });
    let got = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        got.lines().collect::<Vec<_>>(),
        (0..5).map(|n| format!("{{\"number\":{n}}}")).collect::<Vec<_>>()
    );
}

#[test]
fn what_finds_no_room_is_counted_and_nothing_waits() {
    let folder = TempDir::new().unwrap();
    let go = folder.path().join("go");
    let mut runner = runner(&format!("until test -e {}; do sleep 0.01; done", go.display()));
    // Larger than a pipe, and nobody reads it.
    for _ in 0..100 {
        runner.run(vec![b'x'; 1 << 18]);
    }
    std::fs::write(&go, "").unwrap();
    let runs = runner.close();
    assert_eq!(runs.well + runs.dropped, 100, "{runs:?}");
    // Sixteen wait, and one or none was taken by then.
    assert!((16..=17).contains(&runs.well), "{runs:?}");
    assert!(runs.sentence().unwrap().contains("events had no run"), "{runs:?}");
}

#[test]
fn failures_and_signals_are_told() {
    let mut failing = runner("exit 3");
    failing.run(Vec::new());
    let runs = failing.close();
    assert_eq!(runs.failed, (1, 3));
    assert_eq!(runs.sentence().unwrap(), "1 run failed, the last one with status 3; 0 runs went well");
    let mut killed = runner("kill -9 $$");
    killed.run(Vec::new());
    assert_eq!(killed.close().failed, (1, 137));
    assert_eq!(runner("true").close().sentence(), None);
}

/// It ignores SIGTERM, and so does what it started: both are gone afterwards.
#[test]
fn a_command_that_does_not_end_is_ended_with_all_it_started() {
    let folder = TempDir::new().unwrap();
    let pids = folder.path().join("pids");
    let mut runner = runner(&format!(
        "trap '' TERM; sleep 1000 & echo $! $$ > {0}.new; mv {0}.new {0}; wait",
        pids.display()
    ));
    runner.run(Vec::new());
    while !pids.exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let runs = runner.close();
    assert_eq!((runs.killed, runs.well), (1, 0), "{runs:?}");
    for pid in std::fs::read_to_string(&pids).unwrap().split_whitespace() {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{state}");
    }
}

#[test]
fn failures_of_a_session_become_documents_once() {
    let path = format!("{}/testdata/recordings/failures.rsv", env!("CARGO_MANIFEST_DIR"));
    let mut reader = RecordingReader::open(Path::new(&path)).unwrap();
    let books = into_books(&mut reader, Nobody);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("got");
    let command: OsString = format!("cat >> {}", file.display()).into();
    let mut commands = Commands::start(&[(Trigger::Enospc, command)]).unwrap().unwrap();
    let mut announcer = Announcer::new(false, false);
    let policy = Policy::default();
    announcer.keep_news();
    announcer.announce(&books, &reader, &policy);
    commands.tick(&mut announcer, &books, &reader, &policy);
    commands.tick(&mut announcer, &books, &reader, &policy);
    // Without a pause, only what happened again is told again.
    commands.pause = Duration::ZERO;
    commands.tick(&mut announcer, &books, &reader, &policy);
    commands.close();
    let got = std::fs::read_to_string(&file).unwrap();
    let events: Vec<Event> = got.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told = books.ledger.shortages().iter().filter(|shortage| event_of(shortage).is_some()).count();
    assert!(told > 0);
    assert_eq!(events.len(), told, "{got}");
    for event in events {
        assert_eq!((event.event.as_str(), event.schema_version), ("enospc", 1));
        let failure = event.failure.unwrap();
        assert_eq!((failure.errno.as_str(), failure.instances.is_empty()), ("ENOSPC", false));
    }
}

#[test]
fn findings_that_count_become_documents() {
    let path = format!("{}/assets/broken.rsv", env!("CARGO_MANIFEST_DIR"));
    let mut reader = RecordingReader::open(Path::new(&path)).unwrap();
    let books = into_books(&mut reader, Nobody);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("got");
    let command: OsString = format!("cat >> {}", file.display()).into();
    let mut commands = Commands::start(&[(Trigger::Finding, command)]).unwrap().unwrap();
    let mut announcer = Announcer::new(false, false);
    announcer.keep_news();
    for _ in 0..2 {
        announcer.announce(&books, &reader, &Policy::default());
        commands.tick(&mut announcer, &books, &reader, &Policy::default());
    }
    let counted = announcer.counted();
    commands.close();
    let got = std::fs::read_to_string(&file).unwrap();
    assert!(counted > 0);
    assert_eq!(got.lines().count(), counted, "{got}");
    let event: Event = serde_json::from_str(got.lines().next().unwrap()).unwrap();
    assert!(event.finding.is_some() && event.failure.is_none() && event.stall.is_none());
}
