//! Consumes a stream: into the books or into a file; shows findings on the terminal as they come.
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use probe_ledger::{FindingKind, Shortage, ShortageKind};
use probe_record::{
    batch::RecordBatch,
    record::Record,
    stream::{Source, SourceState},
};

use super::{
    books::Books,
    facts,
    result_files::ResultFiles,
    stalls::{self, Stalls},
    status_line,
    suite::{self, Pools, TestLines},
};
use crate::report::{
    build::{self, Group, Groups, Policy, ReportInput, Tally},
    model::{FailureKind, IgnoredBy, Test},
    ndjson::{LineWriter, LossLine, StreamLine},
    output::PatientStdout,
    text,
};

const WAIT: Duration = Duration::from_millis(100);
/// How often the books are checked for something new to show.
const ANNOUNCE_EVERY: Duration = Duration::from_millis(250);

impl Books {
    /// The parts of a report as of now. Walks all inodes.
    pub(super) fn as_of_now<T>(
        &self,
        source: &impl Source,
        policy: &Policy,
        tests: Vec<Test>,
        make: impl FnOnce(&ReportInput<'_>) -> T,
    ) -> T {
        let summary = self.ledger.summary(0);
        let mut facts = facts::facts(source.header(), None, summary.span, Vec::new());
        facts.paths = facts::paths(&self.ledger);
        facts.tests = tests;
        let stacks = self.stacks();
        let findings = self.ledger.findings();
        make(&ReportInput { summary: &summary, findings, stacks: &stacks, facts: &facts, policy })
    }
}

/// Looks at a stream while the books take it.
pub trait Onlooker<S> {
    /// A record was booked.
    fn record(&mut self, _record: &Record) {}

    /// The batch was booked; empty if no record came in time. The onlooker may take the records out of it.
    fn batch(&mut self, _batch: &mut RecordBatch, _books: &Books) {}

    /// Called every `ANNOUNCE_EVERY` or later, and at the end of the stream.
    fn now_and_then(&mut self, _books: &Books, _source: &S) {}

    /// The stream is over; nothing comes after this.
    fn over(&mut self, _books: &Books) {}
}

/// Looks at nothing.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl<S> Onlooker<S> for Nobody {}

/// Feeds a whole stream to the books.
pub fn into_books<S: Source>(source: &mut S, mut onlooker: impl Onlooker<S>) -> Books {
    let mut books = Books::new(source.header());
    let mut batch = RecordBatch::new();
    let mut told = Instant::now();
    loop {
        match source.next(&mut batch, WAIT) {
            SourceState::Batch => books.take(source, &batch, |record, _| onlooker.record(record)),
            SourceState::Idle => {}
            SourceState::End => break,
        }
        onlooker.batch(&mut batch, &books);
        if told.elapsed() >= ANNOUNCE_EVERY {
            onlooker.now_and_then(&books, source);
            // Measured from the end of the call, so that slow calls leave time for the stream.
            told = Instant::now();
        }
    }
    books.names.add(source.take_symbols());
    books.finish();
    onlooker.now_and_then(&books, source);
    onlooker.over(&books);
    books
}

/// Shows findings and losses as soon as they are known.
#[derive(Debug)]
pub struct Announcer {
    /// Findings of the ledger, and how often their rules had been broken, at the last look.
    seen: (usize, u64),
    /// Ids of the findings that were shown, and how often the rule had been broken then.
    shown: BTreeMap<u32, u64>,
    found: Tally,
    /// Findings that count, by kind.
    counted: BTreeMap<FindingKind, u64>,
    /// How often each kind of failure had happened when it was shown.
    failures: Vec<u64>,
    tests: TestLines,
    files: ResultFiles,
    lost: u64,
    stalls: Stalls,
    stalled: usize,
    lines: bool,
    words: bool,
    /// Findings that count and stalls, for who asked for them.
    news: Option<Vec<StreamLine>>,
}

impl Announcer {
    /// `lines`: as NDJSON on standard output. `words`: as text on standard error.
    #[must_use]
    pub fn new(lines: bool, words: bool) -> Self {
        Self {
            seen: (0, 0),
            shown: BTreeMap::new(),
            found: Tally::default(),
            counted: BTreeMap::new(),
            failures: Vec::new(),
            tests: TestLines::new(),
            files: ResultFiles::default(),
            lost: 0,
            stalls: Stalls::default(),
            stalled: 0,
            lines,
            words,
            news: None,
        }
    }

    /// From now on [`Self::take_news`] has what is new.
    pub fn keep_news(&mut self) {
        self.news = Some(Vec::new());
    }

