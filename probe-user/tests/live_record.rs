//! A recording says what the live session would have said.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use probe_common::{ABI_VERSION, config::Config};
use probe_ledger::{Ledger, Setup, Verdict};
use probe_record::{
    batch::RecordBatch,
    file::{RecordingReader, RecordingWriter, WriterOptions},
    record::Record,
    session::{SessionEnd, SessionHeader, SymbolRow},
    stream::{Source, SourceState},
};
use probe_user::{
    capture::{LiveCapture, LiveOptions},
    hooks::{Probe, ProbeOptions, catalogue, functions, plan},
    kernel::{
        btf::KernelTypes,
        rights::{Need, Rights},
    },
};
use support::{
    load,
    probe::{self, RING, assert_clean, assert_silent, lives, number},
};

/// The kernel side, as the tool has it inside: the test may run where nothing was built.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/probe.bpf.o"));
const WAIT: Duration = Duration::from_millis(20);

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_recording_is_reported_the_same_each_time() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(320);
    let uuid = fs.fsid().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session.rsv");
    let file = file.to_str().unwrap();
    let (watched, recorded) = load::beside(&[fs.path()], || {
        let recorder = probe::attached(&[
            "record",
            "-o",
            file,
            "--fs",
            &uuid,
            "--ring-size",
            RING,
            "--",
            "sh",
            "-c",
            "sleep 4; exit 5",
        ]);
        let watched = probe::run(&["watch", "--fs", &uuid, "--ring-size", RING, "--duration", "2s"]);
        (watched, recorder.finish())
    });
    assert_eq!(recorded.code, 5, "{recorded:?}");
    assert_clean(&watched);
    let [first, second] = [0, 1].map(|_| probe::run(&["report", file]));
    assert_clean(&first);
    assert_eq!(first.report, second.report);
    let (live, replay) = (watched.report(), first.report());
    if ![live, replay].into_iter().any(probe::skipped_by_the_kernel) {
        assert_eq!(live["verdict"], replay["verdict"]);
    }
    assert_eq!(live["kernel"], replay["kernel"]);
    assert_eq!(replay["command"][0], "sh");
    let [watched, replayed] = [live, replay].map(|report| lives(report, &uuid)[0]);
    for same in ["uuid", "devices", "mounts", "born", "ended", "aborted"] {
        assert_eq!(watched[same], replayed[same], "{same}");
    }
    assert!(number(&replay["statistics"]["records"]) > support::at_least(1000));
    assert!(number(&replayed["audit"]["compared"]) > 0 || number(&replayed["audit"]["moving"]) > 0);
}

/// `report --fs` judged all that was in the recording.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_filter_of_a_report_leaves_what_a_session_with_it_would_show() {
    let Some(_alone) = support::live() else { return };
    let (one, other) = (load::filesystem(256), load::filesystem(256));
    let (uuid, second) = (one.fsid().to_string(), other.fsid().to_string());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("both.rsv");
    let file = file.to_str().unwrap();
    let (watched, recorded) = load::beside(&[one.path(), other.path()], || {
        let recorder = probe::attached(&["record", "-o", file, "--ring-size", RING, "--duration", "5s"]);
        let watched = probe::run(&["watch", "--fs", &uuid, "--ring-size", RING, "--duration", "2s"]);
        (watched, recorder.finish())
    });
    assert_eq!(recorded.code, 0, "{recorded:?}");
    assert_clean(&watched);
    let whole = probe::run(&["report", file]);
    assert_clean(&whole);
    assert_eq!(lives(whole.report(), &uuid).len() + lives(whole.report(), &second).len(), 2);
    for name in [uuid.as_str(), one.path().to_str().unwrap(), one.device().to_str().unwrap()] {
        let part = probe::run(&["report", file, "--fs", name]);
        assert_clean(&part);
        let [life] = probe::list(&part.report()["filesystems"]) else {
            panic!("{}", part.report()["filesystems"])
        };
        assert_eq!(life, lives(whole.report(), &uuid)[0], "--fs {name}");
        for same in ["uuid", "devices", "mounts", "born", "ended", "aborted"] {
            assert_eq!(life[same], lives(watched.report(), &uuid)[0][same], "{same}");
        }
    }
    // One that the recording of the other does not hold.
    let none = probe::run(&["report", file, "--fs", "00000000-1111-2222-3333-444444444444"]);
    assert_eq!((none.code, none.report()["verdict"].as_str()), (4, Some("inconclusive")), "{none:?}");
}

