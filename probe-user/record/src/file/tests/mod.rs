//! Tests of the recording file, with helpers that they share.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]
mod damage;
mod evolution;
mod full_disk;
mod mutation;
mod roundtrip;

use std::path::{Path, PathBuf};

use probe_common::{
    header::RecordKind,
    loss::{LossClass, LossSample},
};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::{
    layout::{BLOCK_HEADER_LEN, BlockHeader, FILE_HEADER_LEN, FileHeader},
    *,
};
use crate::{
    batch::RecordBatch,
    record::Record,
    session::{HookRow, HookState, KernelInfo, SessionEnd, SessionHeader, SymbolRow, Tier},
    stream::Source as _,
    test_records::numbered,
};

fn session() -> SessionHeader {
    SessionHeader {
        tool_version: "0.1.0".into(),
        kernel: KernelInfo { release: "6.18.1".into(), machine: "x86_64".into(), ..KernelInfo::default() },
        tier: Tier::Tracepoints,
        hooks: vec![HookRow {
            id: "btrfs_inode_evict".into(),
            state: HookState::Attached,
            ..HookRow::default()
        }],
        command: vec!["dd".into(), "of=a b".into()],
        wall_offset_ns: 1_700_000_000_000_000_000,
        ..SessionHeader::default()
    }
}

fn symbols() -> Vec<SymbolRow> {
    vec![SymbolRow {
        address: 0xffff_ffff_8100_0000,
        symbol: "btrfs_sync_file".into(),
        offset: 9,
        module: None,
    }]
}

/// A finished recording of `blocks` blocks with `per_block` numbered records each, symbols after the first block.
fn recording(blocks: u64, per_block: u64) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.rsv");
    let mut writer = RecordingWriter::create(&path, &session(), &WriterOptions::default()).unwrap();
    for block in 0..blocks {
        writer.push_batch(&mut numbered(block * per_block, per_block));
        writer.flush();
        if block == 0 {
            writer.push_symbols(&symbols());
        }
    }
    let done = writer.finish(SessionEnd { ended_at_ns: 5, ..SessionEnd::default() }).unwrap();
    assert!(done.complete);
    std::fs::read(done.path).unwrap()
}

/// All that a reader delivers and reports about a file.
struct Told {
    /// All records but loss samples.
    records: RecordBatch,
    /// Loss samples, each with the number of other records before it.
    samples: Vec<(u64, LossSample)>,
    header: SessionHeader,
    end: Option<SessionEnd>,
    symbols: Vec<SymbolRow>,
    complete: bool,
    skipped: Skipped,
    notes: Vec<String>,
}

impl Told {
    fn file_read(&self) -> u64 {
        self.samples.last().map_or(0, |(_, sample)| sample.counts[LossClass::FileRead as usize])
    }
}

fn read(file: &[u8]) -> Told {
    try_read(file).unwrap()
}

fn try_read(file: &[u8]) -> Result<Told, FileError> {
    let mut reader = RecordingReader::from_read(Path::new("a.rsv"), file)?;
    let (mut batch, mut records, mut samples) = (RecordBatch::new(), RecordBatch::new(), Vec::new());
    while reader.next_batch(&mut batch) {
        assert!(!batch.is_empty());
        assert_eq!(batch.records(), batch.raw().count() as u64);
        for record in &batch {
            match record.unwrap() {
                Record::LossSample(sample) => samples.push((records.records(), sample)),
                record => records.push_record(&record),
            }
        }
    }
    assert!(batch.is_empty() && !reader.next_batch(&mut batch));
    Ok(Told {
        records,
        samples,
        header: reader.header().clone(),
        end: reader.end().cloned(),
        symbols: reader.take_symbols(),
        complete: reader.complete(),
        skipped: reader.skipped(),
        notes: reader.notes(),
    })
}

/// Offset and header of each block of a valid recording.
fn blocks_of(file: &[u8]) -> Vec<(usize, BlockHeader)> {
    let (start, _) = FileHeader::read_from_prefix(file).unwrap();
    let mut at = FILE_HEADER_LEN + start.json_len.get() as usize;
    let mut blocks = Vec::new();
    while at < file.len() {
        let header = BlockHeader::parse(&file[at..]).unwrap();
        blocks.push((at, header));
        at += header.total_len();
    }
    blocks
}

/// A block as bytes of a file, with right checksums.
fn block(header: BlockHeader, payload: &[u8]) -> Vec<u8> {
    let header = BlockHeader {
        stored_len: (payload.len() as u32).into(),
        payload_crc: crc32fast::hash(payload).into(),
        ..header
    };
    [header.sealed().as_bytes(), payload].concat()
}
