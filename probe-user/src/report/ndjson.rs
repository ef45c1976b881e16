//! The report as lines of JSON, `{"type":...}` each: findings, losses and tests as they come, the report at last.
//!
//! A line is one object and never holds a newline, so a reader may follow the file while it grows. The last
//! line of a session that ended well is its `report`; a stream without one was cut off.
use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use probe_ledger::Verdict;

use super::model::{Failure, Finding, Loss, ReclaimWorker, Report, Stall, Test, VerdictName, WaitingTask};
use crate::format::{
    self,
    escape::{escape, width},
};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StreamLine {
    /// A rule was broken. Sent again under the same `id` when its `count` has grown by the end of the session, also by other
    /// inodes.
    Finding(Box<Finding>),
    /// Reservations failed for lack of space, of a kind that did not fail before. Sent again when its `count` has grown by the end of
    /// the session.
    Failure(Box<Failure>),
    /// The loss counters changed.
    Loss(LossLine),
    /// A reservation waits for space for as long as `--stall` says.
    Stall(Box<StallLine>),
    /// Such a wait is over.
    StallEnd(Box<StallEndLine>),
    /// A test began.
    TestStart(TestStart),
    /// A test ended, and nothing that fell into it is still to be settled: ten seconds of the stream later, or at its end.
    TestEnd(Box<Test>),
    /// The flight recorder (`watch --keep`) wrote what it held.
    Recording(RecordingLine),
    /// The tool lives: how the session stands, every `--heartbeat`.
    Heartbeat(HeartbeatLine),
    /// The session ended.
    Report(Box<Report>),
}

/// The loss counters changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LossLine {
    /// ns since the start of the session.
    pub time_ns: u64,
    /// The counters since the start of the session.
    pub loss: Loss,
}

/// How the session stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeartbeatLine {
    /// ns since the start of the session, by the newest record.
    pub time_ns: u64,
    /// Records so far.
    pub records: u64,
    /// Records a second since the last heartbeat.
    pub records_per_second: u64,
    /// Losses so far that touch the books.
    pub lost: u64,
    /// Findings so far that count.
    pub findings: u64,
    /// The verdict if the session ended now; null while nothing was judged.
    pub verdict: Option<VerdictName>,
    /// The space_info with the highest `bytes_may_use`; null if none is known.
    pub biggest_pool: Option<BiggestPool>,
    /// Reservations that wait for space now.
    pub waiting: u64,
    /// How long the longest of them has waited, ns at least.
    pub longest_wait_ns: u64,
}

/// A space_info.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BiggestPool {
    /// Filesystem uuid.
    pub filesystem: String,
    /// Its device, not escaped; empty if it is not known.
    pub device: String,
    /// `data`, `metadata`, `system` or `mixed`; a second one of a type has `#2` behind it.
    pub space: String,
    /// `bytes_may_use`
    pub bytes_may_use: i64,
    /// `total_bytes`; null before the levels were read.
    pub total: Option<i64>,
}

impl HeartbeatLine {
    /// One line for a terminal, as much of it as fits into so many columns. What matters most comes first.
    #[must_use]
    pub fn status(&self, columns: usize) -> String {
        let Self { time_ns, records: _, records_per_second, lost, findings, verdict, .. } = self;
        let verdict = match verdict.map(|verdict| verdict.0) {
            None => "looking".to_owned(),
            Some(Verdict::Clean) => "clean so far".to_owned(),
            Some(Verdict::Findings) => format::counted(*findings, "finding"),
            Some(Verdict::Inconclusive) => "inconclusive so far".to_owned(),
        };
        let mut pieces = vec![format::about(*time_ns), verdict];
        if self.waiting > 0 {
            let verb = if self.waiting == 1 { "waits" } else { "wait" };
            let longest = format::length(self.longest_wait_ns);
            pieces.push(format!("{} {verb} for space, {longest}", format::count(self.waiting)));
        }
        if *lost > 0 {
            pieces.push(format!("lost {}", format::count(*lost)));
        }
        pieces.extend(self.biggest_pool.as_ref().map(BiggestPool::words));
        pieces.push(format!("{} records/s", format::count(*records_per_second)));
        if self.waiting == 0 {
            pieces.push("nobody waits for space".to_owned());
        }
        let mut line = String::new();
        for piece in pieces {
            let gap = if line.is_empty() { "" } else { "  " };
            if width(&line) + gap.len() + width(&piece) > columns {
                break;
            }
            line.push_str(gap);
            line.push_str(&piece);
        }
        line
    }
}

impl BiggestPool {
    /// Which, and its level.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { filesystem, device, space, bytes_may_use, total } = self;
        let name = if device.is_empty() { filesystem.get(..8).unwrap_or(filesystem) } else { device };
        format::level(name, space, *bytes_may_use, total.unwrap_or(0))
    }
}

/// The flight recorder wrote what it held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordingLine {
    /// The recording.
    pub file: String,
    /// What made it write: `finding`, `abort`, `enospc`, `warn`, `stall`, or `request` for SIGUSR1.
    pub trigger: String,
    /// Records in it.
    pub records: u64,
    /// Records of the session before its first one, which it does not have.
    pub not_kept: u64,
    /// Why the rest could not be written; absent if it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
}

