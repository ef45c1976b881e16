//! Options that several subcommands share, in groups: what to capture, what to follow, what to report.
use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::anyhow;
use clap::{
    Args, ValueEnum,
    builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser},
};
use probe_ledger::FindingKind;
use probe_record::why;

use super::{
    parse,
    same_file::{self, Input},
};
use crate::{
    report::{
        baseline::Baseline,
        build::Policy,
        ignore,
        output::{self, Format, Target, TextStyle},
        text::{ColorChoice, Detail},
    },
    session::{
        exit::UsageError,
        plan::{CapturePlan, FilterPlan, FsSelector, ReportPlan, StacksChoice, TierChoice},
        read_report,
    },
};

/// Verbosity and colours, for all subcommands.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct TerminalOpts {
    /// Print only the verdict and the findings
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Print more: -v every hook, pool, counter and finding; -vv also every instance, stack, account and inode, and live the
    /// messages of the kernel side
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// Use colours: auto (on a terminal, unless NO_COLOR is set), always, or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub(super) color: ColorChoice,
}

impl TerminalOpts {
    pub(super) const fn style(&self) -> TextStyle {
        let detail = match (self.quiet, self.verbose) {
            (true, _) => Detail::Brief,
            (false, 0) => Detail::Normal,
            (false, 1) => Detail::Full,
            (false, _) => Detail::All,
        };
        TextStyle { color: self.color, detail }
    }
}

/// How to capture.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Capture")]
pub(super) struct CaptureOpts {
    /// Which hooks to use: tracepoints, functions (adds fentry or kprobes), or auto (the best tier that attaches)
    #[arg(long, value_name = "TIER", value_enum, default_value_t)]
    tier: TierChoice,
    /// Size of the ring between kernel and tool, a power of two
    #[arg(long, value_name = "SIZE", value_parser = parse::ring_size, default_value = parse::RING_DEFAULT)]
    ring_size: u32,
    /// Give each xfstests test its own verdict, and write its findings beside its results
    #[arg(long)]
    fstests: bool,
    /// When to take stacks: auto (where they decide something), all (at every record, slow), or off
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    stacks: StacksChoice,
    /// Attach programs that return at once, to measure what their attachment costs; nothing is followed
    #[arg(long, hide = true)]
    empty: bool,
}

impl CaptureOpts {
    pub(super) const fn plan(&self) -> CapturePlan {
        let Self { tier, ring_size, fstests, stacks, empty } = *self;
        CapturePlan { tier, ring_bytes: ring_size, stacks, fstests, empty }
    }

    /// Warns of capture options that have no effect on a recording. An option typed with its default value does not show.
    pub(super) fn warn_of_recording(&self) {
        let default = parse::ring_size(parse::RING_DEFAULT) == Ok(self.ring_size)
            && self.tier == TierChoice::Auto
            && !self.fstests
            && self.stacks == StacksChoice::Auto;
        if !default {
            log::warn!(
                "--tier, --ring-size and --stacks have no effect on a recording: it keeps what it was taken with"
            );
        }
    }
}

/// What to follow.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Filter")]
pub(super) struct FilterOpts {
    /// Follow only this filesystem, also by a path below its mount, `UUID=` or `LABEL=`; may be given several times
    #[arg(long = "fs", value_name = "MOUNT|UUID|DEVICE")]
    filesystems: Vec<FsSelector>,
    /// Follow only inodes with this number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    inode: Option<u64>,
    /// Follow only this subvolume
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
    subvol: Option<u64>,
}

impl FilterOpts {
    pub(super) fn plan(&self) -> Result<FilterPlan, UsageError> {
        let most = probe_common::config::MAX_FILTER_FS;
        if self.filesystems.len() > most {
            let text =
                format!("--fs was given {} times; at most {most} are possible", self.filesystems.len());
            return Err(UsageError(text));
        }
        let Self { filesystems, inode, subvol } = self.clone();
        Ok(FilterPlan { filesystems, inode, subvol })
    }
}

