//! What a subcommand wants of a session, free of any syntax. Carried out by [`crate::session`].
use std::{
    collections::BTreeSet, ffi::OsString, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration,
};

use probe_record::kept::Bound;

pub use super::{commands::Commands, flight::Trigger};

use crate::{
    format,
    report::{
        build::Policy,
        output::{Output, Target, TextStyle},
    },
    tui::palette::Palette,
};

/// A session: where records come from, which of them, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPlan {
    /// Where records come from.
    pub source: StreamFrom,
    /// Which records.
    pub filter: FilterPlan,
    /// What becomes of them.
    pub goal: Goal,
    /// `-v` count: 2 and more show the diagnostics of the kernel side.
    pub verbosity: u8,
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamFrom {
    /// The running kernel.
    Live {
        /// How to capture.
        capture: CapturePlan,
        /// When to stop.
        until: Until,
    },
    /// A recording.
    Recording(PathBuf),
    /// Recordings for one report of all.
    Recordings(Vec<PathBuf>),
    /// A loop-backed filesystem and workload of our own, or the bundled recording where rights are missing.
    Demo,
    /// The bundled recording of a btrfs that was made wrong.
    Broken,
}

/// When a live session ends. Ctrl-C and SIGTERM end each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// When this command has ended: program first, then its arguments.
    Command(Vec<OsString>),
    /// After this time.
    Elapsed(Duration),
    /// Only on a signal.
    Signal,
}

/// What becomes of the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A report at the end.
    Report(ReportPlan),
    /// Findings the moment they are made, and a report at the end.
    Watch {
        /// The report.
        report: ReportPlan,
        /// What else it does.
        beside: Box<BesidePlan>,
    },
    /// A recording; no analysis.
    Record(RecordPlan),
}

/// What `watch` does beside the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BesidePlan {
    /// The flight recorder, if there is to be one.
    pub keep: Option<KeepPlan>,
    /// `--on`: commands, each event at most once.
    pub on: Vec<(Trigger, OsString)>,
    /// Where metrics go, if there are to be any.
    pub metrics: Option<MetricsPlan>,
    /// `--heartbeat`: time between two heartbeats among the lines of NDJSON, if there are to be any.
    pub heartbeat: Option<Duration>,
}

/// What to record to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPlan {
    /// Whereto; the beginning of the files' names if there are several.
    pub file: PathBuf,
    /// `--max-size`: bytes of a file.
    pub max_bytes: Option<u64>,
    /// `--rotate`: begin another file at that size, and keep so many.
    pub rotate: Option<u32>,
}

/// The flight recorder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepPlan {
    /// `--keep` as typed.
    pub typed: String,
    /// How much it holds.
    pub bound: Bound,
    /// `--dump-on`
    pub on: BTreeSet<Trigger>,
    /// `--dump-to`
    pub folder: PathBuf,
}

/// Metrics of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsPlan {
    /// `--metrics`
    pub file: Option<PathBuf>,
    /// `--metrics-interval`
    pub every: Duration,
    /// `--metrics-listen`
    pub listen: Option<SocketAddr>,
}

/// How to capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturePlan {
    /// `--tier`
    pub tier: TierChoice,
    /// `--ring-size` in bytes, a power of two.
    pub ring_bytes: u32,
    /// `--stacks`
    pub stacks: StacksChoice,
    /// `--fstests`
    pub fstests: bool,
    /// `--empty`: attach programs that return at once, and follow nothing. For benchmarks.
    pub empty: bool,
}

/// `--tier`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierChoice {
    /// The best one that attaches.
    #[default]
    Auto,
    /// Raw tracepoints only.
    Tracepoints,
    /// Functions too; fail if they do not attach.
    Functions,
}

/// `--stacks`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StacksChoice {
    /// Where they are rare and decisive, and one per context.
    #[default]
    Auto,
    /// At every record.
    All,
    /// Never.
    Off,
}

impl StacksChoice {
    /// The number for `probe_common::config::Config::stacks`.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Auto => probe_common::config::STACKS_AUTO,
            Self::All => probe_common::config::STACKS_ALL,
            Self::Off => probe_common::config::STACKS_OFF,
        }
    }
}

