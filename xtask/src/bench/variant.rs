//! What runs beside the workload: nothing, btrfs-probe, the floor, and peers where they are installed.
//!
//! A table, so that one more peer is one more entry.
use std::{fs, io, os::unix::process::CommandExt as _, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, bail};
use nix::libc;
use serde_json::Value;

use super::tracer::{Ready, Stopped};
use crate::proc;

/// The tracepoints that the peers of BASELINES.md were measured with.
const PEER_EVENTS: [&str; 2] = ["btrfs:btrfs_space_reservation", "btrfs:btrfs_inode_mod_outstanding_extents"];

/// What a tracer is pointed at.
#[derive(Debug)]
pub struct Scene {
    /// `btrfs-probe`
    pub probe: PathBuf,
    /// `target/ebpf/floor.bpf.o`, which may not exist.
    pub floor_object: PathBuf,
    /// The filesystem's uuid.
    pub uuid: String,
    /// Where reports and recordings may be written.
    pub folder: PathBuf,
}

/// One column of the comparison.
#[derive(Debug)]
pub struct Variant {
    /// Name in tables and for `--variants`.
    pub name: &'static str,
    /// None runs the workload alone.
    pub tracer: Option<Tracer>,
    /// The tool itself, whose programs the kernel measures one by one.
    pub ours: bool,
    /// Runs only where it is named.
    pub asked: bool,
}

impl Variant {
    const fn new(
        name: &'static str,
        command: fn(&Scene) -> Result<Command>,
        ready: Ready,
        lost: Lost,
    ) -> Self {
        Self { name, tracer: Some(Tracer { command, ready, lost }), ours: false, asked: false }
    }

    /// The tool itself.
    const fn ours(name: &'static str, command: fn(&Scene) -> Result<Command>) -> Self {
        Self { ours: true, asked: true, ..Self::new(name, command, PROBE_READY, probe_lost) }
    }
}

/// Events that a tracer lost; none if it does not say.
type Lost = fn(&Scene, &Stopped) -> Result<Option<u64>>;

/// How to run a tracer and what to ask it.
#[derive(Debug)]
pub struct Tracer {
    /// The command, or why it cannot run here.
    pub command: fn(&Scene) -> Result<Command>,
    /// How it says that it is attached.
    pub ready: Ready,
    /// Events it lost.
    pub lost: Lost,
}

const PROBE_READY: Ready = Ready { words: "attached", settle: Duration::ZERO };

/// All variants, in the order of a round. The first is what the others are compared with.
pub static ALL: [Variant; 11] = [
    Variant { name: "untraced", tracer: None, ours: false, asked: false },
    Variant::new("floor", floor, PROBE_READY, unsaid),
    Variant { asked: false, ..Variant::ours("btrfs-probe", probe) },
    Variant::new(
        "trace-cmd",
        trace_cmd,
        Ready { words: "Hit Ctrl^C", settle: Duration::from_millis(500) },
        trace_cmd_lost,
    ),
    Variant::new("perf", perf, Ready { words: "Events enabled", settle: Duration::ZERO }, unsaid),
    Variant::new("bpftrace", bpftrace, Ready { words: "ready", settle: Duration::ZERO }, unsaid),
    Variant::ours("tracepoints", tracepoints),
    Variant::ours("functions", functions),
    Variant::ours("kprobes", kprobes),
    Variant::ours("empty", empty),
    Variant::ours("empty-functions", empty_functions),
];

/// The variants asked for, `untraced` always among them; all if none is named.
///
/// # Errors
/// If a name is unknown.
pub fn chosen(names: &[String]) -> Result<Vec<&'static Variant>> {
    if let Some(unknown) = names.iter().find(|name| !ALL.iter().any(|variant| variant.name == **name)) {
        let known: Vec<&str> = ALL.iter().map(|variant| variant.name).collect();
        bail!("there is no variant {unknown}: take some of {}", known.join(", "));
    }
    let wanted = |variant: &&Variant| {
        let named = names.iter().any(|name| name == variant.name);
        variant.tracer.is_none() || named || (names.is_empty() && !variant.asked)
    };
    Ok(ALL.iter().filter(wanted).collect())
}

fn report_of(scene: &Scene) -> PathBuf {
    scene.folder.join("report.json")
}

fn probe(scene: &Scene) -> Result<Command> {
    let mut command = Command::new(&scene.probe);
    command.args(["watch", "--fs", &scene.uuid, "-q", "--format"]);
    command.arg(format!("json={}", report_of(scene).display()));
    Ok(command)
}

fn of_tier(scene: &Scene, tier: &str) -> Result<Command> {
    let mut command = probe(scene)?;
    command.args(["--tier", tier]);
    Ok(command)
}

fn tracepoints(scene: &Scene) -> Result<Command> {
    of_tier(scene, "tracepoints")
}

/// By the means that the tool chooses.
fn functions(scene: &Scene) -> Result<Command> {
    of_tier(scene, "functions")
}

/// The same hooks with programs that return at once: the least that a tracer with these hooks can cost.
fn empty(scene: &Scene) -> Result<Command> {
    let mut command = tracepoints(scene)?;
    command.arg("--empty");
    Ok(command)
}

fn empty_functions(scene: &Scene) -> Result<Command> {
    let mut command = functions(scene)?;
    command.arg("--empty");
    Ok(command)
}

