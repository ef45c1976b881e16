//! A recording with `--fs` says what a session with `--fs` says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
use probe_common::{
    chain::{CHAIN_OPEN, Chain, ChainCounter},
    fs::FsSeen,
    inode::{COUNTERS_VALID, Counters, InodeState, MOMENT_DESTROY},
    task::{Marker, MarkerKind, TaskSeen},
};
use probe_ledger::Verdict;
use probe_record::{
    file::{RecordingWriter, WriterOptions},
    session::{HookRow, HookState},
};
use tempfile::TempDir;

use super::*;
use crate::{
    hooks::catalogue,
    report::{build::Policy, model::Report},
    session::{consume, facts},
};

const A: u32 = 256;
const B: u32 = 257;
const SECOND: u64 = 1_000_000_000;

fn fsid(fs: u32) -> Fsid {
    Fsid([fs as u8 + 0xa0; 16])
}

fn uuid(fs: u32) -> FsSelector {
    FsSelector::Uuid(fsid(fs).0)
}

fn path(path: &str) -> FsSelector {
    FsSelector::Path(path.into())
}

fn by_fs(filesystems: &[FsSelector]) -> FilterPlan {
    FilterPlan { filesystems: filesystems.to_vec(), ..FilterPlan::default() }
}

fn at(fs: u32, second: u64) -> Header {
    Header { fs, tid: 7, time: second * SECOND, ..Header::default() }
}

fn seen(fs: u32, device: &str) -> Record {
    let mut s_id = [0; 32];
    s_id[..device.len()].copy_from_slice(device.as_bytes());
    FsSeen { header: at(fs, 2), fsid: fsid(fs).0, s_id, ..FsSeen::default() }.into()
}

fn chain(fs: u32, second: u64) -> Record {
    Chain {
        header: at(fs, second),
        object: 0x1000 + u64::from(fs) * 64,
        object_flags: 4,
        counter: ChainCounter::BytesMayUse as u32,
        event: CHAIN_OPEN,
        links: 1,
        ..Chain::default()
    }
    .into()
}

fn leak(fs: u32, second: u64) -> Record {
    let counters = Counters { reserved: 131_072, flags: COUNTERS_VALID, ..Counters::default() };
    let (header, root, ino, moment) = (at(fs, second), 5, 257, MOMENT_DESTROY);
    InodeState { header, root, ino, counters, moment, ..InodeState::default() }.into()
}

/// Something happens on both; the first record of B comes before its name; B leaks.
fn both() -> Vec<Record> {
    let attached = MarkerKind::Attached as u32;
    vec![
        Marker { header: at(0, 1), kind: attached, reserved: 0, text: [0; 64] }.into(),
        seen(A, "loop30"),
        chain(B, 2),
        seen(B, "loop31"),
        TaskSeen { header: at(0, 2), pid: 7, reserved: 0, comm: *b"dd\0\0\0\0\0\0\0\0\0\0\0\0\0\0" }.into(),
        chain(A, 3),
        leak(B, 4),
    ]
}

/// A recording of these records; A is mounted at its begin, B at its end.
fn recording(folder: &TempDir, options: &[(&str, &str)], records: &[Record]) -> PathBuf {
    let row = |name: &str| HookRow { id: name.to_owned(), state: HookState::Attached, ..HookRow::default() };
    let place = |fs: u32, device: &str, mount: &str| FsPlace {
        uuid: fsid(fs).to_string(),
        devices: vec![device.to_owned()],
        mounts: vec![mount.to_owned()],
    };
    let header = SessionHeader {
        hooks: catalogue::required().into_iter().map(|hook| row(hook.name())).collect(),
        options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        filesystems: vec![place(A, "loop30", "/mnt/a")],
        ..SessionHeader::default()
    };
    let file = folder.path().join(format!("{}.rsv", records.len()));
    let mut writer = RecordingWriter::create(&file, &header, &WriterOptions::default()).unwrap();
    let mut batch = RecordBatch::new();
    records.iter().for_each(|record| batch.push_record(record));
    writer.push_batch(&mut batch);
    let filesystems = vec![place(B, "loop31", "/mnt/b")];
    let end = SessionEnd { filesystems, ..SessionEnd::default() };
    assert_eq!(writer.finish(end).unwrap().status.stopped, None);
    file
}

fn report(file: &Path, filter: &FilterPlan) -> Report {
    let mut source = Recording::new(file, filter).unwrap().open().unwrap();
    let books = consume::into_books(&mut source, consume::Nobody);
    let doubts = books.all_doubts(&source);
    facts::report(source.header(), source.end(), doubts, &books, &Policy::default())
}

fn uuids(report: &Report) -> Vec<&str> {
    report.filesystems.iter().map(|fs| fs.uuid.as_str()).collect()
}

