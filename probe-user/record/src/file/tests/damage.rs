//! Recordings that were cut off or damaged: whole blocks are read, missing records are counted.
use std::io;

use probe_common::loss::LOSS_SLOTS;

use proptest::prelude::*;

use super::*;

fn note(told: &Told) -> &str {
    assert_eq!(told.notes.len(), 1, "{:?}", told.notes);
    &told.notes[0]
}

#[test]
fn cut_anywhere_all_whole_blocks_are_there_and_one_sentence() {
    let file = recording(4, 25);
    let blocks = blocks_of(&file);
    let header_end = blocks[0].0;
    for cut in header_end..file.len() {
        let told = read(&file[..cut]);
        let whole = blocks.iter().take_while(|(at, header)| at + header.total_len() <= cut);
        let records = whole.map(|(_, header)| u64::from(header.records.get())).sum();
        assert_eq!(told.records.bytes(), numbered(0, records).bytes(), "cut at {cut}");
        assert!(note(&told).contains(&format!("({records} record")), "{:?}", told.notes);
        assert!(note(&told).contains("damaged or cut short"), "{:?}", told.notes);
        let at_block_end =
            cut == header_end || blocks.iter().any(|(at, header)| at + header.total_len() == cut);
        assert_eq!(told.skipped.cut, !at_block_end, "cut at {cut}");
        assert_eq!(told.file_read() > 0, !at_block_end, "cut at {cut}");
    }
}

#[test]
fn cut_in_a_payload_the_missing_records_are_known() {
    let file = recording(4, 25);
    let (at, _) = blocks_of(&file)[3];
    let told = read(&file[..at + BLOCK_HEADER_LEN + 1]);
    assert_eq!((told.skipped.records, told.file_read()), (25, 25));
}

#[test]
fn cut_in_the_session_description_is_still_a_recording() {
    let file = recording(1, 1);
    for cut in FILE_HEADER_LEN..blocks_of(&file)[0].0 {
        let told = read(&file[..cut]);
        assert_eq!(told.header, SessionHeader::default());
        assert_eq!(told.notes.len(), 2, "{:?}", told.notes);
    }
    for cut in 0..FILE_HEADER_LEN {
        assert!(matches!(try_read(&file[..cut]), Err(FileError::NotARecording { .. })), "cut at {cut}");
    }
}

#[test]
fn a_damaged_block_costs_itself_and_the_loss_stands_at_its_place() {
    let file = recording(5, 20);
    for (number, (at, header)) in
        blocks_of(&file).into_iter().enumerate().filter(|(_, (_, block))| block.kind == 1)
    {
        for byte in [at, at + 12, at + 70, at + BLOCK_HEADER_LEN, at + header.total_len() - 1] {
            let mut file = file.clone();
            file[byte] ^= 0x10;
            let told = read(&file);
            let from = header.records_before.get();
            let mut rest = numbered(0, from);
            rest.append(&numbered(from + 20, 80 - from));
            assert_eq!(told.records.bytes(), rest.bytes(), "block {number}, byte {byte}");
            assert_eq!((told.skipped.records, told.skipped.regions, told.file_read()), (20, 1, 20));
            assert_eq!(told.skipped.bytes, header.total_len() as u64);
            assert_eq!(told.samples.iter().map(|(before, _)| *before).collect::<Vec<_>>(), [from]);
            assert!(told.complete && told.end.is_some());
            assert!(note(&told).contains("damaged in 1 place") && note(&told).contains("20 records are"));
        }
    }
}

#[test]
fn bytes_put_in_or_taken_out_are_passed_over() {
    let file = recording(5, 20);
    let (at, header) = blocks_of(&file)[2];
    let mut longer = file.clone();
    longer.splice(at..at, vec![0x89; 333]);
    let told = read(&longer);
    assert_eq!(told.records.bytes(), numbered(0, 100).bytes());
    assert_eq!((told.skipped.bytes, told.file_read()), (333, 0));

    let mut shorter = file;
    shorter.drain(at + BLOCK_HEADER_LEN + 3..at + header.total_len() - 3);
    let told = read(&shorter);
    assert_eq!(told.records.records(), 80);
    assert_eq!((told.skipped.records, told.file_read()), (20, 20));
}

#[test]
fn a_damaged_file_header_leaves_the_blocks() {
    let file = recording(3, 20);
    for byte in 8..FILE_HEADER_LEN - 4 {
        let mut file = file.clone();
        file[byte] ^= 0x40;
        let told = read(&file);
        assert_eq!(told.records.bytes(), numbered(0, 60).bytes(), "byte {byte}");
        assert_eq!(told.header, SessionHeader::default());
        assert!(told.end.is_some() && told.notes[0].contains("session description"), "{:?}", told.notes);
    }
    let mut file = file;
    file[0] = 0;
    assert!(matches!(try_read(&file), Err(FileError::NotARecording { .. })));
}

