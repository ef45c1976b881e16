//! Reads a recording as a [`Source`].
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use probe_common::{
    header::{Header, RecordKind},
    loss::{LOSS_SLOTS, LossClass, LossSample},
};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::{
    FileError,
    layout::{
        BLOCK_RECORDS, BLOCK_SESSION_END, BLOCK_SYMBOLS, BlockHeader, CODEC_NONE, CODEC_ZSTD,
        FILE_HEADER_LEN, FILE_MAGIC, FORMAT_MAJOR, FileHeader, MAX_SESSION_LEN, STATE_COMPLETE,
    },
    scan::Scanner,
};
use crate::{
    batch::RecordBatch,
    record::{Record, decode_loss_sample},
    session::{SessionEnd, SessionHeader, SymbolRow},
    stream::{Source, SourceState},
};

/// Symbols kept until [`Source::take_symbols`]; a kernel with all modules has fewer.
const MAX_SYMBOLS: usize = 1 << 20;

/// Parts of a recording that the reader could not deliver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Damaged stretches between valid blocks.
    pub regions: u64,
    /// Bytes in these stretches.
    pub bytes: u64,
    /// Records missing because of damage, as far as the block headers show; at least 1 if they do not show it.
    pub records: u64,
    /// Valid blocks of a kind, codec or flags that this version does not know.
    pub unknown_blocks: u64,
    /// Records of a kind that this version does not know.
    pub unknown_records: u64,
    /// Records, or stretches of bytes, inside valid blocks that cannot be decoded.
    pub undecodable_records: u64,
    /// Blocks of symbols, and session ends, whose JSON cannot be read.
    pub unreadable_json: u64,
    /// Symbols dropped because a million were waiting for [`Source::take_symbols`].
    pub symbols: u64,
    /// The file ends in the middle of a block.
    pub cut: bool,
}

/// Reads a recording that is whole, damaged or unfinished. Needs memory for one block, whatever the file contains.
pub struct RecordingReader<R = File> {
    pub(super) path: PathBuf,
    pub(super) scanner: Scanner<R>,
    header: SessionHeader,
    complete: bool,
    end: Option<SessionEnd>,
    symbols: Vec<SymbolRow>,
    skipped: Skipped,
    decompressor: zstd::bulk::Decompressor<'static>,
    json: RecordBatch,
    /// A block of records that waits until the loss before it is delivered.
    held: Option<BlockHeader>,
    /// `records_before` of the next block if nothing is missing.
    expected: u64,
    /// Records of the file that were delivered, without the reader's own loss samples.
    pub(super) delivered: u64,
    pub(super) over: bool,
    pub(super) session_lost: bool,
    /// [`LossClass::FileRead`] so far; `told` is the part that is in the stream.
    lost: u64,
    told: u64,
    /// Header of the last record; the reader's loss samples copy it.
    last: Header,
    loss: [u64; LOSS_SLOTS],
}

impl<R> std::fmt::Debug for RecordingReader<R> {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("RecordingReader")
            .field("path", &self.path)
            .field("complete", &self.complete)
            .field("delivered", &self.delivered)
            .finish_non_exhaustive()
    }
}

impl RecordingReader<File> {
    /// Opens a recording, finished or not.
    ///
    /// # Errors
    /// Not readable, not a recording, or of a newer major version.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|error| FileError::Open { path: path.to_owned(), error })?;
        Self::from_read(path, file)
    }
}

impl<R: Read> RecordingReader<R> {
    /// Reads a recording from anything; `path` is for messages.
    ///
    /// # Errors
    /// Not readable, not a recording, or of a newer major version.
    pub fn from_read(path: &Path, input: R) -> Result<Self, FileError> {
        let path = path.to_owned();
        let mut scanner = Scanner::new(input);
        let read = FileHeader::read_from_prefix(scanner.peek(FILE_HEADER_LEN)).ok().map(|(header, _)| header);
        if let Some(error) = scanner.error.take() {
            return Err(FileError::Open { path, error });
        }
        let Some(start) = read.filter(|header| header.magic == FILE_MAGIC) else {
            return Err(FileError::NotARecording { path });
        };
        if start.intact() && start.major.get() > FORMAT_MAJOR {
            return Err(FileError::Newer { path, major: start.major.get(), minor: start.minor.get() });
        }
        let decompressor =
            zstd::bulk::Decompressor::new().map_err(|error| FileError::Open { path: path.clone(), error })?;
        let mut reader = Self {
            path,
            scanner,
            header: SessionHeader::default(),
            complete: false,
            end: None,
            symbols: Vec::new(),
            skipped: Skipped::default(),
            decompressor,
            json: RecordBatch::new(),
            held: None,
            expected: 0,
            delivered: 0,
            over: false,
            session_lost: true,
            lost: 0,
            told: 0,
            last: Header::default(),
            loss: [0; LOSS_SLOTS],
        };
        // If the header is damaged, blocks are found and checked without it.
        if start.intact() {
            reader.read_session(&start);
        }
        Ok(reader)
    }

