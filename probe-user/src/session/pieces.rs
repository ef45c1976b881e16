//! `record`: writes the stream to one file, or to several of which the newest are kept.
use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use probe_common::loss::LossClass;
use probe_record::{
    batch::RecordBatch,
    file::{FileError, Finished, RecordingWriter, WriterOptions},
    preface::Preface,
    session::{SessionEnd, SessionHeader, SymbolRow},
    stream::{Source, SourceState},
    why,
};
use tokio::sync::Notify;

use super::plan::RecordPlan;
use crate::kernel::clock::wall_ns;

/// How long to wait for a record.
const WAIT: Duration = Duration::from_millis(100);
/// If the recorder is killed, at most so much is missing.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// The last file.
    pub last: Finished,
    /// All files that are there, oldest first.
    pub files: Vec<PathBuf>,
    /// Files that were removed because newer ones took their place.
    pub removed: u64,
}

/// Writes a stream to its files.
#[derive(Debug)]
pub struct Pieces {
    plan: RecordPlan,
    header: SessionHeader,
    writer: RecordingWriter,
    /// What the next file must begin with.
    preface: Preface,
    symbols: BTreeMap<u64, SymbolRow>,
    /// Records before the current file.
    gone: u64,
    number: u32,
    files: VecDeque<PathBuf>,
    removed: u64,
}

impl Pieces {
    /// Makes the first file.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(plan: &RecordPlan, header: &SessionHeader) -> Result<Self, FileError> {
        let writer = RecordingWriter::create(&path(plan, 1), header, &WriterOptions::default())?;
        Ok(Self {
            plan: plan.clone(),
            header: header.clone(),
            writer,
            preface: Preface::default(),
            symbols: BTreeMap::new(),
            gone: 0,
            number: 1,
            files: VecDeque::new(),
            removed: 0,
        })
    }

    /// Writes the whole stream. `full` is told when the only file has reached its size.
    ///
    /// # Errors
    /// A file could not be finished, or the next one not be made.
    pub fn write(mut self, source: &mut impl Source, full: &Notify) -> Result<Written, FileError> {
        let mut batch = RecordBatch::new();
        let mut flushed = Instant::now();
        loop {
            match source.next(&mut batch, WAIT) {
                SourceState::Batch => {
                    self.push(&mut batch);
                    self.symbols(source.take_symbols());
                }
                SourceState::Idle => {}
                SourceState::End => break,
            }
            if flushed.elapsed() >= FLUSH_EVERY {
                flushed = Instant::now();
                self.writer.flush();
            }
            if self.is_full() {
                if self.plan.rotate.is_none() {
                    full.notify_one();
                } else {
                    self = self.next()?;
                }
            }
        }
        self.symbols(source.take_symbols());
        let mut end = source.end().cloned().unwrap_or_default();
        end.add_loss(LossClass::NotKept, self.gone);
        let last = self.writer.finish(end)?;
        self.files.push_back(last.path.clone());
        Ok(Written { last, files: self.files.into(), removed: self.removed })
    }

    fn push(&mut self, batch: &mut RecordBatch) {
        if self.plan.rotate.is_some() {
            self.preface.learn(batch);
        }
        self.writer.push_batch(batch);
    }

    fn symbols(&mut self, rows: Vec<SymbolRow>) {
        self.writer.push_symbols(&rows);
        if self.plan.rotate.is_some() {
            self.symbols.extend(rows.into_iter().map(|row| (row.address, row)));
        }
    }

    fn is_full(&self) -> bool {
        let status = self.writer.status();
        status.stopped.is_none() && self.plan.max_bytes.is_some_and(|most| status.bytes >= most)
    }

    /// Finishes the current file, begins the next one, and removes the oldest.
    fn next(mut self) -> Result<Self, FileError> {
        let mut end = SessionEnd {
            ended_at_ns: wall_ns(),
            filesystems: self.header.filesystems.clone(),
            ..SessionEnd::default()
        };
        end.add_loss(LossClass::NotKept, self.gone);
        let finished = self.writer.finish(end)?;
        self.files.push_back(finished.path);
        self.number += 1;
        self.gone = self.preface.learned();
        self.writer =
            RecordingWriter::create(&path(&self.plan, self.number), &self.header, &WriterOptions::default())?;
        let rows: Vec<SymbolRow> = self.symbols.values().cloned().collect();
        self.writer.push_symbols(&rows);
        self.writer.push_batch(&mut self.preface.records(&self.preface.newest()));
        self.remove_oldest();
        Ok(self)
    }

    /// One file is being written, so one fewer is kept beside it.
    fn remove_oldest(&mut self) {
        let keep = self.plan.rotate.unwrap_or(u32::MAX).saturating_sub(1) as usize;
        while self.files.len() > keep
            && let Some(oldest) = self.files.pop_front()
        {
            match std::fs::remove_file(&oldest) {
                Ok(()) => self.removed += 1,
                Err(error) => log::warn!("cannot remove {}: {}", why::shown(&oldest), why::unwritten(&error)),
            }
        }
    }
}

/// `FILE`, or `FILE.0001`, `FILE.0002`, ... if there are several.
fn path(plan: &RecordPlan, number: u32) -> PathBuf {
    if plan.rotate.is_none() {
        return plan.file.clone();
    }
    let mut name = plan.file.as_os_str().to_owned();
    name.push(format!(".{number:04}"));
    name.into()
}

/// Names that a recording with this plan may give its files, so far as they are there already: they would be replaced.
pub fn taken(plan: &RecordPlan) -> Option<PathBuf> {
    plan.rotate?;
    let folder = plan.file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let begin = format!("{}.", plan.file.file_name()?.to_string_lossy());
    let mut there: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            name.to_string_lossy()
                .strip_prefix(&begin)
                .is_some_and(|number| number.len() >= 4 && number.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .map(|entry| entry.path())
        .collect();
    there.sort();
    there.into_iter().next()
}

#[cfg(test)]
mod tests;
