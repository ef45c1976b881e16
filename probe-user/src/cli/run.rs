//! `btrfs-probe run`
use std::ffi::OsString;

use super::common::{CaptureOpts, FilterOpts, ReportOpts, TerminalOpts};
use crate::session::plan::{Goal, SessionPlan, StreamFrom, Until};

/// Attach, run COMMAND, detach, report
#[derive(Debug, clap::Args)]
#[command(override_usage = "btrfs-probe run [OPTIONS] -- COMMAND...")]
pub(super) struct Args {
    #[command(flatten)]
    capture: CaptureOpts,
    #[command(flatten)]
    filter: FilterOpts,
    #[command(flatten)]
    report: ReportOpts,
    /// The command and its arguments; write -- before it
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, help_heading = "Arguments")]
    command: Vec<OsString>,
}

impl Args {
    pub(super) fn plan(&self, terminal: &TerminalOpts) -> anyhow::Result<SessionPlan> {
        Ok(SessionPlan {
            source: StreamFrom::Live {
                capture: self.capture.plan(),
                until: Until::Command(self.command.clone()),
            },
            filter: self.filter.plan()?,
            goal: Goal::Report(self.report.plan(terminal, &[])?),
            verbosity: terminal.verbose,
        })
    }
}
