//! Files that take turns hold the newest records, and each can be read by itself.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
use probe_common::{
    header::Header,
    task::{MarkerKind, TaskSeen},
};
use probe_record::{
    file::RecordingReader,
    preface::marker,
    record::Record,
    stream::{BatchSender, channel},
};
use tempfile::TempDir;

use super::*;

fn plan(folder: &TempDir, max_bytes: u64, rotate: Option<u32>) -> RecordPlan {
    RecordPlan { file: folder.path().join("trace.rsv"), max_bytes: Some(max_bytes), rotate }
}

/// A batch of another second of the stream, so that the writer makes a block of it; random, so that it does not compress.
fn send(sender: &mut BatchSender, second: u64) {
    let mut batch = RecordBatch::new();
    let mut random = second;
    for tid in 0..4000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let header = Header { time: second * 2_000_000_000, tid, ..Header::default() };
        let mut comm = [0; 16];
        comm[..8].copy_from_slice(&random.to_le_bytes());
        batch.push_record(&TaskSeen { header, pid: random as u32, comm, ..TaskSeen::default() }.into());
    }
    sender.send(&mut batch).unwrap();
}

fn written(plan: &RecordPlan, seconds: u64) -> Written {
    let (mut sender, mut receiver) = channel(SessionHeader::default(), 4);
    let pieces = Pieces::new(plan, receiver.header()).unwrap();
    let feeder = std::thread::spawn(move || {
        let mut attached = RecordBatch::new();
        attached.push_record(&marker(Header::default(), MarkerKind::Attached));
        sender.send(&mut attached).unwrap();
        for second in 1..=seconds {
            send(&mut sender, second);
            // The size is that of what the disk has taken.
            std::thread::sleep(Duration::from_millis(20));
        }
        sender.finish(SessionEnd::default()).unwrap();
    });
    let written = pieces.write(&mut receiver, &Notify::new()).unwrap();
    feeder.join().unwrap();
    written
}

fn records(file: &Path) -> Vec<Record> {
    let mut reader = RecordingReader::open(file).unwrap();
    let (mut all, mut batch) = (Vec::new(), RecordBatch::new());
    while reader.next_batch(&mut batch) {
        all.extend(batch.iter().map(Result::unwrap));
    }
    all
}

#[test]
fn the_newest_files_stay_and_each_can_be_read() {
    let folder = TempDir::new().unwrap();
    let written = written(&plan(&folder, 200_000, Some(3)), 30);
    assert_eq!(written.files.len(), 3, "{written:?}");
    assert!(written.removed > 0, "{written:?}");
    let there = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(there, 3);
    for file in &written.files {
        let records = records(file);
        let attached =
            |record: &Record| matches!(record, Record::Marker(of) if of.kind == MarkerKind::Attached as u32);
        assert!(records.iter().any(attached), "{}", file.display());
        assert!(records.iter().any(|record| matches!(record, Record::TaskSeen(_))));
        let missing = |record: &Record| matches!(record, Record::LossSample(of) if of.counts[LossClass::NotKept as usize] > 0);
        assert!(records.iter().any(missing), "{}", file.display());
    }
    // A file that another one followed had ended in 1970.
    let mut first = RecordingReader::open(&written.files[0]).unwrap();
    while first.next_batch(&mut RecordBatch::new()) {}
    assert!(first.end().unwrap().ended_at_ns > 0);
    // The last one ends with the stream.
    let last = records(written.files.last().unwrap());
    let newest = last.iter().map(|record| record.header().time).max().unwrap();
    assert_eq!(newest, 60_000_000_000);
}

#[test]
fn a_single_file_says_when_it_is_full() {
    let folder = TempDir::new().unwrap();
    let plan = plan(&folder, 100_000, None);
    let (mut sender, mut receiver) = channel(SessionHeader::default(), 64);
    let pieces = Pieces::new(&plan, receiver.header()).unwrap();
    let feeder = std::thread::spawn(move || {
        for second in 1..=10 {
            send(&mut sender, second);
            std::thread::sleep(Duration::from_millis(20));
        }
        sender.finish(SessionEnd::default()).unwrap();
    });
    let full = Notify::new();
    let written = pieces.write(&mut receiver, &full).unwrap();
    feeder.join().unwrap();
    assert_eq!((written.files.as_slice(), written.removed), (&[plan.file.clone()][..], 0));
    // What came until the session ended is in it.
    assert_eq!(written.last.status.records, 40_000);
    let told = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(Duration::from_secs(5), full.notified()).await.is_ok() });
    assert!(told);
}

#[test]
fn files_of_an_earlier_recording_are_in_the_way() {
    let folder = TempDir::new().unwrap();
    let plan = plan(&folder, 1, Some(2));
    assert_eq!(taken(&plan), None);
    std::fs::write(folder.path().join("trace.rsv.0003"), "").unwrap();
    std::fs::write(folder.path().join("trace.rsv.json"), "").unwrap();
    assert_eq!(taken(&plan), Some(folder.path().join("trace.rsv.0003")));
}
