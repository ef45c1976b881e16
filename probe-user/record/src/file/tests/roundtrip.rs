//! What was written is what is read.
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn target() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.rsv");
    (directory, path)
}

#[test]
fn a_recording_gives_back_what_was_pushed() {
    let told = read(&recording(5, 100));
    assert_eq!(told.records.bytes(), numbered(0, 500).bytes());
    assert_eq!(told.header, session());
    assert_eq!(told.symbols, symbols());
    let end = told.end.unwrap();
    assert_eq!((end.ended_at_ns, end.records), (5, 500));
    assert!(told.complete && told.samples.is_empty() && told.notes.is_empty());
    assert_eq!(told.skipped, Skipped::default());
}

#[test]
fn a_recording_without_records_is_one() {
    let told = read(&recording(0, 0));
    assert!(told.records.is_empty() && told.complete && told.end.is_some() && told.notes.is_empty());
}

#[test]
fn one_by_one_in_small_and_in_large_batches_is_the_same() {
    let all = numbered(0, 60_000);
    let mut files = Vec::new();
    for size in [0_u64, 1, 977, 9_000, 60_000] {
        let (_directory, path) = target();
        let mut writer = RecordingWriter::create(&path, &session(), &WriterOptions::default()).unwrap();
        if size == 0 {
            all.raw().for_each(|record| writer.push(record.unwrap()));
        } else {
            let mut from = 0;
            while from < 60_000 {
                let take = size.min(60_000 - from);
                let mut batch = numbered(from, take);
                writer.push_batch(&mut batch);
                assert!(batch.is_empty());
                from += take;
            }
        }
        let done = writer.finish(SessionEnd::default()).unwrap();
        assert_eq!((done.status.records, done.status.lost), (60_000, 0));
        let file = std::fs::read(path).unwrap();
        assert_eq!(done.status.bytes, file.len() as u64);
        assert!(read(&file).records.bytes() == all.bytes(), "batches of {size}");
        files.push(file);
    }
    // Records one millisecond apart: a block at least each second.
    for (_, header) in files.iter().flat_map(|file| blocks_of(file)) {
        assert!(header.last_time.get() - header.first_time.get() <= 61_000_000_000);
    }
    assert!(blocks_of(&files[0]).len() >= 60);
}

#[test]
fn block_headers_tell_order_count_and_time() {
    let file = recording(3, 10);
    let blocks = blocks_of(&file);
    let kinds: Vec<_> = blocks.iter().map(|(_, header)| header.kind.get()).collect();
    assert_eq!(kinds, [1, 2, 1, 1, 3]);
    let before: Vec<_> = blocks.iter().map(|(_, header)| header.records_before.get()).collect();
    assert_eq!(before, [0, 10, 10, 20, 30]);
    for (number, (_, header)) in blocks.iter().enumerate() {
        assert_eq!(header.sequence.get(), number as u64);
    }
    assert_eq!(blocks[2].1.first_time.get(), 1_010_000_000);
    assert_eq!(blocks[2].1.last_time.get(), 1_019_000_000);
    assert_eq!((blocks[1].1.first_time.get(), blocks[4].1.last_time.get()), (0, 0));
}

#[test]
fn in_progress_it_is_aside_private_and_readable() {
    let (_directory, path) = target();
    let mut writer = RecordingWriter::create(&path, &session(), &WriterOptions::default()).unwrap();
    let tmp = writer.tmp_path().to_owned();
    assert_eq!(tmp, path.with_extension("rsv.tmp"));
    assert_eq!(tmp.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!path.exists());
    writer.push_batch(&mut numbered(0, 50));
    // Dropped without a session end, as when the session fails: what was pushed is kept.
    drop(writer);
    let told = read(&std::fs::read(&tmp).unwrap());
    assert_eq!(told.records.bytes(), numbered(0, 50).bytes());
    assert!(!told.complete && told.end.is_none());
    assert_eq!((told.notes.len(), told.file_read()), (1, 0));
    assert!(told.notes[0].contains("was not finished"), "{:?}", told.notes);
    assert!(told.notes[0].contains("50 records"), "{:?}", told.notes);
}

#[test]
fn what_is_in_the_way_is_not_overwritten() {
    let (directory, path) = target();
    let create =
        |path: &Path| RecordingWriter::create(path, &session(), &WriterOptions::default()).unwrap_err();
    std::fs::write(path.with_extension("rsv.tmp"), "precious").unwrap();
    let error = create(&path);
    assert!(
        matches!(error, FileError::InProgress { .. }) && error.to_string().contains("a.rsv.tmp`, then"),
        "{error}"
    );
    assert_eq!(std::fs::read(path.with_extension("rsv.tmp")).unwrap(), b"precious");
    assert!(matches!(create(Path::new("/dev/null")), FileError::NotRegular { .. }));
    assert!(matches!(create(directory.path()), FileError::NotRegular { .. }));
    assert!(matches!(create(&directory.path().join("no/a.rsv")), FileError::Create { .. }));
}

#[test]
fn an_older_recording_of_the_same_name_is_replaced_at_the_end() {
    let (_directory, path) = target();
    std::fs::write(&path, "old").unwrap();
    let writer = RecordingWriter::create(&path, &session(), &WriterOptions::default()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    writer.finish(SessionEnd::default()).unwrap();
    assert!(RecordingReader::open(&path).unwrap().complete());
    assert!(!path.with_extension("rsv.tmp").exists());
}

#[test]
fn bytes_that_are_no_record_are_counted_and_spoil_nothing() {
    let (_directory, path) = target();
    let mut writer = RecordingWriter::create(&path, &session(), &WriterOptions::default()).unwrap();
    writer.push_batch(&mut numbered(0, 1));
    writer.push(&[1; 30]);
    writer.push_batch(&mut numbered(1, 1));
    let done = writer.finish(SessionEnd::default()).unwrap();
    assert_eq!((done.status.records, done.status.lost), (2, 1));
    let told = read(&std::fs::read(path).unwrap());
    assert_eq!(told.records.bytes(), numbered(0, 2).bytes());
    assert_eq!(told.end.unwrap().loss["file_write"], 1);
    assert_eq!(told.samples.last().unwrap().1.counts[LossClass::FileWrite as usize], 1);
}

#[test]
fn many_symbols_take_several_blocks() {
    let (_directory, path) = target();
    let mut writer = RecordingWriter::create(&path, &session(), &WriterOptions::default()).unwrap();
    let rows: Vec<_> = (0..10_000)
        .map(|address| SymbolRow {
            address,
            symbol: "s".repeat(300),
            offset: 1,
            module: Some("btrfs".into()),
        })
        .collect();
    writer.push_symbols(&rows);
    writer.finish(SessionEnd::default()).unwrap();
    let file = std::fs::read(path).unwrap();
    assert_eq!(blocks_of(&file).iter().filter(|(_, header)| header.kind.get() == 2).count(), 3);
    assert!(read(&file).symbols == rows);
}
