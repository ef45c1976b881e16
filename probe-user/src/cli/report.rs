//! `btrfs-probe report`
use std::path::PathBuf;

use super::{
    common::{CaptureOpts, FilterOpts, ReportOpts, TerminalOpts},
    session::{Goal, SessionPlan, Source},
};

/// Analyse a recording
///
/// The options of a capture and the filter are accepted, so that one set of options serves all subcommands, and have no
/// effect: tier, ring, stacks and what was followed are those of the recording.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    capture: CaptureOpts,
    #[command(flatten)]
    filter: FilterOpts,
    #[command(flatten)]
    report: ReportOpts,
    /// The recording
    #[arg(value_name = "FILE", help_heading = "Arguments")]
    file: PathBuf,
}

impl Args {
    pub(super) fn plan(&self, terminal: &TerminalOpts) -> anyhow::Result<SessionPlan> {
        self.filter.warn_of_recording(&self.capture);
        Ok(SessionPlan {
            source: Source::Recording(self.file.clone()),
            filter: self.filter.plan()?,
            goal: Goal::Report(self.report.plan(terminal, Some(&self.file))?),
            verbosity: terminal.verbose,
        })
    }
}
