//! The flight recorder of `watch --keep`: holds the last records in memory and writes a recording when something happens.
//!
//! While it writes, new records queue up behind the old ones, and each step moves a few MiB from the queue to the writer's
//! own thread. So the books never wait for a whole recording to reach the disk. No record is written twice: the next recording begins
//! where the last one ended.
mod trigger;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use probe_common::{loss::LossClass, task::MarkerKind};
use probe_record::{
    batch::RecordBatch,
    file::{RecordingWriter, TMP_SUFFIX, WriterOptions},
    kept::Kept,
    preface::marker,
    record::Record,
    session::{SessionEnd, SessionHeader},
    why,
};

pub use self::trigger::Trigger;
use super::{books::Books, plan::KeepPlan};
use crate::{kernel::clock::wall_ns, report::ndjson::RecordingLine};

/// Time after a trigger that a recording still covers.
const AFTER: Duration = Duration::from_secs(5);
/// Batches that one step moves to the writer: about 4 MiB.
const STEP: usize = 16;
/// Most recordings of a session, so that a filesystem that fails all day does not fill the disk. SIGUSR1 has no limit.
const MOST: u32 = 16;
/// Time after a recording in which the same trigger makes no other one. SIGUSR1 does.
const PAUSE: Duration = Duration::from_secs(60);
/// Option of the session header: what the recorder was to keep.
const KEEP: &str = "keep";
/// Option of the session header: what made it write.
const TRIGGER: &str = "trigger";

/// A recording that is being written.
#[derive(Debug)]
struct Writing {
    writer: RecordingWriter,
    path: PathBuf,
    why: Trigger,
    /// Records before its first one.
    gone: u64,
    /// Symbols in it so far.
    named: usize,
    until: Instant,
}

/// See the module.
#[derive(Debug)]
pub struct FlightRecorder {
    plan: KeepPlan,
    header: SessionHeader,
    kept: Kept,
    writing: Option<Writing>,
    /// What happened since the last step, if anything that asks for a recording did.
    triggered: Option<Trigger>,
    asked: Arc<AtomicBool>,
    written: u32,
    /// When a trigger last made a recording.
    last: BTreeMap<Trigger, Instant>,
    pause: Duration,
    /// Triggers that were to make no recording: too soon after one, or after the last one that was allowed.
    without: u64,
    news: Vec<RecordingLine>,
}

