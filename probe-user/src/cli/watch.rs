//! `btrfs-probe watch`
use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::ValueEnum;
use probe_record::kept::Bound;

use super::{
    common::{CaptureOpts, FilterOpts, ReportOpts, TerminalOpts},
    parse,
};
use crate::session::plan::{Goal, KeepPlan, SessionPlan, StreamFrom, Trigger, Until};

/// Attach until Ctrl-C; show findings as they come and a report at the end
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Stop after this time, for example 90s, 10m or 1h30m
    #[arg(long, value_name = "D", value_parser = parse::duration)]
    duration: Option<Duration>,
    /// With NDJSON on standard output: write an object that says how the session stands this often; 0 for never
    #[arg(long, value_name = "D", value_parser = parse::interval, default_value = "10s")]
    heartbeat: Duration,
    #[command(flatten)]
    capture: CaptureOpts,
    #[command(flatten)]
    filter: FilterOpts,
    #[command(flatten)]
    keep: KeepOpts,
    #[command(flatten)]
    report: ReportOpts,
}

/// The flight recorder.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Flight recorder")]
struct KeepOpts {
    /// Hold the records of the last SPAN (60s, 10m) or the last SIZE of them (200M) in memory, and write them to a file when
    /// something happens, with the 5 s after it. SIGUSR1 writes them now
    #[arg(long, value_name = "SPAN|SIZE")]
    keep: Option<Keep>,
    /// What makes it write: finding, abort, enospc, warn, stall; separate with commas. Each makes at most one file a minute
    #[arg(
        long,
        value_name = "EVENTS",
        value_delimiter = ',',
        value_enum,
        requires = "keep",
        hide_possible_values = true
    )]
    #[arg(default_value = "finding,abort,warn")]
    dump_on: Vec<Trigger>,
    /// Folder for these files; not one on a filesystem that is to be unmounted
    #[arg(long, value_name = "DIR", requires = "keep", default_value = ".")]
    dump_to: PathBuf,
}

/// `--keep`, and how it was typed.
#[derive(Clone, Debug)]
struct Keep {
    typed: String,
    bound: Bound,
}

/// Memory that `--keep SPAN` may take, bytes of records.
const SPAN_BYTES: u64 = 512 << 20;

impl FromStr for Keep {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        // `10m` is ten minutes, `10M` is ten MiB.
        let bound = if typed.ends_with(['K', 'M', 'G', 'B']) {
            Bound { span: Duration::MAX, bytes: parse::size(typed)?.max(1) }
        } else {
            let span = parse::duration(typed).map_err(|_| {
                "write a length of time such as 60s or 10m, or a size such as 200M".to_owned()
            })?;
            Bound { span, bytes: SPAN_BYTES }
        };
        Ok(Self { typed: typed.to_owned(), bound })
    }
}

impl KeepOpts {
    fn plan(&self) -> Option<KeepPlan> {
        let Keep { typed, bound } = self.keep.clone()?;
        let on = self.dump_on.iter().copied().collect();
        Some(KeepPlan { typed, bound, on, folder: self.dump_to.clone() })
    }
}

impl ValueEnum for Trigger {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::CHOICES
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(self.name().into())
    }
}

impl Args {
    pub(super) fn plan(&self, terminal: &TerminalOpts) -> anyhow::Result<SessionPlan> {
        let until = self.duration.map_or(Until::Signal, Until::Elapsed);
        Ok(SessionPlan {
            source: StreamFrom::Live { capture: self.capture.plan(), until },
            filter: self.filter.plan()?,
            goal: Goal::Watch {
                report: self.report.plan(terminal, &[])?,
                keep: self.keep.plan(),
                heartbeat: (!self.heartbeat.is_zero()).then_some(self.heartbeat),
            },
            verbosity: terminal.verbose,
        })
    }
}
