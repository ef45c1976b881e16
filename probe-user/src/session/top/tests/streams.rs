//! Streams that no bundled recording holds, as recordings.
use std::path::{Path, PathBuf};

use probe_common::{
    call::{CALL_QUOTAS, CALL_RETURNED, Call},
    fs::FsSeen,
    header::{Header, RecordKind},
    hook::HookId,
    inode::{COUNTERS_VALID, Counters, InodeState, MOMENT_DESTROY, Name},
    loss::{LOSS_SLOTS, LossClass, LossSample},
    suite::{NOTE_TEXT, NoteKind, TestNote},
    task::{MAX_FRAMES, Marker, MarkerKind, Stack},
};
use probe_record::{
    batch::RecordBatch,
    file::{RecordingWriter, WriterOptions},
    record::Record,
    session::{HookRow, HookState, SessionEnd, SessionHeader, SymbolRow, Tier},
};
use probe_simulated::functions::{Fault, Kernel};

const SECOND: u64 = 1_000_000_000;

/// Writes records as a recording, a few in each batch.
pub fn write(
    path: &Path,
    header: &SessionHeader,
    records: impl IntoIterator<Item = Record>,
    end: Option<SessionEnd>,
) {
    let mut writer = RecordingWriter::create(path, header, &WriterOptions::default()).unwrap();
    let mut batch = RecordBatch::new();
    for (at, record) in records.into_iter().enumerate() {
        batch.push_record(&record);
        if at % 7 == 6 {
            writer.push_batch(&mut batch);
            batch = RecordBatch::new();
        }
    }
    writer.push_batch(&mut batch);
    writer.finish(end.unwrap_or_default()).unwrap();
}

/// A session with the hooks that `wanted` names attached, which began with the clock.
fn header(tier: Tier, wanted: impl Fn(HookId) -> bool) -> SessionHeader {
    let row = |hook: HookId| HookRow {
        id: hook.name().to_owned(),
        kind: "raw_tracepoint".to_owned(),
        target: hook.name().to_owned(),
        state: HookState::Attached,
        reason: String::new(),
    };
    let hooks = HookId::ALL.into_iter().filter(|hook| wanted(*hook)).map(row).collect();
    SessionHeader { tier, hooks, started_at_ns: 5, wall_offset_ns: 4, ..SessionHeader::default() }
}

/// What the functions tier sends of a simulated kernel, and how many of its reservations failed. `wrong`: one of them
/// releases what it never had.
pub fn functions_tier(folder: &Path, wrong: bool) -> (PathBuf, u64) {
    let operations: Vec<(u8, u8, u8)> =
        (0..200_u8).map(|at| (at % 5, at.wrapping_mul(37).wrapping_add(at / 12), at / 3)).collect();
    let fault = if wrong { Fault::FailedReleases } else { Fault::None };
    let kernel = Kernel::run(&operations, 7, fault, 60);
    let path = folder.join(format!("functions-{wrong}.rsv"));
    write(&path, &header(Tier::Functions, |_| true), kernel.records, None);
    (path, kernel.failed)
}

fn note(test: u32, run: u32, second: u64, kind: NoteKind, text: &str) -> Record {
    let header = Header { time: second * SECOND, ..Header::default() };
    let mut note = TestNote { header, what: kind as u32, test, run, status: 0, text: [0; NOTE_TEXT] };
    note.text[..text.len()].copy_from_slice(text.as_bytes());
    note.into()
}

fn mounted(fs: u32, second: u64, device: &str) -> Record {
    let header = Header { fs, tid: 7, time: second * SECOND, ..Header::default() };
    let mut s_id = [0; 32];
    s_id[..device.len()].copy_from_slice(device.as_bytes());
    FsSeen { header, fsid: [fs as u8; 16], s_id, ..FsSeen::default() }.into()
}

