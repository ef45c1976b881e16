//! What is typed and what it means.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
use std::{collections::BTreeSet, ffi::OsString, path::PathBuf, time::Duration};

use clap::{CommandFactory as _, Parser as _};
use probe_ledger::FindingKind;

use super::{Cli, Command};
use crate::{
    report::{
        output::{Format, Output, Target},
        text::{ColorChoice, Detail},
    },
    session::plan::{
        CapturePlan, FsSelector, Goal, RecordPlan, SessionPlan, StacksChoice, StreamFrom, TierChoice, Until,
    },
};

fn plan(line: &str) -> anyhow::Result<SessionPlan> {
    let cli = Cli::try_parse_from(line.split(' '))?;
    match &cli.command {
        Command::Run(args) => args.plan(&cli.terminal),
        Command::Watch(args) => args.plan(&cli.terminal),
        Command::Record(args) => args.plan(&cli.terminal),
        Command::Report(args) => args.plan(&cli.terminal),
        Command::Demo(args) => args.plan(&cli.terminal),
        other => panic!("{other:?} begins no session"),
    }
}

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

#[test]
fn the_description_of_the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn run_takes_everything_behind_its_own_options_as_the_command() {
    for line in [
        "btrfs-probe run -v --tier tracepoints --ring-size 1M --stacks all -- ls -v --tier functions",
        "btrfs-probe -v run --tier tracepoints --ring-size 1M --stacks all ls -v --tier functions",
    ] {
        let plan = plan(line).unwrap();
        let capture = CapturePlan {
            tier: TierChoice::Tracepoints,
            ring_bytes: 1 << 20,
            stacks: StacksChoice::All,
            fstests: false,
            empty: false,
        };
        let until = Until::Command(words("ls -v --tier functions"));
        assert_eq!(plan.source, StreamFrom::Live { capture, until }, "{line}");
        assert_eq!(plan.verbosity, 1);
    }
}

#[test]
fn watch_ends_on_a_signal_or_after_a_time() {
    let until = |line| match plan(line).unwrap().source {
        StreamFrom::Live { until, .. } => until,
        other => panic!("{other:?}"),
    };
    assert_eq!(until("btrfs-probe watch"), Until::Signal);
    assert_eq!(until("btrfs-probe watch --duration 1h30m"), Until::Elapsed(Duration::from_secs(5400)));
    assert_eq!(until("btrfs-probe record --duration 5"), Until::Elapsed(Duration::from_secs(5)));
    assert_eq!(until("btrfs-probe record -- make -j2"), Until::Command(words("make -j2")));
}

#[test]
fn filters_and_policy_arrive_as_typed() {
    let plan = plan(
        "btrfs-probe watch --fs /mnt --fs 2a6f7e80-ab5e-4c01-0203-0405060708ff --inode 257 --subvol 5 --fail-on \
         leak,underflow --fail-on leak --strict -q --color never",
    )
    .unwrap();
    assert_eq!(plan.filter.filesystems.len(), 2);
    assert_eq!(plan.filter.filesystems[0], FsSelector::Path(PathBuf::from("/mnt")));
    assert_eq!((plan.filter.inode, plan.filter.subvol), (Some(257), Some(5)));
    let Goal::Watch { report, .. } = plan.goal else { panic!("watch watches") };
    assert_eq!(report.policy.fail_on, BTreeSet::from([FindingKind::Leak, FindingKind::Underflow]));
    assert!(report.policy.strict);
    assert_eq!((report.style.color, report.style.detail), (ColorChoice::Never, Detail::Brief));
}

#[test]
fn outputs_go_where_they_were_sent() {
    let outputs = |line| match plan(line).unwrap().goal {
        Goal::Report(report) => report.outputs,
        other => panic!("{other:?}"),
    };
    let out = |format, target| Output { format, target };
    let file = |name: &str| Target::File(PathBuf::from(name));
    assert_eq!(outputs("btrfs-probe report f"), [out(Format::Text, Target::Stdout)]);
    assert_eq!(
        outputs("btrfs-probe report f --format json=a --format ndjson -o b"),
        [out(Format::Json, file("a")), out(Format::Ndjson, file("b"))]
    );
}

#[test]
fn a_recording_needs_no_capture_and_has_a_default_name() {
    assert_eq!(
        plan("btrfs-probe report --tier functions f").unwrap().source,
        StreamFrom::Recording("f".into())
    );
    let goal = plan("btrfs-probe record").unwrap().goal;
    let plan = RecordPlan { file: "btrfs-probe.rsv".into(), max_bytes: None, rotate: None };
    assert_eq!(goal, Goal::Record(plan));
}

#[test]
fn known_findings_are_read_when_the_plan_is_made() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "# known\n975a1548ef832711\n").unwrap();
    let plan = plan(&format!("btrfs-probe demo --ignore {}", file.path().display())).unwrap();
    let Goal::Report(report) = plan.goal else { panic!("demo reports") };
    assert_eq!(report.policy.ignore, BTreeSet::from(["975a1548ef832711".to_owned()]));
}

#[test]
fn more_filesystems_than_the_kernel_side_holds_are_refused() {
    let line = format!("btrfs-probe watch{}", " --fs /mnt".repeat(probe_common::config::MAX_FILTER_FS + 1));
    assert!(plan(&line).unwrap_err().to_string().contains("at most 16"));
}

#[test]
fn a_session_keeps_the_rights_of_what_it_was_asked_for_alone() {
    use crate::{kernel::rights::Need, session::rights::needs};
    for (line, wanted) in [
        ("btrfs-probe watch", &[][..]),
        ("btrfs-probe watch -o /r.txt", &[Need::Files]),
        ("btrfs-probe watch --keep 10s --dump-on finding", &[Need::Files]),
        ("btrfs-probe watch --metrics /m.prom", &[Need::Files]),
        ("btrfs-probe watch --metrics-listen=127.0.0.1:9999", &[]),
        ("btrfs-probe watch --metrics-listen=127.0.0.1:80", &[Need::Listen]),
        ("btrfs-probe watch --on finding true", &[Need::Commands]),
        ("btrfs-probe watch --fstests", &[Need::Tests, Need::Files]),
        ("btrfs-probe run -- true", &[Need::Commands]),
        ("btrfs-probe run --format json=/r.json -- true", &[Need::Commands, Need::Files]),
        ("btrfs-probe record -o /r.rsv", &[Need::Files]),
        ("btrfs-probe demo", &[]),
    ] {
        assert_eq!(needs(&plan(line).unwrap()), wanted, "{line}");
    }
}
