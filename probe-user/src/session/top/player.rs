//! Position in a recording: at its own pace, faster, step by step, and back.
//!
//! Books only go forward. To go back, they start empty and everything up to the wanted moment is applied again, in slices,
//! so that keys are handled meanwhile. A moment always shows what it showed the first time. While books are being rebuilt
//! they are at no moment that was asked for, so the screen keeps the picture before, and says so.
use std::{
    collections::{BTreeSet, VecDeque},
    fs::File,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use probe_record::{
    batch::RecordBatch, file::FileError, record::Record, session::SessionHeader, stream::Source as _,
};

use super::picture_maker::{Extras, PictureMaker};
use crate::{
    session::{
        facts,
        selected::{Recording, Selected},
    },
    tui::{
        picture::{InodeId, Picture, RecordLine, ReplayView},
        requests::{ReplayOrder, Wish},
        watch::describe,
    },
};

/// Slowest and fastest, as powers of two.
const SPEEDS: std::ops::RangeInclusive<i32> = -5..=12;
/// Length of a jump, in ns, while the length of the recording is not known yet.
const BLIND_JUMP: u64 = 5_000_000_000;
/// Records between two readings of the clock.
const SLICE: usize = 256;
/// Most orders that wait for the books; further ones are dropped.
const MAX_WAITING: usize = 64;

/// What a recording holds, counted beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Totals {
    records: u64,
    last: u64,
}

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// So many records applied; one more than there are is the end.
    Record(u64),
    /// All records up to this time of the stream.
    Time(u64),
    /// The next finding.
    Finding,
}

/// Plays one recording.
#[derive(Debug)]
pub struct Player {
    recording: Recording,
    header: Arc<SessionHeader>,
    reader: Selected<File>,
    maker: PictureMaker,
    focus: Option<InodeId>,
    /// Records of the batch under way, the next one first.
    batch: std::vec::IntoIter<Record>,
    next: Option<Record>,
    last: Option<Record>,
    applied: u64,
    ended: bool,
    paused: bool,
    speed: i32,
    /// Wall clock and stream time when the present pace began.
    anchor: Option<(Instant, u64)>,
    goal: Option<Goal>,
    /// Where the move to the goal started.
    from: u64,
    arrived: bool,
    /// Since when the books are being rebuilt to go back, if they are.
    rebuilding: Option<Instant>,
    /// Orders that start from the place for which the books are being rebuilt.
    waiting: VecDeque<ReplayOrder>,
    /// The last picture.
    shown: Option<Picture>,
    /// Records applied when a finding was made.
    marks: BTreeSet<u64>,
    totals: Arc<OnceLock<Totals>>,
}

impl Player {
    /// Stands before the first record of a recording and plays.
    ///
    /// # Errors
    /// It is no recording.
    pub fn new(recording: Recording) -> Result<Self, FileError> {
        let reader = recording.open()?;
        let header = Arc::new(reader.header().clone());
        let totals = Arc::new(OnceLock::new());
        let (to_count, result) = (recording.clone(), Arc::clone(&totals));
        // Without this thread, only the progress bar is missing.
        let _ = std::thread::Builder::new()
            .name("probe-count".to_owned())
            .spawn(move || count(&to_count, &result));
        let mut player = Self {
            maker: PictureMaker::new(Arc::clone(&header), Some(recording.path().display().to_string())),
            recording,
            header,
            reader,
            focus: None,
            batch: Vec::new().into_iter(),
            next: None,
            last: None,
            applied: 0,
            ended: false,
            paused: false,
            speed: 0,
            anchor: None,
            goal: None,
            from: 0,
            arrived: false,
            rebuilding: None,
            waiting: VecDeque::new(),
            shown: None,
            marks: BTreeSet::new(),
            totals,
        };
        player.fetch();
        Ok(player)
    }

