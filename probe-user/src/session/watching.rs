//! What `watch` does beside the books: shows news and how it stands, ends the session when there is enough of them, and keeps the last
//! records.
use probe_record::{batch::RecordBatch, record::Record, stream::Source};
use tokio::sync::Notify;

use super::{
    beats::Beats,
    books::Books,
    commands::Commands,
    consume::{Announcer, Onlooker},
    flight::{FlightRecorder, Trigger},
    metrics::Metrics,
    plan::ReportPlan,
};
use crate::{format, report::ndjson::StreamLine};

/// Shows news of a live session.
#[derive(Debug)]
pub struct Watching<'a> {
    announcer: Announcer,
    report: &'a ReportPlan,
    enough: &'a Notify,
    flight: Option<FlightRecorder>,
    beats: Option<Beats>,
    metrics: Option<Metrics>,
    commands: Option<&'a mut Commands>,
}

impl<'a> Watching<'a> {
    /// `enough` ends the session.
    pub const fn new(
        announcer: Announcer,
        report: &'a ReportPlan,
        enough: &'a Notify,
        flight: Option<FlightRecorder>,
        beats: Option<Beats>,
    ) -> Self {
        Self { announcer, report, enough, flight, beats, metrics: None, commands: None }
    }

    /// With commands.
    #[must_use]
    pub fn with_commands(mut self, commands: Option<&'a mut Commands>) -> Self {
        if commands.is_some() {
            self.announcer.keep_news();
        }
        self.commands = commands;
        self
    }

    /// With metrics.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Option<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    fn show_recordings(&mut self) {
        if let Some(flight) = &mut self.flight {
            for line in flight.take_news() {
                self.announcer.show(StreamLine::Recording(line));
            }
        }
    }
}

impl<S: Source> Onlooker<S> for Watching<'_> {
    #[inline]
    fn record(&mut self, record: &Record) {
        if let Some(flight) = &mut self.flight {
            flight.see(record);
        }
        if let Some(metrics) = &mut self.metrics {
            metrics.see(record);
        }
    }

    fn batch(&mut self, batch: &mut RecordBatch, books: &Books) {
        if let Some(flight) = &mut self.flight {
            flight.take(batch, books);
        }
        self.show_recordings();
    }

    fn now_and_then(&mut self, books: &Books, source: &S) {
        let before = (self.announcer.counted(), self.announcer.stalled());
        self.announcer.announce(books, source, &self.report.policy);
        if let Some(beats) = self.beats.as_mut().filter(|_| !books.over) {
            beats.tick(&self.announcer, books, source, &self.report.policy);
        }
        if let Some(commands) = &mut self.commands {
            commands.tick(&mut self.announcer, books, source, &self.report.policy);
        }
        if let Some(metrics) = &mut self.metrics {
            if books.over {
                metrics.last(&self.announcer, books, source, &self.report.policy);
            } else {
                metrics.tick(&self.announcer, books, source, &self.report.policy);
            }
        }
        let counted = self.announcer.counted();
        if let Some(flight) = &mut self.flight {
            if counted > before.0 {
                flight.trigger(Trigger::Finding);
            }
            if self.announcer.stalled() > before.1 {
                flight.trigger(Trigger::Stall);
            }
        }
        if self.report.until_findings.is_some_and(|until| counted >= until) {
            self.enough.notify_one();
        }
    }

    fn over(&mut self, books: &Books) {
        if let Some(flight) = &mut self.flight {
            flight.over(books);
            if flight.left_out() > 0 {
                let triggers = format::counted(flight.left_out(), "trigger");
                log::warn!(
                    "{triggers} left out, too soon after another or too many: the kept records were not written"
                );
            }
        }
        self.show_recordings();
        if let Some(beats) = &self.beats {
            beats.over();
        }
        if let Some(metrics) = &mut self.metrics {
            metrics.close();
        }
    }
}
