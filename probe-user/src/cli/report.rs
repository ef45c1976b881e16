//! `btrfs-probe report`
use std::path::PathBuf;

use super::common::{CaptureOpts, FilterOpts, ReportOpts, TerminalOpts};
use crate::session::{
    exit::UsageError,
    plan::{Goal, SessionPlan, StreamFrom},
};

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
    /// Make one report of all FILEs; each may be a recording or a JSON report
    #[arg(long, help_heading = "Report")]
    merge: bool,
    /// The recording to analyse; several with --merge
    #[arg(value_name = "FILE", required = true, num_args = 1.., help_heading = "Arguments")]
    files: Vec<PathBuf>,
}

impl Args {
    pub(super) fn plan(&self, terminal: &TerminalOpts) -> anyhow::Result<SessionPlan> {
        self.capture.warn_of_recording();
        let source = match (self.files.as_slice(), self.merge) {
            (files, true) => StreamFrom::Recordings(files.to_vec()),
            ([file], false) => StreamFrom::Recording(file.clone()),
            (files, false) => {
                let text = format!("{} recordings were named; --merge makes one report of them", files.len());
                return Err(UsageError(text).into());
            }
        };
        Ok(SessionPlan {
            source,
            filter: self.filter.plan()?,
            goal: Goal::Report(self.report.plan(terminal, &self.files)?),
            verbosity: terminal.verbose,
        })
    }
}