/// Its recorder was killed: what had been written is readable, and the verdict says that the end is missing.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_recording_without_its_end_is_inconclusive() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(320);
    let uuid = fs.fsid().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut.rsv");
    let whole = load::beside(&[fs.path()], || {
        probe::run(&[
            "record",
            "-o",
            file.to_str().unwrap(),
            "--fs",
            &uuid,
            "--ring-size",
            RING,
            "--duration",
            "3s",
        ])
    });
    assert_eq!(whole.code, 0, "{whole:?}");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let done = probe::run(&["report", file.to_str().unwrap()]);
    assert_silent(done.report());
    assert_eq!((done.code, done.report()["verdict"].as_str()), (4, Some("inconclusive")), "{done:?}");
}

/// The last seconds of a long session, written when somebody asks.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_flight_recorder_writes_the_last_seconds_when_it_is_asked() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(320);
    let uuid = fs.fsid().to_string();
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    let done = load::beside(&[fs.path()], || {
        let session =
            probe::attached(&["watch", "--fs", &uuid, "--ring-size", RING, "--keep", "1s", "--dump-to", to]);
        std::thread::sleep(Duration::from_secs(4));
        session.signal(Signal::SIGUSR1);
        std::thread::sleep(Duration::from_secs(2));
        session.signal(Signal::SIGINT);
        session.finish()
    });
    assert_clean(&done);
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}: {}", done.stderr) };
    let file = file.to_str().unwrap();
    assert!(file.ends_with("-request.rsv") && done.stderr.contains(file), "{}", done.stderr);
    let dump = probe::run(&["report", file]);
    assert_silent(dump.report());
    assert_eq!((dump.code, dump.report()["verdict"].as_str()), (4, Some("inconclusive")), "{dump:?}");
    let missing = number(&dump.report()["loss"]["by_class"]["not_kept"]);
    let records = number(&dump.report()["statistics"]["records"]);
    let all = number(&done.report()["statistics"]["records"]);
    assert!(missing > 0 && records > 100 && missing < all, "{missing} + {records} of {all}");
    assert_eq!(lives(dump.report(), &uuid).len(), 1);
}

/// A recorder that runs for days keeps the newest files, each of which can be read.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_recording_that_takes_turns_keeps_the_newest_files() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(320);
    let uuid = fs.fsid().to_string();
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("turns.rsv");
    let arguments = ["record", "-o", name.to_str().unwrap(), "--max-size", "64K", "--rotate", "2"];
    let rest = ["--fs", &uuid, "--ring-size", RING];
    let third = folder.path().join("turns.rsv.0003.tmp");
    let done = load::beside(&[fs.path()], || {
        let session = probe::attached(&[&arguments[..], &rest].concat());
        let begun = Instant::now();
        while !third.exists() && begun.elapsed() < support::deadline(60) {
            std::thread::sleep(WAIT);
        }
        std::thread::sleep(Duration::from_secs(1));
        session.interrupt()
    });
    assert_eq!(done.code, 0, "{done:?}");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2, "{files:?}: {}", done.stderr);
    assert!(done.stderr.contains("older ones removed: "), "{}", done.stderr);
    for file in &files {
        let report = probe::run(&["report", file.to_str().unwrap()]);
        assert_silent(report.report());
        assert_eq!(report.code, 4, "{report:?}");
        assert_eq!(lives(report.report(), &uuid).len(), 1);
    }
    let again = probe::run(&arguments);
    assert_eq!(again.code, 1);
    assert!(again.one_sentence().contains("is there already"), "{again:?}");
}

/// What waits to be settled waits for time of the stream: it passes on a machine where nothing happens, too.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_finding_on_an_idle_machine_does_not_wait_for_the_end() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(320);
    let uuid = fs.fsid().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("idle.rsv");
    let done = probe::run(&["record", "-o", file.to_str().unwrap(), "--fs", &uuid, "--duration", "4s"]);
    assert_eq!(done.code, 0, "{done:?}");
    let mut times = Vec::new();
    let mut reader = RecordingReader::open(&file).unwrap();
    let mut batch = RecordBatch::new();
    while reader.next_batch(&mut batch) {
        times.extend(batch.iter().flatten().filter_map(|record| match record {
            Record::LossSample(sample) => Some(sample.header.time),
            _ => None,
        }));
    }
    // The end reads them twice more: before the last audits, and when the hooks are gone.
    let running = &times[..times.len().saturating_sub(2)];
    assert!(running.len() >= 2, "four seconds without a record: {times:?}");
    assert!(running.windows(2).all(|pair| pair[1] - pair[0] >= 900_000_000), "{times:?}");
}