/// Which filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FsSelector {
    /// By `fs_devices->fsid`.
    Uuid([u8; 16]),
    /// The same, of a filesystem that the session itself will make.
    Later([u8; 16]),
    /// By a path (a mount point, what lies below it, or a device), by the name of a device, or by `LABEL=`. Resolved when the session
    /// starts.
    Path(PathBuf),
}

impl FromStr for FsSelector {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let uuid = typed.strip_prefix("UUID=");
        if let Some(uuid) = format::parse_uuid(uuid.unwrap_or(typed)) {
            return Ok(Self::Uuid(uuid));
        }
        let part =
            typed.contains('-') && typed.chars().all(|letter| letter == '-' || letter.is_ascii_hexdigit());
        if uuid.is_some() || typed.is_empty() || part {
            return Err("give the whole UUID, or a mount point, a device or LABEL=".to_owned());
        }
        Ok(Self::Path(PathBuf::from(typed)))
    }
}

/// What to follow; empty fields follow all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterPlan {
    /// `--fs`
    pub filesystems: Vec<FsSelector>,
    /// `--inode`
    pub inode: Option<u64>,
    /// `--subvol`
    pub subvol: Option<u64>,
}

/// What to report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportPlan {
    /// Formats and files; never empty, never two for one place.
    pub outputs: Vec<Output>,
    /// `--color`, `-q`, `-v`
    pub style: TextStyle,
    /// `--fail-on`, `--ignore`, `--strict`
    pub policy: Policy,
    /// `--until-findings`: a live session ends when so many count.
    pub until_findings: Option<usize>,
    /// `--from`, `--to`, `--test`: the part of a recording that the report is about.
    pub part: Option<PartPlan>,
}

/// A part of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartPlan {
    /// From one time to another, since the start of the session.
    Time {
        /// Begin.
        from: Duration,
        /// End; that of the session if `None`.
        to: Option<Duration>,
    },
    /// A test of that name.
    Test(String),
}

/// What `doctor` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoctorPlan {
    /// `--json`
    pub json: bool,
    /// `--color`, `-q`, `-v`
    pub style: TextStyle,
}

/// What to put into a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundlePlan {
    /// Recordings and JSON reports.
    pub files: Vec<PathBuf>,
    /// Whereto.
    pub target: Target,
    /// `--redact`: replace names by pseudonyms.
    pub redact: bool,
    /// `--no-recording`, `--max-recording`: bytes of a recording that comes into it; 0 for none.
    pub most_recording: u64,
}

/// What the screen shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopPlan {
    /// Where records come from.
    pub source: TopSource,
    /// Time between two pictures.
    pub refresh: Duration,
    /// Colours and characters.
    pub palette: Palette,
    /// `-v` count.
    pub verbosity: u8,
}

/// Where the screen's records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopSource {
    /// The running kernel.
    Live {
        /// How to capture.
        capture: CapturePlan,
        /// Which records.
        filter: FilterPlan,
    },
    /// A recording.
    Recording {
        /// Where it is.
        file: PathBuf,
        /// Which records.
        filter: FilterPlan,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filesystems_are_uuids_or_paths() {
        assert!(matches!("2a6f7e80-ab5e-4c01-0203-0405060708ff".parse(), Ok(FsSelector::Uuid(_))));
        assert_eq!("/mnt".parse(), Ok(FsSelector::Path("/mnt".into())));
        assert_eq!(".".parse(), Ok(FsSelector::Path(".".into())));
        assert_eq!("loop0".parse(), Ok(FsSelector::Path("loop0".into())));
        assert_eq!("LABEL=a b".parse(), Ok(FsSelector::Path("LABEL=a b".into())));
        let uuid = "UUID=2a6f7e80-ab5e-4c01-0203-0405060708ff".parse();
        assert!(matches!(uuid, Ok(FsSelector::Uuid(_))));
        for typed in ["2a6f7e80-ab5e", "UUID=2a6f7e80", ""] {
            assert!(typed.parse::<FsSelector>().is_err(), "{typed}");
        }
    }
}
