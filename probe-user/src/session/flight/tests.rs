//! A recording of the flight recorder says nothing that the whole session does not say.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
use std::collections::BTreeSet;

use probe_common::{
    failure::Enospc,
    header::Header,
    inode::{COUNTERS_VALID, Counters, InodeState, MOMENT_DESTROY},
};
use probe_ledger::Verdict;
use probe_record::{file::RecordingReader, kept::Bound, stream::Source as _};
use tempfile::TempDir;

use super::*;
use crate::{
    hooks::catalogue,
    report::{build::Policy, model::Report},
    session::{
        consume::{self, Nobody},
        facts,
        plan::FilterPlan,
        selected::Recording,
    },
};

/// Records in a batch: as few as on an idle machine.
const BATCH: usize = 64;

fn recordings() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(root.join("testdata/recordings"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "rsv"));
    files.push(root.join("assets/demo.rsv"));
    files.sort();
    files
}

fn report(file: &Path) -> Report {
    let mut source = Recording::new(file, &FilterPlan::default()).unwrap().open().unwrap();
    let books = consume::into_books(&mut source, Nobody);
    let doubts = books.all_doubts(&source);
    let policy = Policy::default();
    facts::report(source.header(), source.end(), doubts, &books, &policy)
}

fn findings(report: &Report) -> BTreeSet<(String, String)> {
    report
        .findings
        .iter()
        .map(|finding| (finding.kind.0.name().to_owned(), finding.account.0.name().to_owned()))
        .collect()
}

/// The stream of a recording in small batches.
fn batches(file: &Path) -> (SessionHeader, Vec<RecordBatch>) {
    let mut reader = RecordingReader::open(file).unwrap();
    let (mut list, mut block) = (vec![RecordBatch::new()], RecordBatch::new());
    while reader.next_batch(&mut block) {
        for bytes in block.raw() {
            if list.last().unwrap().records() as usize >= BATCH {
                list.push(RecordBatch::new());
            }
            list.last_mut().unwrap().push(bytes.unwrap()).unwrap();
        }
    }
    (reader.header().clone(), list)
}

fn plan(folder: &TempDir, bytes: u64, on: &[Trigger]) -> KeepPlan {
    KeepPlan {
        typed: "1M".to_owned(),
        bound: Bound { span: Duration::MAX, bytes },
        on: on.iter().copied().collect(),
        folder: folder.path().to_owned(),
    }
}

/// What the recorder writes if it holds at most `bytes` and is asked at a batch.
fn recorded(
    header: &SessionHeader,
    batches: &[RecordBatch],
    bytes: u64,
    asked_at: usize,
) -> (TempDir, RecordingLine) {
    let folder = TempDir::new().unwrap();
    let books = Books::new(header);
    let mut flight = FlightRecorder::new(&plan(&folder, bytes, &[]), header).unwrap();
    for (number, batch) in batches.iter().enumerate() {
        if number == asked_at {
            flight.trigger(Trigger::Request);
        }
        flight.take(&mut batch.clone(), &books);
    }
    flight.over(&books);
    let [line] = flight.take_news().try_into().unwrap();
    (folder, line)
}

/// Every bundled recording, cut at many places: a correct kernel stays without findings, whatever is missing before.
#[test]
fn a_recording_makes_no_finding_that_the_session_does_not_make() {
    for file in recordings() {
        let whole = findings(&report(&file));
        let (header, batches) = batches(&file);
        let cuts = [1, 2, 3, 5, 8].into_iter().map(|part| batches.len() * part / 9).filter(|cut| *cut > 0);
        for cut in cuts {
            let (_folder, line) = recorded(&header, &batches, 1, cut);
            let part = report(Path::new(&line.file));
            assert!(line.not_kept > 0, "{}: {line:?}", file.display());
            let more: Vec<_> = findings(&part).difference(&whole).cloned().collect();
            assert!(more.is_empty(), "{} cut at batch {cut} of {}: {more:?}", file.display(), batches.len());
            assert_ne!(part.verdict.0, Verdict::Clean, "{}: what came before is not known", file.display());
            assert_eq!(part.loss.by_class["not_kept"], line.not_kept, "{}", file.display());
        }
    }
}

#[test]
fn a_recording_of_everything_says_what_the_session_says() {
    for file in recordings() {
        let (header, batches) = batches(&file);
        let records: u64 = batches.iter().map(RecordBatch::records).sum();
        let (_folder, line) = recorded(&header, &batches, u64::MAX, batches.len() / 2);
        assert_eq!(line.not_kept, 0);
        // The reader puts losses of the session's end into the stream; the recording has a marker at its end.
        assert!(line.records > records, "{}: {line:?}", file.display());
        let part = report(Path::new(&line.file));
        assert_eq!(findings(&part), findings(&report(&file)), "{}", file.display());
    }
}

