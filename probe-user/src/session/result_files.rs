//! For each test with a finding, a file beside the suite's own results: `<number>.rsv`, like `<number>.dmesg`.
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use probe_ledger::{Finding, Ledger};
use probe_record::why;

use super::suite::Pools;
use crate::{
    attribution::{TestWindow, Windows},
    report::{model, output, text},
};

/// Newest tests to check again: a start, devices or an end may become known after a finding in them.
const RECENT: usize = 64;

/// Files of this session. The runs of one test share one, with the findings of all.
#[derive(Debug, Default)]
pub struct ResultFiles {
    /// Numbers of notes and findings, and the findings' counts, at the last check: while they stay, there is nothing to do.
    seen: (u64, usize, u64),
    /// Number of the last test that was met.
    met: u32,
    /// Tests whose folder is not known yet: it becomes known a moment after their start.
    nowhere: Vec<u32>,
    /// Tests by the file that they would have. A file that an earlier session left there is removed.
    tests: BTreeMap<PathBuf, Vec<u32>>,
    /// Counts of findings, by their ids, at the last look.
    counts: BTreeMap<u32, u64>,
    /// Findings and their counts in a file, as written.
    written: BTreeMap<PathBuf, Vec<(u32, u64)>>,
}

impl ResultFiles {
    /// Writes what is new. `show` makes the findings of instances, by the ids of the ledger's findings. A file that cannot be written is reported once, and does not
    /// stop the session.
    pub fn write_new(
        &mut self,
        windows: &Windows,
        ledger: &Ledger,
        show: impl Fn(&[u32]) -> Vec<model::Finding>,
    ) {
        let findings = ledger.findings();
        let seen = (windows.notes(), findings.len(), findings.iter().map(|finding| finding.count).sum());
        if seen == self.seen {
            return;
        }
        let noted = std::mem::replace(&mut self.seen, seen).0 != seen.0;
        if noted {
            self.place(windows);
        }
        if findings.is_empty() {
            return;
        }
        let pools = Pools::of(ledger);
        let has = |window: &TestWindow, finding: &Finding| {
            windows.has(window, finding, || pools.find(finding.violation.fs))
        };
        let list = windows.list();
        let mut touched: BTreeSet<PathBuf> = BTreeSet::new();
        if noted {
            let recent = list.iter().rev().take(RECENT);
            let touches = recent.filter(|window| findings.iter().any(|finding| has(window, finding)));
            touched.extend(touches.filter_map(path_of));
        }
        for finding in findings {
            if self.counts.insert(finding.id, finding.count) != Some(finding.count) {
                touched.extend(list.iter().filter(|window| has(window, finding)).filter_map(path_of));
            }
        }
        for path in touched {
            let numbers = self.tests.get(&path).map(Vec::as_slice).unwrap_or_default();
            let tests: Vec<&TestWindow> = numbers.iter().filter_map(|number| windows.find(*number)).collect();
            let own = findings.iter().filter(|finding| tests.iter().any(|window| has(window, finding)));
            let state: Vec<(u32, u64)> = own.map(|finding| (finding.id, finding.count)).collect();
            if self.written.get(&path) == Some(&state) {
                continue;
            }
            let shown = show(&state.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            // An ignored finding does not count.
            if shown.iter().any(|finding| finding.ignored.is_none()) {
                let look = text::look_for(text::ColorChoice::Never, true);
                let text: String = shown.iter().map(|finding| text::render_finding(finding, look)).collect();
                write(&path, &text);
            }
            self.written.insert(path, state);
        }
    }

    /// Tests that are new, and those whose folder became known.
    fn place(&mut self, windows: &Windows) {
        let fresh = windows.after(self.met);
        self.met = fresh.last().map_or(self.met, |window| window.number);
        self.nowhere.extend(fresh.iter().map(|window| window.number));
        self.nowhere.retain(|number| {
            let Some(window) = windows.find(*number) else { return false };
            let Some(path) = path_of(window) else { return window.ended.is_none() };
            let tests = self.tests.entry(path.clone()).or_default();
            if tests.is_empty() {
                let _ = std::fs::remove_file(path);
            }
            tests.push(*number);
            false
        });
    }
}

fn path_of(window: &TestWindow) -> Option<PathBuf> {
    let number = window.name.rsplit('/').next()?;
    Some(Path::new(window.results.as_deref()?).join(format!("{number}.rsv")))
}

fn write(path: &Path, text: &str) {
    if let Err(error) = output::replace_file(path, text.as_bytes()) {
        log::warn!("cannot write {}: {}", why::shown(path), why::unwritten(&error));
    }
}