    /// The next record into `next`.
    fn fetch(&mut self) {
        let mut buffer = RecordBatch::new();
        loop {
            self.next = self.batch.next();
            if self.next.is_some() {
                return;
            }
            if !self.reader.next_batch(&mut buffer) {
                return;
            }
            let books = &mut self.maker.books;
            self.batch = buffer.decoded(&mut books.undecodable).collect::<Vec<_>>().into_iter();
            books.names.add(self.reader.take_symbols());
        }
    }

    /// Applies the next record, or ends.
    fn step(&mut self) {
        let findings = self.maker.found();
        match self.next.take() {
            Some(record) => {
                self.maker.apply(&record);
                self.applied += 1;
                self.last = Some(record);
                self.fetch();
            }
            None if !self.ended => {
                self.maker.books.names.add(self.reader.take_symbols());
                self.maker.finish();
                self.ended = true;
                self.arrived = true;
            }
            None => return,
        }
        if self.maker.found() > findings {
            self.marks.insert(self.applied + u64::from(self.ended));
        }
    }

    /// Empties the books, to go from the start to a goal; what is known of the recording stays.
    fn rewind(&mut self) -> Result<(), FileError> {
        // Counts from the first of several.
        self.rebuilding.get_or_insert_with(Instant::now);
        self.from = 0;
        self.reader = self.recording.open()?;
        self.maker =
            PictureMaker::new(Arc::clone(&self.header), Some(self.recording.path().display().to_string()));
        self.maker.look_into(self.focus);
        self.batch = Vec::new().into_iter();
        (self.next, self.last, self.applied, self.ended) = (None, None, 0, false);
        self.fetch();
        Ok(())
    }

    /// Time of the stream.
    fn now(&self) -> u64 {
        self.maker.books.ledger.span().1
    }

    /// Applies what is due, for as long as `budget` at most. True if there is more to do at once.
    ///
    /// # Errors
    /// The recording cannot be opened again.
    pub fn run(&mut self, budget: Duration) -> Result<bool, FileError> {
        let begun = Instant::now();
        let mut count = 0;
        loop {
            if self.goal.is_none()
                && let Some(order) = self.waiting.pop_front()
            {
                self.obey(order)?;
                continue;
            }
            if !self.is_due(begun) {
                return Ok(false);
            }
            self.step();
            self.check_goal();
            count += 1;
            if count % SLICE == 0 && begun.elapsed() >= budget {
                return Ok(true);
            }
        }
    }

    /// Whether the next record is to be applied now.
    fn is_due(&mut self, wall: Instant) -> bool {
        if self.ended {
            return false;
        }
        if self.goal.is_some() {
            return true;
        }
        if self.paused {
            return false;
        }
        let Some(next) = &self.next else { return true };
        let time = next.header().time;
        let (anchor, from) = *self.anchor.get_or_insert((wall, self.maker.books.ledger.span().1.max(time)));
        let passed = u64::try_from(anchor.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let passed = if self.speed >= 0 { passed << self.speed } else { passed >> -self.speed };
        time <= from.saturating_add(passed)
    }

    fn check_goal(&mut self) {
        let reached = match self.goal {
            None => false,
            Some(Goal::Record(record)) => self.applied >= record,
            Some(Goal::Time(time)) => self.next.as_ref().is_some_and(|next| next.header().time > time),
            Some(Goal::Finding) => self.marks.contains(&(self.applied + u64::from(self.ended))),
        };
        if reached || self.ended && self.goal.is_some() {
            self.arrive();
        }
    }

    /// Has reached its goal, or was stopped: the next picture must show all of it.
    fn arrive(&mut self) {
        self.goal = None;
        self.arrived = true;
        self.anchor = None;
        self.rebuilding = None;
        self.maker.outdate();
    }

    fn go(&mut self, goal: Goal) {
        self.goal = Some(goal);
        if self.rebuilding.is_none() {
            self.from = self.applied;
        }
        self.anchor = None;
        self.check_goal();
    }

    /// To a number of records applied, back or forth.
    fn go_to_record(&mut self, record: u64) -> Result<(), FileError> {
        if record < self.applied || (self.ended && record <= self.applied) {
            self.rewind()?;
        }
        self.go(Goal::Record(record));
        Ok(())
    }

    /// Carries out the order of a key.
    ///
    /// # Errors
    /// The recording cannot be opened again.
    pub fn order(&mut self, order: ReplayOrder) -> Result<(), FileError> {
        if !self.waits(order) {
            return self.obey(order);
        }
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(order);
        }
        Ok(())
    }

