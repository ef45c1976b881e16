//! The first half of the writer: collects records into blocks and passes them to the sink's thread.
use std::{
    collections::hash_map::RandomState,
    fs::{File, OpenOptions},
    hash::{BuildHasher as _, Hasher as _},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use probe_common::loss::LossClass;
use zerocopy::IntoBytes as _;

use super::{
    FileError, TMP_SUFFIX,
    layout::{BLOCK_SESSION_END, BLOCK_SYMBOLS, FILE_HEADER_LEN, FileHeader, MAX_RAW_LEN, MAX_SESSION_LEN},
    sink::{Job, Shared, Sink, Store},
};
use crate::{
    batch::RecordBatch,
    session::{SessionEnd, SessionHeader, SymbolRow},
};

/// Bytes of records after which a block is written.
const BLOCK_TARGET: usize = 1 << 20;
/// Stream time after which a block is written, ns. A killed recorder loses about this much.
const BLOCK_SPAN: u64 = 1_000_000_000;
/// A batch of at least this many bytes becomes a block without a copy.
const TAKE_OVER: usize = BLOCK_TARGET / 4;
/// Symbols per block. With the longest kernel symbols (512 bytes) and module names this stays below the limit of a block.
const SYMBOLS_PER_BLOCK: usize = 4096;

/// How a recording is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// zstd level. 1 takes about 5 M records (96 bytes) in a second of one AMD EPYC core; 3 takes a quarter less and
    /// saves 1 % of the file.
    pub level: i32,
    /// Blocks (1 MiB or more each) that may wait for the disk before [`RecordingWriter::push`] waits.
    pub queue: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { level: 1, queue: 16 }
    }
}

/// Progress of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteStatus {
    /// Records in the file.
    pub records: u64,
    /// Records that could not be written: [`LossClass::FileWrite`].
    pub lost: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Why writing has stopped, if it has.
    pub stopped: Option<String>,
}

/// A recording that has got its final name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its path.
    pub path: PathBuf,
    /// True if the session end was written and the incomplete mark cleared.
    pub complete: bool,
    /// Counts.
    pub status: WriteStatus,
}

/// Writes a recording.
///
/// If dropped without [`Self::finish`], it flushes what it has and leaves `FILE.tmp`, readable and marked incomplete.
#[derive(Debug)]
pub struct RecordingWriter {
    path: PathBuf,
    tmp: PathBuf,
    current: RecordBatch,
    jobs: Option<SyncSender<Job>>,
    empties: Receiver<RecordBatch>,
    thread: Option<JoinHandle<Sink<File>>>,
    shared: Arc<Shared>,
}

