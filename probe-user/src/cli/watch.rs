//! `btrfs-probe watch`
use std::time::Duration;

use super::{
    common::{CaptureOpts, FilterOpts, ReportOpts, TerminalOpts},
    parse,
};
use crate::session::plan::{Goal, SessionPlan, StreamFrom, Until};

/// Attach until Ctrl-C; show findings as they come and a report at the end
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Stop after this time, for example 90s, 10m or 1h30m
    #[arg(long, value_name = "D", value_parser = parse::duration)]
    duration: Option<Duration>,
    #[command(flatten)]
    capture: CaptureOpts,
    #[command(flatten)]
    filter: FilterOpts,
    #[command(flatten)]
    report: ReportOpts,
}

impl Args {
    pub(super) fn plan(&self, terminal: &TerminalOpts) -> anyhow::Result<SessionPlan> {
        let until = self.duration.map_or(Until::Signal, Until::Elapsed);
        Ok(SessionPlan {
            source: StreamFrom::Live { capture: self.capture.plan(), until },
            filter: self.filter.plan()?,
            goal: Goal::Watch(self.report.plan(terminal, None)?),
            verbosity: terminal.verbose,
        })
    }
}
