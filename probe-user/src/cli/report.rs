//! `btrfs-probe report`
use std::{path::PathBuf, time::Duration};

use super::{
    common::{CaptureOpts, FilterOpts, ReportOpts, TerminalOpts},
    parse,
};
use crate::session::{
    exit::UsageError,
    plan::{Goal, PartPlan, SessionPlan, StreamFrom},
};

/// Analyse a recording
///
/// The capture options have no effect: tier, ring and stacks are those of the recording. They are accepted so that one set of
/// options works with all subcommands. --fs keeps only what a session with this filter would have recorded; a mount point or
/// device means every filesystem that the recording knows there. --inode and --subvol must be those that the recording was
/// taken with. --from, --to and --test narrow the report to a part of the session: findings, failures, stalls, tests and WARNs of it.
/// The books are built from the whole recording, and all other figures are of the whole session. A bundle is read like the first
/// recording in it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    capture: CaptureOpts,
    #[command(flatten)]
    filter: FilterOpts,
    #[command(flatten)]
    report: ReportOpts,
    /// Make one report of all FILEs; each may be a recording or a JSON report
    #[arg(long, conflicts_with_all = ["from", "to", "test"], help_heading = "Report")]
    merge: bool,
    /// Report what happened from this time on, since the start of the session, for example 10s or 1m30s
    #[arg(long, value_name = "D", value_parser = parse::since_start, help_heading = "Report")]
    from: Option<Duration>,
    /// Report what happened up to this time
    #[arg(long, value_name = "D", value_parser = parse::since_start, help_heading = "Report")]
    to: Option<Duration>,
    /// Report what happened in this test, for example generic/269
    #[arg(long, value_name = "NAME", conflicts_with_all = ["from", "to"], help_heading = "Report")]
    test: Option<String>,
    /// The recording to analyse, or a bundle; - for standard input; several with --merge
    #[arg(value_name = "FILE", required = true, num_args = 1.., value_parser = parse::input(), help_heading = "Arguments")]
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
        let mut report = self.report.plan(terminal, &self.files)?;
        report.part = self.part()?;
        Ok(SessionPlan {
            source,
            filter: self.filter.plan()?,
            goal: Goal::Report(report),
            verbosity: terminal.verbose,
        })
    }
    fn part(&self) -> Result<Option<PartPlan>, UsageError> {
        let (from, to) = (self.from.unwrap_or_default(), self.to);
        if to.is_some_and(|to| to < from) {
            return Err(UsageError("--to is before --from".to_owned()));
        }
        let time = self.from.is_some() || to.is_some();
        let test = self.test.clone().map(PartPlan::Test);
        Ok(test.or_else(|| time.then_some(PartPlan::Time { from, to })))
    }
}