/// What to report.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Report")]
pub(super) struct ReportOpts {
    /// Write the report to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Format of the report: text, json, ndjson, junit, folded, svg, html, mail or trace; may be given several times as FORMAT=FILE
    #[arg(long = "format", value_name = "FORMAT[=FILE]")]
    #[arg(value_parser = FormatParser, hide_possible_values = true)]
    formats: Vec<(Format, Option<Target>)>,
    /// Count only findings of these kinds for verdict and exit status; separate kinds with commas
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kinds(), hide_possible_values = true)]
    fail_on: Vec<String>,
    /// Do not count the known findings in FILE: one fingerprint per line, # begins a comment
    #[arg(long, value_name = "FILE", value_parser = parse::input())]
    ignore: Option<PathBuf>,
    /// Count only findings that FILE does not have: a JSON report or a recording
    #[arg(long, value_name = "FILE", value_parser = parse::input())]
    against: Option<PathBuf>,
    /// Count findings of known kernel bugs too
    #[arg(long)]
    strict: bool,
    /// Show a reservation that waits this long for space, for example 500ms, 5s or 1m
    #[arg(long, value_name = "D", value_parser = parse::duration, default_value = "5s")]
    stall: std::time::Duration,
    /// End the session when N findings count; sends SIGTERM to COMMAND and waits for it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    until_findings: Option<u32>,
}

/// The name of an input in reports.
fn name_of(path: &Path) -> String {
    if path == Path::new(why::STDIN) { why::shown(path) } else { path.to_string_lossy().into_owned() }
}

/// `FORMAT` or `FORMAT=FILE`.
#[derive(Clone, Debug)]
struct FormatParser;

impl TypedValueParser for FormatParser {
    type Value = (Format, Option<Target>);

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let parse = |typed: OsString| output::parse_format(&typed);
        OsStringValueParser::new().try_map(parse).parse_ref(command, argument, value)
    }

    /// For completion.
    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Format::ALL.into_iter().map(|format| PossibleValue::new(format.name()))))
    }
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(FindingKind::ALL.map(FindingKind::name))
}

impl ReportOpts {
    /// `recordings`: those to analyse, if any.
    pub(super) fn plan(&self, terminal: &TerminalOpts, recordings: &[PathBuf]) -> anyhow::Result<ReportPlan> {
        let outputs = output::plan(&self.formats, self.output.as_deref()).map_err(UsageError)?;
        let recordings = recordings.iter().map(|path| Input { what: "recording", path });
        let inputs: Vec<Input<'_>> = recordings.chain(self.inputs()).collect();
        same_file::check(&outputs, &inputs)?;
        let fail_on = FindingKind::ALL
            .into_iter()
            .filter(|kind| self.fail_on.iter().any(|name| name == kind.name()))
            .collect();
        Ok(ReportPlan {
            outputs,
            style: terminal.style(),
            policy: Policy {
                fail_on,
                ignore: self.known_findings()?,
                strict: self.strict,
                stall_ns: u64::try_from(self.stall.as_nanos()).unwrap_or(u64::MAX),
                against: self.baseline()?,
            },
            until_findings: self.until_findings.map(|most| most as usize),
            part: None,
        })
    }

    /// Files that are read besides recordings.
    pub(super) fn inputs(&self) -> impl Iterator<Item = Input<'_>> {
        let files = [("--ignore file", self.ignore.as_deref()), ("--against file", self.against.as_deref())];
        files.into_iter().filter_map(|(what, path)| Some(Input { what, path: path? }))
    }

    fn baseline(&self) -> anyhow::Result<Option<Arc<Baseline>>> {
        let Some(path) = &self.against else { return Ok(None) };
        let report = read_report::read(path, &FilterPlan::default(), &Policy::default())?;
        Ok(Some(Arc::new(Baseline::new(name_of(path), &report))))
    }

    fn known_findings(&self) -> anyhow::Result<std::collections::BTreeSet<String>> {
        let Some(path) = &self.ignore else { return Ok(std::collections::BTreeSet::new()) };
        let shown = why::shown(path);
        let text = fs::read_to_string(path)
            .map_err(|error| anyhow!("cannot read the --ignore file {shown}: {}", why::unread(&error)))?;
        ignore::parse(&text).map_err(|error| UsageError(format!("--ignore {shown}, {error}")).into())
    }
}

impl ValueEnum for TierChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Tracepoints, Self::Functions]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Auto => "auto".into(),
            Self::Tracepoints => "tracepoints".into(),
            Self::Functions => "functions".into(),
        })
    }
}

impl ValueEnum for StacksChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::All, Self::Off]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Auto => "auto".into(),
            Self::All => "all".into(),
            Self::Off => "off".into(),
        })
    }
}
