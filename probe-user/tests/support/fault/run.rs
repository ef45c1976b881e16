//! One scenario from its filesystem to the verdict on the tool.
use std::collections::BTreeMap;
use std::path::PathBuf;

use probe_user::workload::loopfs::{LoopFs, LoopFsOptions};

use super::scenario::{Scenario, Sight};
use super::work::Work;
use super::{check, module, table};
use crate::support::probe::{self, Done};

/// Name of the test that is a scenario's second process.
pub const WORKER: &str = "worker";
const NAME: &str = "BTRFS_PROBE_FAULT_SCENARIO";
const DEVICE: &str = "BTRFS_PROBE_FAULT_DEVICE";
const FOLDER: &str = "BTRFS_PROBE_FAULT_FOLDER";
const UUID: &str = "BTRFS_PROBE_FAULT_UUID";
const NOTES: &str = "BTRFS_PROBE_FAULT_NOTES";

/// Which hooks the tool uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    Functions,
    Tracepoints,
}

impl Tier {
    /// For the command line.
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Functions => &["--tier", "functions"],
            Self::Tracepoints => &["--tier", "tracepoints"],
        }
    }
}

/// Runs a scenario and holds the tool to what the table says.
pub fn run(name: &str, tier: Tier) {
    if !super::guest() {
        return;
    }
    let scenario = table::find(name);
    module::load();
    let sight = match tier {
        Tier::Functions => &scenario.functions,
        Tier::Tracepoints => &scenario.tracepoints,
    };
    let (done, notes) = once(scenario, tier);
    if std::env::var_os("BTRFS_PROBE_FAULT_RECORD").is_some() {
        println!("{}: {notes:?} {}", scenario.name, done.stderr);
    } else if std::env::var_os("BTRFS_PROBE_FAULT_SHOW").is_some() {
        check::show(scenario.name, &done, &notes);
    } else {
        check::check(sight, &done, &notes);
    }
}

/// The tool over one run of the work. Notes are what the work wrote down, and empty if it failed.
fn once(scenario: &Scenario, tier: Tier) -> (Done, BTreeMap<String, u64>) {
    let fs = LoopFs::create(LoopFsOptions::new(512 << 20).single()).expect("a filesystem");
    let uuid = fs.fsid().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let notes = folder.path().join("notes");
    let exe = std::env::current_exe().expect("the test");
    let exe = exe.to_str().expect("a path");
    let kept = std::env::var_os("BTRFS_PROBE_FAULT_RECORD")
        .map(|kept| PathBuf::from(kept).join(format!("{}.rsv", scenario.name)).display().to_string());
    let mut arguments = match &kept {
        Some(file) => vec!["record", "-o", file],
        None => vec!["run"],
    };
    arguments.extend(["--fs", &uuid]);
    if std::env::var_os("BTRFS_PROBE_FAULT_NO_TIER").is_none() {
        arguments.extend(tier.arguments());
    }
    arguments.extend(["--", exe, "--exact", WORKER, "--nocapture", "--test-threads=1"]);
    let done = start(&arguments, scenario, &fs, &notes);
    module::disarm();
    let notes = std::fs::read_to_string(&notes).unwrap_or_default();
    let mut numbers = BTreeMap::new();
    for line in notes.lines() {
        let (name, value) = line.split_once(' ').expect("a name and a number");
        *numbers.entry(name.to_owned()).or_insert(0) += value.parse::<u64>().expect("a number");
    }
    (done, numbers)
}

fn start(arguments: &[&str], scenario: &Scenario, fs: &LoopFs, notes: &std::path::Path) -> Done {
    let session = probe::start_with(arguments, |command| {
        command
            .env(NAME, scenario.name)
            .env(DEVICE, fs.device())
            .env(FOLDER, fs.path())
            .env(UUID, fs.fsid().to_string())
            .env(NOTES, notes);
    });
    session.finish()
}

/// The second process: nothing, unless it was started as one.
pub fn worker() {
    let Ok(name) = std::env::var(NAME) else { return };
    let path = |name: &str| PathBuf::from(std::env::var_os(name).expect("set by the first process"));
    let work = Work::new(path(DEVICE), path(FOLDER), std::env::var(UUID).expect("set"));
    let scenario = table::find(&name);
    // What must stay silent can be run again and again under one attachment, each time on a new filesystem.
    let silent = matches!(scenario.functions, Sight::Silent(_));
    let repeat =
        if silent { std::env::var("REPEAT").map_or(1, |text| text.parse().expect("REPEAT")) } else { 1 };
    for round in 0..repeat {
        if round > 0 {
            work.make_again();
        }
        (scenario.work)(&work);
    }
    std::fs::write(path(NOTES), work.notes()).expect("notes");
}
