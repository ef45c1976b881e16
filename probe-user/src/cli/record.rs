//! `btrfs-probe record`
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    common::{CaptureOpts, FilterOpts, TerminalOpts},
    parse,
};
use crate::session::{
    exit::UsageError,
    plan::{Goal, RecordPlan, SessionPlan, StreamFrom, Until},
};

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
    /// End the recording when FILE has this size; with --rotate, begin another file then
    #[arg(long, value_name = "SIZE", value_parser = parse::size)]
    max_size: Option<u64>,
    /// Write FILE.0001, FILE.0002 and so on, and keep the newest N
    #[arg(long, value_name = "N", requires = "max_size", value_parser = clap::value_parser!(u32).range(2..))]
    rotate: Option<u32>,
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
        if self.output == Path::new("-") {
            let text = "a recording cannot go to standard output, since its beginning is changed when it is whole: name a file with -o";
            return Err(UsageError(text.to_owned()).into());
        }
        if self.max_size.is_some() && self.rotate.is_none() && !self.command.is_empty() {
            // The command would go on unseen.
            let text = "with a COMMAND, --max-size needs --rotate: --rotate 2 keeps the last two files";
            return Err(UsageError(text.to_owned()).into());
        }
        let record = RecordPlan { file: self.output.clone(), max_bytes: self.max_size, rotate: self.rotate };
        Ok(SessionPlan {
            source: StreamFrom::Live { capture: self.capture.plan(), until },
            filter: self.filter.plan()?,
            goal: Goal::Record(record),
            verbosity: terminal.verbose,
        })
    }
}