impl RecordingLine {
    /// One sentence for a terminal.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { file, trigger, records, .. } = self;
        let file = escape(file);
        match &self.incomplete {
            None => format!("{records} records around a trigger ({trigger}) are in {file}"),
            Some(why) => {
                format!("{file} holds the first {records} records around a trigger ({trigger}): {why}")
            }
        }
    }
}

/// A reservation waits long for space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StallLine {
    /// ns since the start of the session.
    pub time_ns: u64,
    /// Filesystem uuid.
    pub filesystem: String,
    /// The ticket, and how long it has waited.
    pub ticket: WaitingTask,
    /// Workers of the kernel that reclaim space for this filesystem now.
    pub workers: Vec<ReclaimWorker>,
}

/// A long wait is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StallEndLine {
    /// ns since the start of the session.
    pub time_ns: u64,
    /// Filesystem uuid.
    pub filesystem: String,
    /// The wait.
    pub stall: Stall,
}

/// A test began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestStart {
    /// Name, for example `generic/269`.
    pub name: String,
    /// Start, RFC 3339, UTC.
    pub started_at: String,
}

/// Writes lines, each flushed at once, so that a reader sees a finding when it is made.
#[derive(Debug)]
pub struct LineWriter<W: Write> {
    writer: W,
}

impl<W: Write> LineWriter<W> {
    /// Lines go to `writer`.
    pub const fn new(writer: W) -> Self {
        Self { writer }
    }

    /// Writes one line.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn line(&mut self, line: &StreamLine) -> io::Result<()> {
        // One write a line: a reader never sees half of one from us.
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.writer.write_all(&text)?;
        self.writer.flush()
    }
}

/// Writes a whole report as lines: its tests, its findings, its failures, its loss if there is any, and itself. A finding comes in the first
/// test that has it; the end of each test says what fell into that test.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report, writer: impl Write) -> io::Result<()> {
    let mut lines = LineWriter::new(writer);
    let mut told = BTreeSet::new();
    for test in &report.tests {
        let start = TestStart { name: test.name.clone(), started_at: test.started_at.clone() };
        lines.line(&StreamLine::TestStart(start))?;
        let own: BTreeSet<u32> = test.finding_ids.iter().copied().filter(|id| told.insert(*id)).collect();
        for finding in report.findings.iter().filter(|finding| own.contains(&finding.id)) {
            lines.line(&StreamLine::Finding(Box::new(finding.clone())))?;
        }
        lines.line(&StreamLine::TestEnd(Box::new(test.clone())))?;
    }
    for finding in report.findings.iter().filter(|finding| !told.contains(&finding.id)) {
        lines.line(&StreamLine::Finding(Box::new(finding.clone())))?;
    }
    for failure in &report.failures {
        lines.line(&StreamLine::Failure(Box::new(failure.clone())))?;
    }
    for fs in &report.filesystems {
        for stall in &fs.waits.stalls {
            let (time_ns, filesystem) = (stall.ended_ns, fs.uuid.clone());
            let line = StallEndLine { time_ns, filesystem, stall: stall.clone() };
            lines.line(&StreamLine::StallEnd(Box::new(line)))?;
        }
        let long = |ticket: &&WaitingTask| ticket.waited_at_least_ns >= fs.waits.stall_threshold_ns;
        for ticket in fs.waits.waiting.iter().filter(long) {
            let line = StallLine {
                time_ns: report.duration_ns,
                filesystem: fs.uuid.clone(),
                ticket: ticket.clone(),
                workers: fs.waits.workers.clone(),
            };
            lines.line(&StreamLine::Stall(Box::new(line)))?;
        }
    }
    if report.loss.by_class.values().any(|count| *count > 0) {
        lines.line(&StreamLine::Loss(LossLine { time_ns: report.duration_ns, loss: report.loss.clone() }))?;
    }
    lines.line(&StreamLine::Report(Box::new(report.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_gives_way_at_its_end() {
        let pool = BiggestPool {
            filesystem: "2a6f7e80-ab5e".to_owned(),
            device: "lo\x1bop1".to_owned(),
            space: "metadata".to_owned(),
            bytes_may_use: 5 << 20,
            total: Some(8 << 20),
        };
        let mut line = HeartbeatLine {
            time_ns: 12_300_000_000,
            records: 5,
            records_per_second: 448_000,
            lost: 0,
            findings: 0,
            verdict: Some(VerdictName(Verdict::Clean)),
            biggest_pool: Some(pool),
            waiting: 0,
            longest_wait_ns: 0,
        };
        let whole = "+12.3 s  clean so far  lo\\x1bop1 metadata may_use 5M of 8M  448,000 records/s  nobody waits for space";
        assert_eq!(line.status(200), whole);
        assert_eq!(line.status(80), whole.trim_end_matches("  nobody waits for space"));
        assert_eq!(line.status(30), "+12.3 s  clean so far");
        assert_eq!(line.status(3), "");
        (line.waiting, line.longest_wait_ns, line.lost) = (2, 3_100_000_000, 7);
        (line.verdict, line.findings) = (Some(VerdictName(Verdict::Findings)), 1);
        assert_eq!(line.status(60), "+12.3 s  1 finding  2 wait for space, 3.1 s  lost 7");
    }
}