/// What the analysis made of a stream: all that reports are built from.
fn analyse(ledger: &mut Ledger, batch: &RecordBatch) {
    let mut undecodable = 0;
    for record in batch.decoded(&mut undecodable) {
        ledger.apply(&record);
    }
    assert_eq!(undecodable, 0);
}

fn setup() -> Setup {
    let required = catalogue::required();
    Setup { attached: required.to_vec(), required, ..Setup::default() }
}

/// The same stream into the books and into a file: the replay of the file gives the same books, field by field.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_live_session_and_its_replay_agree_field_by_field() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(320);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tee.rsv");

    let types = KernelTypes::of_kernel(Path::new("/")).unwrap();
    let resolved = types.resolve();
    let config = Config { abi: ABI_VERSION, level_ms: 256, own_pid: std::process::id(), ..Config::default() };
    let options = ProbeOptions {
        offsets: resolved.offsets,
        signatures: functions::signatures(&[]),
        config,
        iterators: false,
        cpus: 64,
        root_fs_type: None,
        ring_bytes: 256 << 20,
        verbose: false,
    };
    let mut hooks = Probe::load(OBJECT, &options).unwrap();
    let rows = hooks.attach(&plan::plan(&types, &resolved)).unwrap();
    let header = SessionHeader { hooks: rows, ..SessionHeader::default() };
    let mut writer = RecordingWriter::create(&file, &header, &WriterOptions::default()).unwrap();
    let options = LiveOptions {
        rights: Rights::of(&[Need::Hooks]),
        signs: None,
        ring_bytes: 16 << 20,
        depth: 32,
        namer: Box::new(|address| SymbolRow { address, ..SymbolRow::default() }),
        audit_inodes: 1000,
        root: "/".into(),
    };
    let (capture, mut live) = LiveCapture::start(hooks, header, options).unwrap();

    let mut books = Ledger::new(setup());
    load::beside(&[fs.path()], || {
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(Duration::from_secs(2));
                capture.stop(SessionEnd::default());
                capture.join();
            });
            let mut batch = RecordBatch::new();
            loop {
                match live.next(&mut batch, WAIT) {
                    SourceState::Batch => {
                        analyse(&mut books, &batch);
                        writer.push_batch(&mut batch);
                        writer.push_symbols(&live.take_symbols());
                    }
                    SourceState::Idle => {}
                    SourceState::End => break,
                }
            }
        });
    });
    books.finish();
    let finished = writer.finish(live.end().unwrap().clone()).unwrap();
    assert!(finished.complete && finished.status.lost == 0, "{finished:?}");

    let mut reader = RecordingReader::open(&file).unwrap();
    let mut again = Ledger::new(setup());
    let mut batch = RecordBatch::new();
    let mut markers = 0;
    while reader.next_batch(&mut batch) {
        let mut undecodable = 0;
        let is_marker = |record: &Record| matches!(record, Record::Marker(_));
        markers += batch.decoded(&mut undecodable).filter(is_marker).count();
        analyse(&mut again, &batch);
    }
    again.finish();
    assert_eq!(markers, 2, "attached and detaching");
    assert_eq!(reader.end(), live.end());
    let (live, replay) = (books.summary(1000), again.summary(1000));
    assert_eq!(live, replay);
    assert_eq!(books.findings(), again.findings());
    assert_eq!(books.findings(), []);
    // See `probe::skipped_by_the_kernel`.
    let skipped = live.verdict_reasons.iter().any(|reason| reason.contains("were skipped because"))
        && nix::sys::utsname::uname().unwrap().release().to_string_lossy().starts_with('7');
    assert!(skipped || live.verdict == Verdict::Clean, "{:?}", live.verdict_reasons);
    assert!(live.statistics.links > support::at_least(1000).unsigned_abs(), "{:?}", live.statistics);
}
