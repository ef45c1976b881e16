//! Tests of a test suite on their way through a session: windows to rows of the report, and a file beside the suite's own
//! results for each test with a finding.
use std::path::Path;

use jiff::Timestamp;

use crate::{
    attribution::{TestWindow, Windows},
    ledger::{
        Ledger,
        finding::Finding,
        summary::{FsSummary, Verdict},
    },
    report::{
        format,
        model::{self, Test},
        ndjson::{StreamLine, TestStart},
        text,
    },
};

/// The tests of a stream as rows of a report. `wall_offset_ns`: `CLOCK_REALTIME - CLOCK_MONOTONIC`.
#[must_use]
pub fn tests(windows: &Windows, ledger: &Ledger, wall_offset_ns: i64) -> Vec<Test> {
    if windows.is_empty() {
        return Vec::new();
    }
    let filesystems = ledger.pools();
    windows.list().iter().map(|window| test(window, windows, ledger, &filesystems, wall_offset_ns)).collect()
}

fn test(
    window: &TestWindow,
    windows: &Windows,
    ledger: &Ledger,
    filesystems: &[FsSummary],
    wall_offset_ns: i64,
) -> Test {
    let now = ledger.now();
    let missed = windows.missed(window, now);
    let own = |finding: &&Finding| windows.has(window, finding, of(filesystems, finding.fs));
    let finding_ids: Vec<u32> = ledger.findings().iter().filter(own).map(|finding| finding.id).collect();
    let verdict = match (finding_ids.is_empty(), missed.none()) {
        (false, _) => Verdict::Findings,
        (true, false) => Verdict::Inconclusive,
        (true, true) => Verdict::Clean,
    };
    let mut fsids: Vec<String> = Vec::new();
    for fs in windows.filesystems(window, filesystems) {
        let uuid = format::uuid(&fs.fsid);
        if !fsids.contains(&uuid) {
            fsids.push(uuid);
        }
    }
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
        verdict_reasons: missed.reasons(),
        finding_ids,
        devices: window.devices.clone(),
        filesystems: fsids,
        records: window.records.1.saturating_sub(window.records.0),
        lost: missed.lost,
    }
}

/// Begins and ends of tests as lines of a stream, in the order in which they are known.
#[derive(Debug)]
pub struct TestLines {
    begun: usize,
    /// Numbers of tests whose end was not told.
    open: Vec<u32>,
}

impl TestLines {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { begun: 0, open: Vec::new() }
    }

    /// What is new since the last time. An end is told when it is known; what is found out about a test later is in the
    /// report.
    pub fn news(&mut self, windows: &Windows, ledger: &Ledger, wall_offset_ns: i64) -> Vec<StreamLine> {
        let list = windows.list();
        let ended =
            |number: u32| list.iter().rev().any(|window| window.number == number && window.ended.is_some());
        if list.len() <= self.begun && !self.open.iter().any(|number| ended(*number)) {
            return Vec::new();
        }
        let filesystems = ledger.pools();
        let row = |window: &TestWindow| test(window, windows, ledger, &filesystems, wall_offset_ns);
        let mut lines = Vec::new();
        for window in list.iter().skip(self.begun) {
            let Test { name, started_at, .. } = row(window);
            lines.push(StreamLine::TestStart(TestStart { name, started_at }));
            self.open.push(window.number);
        }
        self.begun = list.len();
        self.open.retain(|number| {
            let window = list.iter().rev().find(|window| window.number == *number && window.ended.is_some());
            window.is_none_or(|window| {
                lines.push(StreamLine::TestEnd(Box::new(row(window))));
                false
            })
        });
        lines
    }
}

fn of(filesystems: &[FsSummary], fs: u32) -> Option<&FsSummary> {
    filesystems.iter().find(|known| known.fs == fs)
}

/// Files of tests beside those of the suite: `<number>.rsv` in its folder of results, as `<number>.dmesg` is.
#[derive(Debug)]
pub struct ResultFiles {
    /// Begins of tests that were looked at: what an earlier session left of them is gone.
    tidied: usize,
    /// Findings by the number of their test, as written.
    written: std::collections::BTreeMap<u32, Vec<(u32, u64)>>,
}

impl ResultFiles {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { tidied: 0, written: std::collections::BTreeMap::new() }
    }

    /// Writes what is new. `show` makes the row of a finding. A file that cannot be written is said once, and no reason to
    /// stop.
    pub fn look(&mut self, windows: &Windows, ledger: &Ledger, show: impl Fn(&Finding) -> model::Finding) {
        let list = windows.list();
        // The folder comes a moment after the begin.
        while let Some(window) =
            list.get(self.tidied).filter(|window| window.results.is_some() || window.ended.is_some())
        {
            if let Some(path) = path_of(window) {
                let _ = std::fs::remove_file(path);
            }
            self.tidied += 1;
        }
        if ledger.findings().is_empty() {
            return;
        }
        let filesystems = ledger.pools();
        for window in list {
            let Some(path) = path_of(window) else { continue };
            let own: Vec<&Finding> = ledger
                .findings()
                .iter()
                .filter(|finding| windows.has(window, finding, of(&filesystems, finding.fs)))
                .collect();
            let state: Vec<(u32, u64)> = own.iter().map(|finding| (finding.id, finding.count)).collect();
            if state.is_empty() || self.written.get(&window.number) == Some(&state) {
                continue;
            }
            let shown: Vec<model::Finding> = own.into_iter().map(&show).collect();
            // A finding that is ignored is none.
            if shown.iter().any(|finding| finding.ignored.is_none()) {
                let look = text::look_for(text::ColorChoice::Never, true);
                let text: String = shown.iter().map(|finding| text::render_finding(finding, look)).collect();
                write(&path, &text);
            }
            self.written.insert(window.number, state);
        }
    }
}

fn path_of(window: &TestWindow) -> Option<std::path::PathBuf> {
    let number = window.name.rsplit('/').next()?;
    Some(Path::new(window.results.as_deref()?).join(format!("{number}.rsv")))
}

fn write(path: &Path, text: &str) {
    if let Err(error) = crate::report::output::write_file(path, text.as_bytes()) {
        log::warn!("cannot write {}: {error}", path.display());
    }
}

#[cfg(test)]
#[path = "suite_tests.rs"]
mod tests;
