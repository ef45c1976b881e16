//! Makes tests from notes. Pure: a replay finds the same tests.
use std::collections::BTreeSet;

use probe_common::suite::{NoteKind, TestNote};
use probe_ledger::{Doubts, Finding, FsSummary, Ledger};

use super::{
    observer::text_of,
    overlap,
    timeline::{SETTLE_NS, Timeline},
};

/// Most tests that are kept; the oldest go first.
const MOST: usize = 100_000;
/// How often the doubts are read, in ns of stream time: that walks over all filesystems, of which a long run of a suite
/// has thousands.
const READ_NS: u64 = 50_000_000;

/// One run of one test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestWindow {
    /// Number in this session, from 1.
    pub number: u32,
    /// Process id of the run that it belongs to; 0 if not known.
    pub run: u32,
    /// Name, for example `generic/269`.
    pub name: String,
    /// Section of the suite's configuration.
    pub section: Option<String>,
    /// Names of its devices below `/dev`; empty if they are not known.
    pub devices: Vec<String>,
    /// Folder of its results.
    pub results: Option<String>,
    /// Control group that it ran in.
    pub scope: Option<String>,
    /// `CLOCK_MONOTONIC` ns.
    pub began: u64,
    /// `CLOCK_MONOTONIC` ns; `None` while it runs.
    pub ended: Option<u64>,
    /// The suite's result and its reason.
    pub result: Option<(String, Option<String>)>,
    /// Number of records in the stream before its start and before its end.
    pub records: (u64, u64),
    /// `fs_devices->fsid` of the filesystems that existed during it, each once; `None` until the test is settled. Kept here,
    /// because the ledger forgets them in time.
    pub filesystems: Option<Vec<[u8; 16]>>,
}

impl TestWindow {
    /// True if the test overlaps the time `from` to `to`.
    #[must_use]
    pub fn touches(&self, from: u64, to: u64) -> bool {
        to >= self.began && self.ended.is_none_or(|ended| from <= ended)
    }
}

/// All tests of a stream, in the order in which they began.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    list: Vec<TestWindow>,
    /// Devices that any test has named.
    named: BTreeSet<String>,
    timeline: Timeline,
    forgotten: u64,
    notes: u64,
    /// Numbers of tests that have ended and are not settled.
    ending: Vec<u32>,
    /// A note came since the doubts were last read.
    fresh: bool,
}

impl Windows {
    /// A note of the stream; `records` came before it.
    pub fn note(&mut self, note: &TestNote, records: u64) {
        self.notes += 1;
        self.fresh = true;
        let text = text_of(&note.text);
        let is = |kind: NoteKind| note.what == kind as u32;
        if is(NoteKind::Begin) {
            if self.list.len() >= MOST {
                self.list.remove(0);
                self.forgotten += 1;
            }
            self.list.push(TestWindow {
                number: note.test,
                run: note.run,
                name: text,
                began: note.header.time,
                records: (records, records),
                ..TestWindow::default()
            });
            return;
        }
        let Some(window) = self.list.iter_mut().rev().find(|window| window.number == note.test) else {
            return;
        };
        if window.ended.is_none() {
            window.records.1 = records;
        }
        if is(NoteKind::Section) {
            window.section = Some(text);
        } else if is(NoteKind::Devices) {
            window.devices = text.split_whitespace().map(str::to_owned).collect();
            self.named.extend(window.devices.iter().cloned());
        } else if is(NoteKind::Results) {
            window.results = Some(text);
        } else if is(NoteKind::Scope) {
            window.scope = Some(text);
        } else if is(NoteKind::Result) {
            let (word, reason) = match text.split_once('\n') {
                Some((word, reason)) => (word.to_owned(), Some(reason.to_owned())),
                None => (text, None),
            };
            window.result = Some((word, reason));
        } else if is(NoteKind::End) {
            window.ended = Some(note.header.time);
            self.ending.push(note.test);
        }
    }

    /// True if the doubts should be read by `time`: losses before the first test must not count for the first test.
    #[must_use]
    pub fn wants_doubts(&self, time: u64) -> bool {
        self.fresh || time.saturating_sub(self.timeline.read_until()) >= READ_NS
    }

