//! `btrfs-probe demo`
use super::common::{ReportOpts, TerminalOpts};
use crate::session::plan::{FilterPlan, Goal, SessionPlan, StreamFrom};

/// Run a workload on a loop-backed btrfs of its own, and report on it
///
/// Without the rights for that, it analyses a real recording that is part of this program, and says so.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    report: ReportOpts,
}

impl Args {
    pub(super) fn plan(&self, terminal: &TerminalOpts) -> anyhow::Result<SessionPlan> {
        Ok(SessionPlan {
            source: StreamFrom::Demo,
            filter: FilterPlan::default(),
            goal: Goal::Report(self.report.plan(terminal, &[])?),
            verbosity: terminal.verbose,
        })
    }
}
