//! How today's reader reads files of newer versions.
use super::*;
use crate::test_records::{shortest, with_header};

fn with_start(file: &[u8], alter: impl FnOnce(&mut FileHeader)) -> Vec<u8> {
    let (mut start, rest) = FileHeader::read_from_prefix(file).unwrap();
    alter(&mut start);
    [start.sealed().as_bytes(), rest].concat()
}

/// A finished recording of three blocks, the middle one made of these records.
fn with_middle(records: &[Vec<u8>]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.rsv");
    let mut writer = RecordingWriter::create(&path, &session(), &WriterOptions::default()).unwrap();
    writer.push_batch(&mut numbered(0, 10));
    writer.flush();
    records.iter().for_each(|record| writer.push(record));
    writer.flush();
    writer.push_batch(&mut numbered(10, 10));
    writer.finish(SessionEnd::default()).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn a_newer_minor_version_and_a_newer_abi_are_read() {
    let file = with_start(&recording(2, 10), |start| {
        start.minor = 77.into();
        start.abi = 9.into();
        start.reserved = u64::MAX.into();
    });
    let told = read(&file);
    assert_eq!(told.records.bytes(), numbered(0, 20).bytes());
    assert_eq!((told.header, told.notes.len()), (session(), 0));
}

#[test]
fn a_newer_major_version_is_refused_with_advice() {
    let file = with_start(&recording(2, 10), |start| start.major = 2.into());
    let error = try_read(&file).err().unwrap();
    assert!(matches!(error, FileError::Newer { major: 2, .. }));
    assert_eq!(
        error.to_string(),
        "a.rsv has recording format 2.3, this btrfs-probe reads up to 1.x: use the version that recorded it, or a newer one"
    );
}

#[test]
fn something_else_is_refused_with_advice() {
    for other in
        [b"".as_slice(), b"\x7fELF", &[0; 4096], b"\x89RSVREC\r\n0123456789012345678901234567890123456789012"]
    {
        let error = try_read(other).err().unwrap();
        assert_eq!(
            error.to_string(),
            "a.rsv is not a btrfs-probe recording; make one with `btrfs-probe record -o FILE` (the text of a kernel trace is for `btrfs-probe import`)"
        );
    }
    let error = RecordingReader::open(Path::new("/nonexistent/a.rsv")).unwrap_err();
    assert!(error.to_string().ends_with("there is no such file"), "{error}");
}

#[test]
fn unknown_record_kinds_are_skipped_counted_and_told_to_the_books() {
    let warn = with_header(vec![0; shortest(RecordKind::Warn)], RecordKind::Warn as u8);
    let file = with_middle(&[with_header(vec![3; 64], 99), warn.clone(), with_header(vec![3; 24], 250)]);
    let told = read(&file);
    let mut expected = numbered(0, 10);
    expected.push(&warn).unwrap();
    expected.append(&numbered(10, 10));
    assert_eq!(told.records.bytes(), expected.bytes());
    assert_eq!((told.skipped.unknown_records, told.skipped.records, told.file_read()), (2, 0, 2));
    // A record of an unknown kind may have been one of the books, so a loss sample comes before the next block.
    assert_eq!(told.samples[0].0, 11);
    assert!(told.notes[0].contains("0 blocks and 2 records of kinds"), "{:?}", told.notes);
}

#[test]
fn known_records_with_appended_fields_are_read() {
    let kinds = RecordKind::ALL
        .into_iter()
        .filter(|kind| !matches!(kind, RecordKind::Stack | RecordKind::LossSample));
    let longer: Vec<_> = kinds.map(|kind| with_header(vec![0; shortest(kind) + 24], kind as u8)).collect();
    let mut file = with_middle(&longer);
    let told = read(&file);
    assert_eq!(told.skipped, Skipped::default());
    assert_eq!(told.file_read(), 0);
    // The batch keeps the longer records unchanged, for a reader that knows them.
    let mut reader = RecordingReader::from_read(Path::new("a.rsv"), file.as_mut_slice() as &[u8]).unwrap();
    let mut batch = RecordBatch::new();
    assert!(reader.next_batch(&mut batch) && reader.next_batch(&mut batch));
    assert_eq!(batch.raw().map(Result::unwrap).collect::<Vec<_>>(), longer);
    assert_eq!(batch.iter().filter(Result::is_ok).count(), longer.len());
}

#[test]
fn a_stack_with_more_frames_than_known_is_counted() {
    let mut deep = with_header(vec![0; 40 + 64 * 8], RecordKind::Stack as u8);
    deep[32] = 64;
    let told = read(&with_middle(&[deep]));
    assert_eq!(told.skipped.undecodable_records, 1);
    assert_eq!(told.records.bytes(), numbered(0, 20).bytes());
}

#[test]
fn unknown_block_kinds_codecs_and_flags_are_skipped_and_counted() {
    let file = recording(2, 10);
    let blocks = blocks_of(&file);
    let alter: [fn(&mut BlockHeader); 3] =
        [|header| header.kind = 40.into(), |header| header.codec = 9, |header| header.flags = 1];
    for alter in alter {
        let (at, mut header) = blocks[0];
        let payload = &file[at + BLOCK_HEADER_LEN..at + header.total_len()];
        alter(&mut header);
        let mut file = file.clone();
        file.splice(at..at + header.total_len(), block(header, payload));
        let told = read(&file);
        assert_eq!(told.records.bytes(), numbered(10, 10).bytes());
        assert_eq!((told.skipped.unknown_blocks, told.skipped.bytes), (1, 0));
        assert_eq!(told.file_read(), 10, "its records are missing, whatever it is");
        assert!(told.notes[0].contains("1 block and 0 records of kinds"), "{:?}", told.notes);
    }
}

#[test]
fn an_unknown_block_without_records_costs_nothing() {
    let mut file = recording(2, 10);
    let (at, first) = blocks_of(&file)[1];
    let unknown = BlockHeader { kind: 40.into(), records: 0.into(), ..first };
    file.splice(at..at + first.total_len(), block(unknown, b"whatever tomorrow brings"));
    let told = read(&file);
    assert_eq!(told.records.bytes(), numbered(0, 20).bytes());
    assert_eq!((told.skipped.unknown_blocks, told.file_read()), (1, 0));
}

#[test]
fn json_that_cannot_be_read_is_counted() {
    let mut file = recording(1, 10);
    let (at, header) = *blocks_of(&file).last().unwrap();
    let text = b"[not a session end]";
    let wrong = BlockHeader { codec: 0, raw_len: (text.len() as u32).into(), ..header };
    file.splice(at.., block(wrong, text));
    let told = read(&file);
    assert_eq!((told.end, told.skipped.unreadable_json), (None, 1));
    assert_eq!(told.records.bytes(), numbered(0, 10).bytes());
    assert_eq!(told.notes.len(), 2, "{:?}", told.notes);
}
