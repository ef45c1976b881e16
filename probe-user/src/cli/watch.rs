//! `btrfs-probe watch`
use std::{
    ffi::OsString, net::SocketAddr, os::unix::fs::FileTypeExt as _, path::PathBuf, str::FromStr,
    time::Duration,
};

use clap::ValueEnum;
use probe_record::kept::Bound;

use super::{
    common::{CaptureOpts, FilterOpts, ReportOpts, TerminalOpts},
    parse,
    same_file::{self, Input},
};
use crate::{
    format::escape::escape,
    metrics,
    session::{
        exit::UsageError,
        plan::{
            BesidePlan, Commands, Goal, KeepPlan, MetricsPlan, ReportPlan, SessionPlan, StreamFrom, Trigger,
            Until,
        },
    },
};

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
    #[command(flatten)]
    metrics: MetricsOpts,
    /// Run a shell command when something happens: finding, enospc, abort or stall. It gets one JSON document on standard input
    /// (`schema event`). One at a time for each EVENT
    #[arg(long, value_names = ["EVENT", "COMMAND"], num_args = 2, help_heading = "Commands")]
    on: Vec<OsString>,
}

/// Metrics.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Metrics")]
struct MetricsOpts {
    /// Write metrics as OpenMetrics text to FILE, as for the textfile collector of node_exporter (NAME.prom)
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// How often they are made
    #[arg(long, value_name = "D", value_parser = parse::duration, default_value = "15s")]
    metrics_interval: Duration,
    /// Serve metrics over HTTP at /metrics; without ADDRESS at 127.0.0.1:9977
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, default_missing_value = metrics::DEFAULT_ADDRESS)]
    metrics_listen: Option<SocketAddr>,
    /// Let ADDRESS be one that other machines reach. There is no password, and the names of devices are in it
    #[arg(long, requires = "metrics_listen")]
    metrics_anywhere: bool,
}

impl MetricsOpts {
    fn plan<'a>(
        &self,
        report: &ReportPlan,
        inputs: impl Iterator<Item = Input<'a>>,
    ) -> Result<Option<MetricsPlan>, UsageError> {
        let Self {
            metrics: file,
            metrics_interval: every,
            metrics_listen: listen,
            metrics_anywhere: anywhere,
        } = self.clone();
        if let Some(address) = listen.filter(|address| !anywhere && !address.ip().is_loopback()) {
            return Err(UsageError(format!(
                "--metrics-listen {address} can be reached from other machines: add --metrics-anywhere if that is meant"
            )));
        }
        if let Some(path) = &file {
            let inputs: Vec<Input<'_>> = inputs.collect();
            same_file::check_metrics(path, &report.outputs, &inputs)?;
            // To open it would wait for a reader.
            if std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo()) {
                let path = escape(&path.to_string_lossy());
                return Err(UsageError(format!(
                    "--metrics {path} is a pipe: name a file, which is replaced"
                )));
            }
        }
        let any = file.is_some() || listen.is_some();
        Ok(any.then_some(MetricsPlan { file, every, listen }))
    }
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

/// Pairs of an event and a command.
fn commands(typed: &[OsString]) -> Result<Vec<(Trigger, OsString)>, UsageError> {
    let mut commands: Vec<(Trigger, OsString)> = Vec::new();
    for pair in typed.chunks(2) {
        let [event, command] = pair else { continue };
        let known = Commands::EVENTS.into_iter().find(|known| event == known.name());
        let Some(event) = known else {
            let all = Commands::EVENTS.map(Trigger::name).join(", ");
            let typed = escape(&event.to_string_lossy());
            return Err(UsageError(format!("--on {typed}: there is no such event; choose one of {all}")));
        };
        if commands.iter().any(|(other, _)| *other == event) {
            let event = event.name();
            return Err(UsageError(format!(
                "--on {event} was given twice; give it one command that does both"
            )));
        }
        commands.push((event, command.clone()));
    }
    Ok(commands)
}

impl Args {
    pub(super) fn plan(&self, terminal: &TerminalOpts) -> anyhow::Result<SessionPlan> {
        let report = self.report.plan(terminal, &[])?;
        let metrics = self.metrics.plan(&report, self.report.inputs())?;
        let on = commands(&self.on)?;
        let until = self.duration.map_or(Until::Signal, Until::Elapsed);
        Ok(SessionPlan {
            source: StreamFrom::Live { capture: self.capture.plan(), until },
            filter: self.filter.plan()?,
            goal: Goal::Watch {
                report,
                beside: Box::new(BesidePlan {
                    metrics,
                    on,
                    keep: self.keep.plan(),
                    heartbeat: (!self.heartbeat.is_zero()).then_some(self.heartbeat),
                }),
            },
            verbosity: terminal.verbose,
        })
    }
}
