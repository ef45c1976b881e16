//! The second half of the writer: compresses blocks and writes them to the file, in a thread of its own.
use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom, Write as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender},
    },
};

use zerocopy::IntoBytes as _;

use super::layout::{
    BLOCK_HEADER_LEN, BlockHeader, CODEC_NONE, CODEC_ZSTD, MAX_STORED_LEN, STATE_COMPLETE, STATE_OFFSET,
};
use crate::{batch::RecordBatch, why::unwritten};

/// Where a recording is written: a file; in tests a store that fills up.
pub(super) trait Store: Send + 'static {
    /// Appends all bytes, or a part of them with an error.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Truncates to `len` bytes.
    fn cut(&mut self, len: u64) -> io::Result<()>;
    /// Overwrites bytes at `offset`. [`Self::append`] continues at the end afterwards.
    fn alter(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes all bytes durable.
    fn sync(&mut self) -> io::Result<()>;
}

impl Store for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.seek(SeekFrom::Start(len)).map(drop)
    }

    fn alter(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(bytes)?;
        self.seek(SeekFrom::End(0)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// State that both halves of the writer share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Records in blocks that are in the file.
    pub written: AtomicU64,
    /// Records in blocks that could not be written.
    pub lost: AtomicU64,
    /// Length of the file, bytes.
    pub bytes: AtomicU64,
    /// Writing has stopped.
    pub stopped: AtomicBool,
    reason: Mutex<Option<String>>,
}

impl Shared {
    /// Why writing has stopped.
    pub fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Work for the sink's thread.
pub(super) enum Job {
    Records(RecordBatch),
    Json { kind: u16, bytes: Vec<u8> },
}

/// Compressor, file, and the counts that go into block headers.
pub(super) struct Sink<S> {
    store: S,
    shared: Arc<Shared>,
    file_id: u64,
    sequence: u64,
    len: u64,
    compressor: zstd::bulk::Compressor<'static>,
    block: Vec<u8>,
}

impl<S: Store> Sink<S> {
    /// A sink for a file of `len` bytes, whose file header is already written.
    pub fn new(store: S, shared: Arc<Shared>, file_id: u64, len: u64, level: i32) -> io::Result<Self> {
        shared.bytes.store(len, Ordering::Relaxed);
        Ok(Self {
            store,
            shared,
            file_id,
            sequence: 0,
            len,
            compressor: zstd::bulk::Compressor::new(level)?,
            block: vec![0; BLOCK_HEADER_LEN + MAX_STORED_LEN],
        })
    }

    /// Works until the writer closes the channel. Returns itself, so that the end of the file can be written.
    pub fn run(mut self, jobs: &Receiver<Job>, empties: &SyncSender<RecordBatch>) -> Self {
        for job in jobs {
            match job {
                Job::Records(mut batch) => {
                    self.records(&batch);
                    batch.clear();
                    let _ = empties.try_send(batch);
                }
                Job::Json { kind, bytes } => {
                    self.put(header_of(kind), &bytes);
                }
            }
        }
        self
    }

    fn records(&mut self, batch: &RecordBatch) {
        let (first, last) = batch.span().unwrap_or_default();
        let header = BlockHeader {
            records: (batch.records() as u32).into(),
            first_time: first.into(),
            last_time: last.into(),
            ..header_of(super::layout::BLOCK_RECORDS)
        };
        let count = if self.put(header, batch.bytes()) { &self.shared.written } else { &self.shared.lost };
        count.fetch_add(batch.records(), Ordering::Relaxed);
    }

    /// Writes one block; `false` if it could not be written.
    fn put(&mut self, header: BlockHeader, payload: &[u8]) -> bool {
        !self.shared.stopped.load(Ordering::Relaxed) && self.try_put(header, payload)
    }

    /// Writes the last block even if writing has stopped: it is small, and space may be free again.
    pub fn put_last(&mut self, kind: u16, payload: &[u8]) -> bool {
        self.try_put(header_of(kind), payload)
    }

    fn try_put(&mut self, header: BlockHeader, payload: &[u8]) -> bool {
        let (codec, stored) = self.compress(payload);
        let header = BlockHeader {
            codec,
            raw_len: (payload.len() as u32).into(),
            stored_len: (stored as u32).into(),
            file_id: self.file_id.into(),
            sequence: self.sequence.into(),
            records_before: self.shared.written.load(Ordering::Relaxed).into(),
            payload_crc: crc32fast::hash(&self.block[BLOCK_HEADER_LEN..BLOCK_HEADER_LEN + stored]).into(),
            ..header
        }
        .sealed();
        self.block[..BLOCK_HEADER_LEN].copy_from_slice(header.as_bytes());
        match self.store.append(&self.block[..header.total_len()]) {
            Ok(()) => {
                self.len += header.total_len() as u64;
                self.sequence += 1;
                self.shared.bytes.store(self.len, Ordering::Relaxed);
                true
            }
            Err(error) => {
                self.stop(&error);
                false
            }
        }
    }

    /// Compresses the payload behind the place of the header in `block`. Returns codec and length. Stores it uncompressed if
    /// compression fails; that always fits.
    fn compress(&mut self, payload: &[u8]) -> (u8, usize) {
        let room = &mut self.block[BLOCK_HEADER_LEN..];
        match self.compressor.compress_to_buffer(payload, room) {
            Ok(stored) if stored < payload.len() => (CODEC_ZSTD, stored),
            _ => {
                room[..payload.len()].copy_from_slice(payload);
                (CODEC_NONE, payload.len())
            }
        }
    }

    /// Stops writing. Cuts off a half-written block, so that the file ends with a whole one.
    fn stop(&mut self, error: &io::Error) {
        if let Err(cut) = self.store.cut(self.len) {
            log::warn!("the half-written end of the recording could not be cut off: {cut}");
        }
        self.shared.stopped.store(true, Ordering::Relaxed);
        let mut reason = self.shared.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if reason.is_none() {
            let why = unwritten(error);
            log::warn!("writing the recording stopped: {why}");
            *reason = Some(why);
        }
    }

    /// Clears the incomplete mark, once all blocks are durable.
    pub fn complete(&mut self) -> io::Result<()> {
        self.store.sync()?;
        self.store.alter(STATE_OFFSET, &STATE_COMPLETE.to_le_bytes())?;
        self.store.sync()
    }
}

fn header_of(kind: u16) -> BlockHeader {
    use zerocopy::FromZeros as _;
    let mut header = BlockHeader::new_zeroed();
    header.kind = kind.into();
    header
}