/// `report --fs` judged the whole recording, and said `findings` of a filesystem that nobody asked for.
#[test]
fn a_filter_leaves_what_a_session_with_it_would_have_recorded() {
    let folder = TempDir::new().unwrap();
    let whole = recording(&folder, &[], &both());
    assert_eq!(report(&whole, &FilterPlan::default()).verdict.0, Verdict::Findings);
    for (fs, verdict) in [(A, Verdict::Clean), (B, Verdict::Findings)] {
        // As the kernel side would have filtered it.
        let own: Vec<Record> =
            both().into_iter().filter(|record| [0, fs].contains(&record.header().fs)).collect();
        let live = recording(&folder, &[(ONLY_FILESYSTEMS, &fsid(fs).to_string())], &own);
        let live = report(&live, &FilterPlan::default());
        let (device, mount) =
            if fs == A { ("/dev/loop30", "/mnt/a") } else { ("/dev/loop31", "/mnt//x/../b/") };
        for filter in [uuid(fs), path(device), path(mount)] {
            let replay = report(&whole, &by_fs(&[filter]));
            assert_eq!(replay, live);
            assert_eq!((replay.verdict.0, uuids(&replay)), (verdict, vec![fsid(fs).to_string().as_str()]));
        }
    }
    let all = by_fs(&[uuid(A), path("/dev/loop31")]);
    assert_eq!(report(&whole, &all), report(&whole, &FilterPlan::default()));
}

#[test]
fn a_filesystem_that_the_recording_does_not_hold_was_not_judged() {
    let folder = TempDir::new().unwrap();
    let whole = recording(&folder, &[], &both());
    for (filter, sentence) in [
        (
            uuid(A + 9),
            format!(
                "No filesystem matched --fs {}: it was not mounted while we watched; mount it, or name one that was ({} on /mnt/a; {} \
                 on /mnt/b).",
                fsid(A + 9),
                fsid(A),
                fsid(B)
            ),
        ),
        (
            path("/mnt/no,thing"),
            format!(
                "No filesystem matched --fs /mnt/no?thing: it was not mounted while we watched; mount it, or name one that \
                 was ({} on /mnt/a; {} on /mnt/b).",
                fsid(A),
                fsid(B)
            ),
        ),
    ] {
        let replay = report(&whole, &by_fs(std::slice::from_ref(&filter)));
        assert_eq!(
            (replay.verdict.0, replay.verdict_reasons),
            (Verdict::Inconclusive, vec![sentence.clone()])
        );
        assert_eq!(replay.filesystems, []);
        // Beside one that is judged, too.
        let replay = report(&whole, &by_fs(&[uuid(A), filter]));
        assert_eq!((replay.verdict.0, replay.verdict_reasons), (Verdict::Inconclusive, vec![sentence]));
    }
}

#[test]
fn records_of_a_filesystem_without_a_name_leave_a_doubt() {
    let folder = TempDir::new().unwrap();
    let mut records = both();
    records.retain(|record| !(matches!(record, Record::FsSeen(_)) && record.header().fs == B));
    let replay = report(&recording(&folder, &[], &records), &by_fs(&[uuid(A)]));
    assert_eq!(replay.verdict.0, Verdict::Inconclusive);
    assert!(replay.verdict_reasons[0].starts_with("2 records are of filesystems whose UUID was lost"));
}

#[test]
fn a_recording_is_not_narrowed_to_an_inode_afterwards() {
    let folder = TempDir::new().unwrap();
    let whole = recording(&folder, &[(INODE, "257"), (SUBVOL, "5")], &both());
    let taken = FilterPlan { inode: Some(257), subvol: Some(5), ..FilterPlan::default() };
    assert_eq!(report(&whole, &taken).verdict.0, Verdict::Findings);
    for (filter, named) in [
        (FilterPlan { inode: Some(258), ..FilterPlan::default() }, "--inode 258"),
        (FilterPlan { inode: Some(257), subvol: Some(256), ..by_fs(&[uuid(A)]) }, "--subvol 256"),
    ] {
        let refused = Recording::new(&whole, &filter).unwrap_err();
        let UsageError(sentence) = refused.downcast().unwrap();
        assert!(sentence.contains(&format!("cannot be narrowed to {named} afterwards")), "{sentence}");
    }
}

#[test]
fn a_filter_reads_no_pipe_that_it_could_not_read_again() {
    let refused = Recording::new(Path::new("/dev/null"), &by_fs(&[uuid(A)])).unwrap_err();
    assert!(refused.downcast::<UsageError>().unwrap().0.contains("/dev/null is no regular file"));
    assert!(Recording::new(Path::new("/dev/null"), &FilterPlan::default()).is_ok());
}