    fn read_session(&mut self, start: &FileHeader) {
        self.scanner.expect_id(start.file_id.get());
        self.scanner.consume(FILE_HEADER_LEN);
        self.complete = start.state.get() == STATE_COMPLETE;
        let len = start.json_len.get() as usize;
        if len > MAX_SESSION_LEN {
            return;
        }
        let json = self.scanner.peek(len);
        let header = (json.len() == len && crc32fast::hash(json) == start.json_crc.get())
            .then(|| serde_json::from_slice(json).ok())
            .flatten();
        match header {
            Some(header) => {
                self.header = header;
                self.session_lost = false;
                self.scanner.consume(len);
            }
            // Not consumed: if bytes are missing here, the first block begins earlier than expected.
            None => log::debug!("{}: the session description is damaged", self.path.display()),
        }
    }

    /// What was known at the start of the session; empty if the header is damaged.
    #[must_use]
    pub const fn header(&self) -> &SessionHeader {
        &self.header
    }

    /// False if the recorder did not finish the file.
    #[must_use]
    pub const fn complete(&self) -> bool {
        self.complete
    }

    /// What could not be delivered so far.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        let damage = &self.scanner.damage;
        Skipped { regions: damage.regions, bytes: damage.bytes, cut: damage.cut, ..self.skipped }
    }

    /// Replaces the batch by the next records; `false` at the end.
    pub fn next_batch(&mut self, batch: &mut RecordBatch) -> bool {
        batch.clear();
        while !self.over {
            let Some(block) = self.held.take().or_else(|| self.scanner.next_block()) else {
                self.finish(batch);
                break;
            };
            self.note_gap(&block);
            if self.lost > self.told {
                self.tell(batch, block.first_time.get());
                self.held = Some(block);
                break;
            }
            self.read_block(&block, batch);
            self.delivered += batch.records();
            if !batch.is_empty() {
                break;
            }
        }
        !batch.is_empty()
    }

    /// Counts the records missing between the last block and this one.
    fn note_gap(&mut self, block: &BlockHeader) {
        let before = block.records_before.get();
        self.lose(before.saturating_sub(self.expected));
        self.expected = self.expected.max(before);
    }

    fn lose(&mut self, records: u64) {
        self.skipped.records = self.skipped.records.saturating_add(records);
        self.lost = self.lost.saturating_add(records);
    }

    fn read_block(&mut self, block: &BlockHeader, batch: &mut RecordBatch) {
        let records = u64::from(block.records.get());
        self.expected = self.expected.saturating_add(records);
        let known = matches!(block.kind.get(), BLOCK_RECORDS | BLOCK_SYMBOLS | BLOCK_SESSION_END);
        if !known || block.flags != 0 || !matches!(block.codec, CODEC_NONE | CODEC_ZSTD) {
            self.skipped.unknown_blocks += 1;
            self.lost = self.lost.saturating_add(records);
            return;
        }
        let target = if block.kind.get() == BLOCK_RECORDS { &mut *batch } else { &mut self.json };
        if unpack(&mut self.decompressor, block, self.scanner.payload(), target).is_err() {
            // The checksum was right, so these bytes were written like this, by a foreign or faulty writer.
            target.clear();
            self.skipped.undecodable_records =
                self.skipped.undecodable_records.saturating_add(records.max(1));
            self.lost = self.lost.saturating_add(records.max(1));
            return;
        }
        match block.kind.get() {
            BLOCK_RECORDS => self.read_records(records, batch),
            BLOCK_SYMBOLS => self.read_symbols(),
            _ => self.read_end(),
        }
    }

    /// Keeps the records that this version knows, and remembers what the next loss sample needs.
    fn read_records(&mut self, promised: u64, batch: &mut RecordBatch) {
        let (last, loss, lost) = (&mut self.last, &mut self.loss, self.lost);
        let sifted = batch.sift(|header, record| {
            *last = *header;
            if header.kind == RecordKind::LossSample as u8 {
                *loss = add_file_read(record, lost);
            }
        });
        let broken = sifted.damaged + u64::from(sifted.tail > 0);
        self.skipped.unknown_records += sifted.unknown;
        self.skipped.undecodable_records += broken;
        let missing = (sifted.unknown + broken).max(promised.saturating_sub(batch.records()));
        self.lost = self.lost.saturating_add(missing);
    }

    fn read_symbols(&mut self) {
        match serde_json::from_slice::<Vec<SymbolRow>>(self.json.bytes()) {
            Ok(mut rows) => {
                let room = MAX_SYMBOLS.saturating_sub(self.symbols.len());
                self.skipped.symbols += rows.len().saturating_sub(room) as u64;
                rows.truncate(room);
                self.symbols.append(&mut rows);
            }
            Err(_) => self.skipped.unreadable_json += 1,
        }
    }

    fn read_end(&mut self) {
        match serde_json::from_slice(self.json.bytes()) {
            Ok(end) => self.end = Some(end),
            Err(_) => self.skipped.unreadable_json += 1,
        }
    }

    /// The end of the file: counts the records missing there, and puts every loss that is not in the stream yet into it.
    fn finish(&mut self, batch: &mut RecordBatch) {
        self.over = true;
        let known = self.scanner.damage.records_until.saturating_sub(self.expected);
        // The file ends in damage without a valid block header: records are missing, and we do not know how many.
        let unknown = known == 0 && self.end.is_none() && self.ends_in_damage();
        self.lose(known.max(unknown.into()));
        // Losses of the recorder after its last sample are in no sample, above all records that it could not write.
        let ended = self.end.as_ref().map(SessionEnd::loss_counts).unwrap_or_default();
        let mut news = self.lost > self.told;
        for (seen, ended) in self.loss.iter_mut().zip(ended) {
            news |= ended > *seen;
            *seen = ended.max(*seen);
        }
        if news {
            self.tell(batch, 0);
        }
    }

    /// True if the last bytes of the file are not a valid block.
    pub(super) const fn ends_in_damage(&self) -> bool {
        self.scanner.in_damage() || self.scanner.error.is_some()
    }

    /// Puts a loss sample into the stream, with the time of the record before it; with `time` if there is none.
    fn tell(&mut self, batch: &mut RecordBatch, time: u64) {
        self.told = self.lost;
        let file_read = &mut self.loss[LossClass::FileRead as usize];
        *file_read = self.lost.max(*file_read);
        let time = if self.last.time == 0 { time } else { self.last.time };
        let header = Header { lost: self.last.lost, cpu: self.last.cpu, time, ..Header::default() };
        batch.push_record(&Record::from(LossSample { header, counts: self.loss }));
    }
}