impl RecordingWriter {
    /// Creates a recording. Until it is finished, its path is `path` + [`TMP_SUFFIX`].
    ///
    /// # Errors
    /// `FILE.tmp` exists, the target is no regular file, or the kernel refuses.
    pub fn create(path: &Path, session: &SessionHeader, options: &WriterOptions) -> Result<Self, FileError> {
        if path.metadata().is_ok_and(|target| !target.is_file()) {
            return Err(FileError::NotRegular { path: path.to_owned() });
        }
        let tmp = tmp_path(path);
        let refuse = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => FileError::InProgress { tmp: tmp.clone() },
            _ => FileError::Create { path: path.to_owned(), error },
        };
        let start = session_start(session)?;
        // `create_new` also refuses symbolic links, which matters in a world-writable directory.
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&tmp).map_err(refuse)?;
        let begun = file.write_all(&start.bytes).and_then(|()| start_sink(file, &start, options));
        let parts = begun.map_err(|error| {
            // The file is empty, and would only block the next try.
            let _ = std::fs::remove_file(&tmp);
            FileError::Create { path: path.to_owned(), error }
        })?;
        Ok(Self {
            path: path.to_owned(),
            tmp,
            current: RecordBatch::with_capacity(BLOCK_TARGET + TAKE_OVER),
            jobs: Some(parts.jobs),
            empties: parts.empties,
            thread: Some(parts.thread),
            shared: parts.shared,
        })
    }

    /// Path of the recording while it is in progress.
    #[must_use]
    pub fn tmp_path(&self) -> &Path {
        &self.tmp
    }

    /// Appends one record. Waits while the queue is full. Bytes that are no record count as lost.
    #[inline]
    pub fn push(&mut self, record: &[u8]) {
        if self.current.push(record).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.seal_if_due();
    }

    /// Appends a batch and empties it. A large batch is passed on without a copy; `batch` then has another buffer. Waits
    /// while the queue is full.
    pub fn push_batch(&mut self, batch: &mut RecordBatch) {
        let len = batch.bytes().len();
        if self.current.bytes().len() + len <= BLOCK_TARGET {
            self.current.append(batch);
        } else if (TAKE_OVER..=MAX_RAW_LEN).contains(&len) {
            self.flush();
            std::mem::swap(&mut self.current, batch);
            self.flush();
        } else {
            for record in batch.raw() {
                match record {
                    Ok(record) => self.push(record),
                    Err(_) => drop(self.shared.lost.fetch_add(1, Ordering::Relaxed)),
                }
            }
        }
        batch.clear();
        self.seal_if_due();
    }

    /// Adds names of stack addresses; may be called at any time, and more than once.
    pub fn push_symbols(&mut self, rows: &[SymbolRow]) {
        for rows in rows.chunks(SYMBOLS_PER_BLOCK) {
            match serde_json::to_vec(rows) {
                Ok(bytes) if bytes.len() <= MAX_RAW_LEN => {
                    self.send(Job::Json { kind: BLOCK_SYMBOLS, bytes })
                }
                Ok(bytes) => log::warn!("{} symbols of {} bytes were not recorded", rows.len(), bytes.len()),
                Err(error) => log::warn!("{} symbols were not recorded: {error}", rows.len()),
            }
        }
    }

    /// Makes a block of what was pushed so far. Call it from time to time while nothing is pushed, so that a killed recorder
    /// loses only the last moments.
    pub fn flush(&mut self) {
        if self.current.is_empty() {
            return;
        }
        let empty =
            self.empties.try_recv().unwrap_or_else(|_| RecordBatch::with_capacity(BLOCK_TARGET + TAKE_OVER));
        let full = std::mem::replace(&mut self.current, empty);
        self.send(Job::Records(full));
    }

    #[inline]
    fn seal_if_due(&mut self) {
        let long = self.current.span().is_some_and(|(first, last)| last.saturating_sub(first) >= BLOCK_SPAN);
        if long || self.current.bytes().len() >= BLOCK_TARGET {
            self.flush();
        }
    }

    fn send(&self, job: Job) {
        let lost = |job: Job| {
            if let Job::Records(batch) = job {
                self.shared.lost.fetch_add(batch.records(), Ordering::Relaxed);
            }
        };
        match &self.jobs {
            Some(jobs) => {
                if let Err(refused) = jobs.send(job) {
                    lost(refused.0);
                }
            }
            None => lost(job),
        }
    }

    /// Progress so far. Records on their way to the disk are in neither count.
    #[must_use]
    pub fn status(&self) -> WriteStatus {
        status(&self.shared)
    }

    /// Writes the session end, clears the incomplete mark and gives the recording its name.
    ///
    /// Fills in the count of records and the loss of class `file_write`. On a full disk the recording gets its name too,
    /// marked incomplete; what it contains is valid.
    ///
    /// # Errors
    /// The rename failed, or the writing thread has died; the error says where the file is.
    pub fn finish(mut self, mut end: SessionEnd) -> Result<Finished, FileError> {
        self.flush();
        let mut sink = self.join().ok_or_else(|| FileError::Thread { path: self.tmp.clone() })?;
        let before = self.status();
        end.records = before.records;
        end.add_loss(LossClass::FileWrite, before.lost);
        let complete = finish_sink(&mut sink, &end);
        drop(sink);
        std::fs::rename(&self.tmp, &self.path).map_err(|error| FileError::Rename {
            tmp: self.tmp.clone(),
            path: self.path.clone(),
            error,
        })?;
        sync_directory(&self.path);
        Ok(Finished { path: self.path.clone(), complete, status: self.status() })
    }

    fn join(&mut self) -> Option<Sink<File>> {
        drop(self.jobs.take());
        self.thread.take()?.join().ok()
    }
}