    /// Reads all doubts of the ledger so far.
    pub fn read_doubts(&mut self, ledger: &Ledger) {
        self.look_at(ledger.now(), ledger.read_at(), ledger.record_count(), ledger.doubts());
        let settled = |window: &TestWindow| {
            window.ended.is_some_and(|ended| ended.saturating_add(SETTLE_NS) <= ledger.read_at())
        };
        if self.ending.iter().any(|number| self.find(*number).is_none_or(settled)) {
            self.settle(&ledger.pools(), settled);
        }
    }

    /// Copies what the ledger will forget of tests that are settled.
    fn settle(&mut self, all: &[FsSummary], settled: impl Fn(&TestWindow) -> bool) {
        for number in std::mem::take(&mut self.ending) {
            let Some(window) = self.find(number) else { continue };
            if !settled(window) {
                self.ending.push(number);
                continue;
            }
            let fsids = self.fsids(window, all);
            if let Some(window) = self.list.iter_mut().rev().find(|window| window.number == number) {
                window.filesystems = Some(fsids);
            }
        }
    }

    fn look_at(&mut self, time: u64, read: u64, records: u64, doubts: Doubts) {
        self.fresh = false;
        self.timeline.read_doubts(time, read, doubts);
        for window in self.list.iter_mut().rev().take(64).filter(|window| window.ended.is_none()) {
            window.records.1 = records;
        }
    }

    /// Number of notes taken: while it stays, nothing about the tests is new.
    #[must_use]
    pub const fn notes(&self) -> u64 {
        self.notes
    }

    /// True if the stream has no test.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The tests.
    #[must_use]
    pub fn list(&self) -> &[TestWindow] {
        &self.list
    }

    /// Tests that were forgotten to bound memory.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// True if `fs` may belong to a test, which holds for a filesystem of which nothing is known.
    ///
    /// Tests also make devices from those that they were given: with the device mapper, or loop devices on files. No test
    /// names such a device, so its filesystem belongs to the tests that were running when it was mounted.
    #[must_use]
    pub fn owns(&self, window: &TestWindow, fs: &FsSummary) -> bool {
        let named = window.devices.is_empty() || fs.device.is_empty() || window.devices.contains(&fs.device);
        named || (fs.born && window.touches(fs.span.0, fs.span.0) && !self.named.contains(&fs.device))
    }