/// Decompresses a payload into `target`. The result must have exactly the length that the header says.
fn unpack(
    decompressor: &mut zstd::bulk::Decompressor<'_>,
    block: &BlockHeader,
    payload: &[u8],
    target: &mut RecordBatch,
) -> io::Result<()> {
    let len = block.raw_len.get() as usize;
    let mut done = Ok(payload.len());
    target.fill(|bytes| {
        if block.codec == CODEC_NONE {
            bytes.extend_from_slice(payload);
        } else {
            bytes.reserve(len);
            done = decompressor.decompress_to_buffer(payload, bytes);
        }
    });
    done?;
    if target.bytes().len() == len { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Adds the reader's loss to a sample of the recorder, because loss counts are absolute.
fn add_file_read(record: &mut [u8], lost: u64) -> [u64; LOSS_SLOTS] {
    let Some(mut sample) = decode_loss_sample(record) else { return [0; LOSS_SLOTS] };
    let file_read = &mut sample.counts[LossClass::FileRead as usize];
    *file_read = file_read.saturating_add(lost);
    // Copied, not altered in place, because a record in a buffer of bytes may be unaligned. Copies only as much as fits,
    // because samples of older recordings are shorter.
    let whole = sample.as_bytes();
    let room = record.len().min(whole.len());
    record[..room].copy_from_slice(&whole[..room]);
    sample.counts
}

impl<R: Read> Source for RecordingReader<R> {
    fn header(&self) -> &SessionHeader {
        &self.header
    }

    fn next(&mut self, batch: &mut RecordBatch, _wait: Duration) -> SourceState {
        if self.next_batch(batch) { SourceState::Batch } else { SourceState::End }
    }

    fn take_symbols(&mut self) -> Vec<SymbolRow> {
        std::mem::take(&mut self.symbols)
    }

    fn end(&self) -> Option<&SessionEnd> {
        self.end.as_ref()
    }

    fn notes(&self) -> Vec<String> {
        super::notes::notes(self)
    }
}
