//! The metrics of `watch --metrics` and `--metrics-listen`: when they are made, and what of the books they show.
//!
//! A sample is made in two steps: the capture is asked for levels and counters, and a moment later, when its answer is in the
//! stream, the text is made. Between samples it costs nothing but a counter for each reservation. No sample walks all
//! inodes, except to judge, which has a bound on its share of the time.
mod collect;

use std::{
    fmt,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use probe_record::{record::Record, stream::Source, why};

use self::collect::Counts;
use super::{books::Books, consume::Announcer, plan::MetricsPlan, pulse::Pulse, status_line};
use crate::{
    capture::Gauges,
    metrics::{FileWriter, Server},
    report::{build::Policy, output},
};

/// Time that the capture has to answer, before the text is made without the answer.
const ANSWER: Duration = Duration::from_millis(200);

/// Makes and publishes metrics.
pub struct Metrics {
    every: Duration,
    file: Option<FileWriter>,
    server: Option<Server>,
    /// Asks for levels and counters.
    ask: Box<dyn Fn(SyncSender<Gauges>)>,
    answer: (SyncSender<Gauges>, Receiver<Gauges>),
    /// When the last sample was begun.
    last: Option<Instant>,
    /// When the capture was asked for one that is not made yet.
    asked: Option<Instant>,
    /// The newest counters of the capture; the end of a session has none.
    gauges: Option<Gauges>,
    pulse: Pulse,
    counts: Counts,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("every", &self.every)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Metrics {
    /// `ask` asks the capture for levels and counters.
    ///
    /// # Errors
    /// The file cannot be written, or the address not be listened at; one sentence.
    pub fn start(plan: &MetricsPlan, ask: impl Fn(SyncSender<Gauges>) + 'static) -> anyhow::Result<Self> {
        let start = |address| {
            Server::start(address)
                .with_context(|| format!("cannot listen at {address}, where metrics are to be served"))
        };
        let server = plan.listen.map(start).transpose()?;
        if let Some(server) = &server {
            status_line::say(&format!("btrfs-probe: metrics at http://{}/metrics\n", server.address()));
        }
        let file = match &plan.file {
            Some(path) => {
                // Now, and not only when the first sample is due.
                output::replace_file(path, b"# EOF\n").map_err(|error| {
                    anyhow!("cannot write metrics to {}: {}", why::shown(path), why::unwritten(&error))
                })?;
                Some(FileWriter::start(path.clone()).context("cannot make a thread")?)
            }
            None => None,
        };
        Ok(Self {
            every: plan.every,
            file,
            server,
            ask: Box::new(ask),
            answer: sync_channel(1),
            last: None,
            asked: None,
            gauges: None,
            pulse: Pulse::default(),
            counts: Counts::default(),
        })
    }

    /// Looks at a record that was booked.
    #[inline]
    pub fn see(&mut self, record: &Record) {
        self.counts.see(record);
    }

    /// Makes a sample if one is due or wanted.
    pub fn tick(&mut self, announcer: &Announcer, books: &Books, source: &impl Source, policy: &Policy) {
        match self.asked {
            None => {
                let wanted = self.server.as_ref().is_some_and(Server::is_wanted);
                let due = self.last.is_none_or(|last| last.elapsed() >= self.every);
                if wanted || due {
                    // An answer that came too late for the last one is of then.
                    while self.answer.1.try_recv().is_ok() {}
                    (self.ask)(self.answer.0.clone());
                    self.asked = Some(Instant::now());
                }
            }
            Some(asked) if asked.elapsed() >= ANSWER => {
                self.asked = None;
                self.last = Some(asked);
                self.publish(announcer, books, source, policy, true);
            }
            Some(_) => {}
        }
    }

    fn publish(
        &mut self,
        announcer: &Announcer,
        books: &Books,
        source: &impl Source,
        policy: &Policy,
        watching: bool,
    ) {
        let beat = self.pulse.beat(books, source, announcer.found(), policy);
        self.gauges = self.answer.1.try_recv().ok().or_else(|| self.gauges.take());
        let text: Arc<str> = collect::text(
            &mut self.counts,
            announcer,
            books,
            source.header(),
            &beat,
            self.gauges.as_ref(),
            watching,
        )
        .into();
        if let Some(file) = &self.file {
            file.put(Arc::clone(&text));
        }
        if let Some(server) = &self.server {
            server.put(text);
        }
    }

    /// The last sample, of a session that is over.
    pub fn last(&mut self, announcer: &Announcer, books: &Books, source: &impl Source, policy: &Policy) {
        self.publish(announcer, books, source, policy, false);
    }

    /// Writes the last sample out.
    pub fn close(&mut self) {
        if let Some(file) = self.file.take() {
            file.close();
        }
        self.server = None;
    }
}
