//! One scenario on one tier, from its place in a session to the verdict on the tool.
use super::scenario::Sight;
use super::session::{self, Outcome};
use super::{check, table};

/// Which hooks the tool uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    Functions,
    Tracepoints,
}

impl Tier {
    /// The module that its tests are in, and its name for the tool.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Functions => "functions",
            Self::Tracepoints => "tracepoints",
        }
    }

    /// For the command line.
    pub fn arguments(self) -> [&'static str; 2] {
        ["--tier", self.name()]
    }
}

/// Holds the tool to what the table says of a scenario.
pub fn run(name: &str, tier: Tier) {
    if !super::guest() {
        return;
    }
    let scenario = table::find(name);
    let Outcome { done, uuid, notes } = session::of(scenario, tier);
    if session::recording() {
        println!("{name}: {notes:?} {}", done.stderr);
        return;
    }
    if std::env::var_os("BTRFS_PROBE_FAULT_SHOW").is_some() {
        check::show(name, &done, &uuid, &notes);
        return;
    }
    let sight: &Sight = match tier {
        Tier::Functions => &scenario.functions,
        Tier::Tracepoints => &scenario.tracepoints,
    };
    check::check(sight, &done, &uuid, &notes);
}
