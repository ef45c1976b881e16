//! One attachment of the tool over several scenarios, each on a filesystem of its own.
//!
//! To attach takes an emulated machine longer than most scenarios take. What is found tells by the filesystem whose
//! scenario it belongs to; a verdict belongs to a whole session, so scenarios share one only if the same verdict is asked
//! of all of them.
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::run::Tier;
use super::scenario::{Scenario, Sight};
use super::{module, table, worker};
use crate::support::probe::{self, Done, list};

/// What came of one scenario.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The session that it was part of.
    pub done: Arc<Done>,
    /// Its filesystem; empty if there was none.
    pub uuid: String,
    /// What its work wrote down; empty if it failed.
    pub notes: BTreeMap<String, u64>,
}

/// What came of the sessions that were run, by tier and scenario; nothing if the session did not come to its end. The
/// first test that asks for one runs it for all of its group.
static SESSIONS: Mutex<Vec<(Tier, &'static str, Option<Outcome>)>> = Mutex::new(Vec::new());

/// Whether recordings are wanted instead of verdicts, in a folder that this names: one for each scenario.
pub fn recording() -> bool {
    std::env::var_os("BTRFS_PROBE_FAULT_RECORD").is_some()
}

/// What came of a scenario, in this process's session of its group.
pub fn of(scenario: &'static Scenario, tier: Tier) -> Outcome {
    let mut sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let place = |sessions: &[(Tier, &str, Option<Outcome>)]| {
        sessions.iter().position(|(of, name, _)| *of == tier && *name == scenario.name)
    };
    let at = place(&sessions).unwrap_or_else(|| {
        let group = group(scenario, tier);
        // Or each test of the group would run it again.
        let mut outcomes =
            catch_unwind(AssertUnwindSafe(|| run(&group, tier))).unwrap_or_default().into_iter().map(Some);
        sessions.extend(group.iter().map(|of| (tier, of.name, outcomes.next().flatten())));
        place(&sessions).expect("a place")
    });
    sessions[at].2.clone().expect("the session that it was part of failed")
}

/// Those that share a session with `scenario`, of the tests that this process was asked to run.
fn group(scenario: &'static Scenario, tier: Tier) -> Vec<&'static Scenario> {
    if recording() {
        return vec![scenario];
    }
    table::all()
        .filter(|other| {
            other.name == scenario.name || asked_for(other, tier) && same_verdict(other, scenario)
        })
        .collect()
}

fn same_verdict(one: &Scenario, other: &Scenario) -> bool {
    let silent = |scenario: &Scenario| match scenario.functions {
        Sight::Silent(allowed) => Some(allowed),
        _ => None,
    };
    silent(one) == silent(other)
}

/// As the test harness understands its arguments: names of tests contain one of them.
fn asked_for(scenario: &Scenario, tier: Tier) -> bool {
    let test = format!("{}::{}", tier.name(), scenario.name);
    let mut filters = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).peekable();
    filters.peek().is_none() || filters.any(|filter| test.contains(&filter))
}

/// The tool over the work of all of them, one after the other.
fn run(scenarios: &[&Scenario], tier: Tier) -> Vec<Outcome> {
    module::load();
    let folder = tempfile::tempdir().expect("a folder");
    let kept = std::env::var_os("BTRFS_PROBE_FAULT_RECORD")
        .map(|kept| PathBuf::from(kept).join(format!("{}.rsv", scenarios[0].name)).display().to_string());
    let mut arguments = match &kept {
        Some(file) => vec!["record", "-o", file],
        None => vec!["run"],
    };
    if std::env::var_os("BTRFS_PROBE_FAULT_NO_TIER").is_none() {
        arguments.extend(tier.arguments());
    }
    let exe = std::env::current_exe().expect("the test");
    arguments.push("--");
    arguments.push(exe.to_str().expect("a path"));
    arguments.extend(worker::ARGUMENTS);
    let names: Vec<&str> = scenarios.iter().map(|scenario| scenario.name).collect();
    let mut session = probe::start_with(&arguments, |command| worker::tell(command, folder.path(), &names));
    for name in &names {
        session.wait_for(&worker::end_of(name));
        println!("  {}, worked: {name}", tier.name());
    }
    let done = Arc::new(session.finish());
    module::disarm();
    let outcomes: Vec<_> = scenarios.iter().map(|scenario| outcome(&done, folder.path(), scenario)).collect();
    if let Some(report) = &done.report {
        for finding in list(&report["findings"]) {
            let owned = outcomes.iter().any(|outcome| finding["filesystem"] == outcome.uuid.as_str());
            assert!(owned, "on no filesystem of ours: {finding}");
        }
    }
    outcomes
}

fn outcome(done: &Arc<Done>, folder: &Path, scenario: &Scenario) -> Outcome {
    let written = worker::written(folder, scenario.name);
    let mut notes = BTreeMap::new();
    for line in written.notes.lines() {
        let (name, value) = line.split_once(' ').expect("a name and a number");
        *notes.entry(name.to_owned()).or_insert(0) += value.parse::<u64>().expect("a number");
    }
    Outcome { done: Arc::clone(done), uuid: written.uuid, notes }
}