impl Drop for RecordingWriter {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.flush();
            drop(self.join());
        }
    }
}

/// Path of a recording in progress.
fn tmp_path(path: &Path) -> PathBuf {
    let mut tmp = path.as_os_str().to_owned();
    tmp.push(TMP_SUFFIX);
    tmp.into()
}

pub(super) struct Start {
    pub file_id: u64,
    pub bytes: Vec<u8>,
}

/// Bytes of file header and session header.
pub(super) fn session_start(session: &SessionHeader) -> Result<Start, FileError> {
    // Serialising cannot fail, because no map has keys other than strings. If it did, an empty session would be right.
    let json = serde_json::to_vec(session).unwrap_or_else(|_| b"{}".to_vec());
    if json.len() > MAX_SESSION_LEN {
        return Err(FileError::SessionTooLong(json.len()));
    }
    // The standard library draws the hasher's keys at random, which is enough for an id.
    let file_id = RandomState::new().build_hasher().finish();
    let mut bytes = Vec::with_capacity(FILE_HEADER_LEN + json.len());
    bytes.extend_from_slice(FileHeader::new(file_id, &json).as_bytes());
    bytes.extend_from_slice(&json);
    Ok(Start { file_id, bytes })
}

pub(super) struct Parts<S> {
    pub jobs: SyncSender<Job>,
    pub empties: Receiver<RecordBatch>,
    pub thread: JoinHandle<Sink<S>>,
    pub shared: Arc<Shared>,
}

/// Starts the writing thread, for a file that has its session header.
pub(super) fn start_sink<S: Store>(store: S, start: &Start, options: &WriterOptions) -> io::Result<Parts<S>> {
    let shared = Arc::new(Shared::default());
    let sink = Sink::new(store, Arc::clone(&shared), start.file_id, start.bytes.len() as u64, options.level)?;
    let (jobs, inbox) = sync_channel(options.queue.max(1));
    let (give_back, empties) = sync_channel(options.queue.max(1) + 2);
    let work = move || sink.run(&inbox, &give_back);
    let thread = std::thread::Builder::new().name("probe-record".to_owned()).spawn(work)?;
    Ok(Parts { jobs, empties, thread, shared })
}

/// Writes session end and mark; `true` if both are durable.
pub(super) fn finish_sink<S: Store>(sink: &mut Sink<S>, end: &SessionEnd) -> bool {
    let put = match serde_json::to_vec(end) {
        Ok(json) if json.len() <= MAX_RAW_LEN => sink.put_last(BLOCK_SESSION_END, &json),
        _ => false,
    };
    put && sink
        .complete()
        .inspect_err(|error| log::warn!("the recording stays marked incomplete: {error}"))
        .is_ok()
}

pub(super) fn status(shared: &Shared) -> WriteStatus {
    WriteStatus {
        records: shared.written.load(Ordering::Relaxed),
        lost: shared.lost.load(Ordering::Relaxed),
        bytes: shared.bytes.load(Ordering::Relaxed),
        stopped: shared.reason(),
    }
}

/// Makes the rename durable. If the filesystem cannot do that, it makes the rename durable later.
fn sync_directory(path: &Path) {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Err(error) = File::open(directory).and_then(|directory| directory.sync_all()) {
        log::debug!("{}: {error}", directory.display());
    }
}
