//! `btrfs-probe report`
use std::path::PathBuf;

use super::common::{CaptureOpts, FilterOpts, ReportOpts, TerminalOpts};
use crate::session::plan::{Goal, SessionPlan, StreamFrom};

/// Analyse a recording
///
/// The capture options have no effect: tier, ring and stacks are those of the recording. They are accepted so that one set of
/// options works with all subcommands. --fs keeps only what a session with this filter would have recorded; a mount point or
/// device means every filesystem that the recording knows there. --inode and --subvol must be those that the recording was
/// taken with.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    capture: CaptureOpts,
    #[command(flatten)]
    filter: FilterOpts,
    #[command(flatten)]
    report: ReportOpts,
    /// The recording to analyse
    #[arg(value_name = "FILE", help_heading = "Arguments")]
    file: PathBuf,
}

impl Args {
    pub(super) fn plan(&self, terminal: &TerminalOpts) -> anyhow::Result<SessionPlan> {
        self.capture.warn_of_recording();
        Ok(SessionPlan {
            source: StreamFrom::Recording(self.file.clone()),
            filter: self.filter.plan()?,
            goal: Goal::Report(self.report.plan(terminal, Some(&self.file))?),
            verbosity: terminal.verbose,
        })
    }
}