    /// Whether an order must wait: it starts from the place for which the books are being rebuilt (or from where a waiting
    /// order leads), not from where they happen to be. An order that only moves the goal does not wait.
    fn waits(&self, order: ReplayOrder) -> bool {
        let only_moves = match order {
            ReplayOrder::Step(_) => matches!(self.goal, Some(Goal::Record(_))),
            ReplayOrder::Jump(_) => matches!(self.goal, Some(Goal::Time(_))),
            ReplayOrder::Finding(_) => false,
            ReplayOrder::Pause | ReplayOrder::Speed(_) | ReplayOrder::Restart => return false,
        };
        !self.waiting.is_empty() || self.rebuilding.is_some() && !only_moves
    }

    fn obey(&mut self, order: ReplayOrder) -> Result<(), FileError> {
        self.anchor = None;
        match order {
            ReplayOrder::Pause => {
                self.waiting.clear();
                // Stops here, whatever the goal was.
                let under_way = self.goal.is_some();
                self.paused = under_way || !self.paused;
                if under_way {
                    self.arrive();
                }
            }
            ReplayOrder::Step(by) => {
                self.paused = true;
                // Keys that are pressed on the way add up.
                let from = if let Some(Goal::Record(goal)) = self.goal { goal } else { self.applied };
                self.go_to_record(from.saturating_add_signed(by))?;
            }
            ReplayOrder::Speed(faster) => {
                let speed = self.speed + if faster { 1 } else { -1 };
                self.speed = speed.clamp(*SPEEDS.start(), *SPEEDS.end());
            }
            ReplayOrder::Finding(true) => {
                self.paused = true;
                if !self.ended {
                    self.goal = Some(Goal::Finding);
                    self.from = self.applied;
                }
            }
            ReplayOrder::Finding(false) => {
                self.paused = true;
                let here = self.applied + u64::from(self.ended);
                let before = self.marks.range(..here).next_back().copied();
                self.go_to_record(before.unwrap_or(0))?;
            }
            ReplayOrder::Jump(by) => {
                let step = self.length().map_or(BLIND_JUMP, |length| (length / 20).max(1));
                let way = step.saturating_mul(by.unsigned_abs());
                let now = if let Some(Goal::Time(goal)) = self.goal { goal } else { self.now() };
                let now = now.max(self.started());
                if by >= 0 {
                    // Also out of a gap in the records that is longer than the jump.
                    if self.goal.is_none() {
                        self.step();
                    }
                    self.go(Goal::Time(now.saturating_add(way)));
                } else {
                    let to = now.saturating_sub(way);
                    self.rewind()?;
                    self.go(Goal::Time(to));
                }
            }
            ReplayOrder::Restart => {
                self.waiting.clear();
                self.rewind()?;
                self.arrive();
            }
        }
        Ok(())
    }

    /// `CLOCK_MONOTONIC` ns of the session's start.
    fn started(&self) -> u64 {
        let first = self.maker.books.ledger.span().0;
        let next = || self.next.as_ref().map_or(0, |next| next.header().time);
        facts::started(&self.header, if first == 0 { next() } else { first })
    }

    /// Length of the recording in ns, once it is known.
    fn length(&self) -> Option<u64> {
        self.totals.get().map(|totals| totals.last.saturating_sub(self.started()))
    }

    /// Whether a goal was reached since this was asked last.
    pub const fn take_arrival(&mut self) -> bool {
        std::mem::replace(&mut self.arrived, false)
    }