/// Where btrfs is a module, fentry takes a right that kprobes do not take, with `kernel.perf_event_paranoid` below 3.
fn kprobes(scene: &Scene) -> Result<Command> {
    /// `include/uapi/linux/capability.h`
    const CAP_SYS_ADMIN: libc::c_ulong = 21;
    let mut command = functions(scene)?;
    let drop_it = || {
        // SAFETY: takes numbers alone.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0) };
        if dropped == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: one system call, which is async-signal-safe.
    unsafe { command.pre_exec(drop_it) };
    Ok(command)
}

fn probe_lost(scene: &Scene, stopped: &Stopped) -> Result<Option<u64>> {
    let path = report_of(scene);
    let text = fs::read_to_string(&path).with_context(|| {
        format!("btrfs-probe ended ({}) without a report: {}", stopped.status, stopped.printed.join(" | "))
    })?;
    let report: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    // The next round must not read this one.
    fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    let lost =
        |key: &str| number(&report["loss"][key]).with_context(|| format!("the report has no loss.{key}"));
    Ok(Some(lost("records")? + lost("stacks")?))
}

/// A count in a report: a number, or a string where it might not fit one.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn floor(scene: &Scene) -> Result<Command> {
    if !scene.floor_object.is_file() {
        bail!("not built: {} is missing", scene.floor_object.display());
    }
    let mut command = Command::new(&scene.probe);
    command.args(["bench-floor", "--ring"]).env("BTRFS_PROBE_FLOOR", &scene.floor_object);
    Ok(command)
}

fn installed(name: &str) -> Result<Command> {
    proc::which(name).map(Command::new).with_context(|| format!("{name} is not installed"))
}

fn trace_cmd(scene: &Scene) -> Result<Command> {
    let mut command = installed("trace-cmd")?;
    command.current_dir(&scene.folder).args(["record", "-o", "trace.dat"]);
    for event in PEER_EVENTS {
        command.args(["-e", event]);
    }
    Ok(command)
}

/// The sum of `overrun: N` of all CPUs.
fn trace_cmd_lost(_: &Scene, stopped: &Stopped) -> Result<Option<u64>> {
    let overruns = stopped.printed.iter().filter_map(|line| line.trim().strip_prefix("overrun:"));
    let counts: Vec<u64> = overruns.filter_map(|count| count.trim().parse().ok()).collect();
    Ok((!counts.is_empty()).then(|| counts.iter().sum()))
}

fn perf(scene: &Scene) -> Result<Command> {
    let mut command = installed("perf")?;
    // Started disabled and enabled by its own clock, which makes it say when.
    command.current_dir(&scene.folder).args(["record", "-a", "-D", "100", "-o", "perf.data"]);
    for event in PEER_EVENTS {
        command.args(["-e", event]);
    }
    Ok(command)
}

fn bpftrace(scene: &Scene) -> Result<Command> {
    let mut command = installed("bpftrace")?;
    let sums = "BEGIN { printf(\"ready\\n\"); } \
                tracepoint:btrfs:btrfs_space_reservation { @[args->val] = sum(args->reserve ? args->bytes : -args->bytes); } \
                tracepoint:btrfs:btrfs_inode_mod_outstanding_extents { @extents[args->ino] = sum(args->mod); }";
    command.current_dir(&scene.folder).args(["-e", sums]);
    Ok(command)
}

fn unsaid(_: &Scene, _: &Stopped) -> Result<Option<u64>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn names(asked: &[&str]) -> Result<Vec<&'static str>> {
        let asked: Vec<String> = asked.iter().map(|&name| name.to_owned()).collect();
        Ok(chosen(&asked)?.into_iter().map(|variant| variant.name).collect())
    }

    fn stopped(printed: &[&str]) -> Stopped {
        let printed = printed.iter().map(|&line| line.to_owned()).collect();
        Stopped { cpu: 0.0, printed, status: std::process::ExitStatus::default() }
    }

    fn scene(folder: &std::path::Path) -> Scene {
        let [probe, floor_object] = ["btrfs-probe", "floor.bpf.o"].map(|name| folder.join(name));
        Scene { probe, floor_object, uuid: "u".to_owned(), folder: folder.to_owned() }
    }

    #[test]
    fn loss_is_read_from_the_report_once() {
        let folder = tempfile::tempdir().unwrap();
        let scene = scene(folder.path());
        fs::write(report_of(&scene), r#"{"loss": {"records": 3, "stacks": "2", "by_class": {}}}"#).unwrap();
        assert_eq!(probe_lost(&scene, &stopped(&[])).unwrap(), Some(5));
        let error = probe_lost(&scene, &stopped(&["the ring is gone"])).unwrap_err();
        assert!(
            error.to_string().contains("the ring is gone"),
            "an old report must not be read again: {error}"
        );
    }

    #[test]
    fn overruns_of_all_cpus_are_summed() {
        let folder = tempfile::tempdir().unwrap();
        let scene = scene(folder.path());
        let printed = ["CPU: 0", "overrun: 0", "CPU: 1", "overrun: 12", "commit overrun: 5"];
        assert_eq!(trace_cmd_lost(&scene, &stopped(&printed)).unwrap(), Some(12));
        assert_eq!(trace_cmd_lost(&scene, &stopped(&[])).unwrap(), None);
    }

    #[test]
    fn the_floor_says_that_it_is_not_built() {
        let folder = tempfile::tempdir().unwrap();
        assert!(floor(&scene(folder.path())).unwrap_err().to_string().starts_with("not built"));
    }

    #[test]
    fn there_is_always_something_to_compare_with() {
        assert_eq!(names(&["btrfs-probe"]).unwrap(), ["untraced", "btrfs-probe"]);
        assert_eq!(names(&[]).unwrap().len(), 6);
        assert_eq!(names(&["kprobes"]).unwrap(), ["untraced", "kprobes"]);
        assert!(names(&["strace"]).unwrap_err().to_string().contains("trace-cmd"));
    }
}
