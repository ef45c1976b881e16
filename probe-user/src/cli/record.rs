//! `btrfs-probe record`
use std::{ffi::OsString, path::PathBuf, time::Duration};

use super::{
    common::{CaptureOpts, FilterOpts, TerminalOpts},
    parse,
};
use crate::session::plan::{Goal, SessionPlan, StreamFrom, Until};

/// Capture to a file without analysis, until COMMAND ends or Ctrl-C
///
/// Analyse the recording with `btrfs-probe report FILE`, on this machine or another one.
#[derive(Debug, clap::Args)]
#[command(override_usage = "btrfs-probe record [OPTIONS] [-- COMMAND...]")]
pub(super) struct Args {
    /// Write the recording to FILE
    #[arg(short, long, value_name = "FILE", default_value = "btrfs-probe.rsv")]
    output: PathBuf,
    /// Stop after this time, for example 90s, 10m or 1h30m
    #[arg(long, value_name = "D", value_parser = parse::duration, conflicts_with = "command")]
    duration: Option<Duration>,
    #[command(flatten)]
    capture: CaptureOpts,
    #[command(flatten)]
    filter: FilterOpts,
    /// The command and its arguments; write -- before it
    #[arg(value_name = "COMMAND", trailing_var_arg = true, help_heading = "Arguments")]
    command: Vec<OsString>,
}

impl Args {
    pub(super) fn plan(&self, terminal: &TerminalOpts) -> anyhow::Result<SessionPlan> {
        let until = match (self.command.is_empty(), self.duration) {
            (false, _) => Until::Command(self.command.clone()),
            (true, Some(duration)) => Until::Elapsed(duration),
            (true, None) => Until::Signal,
        };
        Ok(SessionPlan {
            source: StreamFrom::Live { capture: self.capture.plan(), until },
            filter: self.filter.plan()?,
            goal: Goal::Record { file: self.output.clone() },
            verbosity: terminal.verbose,
        })
    }
}