fn at(time: u64) -> Header {
    Header { fs: 256, tid: 7, time, ..Header::default() }
}

fn of(record: impl Into<Record>) -> RecordBatch {
    let mut batch = RecordBatch::new();
    batch.push_record(&record.into());
    batch
}

fn session() -> SessionHeader {
    use probe_record::session::{HookRow, HookState};
    let row = |name: &str| HookRow { id: name.to_owned(), state: HookState::Attached, ..HookRow::default() };
    SessionHeader {
        hooks: catalogue::required().into_iter().map(|hook| row(hook.name())).collect(),
        ..SessionHeader::default()
    }
}

/// The finding that made it write is in what it wrote.
#[test]
fn a_leak_after_the_cut_is_still_a_finding() {
    let counters = Counters { reserved: 131_072, flags: COUNTERS_VALID, ..Counters::default() };
    let leak = InodeState {
        header: at(9),
        root: 5,
        ino: 257,
        counters,
        moment: MOMENT_DESTROY,
        ..InodeState::default()
    };
    let attached = marker(at(1), MarkerKind::Attached);
    let mut stream = vec![of(attached)];
    stream.extend((2..9).map(|time| of(Enospc { header: at(time), ..Enospc::default() })));
    stream.push(of(leak));
    let (_folder, line) = recorded(&session(), &stream, 1, 5);
    let report = report(Path::new(&line.file));
    assert_eq!(report.verdict.0, Verdict::Findings, "{:?}", report.verdict_reasons);
    assert_eq!(report.findings[0].amount.to_string(), "131072");
}

#[test]
fn only_what_was_named_makes_it_write() {
    let folder = TempDir::new().unwrap();
    let books = Books::new(&session());
    let enospc: Record = Enospc { header: at(2), ..Enospc::default() }.into();
    for (on, wanted) in [(&[Trigger::Warn][..], 0), (&[Trigger::Warn, Trigger::Enospc], 1)] {
        let mut flight = FlightRecorder::new(&plan(&folder, u64::MAX, on), &session()).unwrap();
        flight.see(&enospc);
        flight.take(&mut of(enospc), &books);
        flight.over(&books);
        let news = flight.take_news();
        assert_eq!(news.len(), wanted, "{news:?}");
        assert!(news.iter().all(|line| line.trigger == "enospc" && line.file.contains("-enospc")));
    }
}

#[test]
fn a_filesystem_that_fails_all_day_does_not_fill_the_disk() {
    let folder = TempDir::new().unwrap();
    let books = Books::new(&session());
    let mut flight = FlightRecorder::new(&plan(&folder, u64::MAX, &[Trigger::Warn]), &session()).unwrap();
    flight.pause = Duration::ZERO;
    for _ in 0..MOST + 3 {
        flight.trigger(Trigger::Warn);
        flight.take(&mut of(marker(at(1), MarkerKind::Attached)), &books);
        flight.over(&books);
    }
    assert_eq!(flight.take_news().len(), MOST as usize);
    assert_eq!(flight.left_out(), 3);
    flight.trigger(Trigger::Request);
    flight.over(&books);
    assert_eq!(flight.take_news().len(), 1, "who asks gets one");
}

/// A filesystem without space fails thousands of times in a row: one recording shows it.
#[test]
fn one_trigger_makes_one_recording_a_minute() {
    let folder = TempDir::new().unwrap();
    let books = Books::new(&session());
    let on = [Trigger::Enospc, Trigger::Warn];
    let mut flight = FlightRecorder::new(&plan(&folder, u64::MAX, &on), &session()).unwrap();
    for why in [Trigger::Enospc, Trigger::Enospc, Trigger::Warn, Trigger::Enospc] {
        flight.trigger(why);
        flight.over(&books);
    }
    let triggers: Vec<String> = flight.take_news().into_iter().map(|line| line.trigger).collect();
    assert_eq!(triggers, ["enospc", "warn"]);
    assert_eq!(flight.left_out(), 2);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told_before_the_session() {
    let folder = TempDir::new().unwrap();
    let mut plan = plan(&folder, 1, &[]);
    plan.folder = folder.path().join("missing");
    let error = FlightRecorder::new(&plan, &session()).unwrap_err();
    assert!(error.to_string().starts_with("cannot write to the --dump-to folder"), "{error}");
}