fn leak(fs: u32, second: u64, ino: u64) -> Record {
    let header = Header { fs, tid: 7, time: second * SECOND, ..Header::default() };
    let counters = Counters { reserved: 131_072, flags: COUNTERS_VALID, ..Counters::default() };
    InodeState { header, root: 5, ino, counters, moment: MOMENT_DESTROY, ..InodeState::default() }.into()
}

fn lost(second: u64, count: u64) -> Record {
    let header = Header { time: second * SECOND, ..Header::default() };
    let mut counts = [0; LOSS_SLOTS];
    counts[LossClass::BooksRecord as usize] = count;
    LossSample { header, counts }.into()
}

/// Two runs side by side of one test, each on its device, with a leak in each; one of them runs it again; a loss; and one more
/// test whose end is not seen.
pub fn suite(folder: &Path) -> PathBuf {
    let attached = Header { time: SECOND, ..Header::default() };
    let records = [
        Marker { header: attached, kind: MarkerKind::Attached as u32, reserved: 0, text: [0; 64] }.into(),
        mounted(256, 2, "loop30"),
        mounted(257, 2, "loop40"),
        note(1, 700, 10, NoteKind::Begin, "generic/001"),
        note(1, 700, 10, NoteKind::Section, "one"),
        note(1, 700, 10, NoteKind::Devices, "loop30"),
        note(2, 800, 11, NoteKind::Begin, "generic/001"),
        note(2, 800, 11, NoteKind::Devices, "loop40"),
        leak(257, 13, 300),
        lost(14, 0),
        note(1, 700, 15, NoteKind::Result, "pass"),
        note(1, 700, 15, NoteKind::End, "generic/001"),
        note(3, 700, 16, NoteKind::Begin, "generic/001"),
        note(3, 700, 16, NoteKind::Section, "two"),
        note(3, 700, 16, NoteKind::Devices, "loop30"),
        leak(256, 18, 257),
        note(2, 800, 20, NoteKind::Result, "fail\noutput mismatch"),
        note(2, 800, 20, NoteKind::End, "generic/001"),
        lost(21, 0),
        lost(22, 5),
        note(3, 700, 24, NoteKind::End, "generic/001"),
        note(4, 700, 25, NoteKind::Begin, "generic/002"),
        note(4, 700, 25, NoteKind::Devices, "loop30"),
        leak(256, 26, 257),
        lost(40, 5),
    ];
    let path = folder.join("suite.rsv");
    write(&path, &header(Tier::Tracepoints, |hook| !hook.is_function()), records, None);
    path
}

/// So many leaks on each of two filesystems.
pub fn many_leaks(folder: &Path, count: u64) -> PathBuf {
    let attached = Header { time: SECOND, ..Header::default() };
    let begin = [
        Marker { header: attached, kind: MarkerKind::Attached as u32, reserved: 0, text: [0; 64] }.into(),
        mounted(256, 2, "loop30"),
        mounted(257, 2, "loop40"),
    ];
    let leaks = (0..count).flat_map(|nth| [256, 257].map(|fs| leak(fs, 3 + nth, 257 + nth)));
    let path = folder.join("leaks.rsv");
    let records = begin.into_iter().chain(leaks).chain([lost(20 + count, 0)]);
    write(&path, &header(Tier::Tracepoints, |hook| !hook.is_function()), records, None);
    path
}

/// So many tests, one after the other.
pub fn many_tests(folder: &Path, count: u32) -> PathBuf {
    let test = |number: u32| {
        let second = 10 + u64::from(number);
        [NoteKind::Begin, NoteKind::End].map(|kind| note(number, 700, second, kind, "generic/001"))
    };
    let path = folder.join("many.rsv");
    write(&path, &header(Tier::Tracepoints, |hook| !hook.is_function()), (1..=count).flat_map(test), None);
    path
}