    /// Follows this inode closely, also through the past.
    pub fn look_into(&mut self, id: Option<InodeId>) {
        self.focus = id;
        self.maker.look_into(id);
    }

    /// Waits until the length is known: a picture shows it or not.
    #[cfg(test)]
    pub fn wait_for_length(&self) {
        while self.totals.get().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// For how long the books have been in a rebuild, if they are.
    pub fn rebuilding(&self) -> Option<Duration> {
        self.rebuilding.map(|since| since.elapsed())
    }

    /// Records applied.
    #[cfg(test)]
    pub const fn applied(&self) -> u64 {
        self.applied
    }

    /// Percent of the way to the goal.
    fn seeking(&self) -> Option<u8> {
        let done = |from: u64, now: u64, to: u64| {
            let percent = now.saturating_sub(from) * 100 / to.saturating_sub(from).max(1);
            u8::try_from(percent.min(99)).unwrap_or(99)
        };
        let records = self.totals.get().map_or(0, |totals| totals.records);
        self.goal.map(|goal| match goal {
            Goal::Record(to) => done(self.from, self.applied, to),
            Goal::Time(to) => done(self.started(), self.now(), to),
            Goal::Finding => done(self.from, self.applied, records),
        })
    }

    /// Books and names at the moment where it stands.
    pub fn maker(&self) -> &PictureMaker {
        &self.maker
    }

    /// A picture of the present moment; during a rebuild the picture before, with the progress.
    pub fn picture(&mut self, wish: &Wish, messages: Vec<String>) -> Picture {
        if self.rebuilding.is_some() {
            return self.before();
        }
        let last = self.last.as_ref().filter(|_| self.paused && self.goal.is_none());
        let replay = ReplayView {
            applied: self.applied,
            records: self.totals.get().map(|totals| totals.records),
            length_ns: self.length(),
            ended: self.ended,
            seeking: self.seeking(),
            last: last.map(|record| RecordLine {
                time_ns: record.header().time.saturating_sub(self.started()),
                tid: record.header().tid,
                comm: String::new(),
                text: describe(record).unwrap_or_else(|| "a name or a stack".to_owned()),
            }),
            ..self.pace()
        };
        let end = if self.ended { self.reader.end().cloned() } else { None };
        let notes = if self.ended { self.reader.notes() } else { Vec::new() };
        let extras = Extras { messages, notes, end, replay: Some(replay), ..Extras::default() };
        let picture = self.maker.picture(wish, extras);
        self.shown = Some(picture.clone());
        picture
    }

    /// What was shown before the books were begun anew.
    fn before(&mut self) -> Picture {
        let mut picture = match &self.shown {
            Some(shown) => shown.clone(),
            // Nobody has seen anything yet.
            None => {
                PictureMaker::new(Arc::clone(&self.header), Some(self.recording.path().display().to_string()))
                    .picture(&Wish::default(), Extras::default())
            }
        };
        let was = picture.replay.take().unwrap_or_default();
        let rebuilding = Some(self.seeking().unwrap_or(0));
        let ReplayView { paused, speed, .. } = self.pace();
        picture.replay = Some(ReplayView { rebuilding, paused, speed, seeking: None, last: None, ..was });
        picture
    }

    /// The state of the replay, at any position.
    fn pace(&self) -> ReplayView {
        ReplayView { paused: self.paused, speed: 2_f64.powi(self.speed), ..ReplayView::default() }
    }
}

/// Reads a recording to its end, only for its length.
fn count(recording: &Recording, result: &OnceLock<Totals>) {
    let Ok(mut reader) = recording.open() else { return };
    let mut batch = RecordBatch::new();
    let mut totals = Totals { records: 0, last: 0 };
    while reader.next_batch(&mut batch) {
        totals.records += batch.records();
        totals.last = totals.last.max(batch.span().map_or(0, |(_, last)| last));
        drop(reader.take_symbols());
    }
    let _ = result.set(totals);
}
