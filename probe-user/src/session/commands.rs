//! The commands of `watch --on`: which event runs which, and with what document.
//!
//! Findings and stalls come from the announcer, failures from the books. What is new is told at most every quarter of a second, like all
//! that `watch` shows. A failure of the same kind is told again when it has happened again, after a minute at the earliest.
mod runner;

use std::{
    ffi::OsString,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use probe_ledger::{Shortage, ShortageKind};
use probe_record::stream::Source;

use self::runner::Runner;
use super::{books::Books, consume::Announcer, flight::Trigger};
use crate::report::{
    build::{self, Policy},
    event::{Event, SCHEMA_VERSION},
    model::Failure,
    ndjson::StreamLine,
};

/// Time after which a failure that happened again is told again.
const PAUSE: Duration = Duration::from_secs(60);
/// Time that the state of a failure has to come, before it is told without.
const STATE: Duration = Duration::from_secs(1);
/// `-ENOSPC`
const ENOSPC: i32 = -28;

/// The commands of a session.
#[derive(Debug)]
pub struct Commands {
    runners: Vec<(Trigger, Runner)>,
    /// For each failure of the books: when it was first seen, when it was last told, and how often it had happened then.
    failures: Vec<(Instant, Option<Instant>, u64)>,
    pause: Duration,
}

impl Commands {
    /// Events that can have a command.
    pub const EVENTS: [Trigger; 4] = [Trigger::Finding, Trigger::Enospc, Trigger::Abort, Trigger::Stall];

    /// `None` if there are no commands.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub fn start(commands: &[(Trigger, OsString)]) -> anyhow::Result<Option<Self>> {
        if commands.is_empty() {
            return Ok(None);
        }
        let start = |(event, command): &(Trigger, OsString)| {
            Ok((*event, Runner::start(event.name(), command.clone()).context("cannot make a thread")?))
        };
        let runners = commands.iter().map(start).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Some(Self { runners, failures: Vec::new(), pause: PAUSE }))
    }

    fn has(&self, event: Trigger) -> bool {
        self.runners.iter().any(|(on, _)| *on == event)
    }

    /// Runs what has a command of all that is new.
    pub fn tick(&mut self, announcer: &mut Announcer, books: &Books, source: &impl Source, policy: &Policy) {
        for line in announcer.take_news() {
            match line {
                StreamLine::Finding(finding) => {
                    self.run(Trigger::Finding, source, |event| event.finding = Some(*finding));
                }
                StreamLine::Stall(stall) => {
                    self.run(Trigger::Stall, source, |event| event.stall = Some(*stall))
                }
                _ => {}
            }
        }
        for (event, failure) in self.failures(books, source, policy) {
            self.run(event, source, |document| document.failure = Some(failure));
        }
    }

    /// Failures to be told now.
    fn failures(&mut self, books: &Books, source: &impl Source, policy: &Policy) -> Vec<(Trigger, Failure)> {
        let all = books.ledger.shortages();
        if all.is_empty() || !(self.has(Trigger::Enospc) || self.has(Trigger::Abort)) {
            return Vec::new();
        }
        let now = Instant::now();
        self.failures.resize(all.len(), (now, None, 0));
        let mut due: Vec<(Trigger, &Shortage)> = Vec::new();
        let on: Vec<Trigger> = self.runners.iter().map(|(event, _)| *event).collect();
        for (shortage, seen) in all.iter().zip(&mut self.failures) {
            let (first, told, count) = *seen;
            let Some(event) = event_of(shortage).filter(|event| on.contains(event)) else { continue };
            // Behind a failure comes its state.
            let ready = shortage.with_state > 0 || books.over || first.elapsed() >= STATE;
            let rested = told.is_none_or(|told| told.elapsed() >= self.pause);
            if shortage.count > count && ready && rested {
                *seen = (first, Some(now), shortage.count);
                due.push((event, shortage));
            }
        }
        if due.is_empty() {
            return Vec::new();
        }
        books.as_of_now(source, policy, Vec::new(), |input| {
            due.into_iter().map(|(event, shortage)| (event, build::build_failure(input, shortage))).collect()
        })
    }

    fn run(&mut self, event: Trigger, source: &impl Source, fill: impl FnOnce(&mut Event)) {
        let header = source.header();
        let Some((_, runner)) = self.runners.iter_mut().find(|(on, _)| *on == event) else { return };
        let started = jiff::Timestamp::from_nanosecond(i128::from(header.started_at_ns));
        let mut document = Event {
            schema_version: SCHEMA_VERSION,
            event: event.name().to_owned(),
            told_at: jiff::Timestamp::now().to_string(),
            started_at: started.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: header.kernel.release.clone(),
            finding: None,
            failure: None,
            stall: None,
        };
        fill(&mut document);
        match serde_json::to_vec(&document) {
            Ok(mut json) => {
                json.push(b'\n');
                runner.run(json);
            }
            Err(error) => log::warn!("an event is no JSON: {error}"),
        }
    }

    /// Waits for the commands that run, for a bounded time, and says what became of them.
    pub fn close(self) {
        let runners: Vec<(Trigger, Runner)> = self.runners;
        for (_, runner) in &runners {
            runner.end();
        }
        for (event, runner) in runners {
            if let Some(sentence) = runner.close().sentence() {
                log::warn!("--on {}: {sentence}", event.name());
            }
        }
    }
}

/// A caller got no space, or a transaction was aborted. Who may not wait for space has another way.
fn event_of(shortage: &Shortage) -> Option<Trigger> {
    match shortage.kind {
        ShortageKind::Ticket if shortage.error == ENOSPC => Some(Trigger::Enospc),
        ShortageKind::Abort => Some(Trigger::Abort),
        ShortageKind::Ticket | ShortageKind::NoWait | ShortageKind::Qgroup => None,
    }
}

#[cfg(test)]
mod tests;