    /// Findings that count, and stalls, since the last call.
    pub fn take_news(&mut self) -> Vec<StreamLine> {
        self.news.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Shows what is new.
    pub fn announce(&mut self, books: &Books, source: &impl Source, policy: &Policy) {
        self.tests(books, source, policy);
        self.loss(books, source);
        for line in self.stalls.news(books, source.header(), policy) {
            if matches!(line, StreamLine::Stall(_)) {
                self.stalled += 1;
                self.news.iter_mut().for_each(|news| news.push(line.clone()));
            }
            self.show(line);
        }
        self.failures(books, source, policy);
        let findings = books.ledger.findings();
        // Growth is shown at the end only.
        let again = books.over && self.lines;
        let count = if again { findings.iter().map(|finding| finding.count).sum() } else { self.seen.1 };
        let seen = (findings.len(), count);
        if self.seen == seen {
            return;
        }
        self.seen = seen;
        let stacks = books.stacks();
        let pools = Pools::of(&books.ledger);
        let groups = Groups::of(findings, &stacks, |fs| pools.fsid(fs));
        let count = |group: &Group| group.instances(findings).iter().map(|instance| instance.count).sum();
        let grown =
            |group: &Group| again && self.shown.get(&group.id).is_some_and(|shown| *shown < count(group));
        let news: Vec<&Group> = groups
            .list()
            .iter()
            .filter(|group| !self.shown.contains_key(&group.id) || grown(group))
            .collect();
        // A summary walks all inodes: only when there is a finding to show.
        if news.is_empty() {
            return;
        }
        let clock = facts::clock(source.header(), &books.ledger);
        let (tests, _) = suite::tests(&books.windows, &books.ledger, &stacks, clock);
        books.as_of_now(source, policy, tests, |input| {
            for group in news {
                let Some(built) = build::build_finding(input, group) else { continue };
                if self.shown.insert(group.id, built.count).is_none() {
                    let number = match built.ignored {
                        None => &mut self.found.counted,
                        Some(IgnoredBy::IgnoreFile) => &mut self.found.in_file,
                        Some(IgnoredBy::Known) => &mut self.found.known,
                        Some(IgnoredBy::FailOn) => &mut self.found.of_other_kind,
                        Some(IgnoredBy::Against) => &mut self.found.before,
                    };
                    *number += 1;
                    if built.ignored.is_none() {
                        *self.counted.entry(built.kind.0).or_default() += 1;
                        let line = || StreamLine::Finding(Box::new(built.clone()));
                        self.news.iter_mut().for_each(|news| news.push(line()));
                    }
                }
                self.show(StreamLine::Finding(Box::new(built)));
            }
        });
    }

    /// Losses come under overload, so showing them must cost next to nothing.
    fn loss(&mut self, books: &Books, source: &impl Source) {
        let lost = books.ledger.touching_loss();
        if lost == self.lost {
            return;
        }
        self.lost = lost;
        if self.lines || self.words {
            let time_ns =
                books.ledger.now().saturating_sub(facts::started(source.header(), books.ledger.span().0));
            self.show(StreamLine::Loss(LossLine { time_ns, loss: build::loss(&books.ledger.loss()) }));
        }
    }

    /// Kinds of failures that are new; those that grew, at the end.
    fn failures(&mut self, books: &Books, source: &impl Source, policy: &Policy) {
        if !self.lines && !self.words {
            return;
        }
        let all = books.ledger.shortages();
        // Behind a failure comes its state.
        let known = |of: &Shortage| of.with_state > 0 || of.kind == ShortageKind::Qgroup || books.over;
        let news: Vec<usize> = (0..all.len())
            .filter(|at| match self.failures.get(*at) {
                None | Some(0) => known(&all[*at]),
                Some(shown) => books.over && self.lines && all[*at].count > *shown,
            })
            .collect();
        // A summary walks all inodes.
        if news.is_empty() {
            return;
        }
        self.failures.resize(all.len(), 0);
        books.as_of_now(source, policy, Vec::new(), |input| {
            for at in news {
                self.failures[at] = all[at].count;
                self.show(StreamLine::Failure(Box::new(build::build_failure(input, &all[at]))));
            }
        });
    }

    /// Findings so far that count for the verdict.
    #[must_use]
    pub const fn counted(&self) -> usize {
        self.found.counted
    }

    /// Those of a kind.
    #[must_use]
    pub fn counted_of(&self, kind: FindingKind) -> u64 {
        self.counted.get(&kind).copied().unwrap_or(0)
    }

    /// Findings so far.
    #[must_use]
    pub const fn found(&self) -> Tally {
        self.found
    }

    /// Stalls so far, over or not.
    #[must_use]
    pub const fn stalled(&self) -> usize {
        self.stalled
    }

    /// Begins and ends of tests, and the files beside their results.
    fn tests(&mut self, books: &Books, source: &impl Source, policy: &Policy) {
        if books.windows.is_empty() {
            return;
        }
        self.files.write_new(&books.windows, &books.ledger, |instances| {
            books.as_of_now(source, policy, Vec::new(), |input| {
                build::findings_of(input, &input.groups(), instances)
            })
        });
        if self.lines {
            let clock = facts::clock(source.header(), &books.ledger);
            let Books { windows, ledger, over, .. } = books;
            for line in self.tests.news(windows, ledger, &books.stacks(), policy, (clock, *over)) {
                self.show(line);
            }
        }
    }

    /// Shows a line that somebody else made.
    pub fn show(&self, line: StreamLine) {
        if self.words {
            let text = match &line {
                StreamLine::Finding(finding) => {
                    text::render_finding(finding, text::look_for(text::ColorChoice::Never, true))
                }
                // Who may not wait has another way.
                StreamLine::Failure(failure) if failure.kind != FailureKind::NoWait => {
                    text::render_failure(failure, text::look_for(text::ColorChoice::Never, true))
                }
                StreamLine::Loss(loss) => {
                    let by_class = loss.loss.by_class.iter().filter(|(_, count)| **count > 0);
                    let list: Vec<String> =
                        by_class.map(|(class, count)| format!("{class} {count}")).collect();
                    format!("lost so far: {}\n", list.join(", "))
                }
                StreamLine::Recording(line) => format!("btrfs-probe: {}\n", line.sentence()),
                StreamLine::Stall(_) | StreamLine::StallEnd(_) => stalls::words(&line),
                _ => String::new(),
            };
            if !text.is_empty() {
                status_line::say(&text);
            }
        }
        if self.lines {
            let _ = status_line::beside(|| LineWriter::new(PatientStdout::default()).line(&line));
        }
    }
}
