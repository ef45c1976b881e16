//! Tests of a test suite in a session: from windows to rows of the report and lines of the output.
use std::{borrow::Cow, collections::BTreeSet};

use jiff::Timestamp;
use probe_ledger::{Finding, FsSummary, KernelLine, KernelWarn, Ledger, Verdict};
use rustc_hash::FxHashMap;

use crate::{
    attribution::{SETTLE_NS, TestWindow, Windows},
    format,
    report::{
        build::{
            Explanations, Group, Groups, Part, Policy, StackResolver, finding_of_test, of_window,
            unexplained_warnings,
        },
        model::{Test, TestFinding},
        ndjson::{StreamLine, TestStart},
    },
};

/// The filesystems of a stream, to be found by their ids.
#[derive(Debug)]
pub(super) struct Pools<'a> {
    list: Cow<'a, [FsSummary]>,
    index: FxHashMap<u32, usize>,
}

impl<'a> Pools<'a> {
    /// Those of a ledger.
    pub(super) fn of(ledger: &Ledger) -> Self {
        Self::over(ledger.pools())
    }

    /// These.
    pub(super) fn over(list: impl Into<Cow<'a, [FsSummary]>>) -> Self {
        let list = list.into();
        let index = list.iter().enumerate().map(|(position, fs)| (fs.fs, position)).collect();
        Self { list, index }
    }

    /// `fs_devices->fsid` of a filesystem.
    pub(super) fn fsid(&self, fs: u32) -> Option<[u8; 16]> {
        self.find(fs).map(|fs| fs.fsid)
    }

    pub(super) fn find(&self, fs: u32) -> Option<&FsSummary> {
        self.index.get(&fs).and_then(|position| self.list.get(*position))
    }
}

/// A test as of now, for a report, the output lines, or the screen.
#[derive(Debug)]
pub(super) struct TestNow<'a> {
    pub window: &'a TestWindow,
    /// Verdict of its window, before any finding is ignored.
    pub verdict: Verdict,
    /// Why the window is not clean, one clause each; empty without a doubt.
    pub reasons: Vec<String>,
    /// Ids of the ledger's findings in it, ascending: instances of the findings of a report.
    pub instances: Vec<u32>,
    /// Number of findings of a report that they belong to.
    pub found: u64,
    /// Length so far, ns.
    pub duration_ns: u64,
    /// Records in it.
    pub records: u64,
    /// Records lost in it.
    pub lost: u64,
}

/// What is needed to judge tests.
pub(super) struct TestJudge<'a> {
    windows: &'a Windows,
    ledger: &'a Ledger,
    stacks: &'a dyn StackResolver,
    pools: &'a Pools<'a>,
    warnings: Vec<KernelWarn>,
    lines: Vec<KernelLine>,
    /// Ids of the ledger's findings by position of the test.
    found: Vec<Vec<u32>>,
    groups: Groups,
}

impl<'a> TestJudge<'a> {
    /// Its cost grows with the tests, the findings, and the findings of each test, but not with tests times findings.
    pub(super) fn new(
        windows: &'a Windows,
        ledger: &'a Ledger,
        stacks: &'a dyn StackResolver,
        pools: &'a Pools<'a>,
    ) -> Self {
        let found = windows.found(ledger.findings(), |fs| pools.find(fs));
        let (warnings, lines) = (ledger.warnings(), ledger.kernel_lines());
        let groups = Groups::of(ledger.findings(), stacks, |fs| pools.fsid(fs));
        Self { windows, ledger, stacks, pools, warnings, lines, found, groups }
    }

    /// The verdict of a test without the findings that do not count.
    pub(super) fn verdict(&self, test: &TestNow<'_>, policy: &Policy) -> Verdict {
        let kind = |group: &Group| Some(self.ledger.findings().get(*group.members.first()?)?.violation.kind);
        let counts =
            |(group, _): (&Group, _)| kind(group).is_none_or(|kind| policy.ignores(kind, group).is_none());
        match test.verdict {
            Verdict::Findings => {
                let within = self.groups.within(&test.instances);
                of_window(within.into_iter().any(counts), !test.reasons.is_empty())
            }
            other => other,
        }
    }