impl FlightRecorder {
    /// From here on SIGUSR1 asks for a recording.
    ///
    /// # Errors
    /// The folder cannot be written to, or the signal cannot be caught; one sentence.
    pub fn new(plan: &KeepPlan, header: &SessionHeader) -> anyhow::Result<Self> {
        check(&plan.folder)?;
        let asked = Arc::<AtomicBool>::default();
        signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&asked))
            .context("cannot catch SIGUSR1")?;
        let mut header = header.clone();
        header.options.insert(KEEP.to_owned(), plan.typed.clone());
        Ok(Self {
            plan: plan.clone(),
            header,
            kept: Kept::new(plan.bound),
            writing: None,
            triggered: None,
            asked,
            written: 0,
            last: BTreeMap::new(),
            pause: PAUSE,
            without: 0,
            news: Vec::new(),
        })
    }

    /// Looks at a record that was booked.
    #[inline]
    pub fn see(&mut self, record: &Record) {
        if let Some(why) = trigger::of(record) {
            self.trigger(why);
        }
    }

    /// Something happened. Counts only what `--dump-on` names, and SIGUSR1.
    pub fn trigger(&mut self, why: Trigger) {
        if self.plan.on.contains(&why) || why == Trigger::Request {
            self.triggered.get_or_insert(why);
        }
    }

    /// Takes the next records, none if there are none, and goes on with a recording. `batch` is empty afterwards.
    pub fn take(&mut self, batch: &mut RecordBatch, books: &Books) {
        if self.writing.is_some() {
            self.kept.add(batch);
        } else {
            self.kept.push(batch);
        }
        batch.clear();
        if self.asked.swap(false, Ordering::Relaxed) {
            self.trigger(Trigger::Request);
        }
        self.begin_if_triggered(books);
        self.step(STEP);
        if self.writing.as_ref().is_some_and(|writing| Instant::now() >= writing.until)
            && self.kept.bytes() == 0
        {
            self.finish(books);
        }
    }

    /// The stream is over: finishes what it writes, and writes what the end of the session has triggered.
    pub fn over(&mut self, books: &Books) {
        self.begin_if_triggered(books);
        self.step(usize::MAX);
        self.finish(books);
    }

    /// Recordings written since the last call.
    pub fn take_news(&mut self) -> Vec<RecordingLine> {
        std::mem::take(&mut self.news)
    }

    /// Triggers for which no recording was begun, and of which nothing was said yet.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.without
    }

    fn begin_if_triggered(&mut self, books: &Books) {
        let Some(why) = self.triggered.take() else { return };
        if self.writing.is_some() {
            // It is in the recording that is being written.
            return;
        }
        let soon = self.last.get(&why).is_some_and(|last| last.elapsed() < self.pause);
        if why != Trigger::Request && (soon || self.written >= MOST) {
            self.without += 1;
            return;
        }
        match self.begin(why, books) {
            Ok(writing) => {
                self.written += 1;
                self.last.insert(why, Instant::now());
                self.writing = Some(writing);
            }
            Err(error) => log::warn!("the kept records could not be written: {}", why::chain(error.as_ref())),
        }
    }

    fn begin(&self, why: Trigger, books: &Books) -> anyhow::Result<Writing> {
        let path = free_path(&self.plan.folder, why);
        let mut header = self.header.clone();
        header.options.insert(TRIGGER.to_owned(), why.name().to_owned());
        let mut writer = RecordingWriter::create(&path, &header, &WriterOptions::default())?;
        let symbols = books.names.rows();
        writer.push_symbols(&symbols);
        writer.push_batch(&mut self.kept.preface());
        let (gone, until) = (self.kept.gone(), Instant::now() + AFTER);
        Ok(Writing { writer, path, why, gone, named: symbols.len(), until })
    }

    /// Moves up to `most` batches to the writer.
    fn step(&mut self, most: usize) {
        let Some(writing) = &mut self.writing else { return };
        for _ in 0..most {
            let Some(mut batch) = self.kept.pop() else { return };
            writing.writer.push_batch(&mut batch);
        }
    }

    fn finish(&mut self, books: &Books) {
        let Some(mut writing) = self.writing.take() else { return };
        let symbols = books.names.rows();
        if symbols.len() > writing.named {
            writing.writer.push_symbols(&symbols);
        }
        // What is open at the end may end after it, as when hooks are detached.
        let mut last = RecordBatch::new();
        last.push_record(&marker(self.kept.after(), MarkerKind::Detaching));
        writing.writer.push_batch(&mut last);
        let mut end = SessionEnd {
            ended_at_ns: wall_ns(),
            filesystems: self.header.filesystems.clone(),
            ..SessionEnd::default()
        };
        for (class, count) in books.ledger.loss() {
            end.add_loss(class, count);
        }
        end.add_loss(LossClass::NotKept, writing.gone);
        let line = match writing.writer.finish(end) {
            Ok(finished) => RecordingLine {
                file: finished.path.to_string_lossy().into_owned(),
                trigger: writing.why.name().to_owned(),
                records: finished.status.records,
                not_kept: writing.gone,
                incomplete: finished.status.stopped,
            },
            Err(error) => {
                log::warn!(
                    "{}: the kept records could not be written: {}",
                    writing.path.display(),
                    why::chain(&error)
                );
                return;
            }
        };
        self.news.push(line);
    }
}

/// Checks before the session, not at the first trigger, that files can be made in the folder.
fn check(folder: &Path) -> anyhow::Result<()> {
    let probe = tempfile::Builder::new().prefix(".btrfs-probe-").tempfile_in(folder);
    probe.map(drop).map_err(|error| {
        anyhow!("cannot write to the --dump-to folder {}: {}", why::shown(folder), why::unwritten(&error))
    })
}

/// A name that nothing has: time, trigger, and a number if there are several.
fn free_path(folder: &Path, why: Trigger) -> PathBuf {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let name = |number: u32| {
        let number = if number == 1 { String::new() } else { format!("-{number}") };
        format!("btrfs-probe-{time}-{}{number}.rsv", why.name())
    };
    let taken = |name: &String| {
        let path = folder.join(name);
        path.exists() || folder.join(format!("{name}{TMP_SUFFIX}")).exists()
    };
    let free = (1..).map(name).find(|name| !taken(name));
    folder.join(free.unwrap_or_else(|| name(0)))
}

#[cfg(test)]
mod tests;
