//! Consumes a stream: into the books or into a file; shows findings on the terminal as they come.
use std::{
    io::Write,
    time::{Duration, Instant},
};

use probe_record::{
    batch::RecordBatch,
    file::RecordingWriter,
    stream::{Source, SourceState},
};

use super::{
    books::Books,
    facts,
    result_files::ResultFiles,
    suite::{self, TestLines},
};
use crate::report::{
    build::{self, Policy, ReportInput},
    model::Test,
    ndjson::{LineWriter, LossLine, StreamLine},
    output::PatientStdout,
    text,
};

const WAIT: Duration = Duration::from_millis(100);
/// How often the books are checked for something new to show.
const ANNOUNCE_EVERY: Duration = Duration::from_millis(250);

impl Books {
    /// The parts of a report as of now. Walks all inodes.
    fn as_of_now<T>(
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

/// Feeds a whole stream to the books. `now_and_then` is called every `ANNOUNCE_EVERY` or later.
pub fn into_books<S: Source>(source: &mut S, mut now_and_then: impl FnMut(&Books, &S)) -> Books {
    let mut books = Books::new(source.header());
    let mut batch = RecordBatch::new();
    let mut told = Instant::now();
    loop {
        match source.next(&mut batch, WAIT) {
            SourceState::Batch => books.take(source, &batch, |_, _| {}),
            SourceState::Idle => {}
            SourceState::End => break,
        }
        if told.elapsed() >= ANNOUNCE_EVERY {
            now_and_then(&books, source);
            // Measured from the end of the call, so that slow calls leave time for the stream.
            told = Instant::now();
        }
    }
    books.names.add(source.take_symbols());
    books.finish();
    now_and_then(&books, source);
    books
}

/// Writes a whole stream to a file.
pub fn into_file(source: &mut impl Source, writer: &mut RecordingWriter) {
    let mut batch = RecordBatch::new();
    let mut flushed = Instant::now();
    loop {
        match source.next(&mut batch, WAIT) {
            SourceState::Batch => {
                writer.push_batch(&mut batch);
                writer.push_symbols(&source.take_symbols());
            }
            SourceState::Idle => {}
            SourceState::End => break,
        }
        // If the recorder is killed, at most the last second is missing.
        if flushed.elapsed() >= Duration::from_secs(1) {
            flushed = Instant::now();
            writer.flush();
        }
    }
    writer.push_symbols(&source.take_symbols());
}

/// Shows findings and losses as soon as they are known.
#[derive(Debug)]
pub struct Announcer {
    /// How often each finding had repeated when it was last shown.
    shown: Vec<u64>,
    counted: usize,
    tests: TestLines,
    files: ResultFiles,
    lost: u64,
    lines: bool,
    words: bool,
}

impl Announcer {
    /// `lines`: as NDJSON on standard output. `words`: as text on standard error.
    #[must_use]
    pub fn new(lines: bool, words: bool) -> Self {
        Self {
            shown: Vec::new(),
            counted: 0,
            tests: TestLines::new(),
            files: ResultFiles::default(),
            lost: 0,
            lines,
            words,
        }
    }

    /// Shows what is new.
    pub fn announce(&mut self, books: &Books, source: &impl Source, policy: &Policy) {
        self.tests(books, source, policy);
        self.loss(books, source);
        // A summary walks all inodes: only when there is a finding to show.
        let fresh = self.shown.len();
        let grown = self.grown(books);
        if books.ledger.findings().len() == fresh && grown.is_empty() {
            return;
        }
        let wall = source.header().wall_offset_ns;
        let tests = suite::tests(&books.windows, &books.ledger, &books.stacks(), wall);
        books.as_of_now(source, policy, tests, |input| {
            for (at, finding) in input.findings.iter().enumerate() {
                if at < fresh && !grown.contains(&at) {
                    continue;
                }
                let built = build::build_finding(input, finding);
                if at >= fresh {
                    self.shown.push(finding.count);
                    self.counted += usize::from(built.ignored.is_none());
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

    /// Findings that have repeated since their lines were written.
    fn grown(&self, books: &Books) -> Vec<usize> {
        if !books.over || !self.lines {
            return Vec::new();
        }
        let counts = books.ledger.findings().iter().zip(&self.shown).enumerate();
        counts.filter(|(_, (finding, shown))| finding.count > **shown).map(|(at, _)| at).collect()
    }

    /// Findings so far that count for the verdict.
    #[must_use]
    pub const fn counted(&self) -> usize {
        self.counted
    }

    /// Begins and ends of tests, and the files beside their results.
    fn tests(&mut self, books: &Books, source: &impl Source, policy: &Policy) {
        if books.windows.is_empty() {
            return;
        }
        self.files.write_new(&books.windows, &books.ledger, |findings| {
            books.as_of_now(source, policy, Vec::new(), |input| {
                findings.iter().map(|finding| build::build_finding(input, finding)).collect()
            })
        });
        if self.lines {
            let wall = source.header().wall_offset_ns;
            for line in self.tests.news(&books.windows, &books.ledger, &books.stacks(), wall, books.over) {
                self.show(line);
            }
        }
    }

    fn show(&self, line: StreamLine) {
        if self.words {
            let text = match &line {
                StreamLine::Finding(finding) => {
                    text::render_finding(finding, text::look_for(text::ColorChoice::Never, true))
                }
                StreamLine::Loss(loss) => {
                    let by_class = loss.loss.by_class.iter().filter(|(_, count)| **count > 0);
                    let list: Vec<String> =
                        by_class.map(|(class, count)| format!("{class} {count}")).collect();
                    format!("lost so far: {}\n", list.join(", "))
                }
                _ => String::new(),
            };
            // A terminal that went away does not end the capture.
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
        if self.lines {
            let _ = LineWriter::new(PatientStdout::default()).line(&line);
        }
    }
}
