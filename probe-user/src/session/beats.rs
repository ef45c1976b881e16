//! The signs of life of `watch`: the status line on a terminal, and a heartbeat among the lines of NDJSON.
use std::{
    fmt,
    time::{Duration, Instant},
};

use probe_record::stream::Source;

use super::{books::Books, consume::Announcer, pulse::Pulse, status_line};
use crate::report::{build::Policy, ndjson::StreamLine};

/// Between two status lines, and between two readings of the pools for them.
const SECOND: Duration = Duration::from_secs(1);

/// What is due when.
pub struct Beats {
    status: Option<Beat>,
    heartbeat: Option<Beat>,
    levels: Beat,
    ask_levels: Box<dyn Fn()>,
}

impl fmt::Debug for Beats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, heartbeat, levels, ask_levels: _ } = self;
        f.debug_struct("Beats")
            .field("status", status)
            .field("heartbeat", heartbeat)
            .field("levels", levels)
            .finish_non_exhaustive()
    }
}

/// Something that is done every so often.
#[derive(Debug)]
struct Beat {
    every: Duration,
    last: Instant,
    pulse: Pulse,
}

impl Beat {
    fn new(every: Duration) -> Self {
        Self { every, last: Instant::now(), pulse: Pulse::default() }
    }

    fn is_due(&mut self) -> bool {
        let due = self.last.elapsed() >= self.every;
        if due {
            self.last = Instant::now();
        }
        due
    }
}

impl Beats {
    /// `heartbeat`: how often there is one. `status`: whether there is a status line. `ask_levels` asks for the levels of the pools,
    /// which both show. `None` if there is neither.
    pub fn new(heartbeat: Option<Duration>, status: bool, ask_levels: impl Fn() + 'static) -> Option<Self> {
        if heartbeat.is_none() && !status {
            return None;
        }
        Some(Self {
            status: status.then(|| Beat::new(SECOND)),
            heartbeat: heartbeat.map(Beat::new),
            levels: Beat::new(SECOND),
            ask_levels: Box::new(ask_levels),
        })
    }

    /// Shows what is due.
    pub fn tick(&mut self, announcer: &Announcer, books: &Books, source: &impl Source, policy: &Policy) {
        if self.levels.is_due() {
            (self.ask_levels)();
        }
        if let Some(beat) = &mut self.heartbeat
            && beat.is_due()
        {
            let line = beat.pulse.beat(books, source, announcer.found(), policy);
            announcer.show(StreamLine::Heartbeat(line));
        }
        if let Some(beat) = &mut self.status
            && beat.is_due()
        {
            let line = beat.pulse.beat(books, source, announcer.found(), policy);
            status_line::set(&line.status(status_line::columns()));
        }
    }

    /// The session is over.
    pub fn over(&self) {
        if self.status.is_some() {
            status_line::set("");
        }
    }
}