    /// True if `finding`, on `fs` if that is known, belongs to the test.
    #[must_use]
    pub fn has<'a>(
        &self,
        window: &TestWindow,
        finding: &Finding,
        fs: impl FnOnce() -> Option<&'a FsSummary>,
    ) -> bool {
        finding.seen.touch(window.began, window.ended.unwrap_or(u64::MAX))
            && fs().is_none_or(|fs| self.owns(window, fs))
    }

    /// For each test, in the order of the list, the ids of its findings ([`has`](Self::has)), ascending, without comparing
    /// each test with each finding. `fs` returns what the ledger knows of a filesystem.
    #[must_use]
    pub fn found<'a>(
        &self,
        findings: &[Finding],
        fs: impl Fn(u32) -> Option<&'a FsSummary>,
    ) -> Vec<Vec<u32>> {
        let mut own: Vec<Vec<u32>> = vec![Vec::new(); self.list.len()];
        if findings.is_empty() {
            return own;
        }
        let tests: Vec<overlap::Span> =
            self.list.iter().map(|window| (window.began, window.ended.unwrap_or(u64::MAX))).collect();
        let spans =
            findings.iter().flat_map(|finding| finding.seen.list().iter().map(move |span| (finding, span)));
        let (of, seen): (Vec<&Finding>, Vec<overlap::Span>) =
            spans.map(|(finding, span)| (finding, (span.from, span.to))).unzip();
        overlap::pairs(&tests, &seen, |test, at| {
            let (window, finding) = (&self.list[test], of[at]);
            if own[test].last() != Some(&finding.id) && self.has(window, finding, || fs(finding.violation.fs))
            {
                own[test].push(finding.id);
            }
        });
        for ids in &mut own {
            ids.sort_unstable();
            ids.dedup();
        }
        own
    }

    /// The test with a number.
    #[must_use]
    pub fn find(&self, number: u32) -> Option<&TestWindow> {
        let at = self.list.binary_search_by_key(&number, |window| window.number).ok()?;
        self.list.get(at)
    }

    /// The tests that began after the one with a number.
    #[must_use]
    pub fn after(&self, number: u32) -> &[TestWindow] {
        let at = self.list.partition_point(|window| window.number <= number);
        self.list.get(at..).unwrap_or_default()
    }

    /// `fs_devices->fsid` of the filesystems that existed during a test, each once. `all` is what the ledger knows now.
    #[must_use]
    pub fn fsids(&self, window: &TestWindow, all: &[FsSummary]) -> Vec<[u8; 16]> {
        if let Some(kept) = &window.filesystems {
            return kept.clone();
        }
        let mut fsids = Vec::new();
        for fs in all {
            let lived = fs.span.1 > 0 && window.touches(fs.span.0, fs.span.1) && self.owns(window, fs);
            if lived && !fsids.contains(&fs.fsid) {
                fsids.push(fs.fsid);
            }
        }
        fsids
    }

    /// Losses that may have happened in a test that ended, or that runs until `now`.
    #[must_use]
    pub fn missed(&self, window: &TestWindow, now: u64) -> Doubts {
        self.timeline.between(window.began, window.ended.unwrap_or(now))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
mod tests {
    use probe_common::{header::Header, suite::NOTE_TEXT};

    use super::*;
    use probe_ledger::{Account, FindingKind, Spans, Violation};

    fn note(test: u32, time: u64, kind: NoteKind, text: &str) -> TestNote {
        let header = Header { time, ..Header::default() };
        let mut note = TestNote { header, what: kind as u32, test, run: 7, status: 0, text: [0; NOTE_TEXT] };
        note.text[..text.len()].copy_from_slice(text.as_bytes());
        note
    }

    fn born_at(time: u64, device: &str) -> FsSummary {
        let device = device.to_owned();
        FsSummary { fs: 1, fsid: [1; 16], device, span: (time, time + 1), born: true, ..FsSummary::default() }
    }

    #[test]
    fn notes_make_a_test() {
        let mut windows = Windows::default();
        windows.note(&note(1, 10, NoteKind::Begin, "generic/269"), 100);
        windows.note(&note(1, 11, NoteKind::Devices, "loop30 loop31"), 110);
        windows.note(&note(1, 12, NoteKind::Result, "notrun\nneeds dm"), 120);
        windows.note(&note(1, 13, NoteKind::End, "generic/269"), 130);
        windows.look_at(20, 20, 500, Doubts::default());
        let [test] = windows.list() else { panic!("{windows:?}") };
        assert_eq!(
            (test.name.as_str(), test.began, test.ended, test.records),
            ("generic/269", 10, Some(13), (100, 130))
        );
        assert_eq!(test.result, Some(("notrun".to_owned(), Some("needs dm".to_owned()))));
        let owns = |device: &str| windows.owns(test, &born_at(5, device));
        assert!(owns("loop31") && !owns("vda") && owns(""));
        assert!(test.touches(5, 10) && test.touches(13, 20) && !test.touches(14, 20) && !test.touches(1, 9));
    }

    /// The ledger keeps some thousands of filesystems, a long run of a suite mounts more.
    #[test]
    fn filesystems_of_a_settled_test_are_kept() {
        let mut windows = Windows::default();
        windows.note(&note(1, 10, NoteKind::Begin, "generic/001"), 0);
        windows.note(&note(1, 20, NoteKind::End, ""), 0);
        let all = [
            born_at(11, "loop30"),
            born_at(12, "loop31"),
            FsSummary { fsid: [2; 16], ..born_at(30, "loop30") },
        ];
        windows.settle(&all, |_| false);
        assert_eq!(windows.fsids(&windows.list()[0], &[]), Vec::<[u8; 16]>::new());
        windows.settle(&all, |_| true);
        assert_eq!(windows.fsids(&windows.list()[0], &[]), [[1; 16]]);
        assert!(windows.ending.is_empty());
    }

    /// Tests of crashes put the device mapper over their device; others mount files.
    #[test]
    fn a_filesystem_on_a_device_that_nobody_named_is_of_the_test_that_mounted_it() {
        let mut windows = Windows::default();
        for (test, time, devices) in [(1, 10, "loop30"), (2, 20, "loop30"), (3, 12, "loop40")] {
            windows.note(&note(test, time, NoteKind::Begin, "generic/475"), 0);
            windows.note(&note(test, time, NoteKind::Devices, devices), 0);
            windows.note(&note(test, time + 5, NoteKind::End, ""), 0);
        }
        let [first, second, beside] = windows.list() else { panic!("{windows:?}") };
        let mapped = born_at(11, "dm-0");
        assert!(windows.owns(first, &mapped) && !windows.owns(second, &mapped));
        assert!(!windows.owns(beside, &mapped), "it began later");
        // The device of another run, and a filesystem that was mounted before the observer started.
        assert!(!windows.owns(first, &born_at(13, "loop40")));
        assert!(!windows.owns(first, &FsSummary { born: false, ..born_at(11, "vda") }));
    }

    #[test]
    fn the_same_test_again_is_another_window() {
        let mut windows = Windows::default();
        for (number, time) in [(1, 10), (2, 20)] {
            windows.note(&note(number, time, NoteKind::Begin, "generic/001"), 0);
            windows.note(&note(number, time + 5, NoteKind::End, "generic/001"), 0);
        }
        let spans: Vec<_> = windows.list().iter().map(|test| (test.began, test.ended)).collect();
        assert_eq!(spans, [(10, Some(15)), (20, Some(25))]);
    }

    #[test]
    fn what_was_missed_before_the_first_test_is_not_its_own() {
        let mut windows = Windows::default();
        let second = 1_000_000_000;
        assert!(windows.wants_doubts(5 * second));
        windows.look_at(5 * second, 5 * second, 10, Doubts { lost: 7, ..Doubts::default() });
        assert!(!windows.wants_doubts(5 * second + READ_NS - 1));
        windows.note(&note(1, 6 * second, NoteKind::Begin, "generic/001"), 20);
        assert!(windows.wants_doubts(6 * second));
        windows.look_at(6 * second, 6 * second, 20, Doubts { lost: 7, ..Doubts::default() });
        assert_eq!(windows.missed(&windows.list()[0], 9 * second).lost, 0);
    }

    fn finding(id: u32, fs: u32, times: &[u64]) -> Finding {
        let mut seen = Spans::default();
        times.iter().for_each(|time| seen.add(*time));
        let at = (times[0], 0);
        Finding {
            last_seen: times[times.len() - 1],
            count: times.len() as u64,
            seen,
            ..Finding::new(id, Violation::new(FindingKind::Leak, Account::InodeMetaRsv, fs, at))
        }
    }

    /// To compare each test with each finding would keep the thread that drains the ring busy.
    #[test]
    fn findings_are_found_by_their_time_and_not_by_asking_every_test() {
        const SECOND: u64 = 1_000_000_000;
        let mut windows = Windows::default();
        for number in 1..=1000 {
            let time = u64::from(number) * 100 * SECOND;
            windows.note(&note(number, time, NoteKind::Begin, "generic/001"), 0);
            // One whose end was never seen is open for good.
            if number != 7 {
                windows.note(&note(number, time + 50 * SECOND, NoteKind::End, ""), 0);
            }
        }
        // One finding per test, and one that repeats in all of them but is joined into fewer spans.
        let mut findings: Vec<Finding> =
            (1..=1000).map(|id| finding(id, 1, &[u64::from(id) * 100 * SECOND + 5])).collect();
        findings.push(finding(1001, 1, &(1..=1000).map(|at| at * 100 * SECOND + 9).collect::<Vec<_>>()));
        let asked = std::cell::Cell::new(0);
        let found = windows.found(&findings, |_| {
            asked.set(asked.get() + 1);
            None
        });
        let by_asking: Vec<Vec<u32>> = windows
            .list()
            .iter()
            .map(|window| {
                let own = findings.iter().filter(|finding| windows.has(window, finding, || None));
                own.map(|finding| finding.id).collect()
            })
            .collect();
        assert_eq!(found, by_asking);
        assert!(asked.get() < 10_000, "{} of a million", asked.get());
    }

    #[test]
    fn notes_without_a_begin_are_nobodys() {
        let mut windows = Windows::default();
        windows.note(&note(3, 10, NoteKind::End, "generic/001"), 0);
        assert!(windows.is_empty());
    }
}
