//! The processes that work under the tool: one that goes from scenario to scenario, and one for each of them.
//!
//! Each is the test binary, started again. Faults of a scenario are told by process, and one whose work fails must not
//! take the others with it.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use probe_workload::loopfs::{LoopFs, LoopFsOptions};

use super::{module, scenario::Sight, table, work::Work};

/// For the test binary: nothing but [`run`].
pub const ARGUMENTS: [&str; 5] =
    ["--exact", "worker", "--include-ignored", "--nocapture", "--test-threads=1"];
/// Scenarios, with spaces between: for the process that goes from one to the next.
const NAMES: &str = "BTRFS_PROBE_FAULT_SCENARIOS";
/// Where it writes what [`written`] reads.
const RESULTS: &str = "BTRFS_PROBE_FAULT_RESULTS";
/// One scenario: for the process that works.
const NAME: &str = "BTRFS_PROBE_FAULT_SCENARIO";
const DEVICE: &str = "BTRFS_PROBE_FAULT_DEVICE";
const FOLDER: &str = "BTRFS_PROBE_FAULT_FOLDER";
const UUID: &str = "BTRFS_PROBE_FAULT_UUID";

/// What a scenario left to be checked.
#[derive(Debug, Default)]
pub struct Written {
    /// Its filesystem.
    pub uuid: String,
    /// Lines of a name and a number; none if the work failed.
    pub notes: String,
}

/// Tells a process that is to be started which scenarios to work through.
pub fn tell(command: &mut Command, results: &Path, names: &[&str]) {
    command.env(NAMES, names.join(" ")).env(RESULTS, results);
}

/// What is said on standard error when the work of a scenario is over.
pub fn end_of(name: &str) -> String {
    format!("worked: {name}.")
}

/// What the process left in its folder of results.
pub fn written(results: &Path, name: &str) -> Written {
    let read = |what: &str| fs::read_to_string(results.join(format!("{name}.{what}"))).unwrap_or_default();
    Written { uuid: read("uuid"), notes: read("notes") }
}

/// The part that this process was started for; nothing if it is a test like any other.
pub fn run() {
    if let Ok(name) = std::env::var(NAME) {
        work(&name);
    } else if let Ok(names) = std::env::var(NAMES) {
        names.split_whitespace().for_each(one);
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(name).expect("set by the process before"))
}

/// A new filesystem, and a process that works on it. Faults are armed there, after the tool has attached, or its probes
/// would see the fault from outside (`tests/fault/act.c`).
fn one(name: &str) {
    let fs = LoopFs::create(LoopFsOptions::new(512 << 20).single()).expect("a filesystem");
    let uuid = fs.fsid().to_string();
    fs::write(path(RESULTS).join(format!("{name}.uuid")), &uuid).expect("a note");
    let status = Command::new(std::env::current_exe().expect("the test"))
        .args(ARGUMENTS)
        .env(NAME, name)
        .env(DEVICE, fs.device())
        .env(FOLDER, fs.path())
        .env(UUID, &uuid)
        .status();
    module::disarm();
    eprintln!("{} {}", end_of(name), status.expect("the test"));
}

fn work(name: &str) {
    let uuid = std::env::var(UUID).expect("set by the process before");
    let work = Work::new(path(DEVICE), path(FOLDER), uuid);
    let scenario = table::find(name);
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
    fs::write(path(RESULTS).join(format!("{name}.notes")), work.notes()).expect("notes");
}