    /// The tests that are wanted, in the order in which they began.
    pub(super) fn tests(&self, wanted: impl Fn(&TestWindow) -> bool) -> Vec<TestNow<'a>> {
        let tests = self.windows.list().iter().zip(&self.found).filter(|(window, _)| wanted(window));
        tests.map(|(window, found)| self.judge(window, found.clone())).collect()
    }

    /// Names of the first tests that findings belong to, by the findings' ids.
    pub(super) fn test_of(&self) -> FxHashMap<u32, String> {
        let mut names = FxHashMap::default();
        for (window, found) in self.windows.list().iter().zip(&self.found) {
            for id in self.groups.ids(found) {
                names.entry(id).or_insert_with(|| window.name.clone());
            }
        }
        names
    }

    /// What these instances are of the findings of a report.
    fn findings(&self, instances: &[u32], clock: Clock) -> Vec<TestFinding> {
        let path = |fs, root, ino| self.ledger.path(fs, root, ino).cloned();
        let since_start = |time: u64| time.saturating_sub(clock.started);
        let all = self.ledger.findings();
        let of_group = |(group, members): (&Group, Vec<usize>)| {
            let own: Vec<&Finding> = members.iter().filter_map(|at| all.get(*at)).collect();
            finding_of_test(group.id, &own, &path, &since_start)
        };
        self.groups.within(instances).into_iter().map(of_group).collect()
    }

    fn judge(&self, window: &'a TestWindow, instances: Vec<u32>) -> TestNow<'a> {
        let Self { windows, ledger, stacks, pools, warnings, lines, found: _, groups } = self;
        let now = ledger.now();
        let missed = windows.missed(window, now);
        let span = (window.began, window.ended.unwrap_or(now));
        let mut reasons = missed.reasons();
        // In nearly all tests there is none, and then there is nothing to explain.
        if warnings.iter().any(|warning| warning.seen.touch(span.0, span.1)) {
            // A WARN has no filesystem, so it may come from a filesystem of another run.
            let meant = |finding: &&Finding| {
                finding.violation.fs == 0
                    || pools
                        .find(finding.violation.fs)
                        .is_some_and(|fs| !fs.ended || window.touches(fs.span.0, fs.span.1))
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
        let verdict = match (instances.is_empty(), reasons.is_empty()) {
            (false, _) => Verdict::Findings,
            (true, false) => Verdict::Inconclusive,
            (true, true) => Verdict::Clean,
        };
        TestNow {
            window,
            verdict,
            reasons,
            found: groups.ids(&instances).len() as u64,
            instances,
            duration_ns: span.1.saturating_sub(span.0),
            records: window.records.1.saturating_sub(window.records.0),
            lost: missed.lost,
        }
    }
}

/// The clock of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// `CLOCK_MONOTONIC` at its start, ns.
    pub started: u64,
    /// `CLOCK_REALTIME - CLOCK_MONOTONIC`, ns.
    pub wall_offset_ns: i64,
}

/// The tests of a stream as rows of a report, and what of its findings fell into no test.
#[must_use]
pub fn tests(
    windows: &Windows,
    ledger: &Ledger,
    stacks: &dyn StackResolver,
    clock: Clock,
) -> (Vec<Test>, Vec<TestFinding>) {
    if windows.is_empty() {
        return Default::default();
    }
    let pools = Pools::of(ledger);
    let judge = TestJudge::new(windows, ledger, stacks, &pools);
    let rows = judge.tests(|_| true).into_iter().map(|test| row(test, &judge, clock)).collect();
    let inside: BTreeSet<u32> = judge.found.iter().flatten().copied().collect();
    let outside: Vec<u32> =
        ledger.findings().iter().map(|finding| finding.id).filter(|id| !inside.contains(id)).collect();
    (rows, judge.findings(&outside, clock))
}

/// A test of that name as a part of the session; of several, from the first to the last. `None` if there is none.
#[must_use]
pub fn part(windows: &Windows, ledger: &Ledger, stacks: &dyn StackResolver, name: &str) -> Option<Part> {
    let pools = Pools::of(ledger);
    let judge = TestJudge::new(windows, ledger, stacks, &pools);
    let tests = judge.tests(|window| window.name == name);
    let mut part = Part { from: u64::MAX, test: Some(name.to_owned()), ..Part::default() };
    let mut doubts = Vec::new();
    for test in &tests {
        part.from = part.from.min(test.window.began);
        part.to = part.to.max(test.window.began.saturating_add(test.duration_ns));
        part.instances.extend(&test.instances);
        doubts.extend(test.reasons.iter().map(|reason| format!("In {name}: {reason}.")));
    }
    part.instances.sort_unstable();
    part.instances.dedup();
    part.doubts = Some(doubts);
    (!tests.is_empty()).then_some(part)
}

fn row(test: TestNow<'_>, judge: &TestJudge<'_>, clock: Clock) -> Test {
    let TestNow { window, verdict, reasons, instances, found: _, duration_ns, records, lost } = test;
    let findings = judge.findings(&instances, clock);
    let fsids = judge.windows.fsids(window, &judge.pools.list).iter().map(format::uuid).collect();
    let (result, result_reason) = match window.result.clone() {
        Some((word, reason)) => (Some(word), reason),
        None => (None, None),
    };
    Test {
        name: window.name.clone(),
        section: window.section.clone(),
        run: (window.run != 0).then_some(window.run),
        scope: window.scope.clone(),
        started_at: started_at(window, clock.wall_offset_ns),
        duration_ns,
        ended: window.ended.is_some(),
        result,
        result_reason,
        verdict: verdict.into(),
        verdict_reasons: reasons,
        finding_ids: findings.iter().map(|finding| finding.id).collect(),
        findings,
        devices: window.devices.clone(),
        filesystems: fsids,
        records,
        lost,
    }
}

fn started_at(window: &TestWindow, wall_offset_ns: i64) -> String {
    let began = i64::try_from(window.began).unwrap_or(0).saturating_add(wall_offset_ns);
    Timestamp::from_nanosecond(began.into()).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// Starts and ends of tests as output lines.
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

    /// What is new since the last call; `over`: the stream has ended. A start is shown when it is known; an end when nothing
    /// in the test is pending any more.
    pub fn news(
        &mut self,
        windows: &Windows,
        ledger: &Ledger,
        stacks: &dyn StackResolver,
        policy: &Policy,
        (clock, over): (Clock, bool),
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
        let begun = |window: &TestWindow| {
            let (name, started_at) = (window.name.clone(), started_at(window, clock.wall_offset_ns));
            StreamLine::TestStart(TestStart { name, started_at })
        };
        let mut lines: Vec<StreamLine> = fresh.iter().map(begun).collect();
        // Short tests start and end between two calls.
        let short = fresh.iter().filter(|window| settled(window)).map(|window| window.number);
        let told: BTreeSet<u32> = ended.iter().map(|window| window.number).chain(short).collect();
        if !told.is_empty() {
            let pools = Pools::of(ledger);
            let judge = TestJudge::new(windows, ledger, stacks, &pools);
            let ends = judge.tests(|window| told.contains(&window.number));
            let end = |mut test: TestNow<'_>| {
                test.verdict = judge.verdict(&test, policy);
                StreamLine::TestEnd(Box::new(row(test, &judge, clock)))
            };
            lines.extend(ends.into_iter().map(end));
        }
        self.open.extend(fresh.iter().map(|window| window.number));
        self.open.retain(|number| !told.contains(number) && windows.find(*number).is_some());
        self.begun = fresh.last().map_or(self.begun, |window| window.number);
        lines
    }
}

#[cfg(test)]
mod tests;