#[test]
fn blocks_of_another_recording_and_blocks_seen_before_are_not_taken() {
    let (file, other) = (recording(2, 20), recording(2, 20));
    let mut joined = file.clone();
    joined.extend_from_slice(&other);
    joined.extend_from_slice(&file[blocks_of(&file)[0].0..]);
    let told = read(&joined);
    assert_eq!(told.records.bytes(), numbered(0, 40).bytes());
    assert_eq!(told.skipped.bytes, (joined.len() - file.len()) as u64);
    assert_eq!(told.file_read(), 0);
    assert!(note(&told).contains("do not belong"), "{:?}", told.notes);
}

#[test]
fn a_loss_sample_of_the_recorder_gets_the_reader_s_loss_added() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.rsv");
    let mut writer = RecordingWriter::create(&path, &session(), &WriterOptions::default()).unwrap();
    let mut counts = [0; LOSS_SLOTS];
    for number in 0..3 {
        counts[LossClass::Stack as usize] = 7 + number;
        let mut batch = numbered(number, 1);
        batch.push_record(&Record::from(LossSample { counts, ..LossSample::default() }));
        writer.push_batch(&mut batch);
        writer.flush();
    }
    writer.finish(SessionEnd::default()).unwrap();
    let mut file = std::fs::read(path).unwrap();
    let (at, _) = blocks_of(&file)[1];
    file[at + BLOCK_HEADER_LEN + 4] ^= 1;
    let told = read(&file);
    let seen = told.samples.iter().map(|(before, sample)| {
        (*before, sample.counts[LossClass::Stack as usize], sample.counts[LossClass::FileRead as usize])
    });
    let seen: Vec<_> = seen.collect();
    // The recorder's first sample, the reader's at the gap, and the recorder's third with the reader's loss added.
    assert_eq!(seen, [(1, 7, 0), (1, 7, 2), (2, 9, 2)]);
}

#[test]
fn a_disk_that_cannot_be_read_on_ends_the_stream_with_a_note() {
    struct Bad<'a>(&'a [u8]);
    impl io::Read for Bad<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            match io::Read::read(&mut self.0, to)? {
                0 => Err(io::Error::from_raw_os_error(5)),
                len => Ok(len),
            }
        }
    }
    let file = recording(4, 25);
    let (at, _) = blocks_of(&file)[2];
    let mut reader = RecordingReader::from_read(Path::new("a.rsv"), Bad(&file[..at])).unwrap();
    let mut batch = RecordBatch::new();
    assert!(reader.next_batch(&mut batch));
    assert_eq!(batch.records(), 25);
    assert!(reader.next_batch(&mut batch));
    assert!(matches!(batch.iter().next(), Some(Ok(Record::LossSample(_)))));
    assert!(!reader.next_batch(&mut batch));
    assert!(reader.notes()[0].contains("Input/output error"), "{:?}", reader.notes());
}

/// Headers nested in each other's payload: each header is valid, and each payload is not.
#[test]
fn nested_headers_do_not_cost_quadratic_time() {
    let mut file = recording(0, 0);
    let (at, mut header) = blocks_of(&file)[0];
    file.truncate(at);
    header.stored_len = (layout::MAX_STORED_LEN as u32).into();
    for sequence in 0..20_000_u64 {
        header.sequence = sequence.into();
        header.payload_crc = 1.into();
        file.extend_from_slice(header.sealed().as_bytes());
    }
    let begin = std::time::Instant::now();
    let told = read(&file);
    assert!(told.records.is_empty());
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

proptest! {
    #[test]
    fn memory_is_that_of_one_block_whatever_the_lengths_say(raw in any::<u32>(), stored in any::<u32>(), codec in 0_u8..2) {
        let mut file = recording(1, 10);
        let (at, header) = blocks_of(&file)[0];
        let payload = file[at + BLOCK_HEADER_LEN..at + header.total_len()].to_vec();
        let wrong = BlockHeader { raw_len: raw.into(), codec, ..header };
        let mut bytes = block(wrong, &payload);
        let lied = BlockHeader { stored_len: stored.into(), ..BlockHeader::read_from_prefix(&bytes).unwrap().0 };
        file.splice(at..at + header.total_len(), bytes.clone());
        let told = read(&file);
        prop_assert!(told.records.records() <= 10);
        bytes[..BLOCK_HEADER_LEN].copy_from_slice(lied.sealed().as_bytes());
        file[at..at + bytes.len()].copy_from_slice(&bytes);
        let told = read(&file);
        prop_assert!(told.records.records() <= 10);
    }
}