/// A leak, and then the name of the inode that leaked.
pub fn named_late(folder: &Path) -> PathBuf {
    let mut components = [[0; 48]; 4];
    components[0][..4].copy_from_slice(b"file");
    components[1][..3].copy_from_slice(b"dir");
    let at = |time| Header { fs: 256, tid: 7, time: time * SECOND, ..Header::default() };
    let attached = Header { fs: 0, ..at(1) };
    let records = [
        Marker { header: attached, kind: MarkerKind::Attached as u32, reserved: 0, text: [0; 64] }.into(),
        mounted(256, 2, "loop30"),
        leak(256, 3, 257),
        Name { header: at(4), root: 5, ino: 257, components }.into(),
        lost(5, 0),
    ];
    let path = folder.join("named.rsv");
    write(&path, &header(Tier::Tracepoints, |hook| !hook.is_function()), records, None);
    path
}

/// A test that makes a snapshot: META_PREALLOC is taken in the qgroup of subvolume 5 and given back to that of 256. That is a known
/// kernel bug.
pub fn known_bug(folder: &Path) -> PathBuf {
    const FREED: [&str; 3] = ["btrfs_qgroup_convert_reserved_meta", "btrfs_mksubvol", "btrfs_mksnapshot"];
    const RESERVED: [&str; 4] = [
        "btrfs_qgroup_reserve_meta",
        "btrfs_subvolume_reserve_metadata",
        "btrfs_mksubvol",
        "btrfs_mksnapshot",
    ];
    let at = |second| Header { fs: 256, tid: 7, time: second * SECOND, ..Header::default() };
    let attached = Header { time: SECOND, ..Header::default() };
    let stack = |id: u64, names: &[&str]| {
        let mut addresses = [0; MAX_FRAMES];
        (0..names.len()).for_each(|frame| addresses[frame] = 16 * id + frame as u64);
        let len = size_of::<Stack>() as u16;
        let header = Header { kind: RecordKind::Stack as u8, len, ..at(12) };
        Record::Stack(Stack { header, id, frames: names.len() as u64, addresses })
    };
    let call = |serial: u32, second, hook: HookId, root, args| {
        let header = Header { hook: hook as u8, ..at(second) };
        let (flags, entered, stack) = (CALL_RETURNED | CALL_QUOTAS, header.time, u64::from(serial));
        Record::from(Call { header, serial, flags, root, args, entered, stack, ..Call::default() })
    };
    let records = [
        Marker { header: attached, kind: MarkerKind::Attached as u32, reserved: 0, text: [0; 64] }.into(),
        mounted(256, 2, "loop30"),
        // The first call of a filesystem says since when its calls are seen.
        call(3, 3, HookId::UpdateGlobalBlockRsv, 0, [0; 4]),
        note(1, 700, 10, NoteKind::Begin, "generic/001"),
        note(1, 700, 10, NoteKind::Devices, "loop30"),
        stack(1, &RESERVED),
        stack(2, &FREED),
        call(1, 12, HookId::QgroupReserveMeta, 5, [49_152, 2, 1, 0]),
        call(2, 12, HookId::QgroupConvertMeta, 256, [49_152, 0, 0, 0]),
        lost(14, 0),
        note(1, 700, 15, NoteKind::Result, "pass"),
        note(1, 700, 15, NoteKind::End, "generic/001"),
        lost(40, 0),
    ];
    let rows = |id: u64, names: &[&str]| -> Vec<SymbolRow> {
        let row = |(at, name): (usize, &&str)| SymbolRow {
            address: 16 * id + at as u64,
            symbol: (**name).to_owned(),
            offset: 50,
            module: None,
        };
        names.iter().enumerate().map(row).collect()
    };
    let path = folder.join("known.rsv");
    let header = header(Tier::Functions, |_| true);
    let mut writer = RecordingWriter::create(&path, &header, &WriterOptions::default()).unwrap();
    writer.push_symbols(&[rows(1, &RESERVED), rows(2, &FREED)].concat());
    let mut batch = RecordBatch::new();
    records.iter().for_each(|record| batch.push_record(record));
    writer.push_batch(&mut batch);
    writer.finish(SessionEnd::default()).unwrap();
    path
}
