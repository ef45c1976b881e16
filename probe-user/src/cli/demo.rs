//! `btrfs-probe demo`
use super::common::{ReportOpts, TerminalOpts};
use crate::session::plan::{FilterPlan, Goal, SessionPlan, StreamFrom};

/// Run a workload on a loop-backed btrfs of its own, and report on it
///
/// Without the rights for that, it analyses a real recording that is part of this program, and says so. With --broken it analyses
/// another one, of a kernel in which btrfs was made wrong: what a report with findings looks like. That needs no rights, changes
/// nothing, and ends with 3.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    report: ReportOpts,
    /// Show the findings of a recording in which btrfs was made wrong on purpose
    #[arg(long, help_heading = "Demo")]
    broken: bool,
}

impl Args {
    pub(super) fn plan(&self, terminal: &TerminalOpts) -> anyhow::Result<SessionPlan> {
        Ok(SessionPlan {
            source: if self.broken { StreamFrom::Broken } else { StreamFrom::Demo },
            filter: FilterPlan::default(),
            goal: Goal::Report(self.report.plan(terminal, &[])?),
            verbosity: terminal.verbose,
        })
    }
}
