//! Tests of a test suite on their way through a session: windows to rows of the report and lines of a stream.
use jiff::Timestamp;
use rustc_hash::FxHashMap;

use crate::{
    attribution::{SETTLE_NS, TestWindow, Windows},
    ledger::{
        Ledger,
        finding::Finding,
        summary::{FsSummary, KernelLine, KernelWarn, Verdict},
    },
    report::{
        build::{Explanations, StackResolver, unexplained_warnings},
        format,
        model::Test,
        ndjson::{StreamLine, TestStart},
    },
};

/// The filesystems of a stream, to be found by their ids.
#[derive(Debug)]
pub(super) struct Pools {
    list: Vec<FsSummary>,
    index: FxHashMap<u32, usize>,
}

impl Pools {
    pub(super) fn of(ledger: &Ledger) -> Self {
        let list = ledger.pools();
        let index = list.iter().enumerate().map(|(position, fs)| (fs.fs, position)).collect();
        Self { list, index }
    }

    pub(super) fn find(&self, fs: u32) -> Option<&FsSummary> {
        self.index.get(&fs).and_then(|position| self.list.get(*position))
    }
}

/// The tests of a stream as rows of a report. `wall_offset_ns`: `CLOCK_REALTIME - CLOCK_MONOTONIC`.
#[must_use]
pub fn tests(
    windows: &Windows,
    ledger: &Ledger,
    stacks: &dyn StackResolver,
    wall_offset_ns: i64,
) -> Vec<Test> {
    if windows.is_empty() {
        return Vec::new();
    }
    let seen = Seen::of(ledger, stacks);
    windows.list().iter().map(|window| test(window, windows, &seen, wall_offset_ns)).collect()
}

/// What rows of tests are made of besides their windows.
struct Seen<'a> {
    ledger: &'a Ledger,
    stacks: &'a dyn StackResolver,
    pools: Pools,
    warnings: Vec<KernelWarn>,
    lines: Vec<KernelLine>,
}

impl<'a> Seen<'a> {
    fn of(ledger: &'a Ledger, stacks: &'a dyn StackResolver) -> Self {
        Self {
            ledger,
            stacks,
            pools: Pools::of(ledger),
            warnings: ledger.warnings(),
            lines: ledger.kernel_lines(),
        }
    }
}

fn test(window: &TestWindow, windows: &Windows, seen: &Seen<'_>, wall_offset_ns: i64) -> Test {
    let Seen { ledger, stacks, pools, warnings, lines } = seen;
    let now = ledger.now();
    let missed = windows.missed(window, now);
    let span = (window.began, window.ended.unwrap_or(now));
    let mut reasons = missed.reasons();
    // Nearly always there is none, and then there is nothing to explain for each test.
    if !warnings.is_empty() {
        // A WARN has no filesystem: it may be one of those that another run works on.
        let meant = |finding: &&Finding| {
            finding.fs == 0
                || pools.find(finding.fs).is_some_and(|fs| !fs.ended || window.touches(fs.span.0, fs.span.1))
        };
        let findings = ledger.findings().iter().filter(meant).collect();
        let explanations = Explanations { findings, filesystems: &pools.list, stacks: *stacks };
        reasons.extend(unexplained_warnings(warnings, &explanations, span));
    }
    let may_mean = |line: &&KernelLine| {
        line.fs.is_empty()
            || line.fs.iter().any(|fs| pools.find(*fs).is_none_or(|fs| windows.owns(window, fs)))
    };
    reasons.extend(lines.iter().filter(may_mean).filter_map(|line| line.clause(span.0, span.1)));
    let own = |finding: &&Finding| windows.has(window, finding, || pools.find(finding.fs));
    let finding_ids: Vec<u32> = ledger.findings().iter().filter(own).map(|finding| finding.id).collect();
    let verdict = match (finding_ids.is_empty(), reasons.is_empty()) {
        (false, _) => Verdict::Findings,
        (true, false) => Verdict::Inconclusive,
        (true, true) => Verdict::Clean,
    };
    let fsids = windows.fsids(window, &pools.list).iter().map(format::uuid).collect();
    let began = i64::try_from(window.began).unwrap_or(0).saturating_add(wall_offset_ns);
    let (result, result_reason) = match window.result.clone() {
        Some((word, reason)) => (Some(word), reason),
        None => (None, None),
    };
    Test {
        name: window.name.clone(),
        section: window.section.clone(),
        run: (window.run != 0).then_some(window.run),
        scope: window.scope.clone(),
        started_at: Timestamp::from_nanosecond(began.into()).unwrap_or(Timestamp::UNIX_EPOCH).to_string(),
        duration_ns: window.ended.unwrap_or(now).saturating_sub(window.began),
        ended: window.ended.is_some(),
        result,
        result_reason,
        verdict: verdict.into(),
        verdict_reasons: reasons,
        finding_ids,
        devices: window.devices.clone(),
        filesystems: fsids,
        records: window.records.1.saturating_sub(window.records.0),
        lost: missed.lost,
    }
}

/// Begins and ends of tests as lines of a stream.
#[derive(Debug)]
pub struct TestLines {
    /// Number of the last test whose begin was told.
    begun: u32,
    /// Numbers of tests whose end was not told.
    open: Vec<u32>,
}

impl TestLines {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { begun: 0, open: Vec::new() }
    }

    /// What is new since the last time; `over`: the stream has ended. A begin is told when it is known, an end when
    /// nothing that fell into the test is still to be settled.
    pub fn news(
        &mut self,
        windows: &Windows,
        ledger: &Ledger,
        stacks: &dyn StackResolver,
        wall_offset_ns: i64,
        over: bool,
    ) -> Vec<StreamLine> {
        let settled = |window: &TestWindow| {
            window.ended.is_some_and(|ended| over || ended.saturating_add(SETTLE_NS) <= ledger.read_at())
        };
        let fresh = windows.after(self.begun);
        let ended: Vec<&TestWindow> = self
            .open
            .iter()
            .filter_map(|number| windows.find(*number))
            .filter(|test| settled(test))
            .collect();
        if fresh.is_empty() && ended.is_empty() {
            return Vec::new();
        }
        let seen = Seen::of(ledger, stacks);
        let row = |window: &TestWindow| test(window, windows, &seen, wall_offset_ns);
        let mut lines = Vec::new();
        for window in fresh {
            let Test { name, started_at, .. } = row(window);
            lines.push(StreamLine::TestStart(TestStart { name, started_at }));
        }
        let ended = ended.into_iter().chain(fresh.iter().filter(|window| settled(window)));
        let mut told: Vec<u32> = Vec::new();
        for window in ended {
            lines.push(StreamLine::TestEnd(Box::new(row(window))));
            told.push(window.number);
        }
        self.open.extend(fresh.iter().map(|window| window.number));
        self.open.retain(|number| !told.contains(number) && windows.find(*number).is_some());
        self.begun = fresh.last().map_or(self.begun, |window| window.number);
        lines
    }
}

#[cfg(test)]
#[path = "suite_tests.rs"]
mod tests;
