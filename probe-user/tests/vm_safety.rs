//! What goes wrong around a session that only a guest may be put through: processors that come and go, a clock that is set, memory that
//! runs out, a kill while functions are being hooked.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::{fs, os::unix::process::CommandExt, path::Path, thread::sleep, time::Duration};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::{signal::Signal, time::TimeSpec},
    time::{ClockId, clock_gettime, clock_settime},
};
use serde_json::Value;
use support::{
    fault::guest,
    kept, load,
    probe::{self, RING, Session, assert_clean, assert_silent, lives, number},
};
use tempfile::TempDir;

const EVENTS: &str = "/sys/kernel/tracing/kprobe_events";
const TIERS: [&str; 2] = ["tracepoints", "functions"];

fn events() -> Vec<String> {
    let listed = fs::read_to_string(EVENTS).unwrap_or_default();
    listed.lines().filter(|line| line.contains("btrfs_probe_")).map(ToOwned::to_owned).collect()
}

/// Names of events may be left where functions are hooked by kprobes. They do nothing, and the next session removes them.
#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn a_session_that_is_killed_while_it_hooks_functions_leaves_nothing_but_names() {
    let Some(_alone) = support::live() else { return };
    if !guest() {
        return;
    }
    let fs = load::filesystem(256);
    load::beside(&[fs.path()], || {
        for links in [1, 20] {
            kept::killed_with(&["watch", "--tier", "functions"], 1, links);
        }
    });
    assert!(events().iter().all(|event| event.starts_with("r1024:")), "{:?}", events());
    let uuid = fs.fsid().to_string();
    // A `sync` alone has nothing to write where the load's last transaction was committed.
    let write = load::write(&fs);
    let done = probe::run(&["run", "--tier", "functions", "--fs", &uuid, "--", "sh", "-c", &write]);
    assert_silent(done.report());
    assert_eq!(events(), Vec::<String>::new());
}

/// Takes the second processor away and gives it back.
fn switch_a_processor() {
    let online = Path::new("/sys/devices/system/cpu/cpu1/online");
    for state in ["0", "1"] {
        fs::write(online, state).unwrap();
        sleep(Duration::from_millis(300));
    }
}

/// Sets the wall clock forward by so many seconds, or back.
fn set_clock(by: i64) {
    let now = clock_gettime(ClockId::CLOCK_REALTIME).unwrap();
    clock_settime(ClockId::CLOCK_REALTIME, now + TimeSpec::new(by, 0)).unwrap();
}

/// Counters are kept per processor, and all times are of a clock that nobody sets.
#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn processors_that_come_and_go_and_a_clock_that_is_set() {
    let Some(_alone) = support::live() else { return };
    if !guest() {
        return;
    }
    for tier in TIERS {
        let fs = load::filesystem(384);
        let uuid = fs.fsid().to_string();
        let done = load::beside(&[fs.path()], || {
            let session = probe::attached(&["watch", "--tier", tier, "--fs", &uuid, "--ring-size", RING]);
            let begun = std::time::Instant::now();
            switch_a_processor();
            set_clock(86_400);
            sleep(Duration::from_secs(1));
            set_clock(-2 * 86_400);
            switch_a_processor();
            let done = session.interrupt();
            let lasted = i64::try_from(begun.elapsed().as_nanos()).unwrap();
            let told = number(&done.report()["duration_ns"]);
            // The session began a little before it said so.
            assert!(told > 1_000_000_000 && told < lasted + 600_000_000_000, "{told} of {lasted}");
            set_clock(86_400);
            done
        });
        let report = done.report();
        if missed_a_return(report) {
            assert_silent(report);
            assert_eq!(done.code, 4, "{}", done.stderr);
        } else {
            assert_clean(&done);
        }
        assert!(report["ended_at"].as_str().unwrap() > report["started_at"].as_str().unwrap(), "{report}");
        assert_eq!(lives(report, &uuid).len(), 1);
        assert!(number(&report["statistics"]["links"]) > 100, "{}", report["statistics"]);
    }
}

/// On a loaded host a return was once not seen while a processor went; why is not known. The session has to say so.
fn missed_a_return(report: &Value) -> bool {
    number(&report["loss"]["by_class"]["missed_return"]) > 0
}

/// A control group of its own for a session.
struct Group {
    mounted: TempDir,
}

impl Group {
    fn new() -> Self {
        let mounted = tempfile::tempdir().unwrap();
        mount(Some("none"), mounted.path(), Some("cgroup2"), MsFlags::empty(), None::<&str>).unwrap();
        fs::write(mounted.path().join("cgroup.subtree_control"), "+memory").unwrap();
        fs::create_dir(mounted.path().join("probe")).unwrap();
        Self { mounted }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.mounted.path().join("probe").join(file), text).unwrap();
    }

    fn bytes(&self) -> u64 {
        let text = fs::read_to_string(self.mounted.path().join("probe/memory.current")).unwrap();
        text.trim().parse().unwrap()
    }

    fn attached(&self, arguments: &[&str]) -> Session {
        let procs = self.mounted.path().join("probe/cgroup.procs");
        let mut session = probe::start_with(arguments, |command| {
            // SAFETY: a write of bytes that were there before the fork; the child has one thread.
            unsafe { command.pre_exec(move || fs::write(&procs, "0")) };
        });
        session.wait_for("attached,");
        session
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.mounted.path().join("probe"));
        let _ = umount2(self.mounted.path(), MntFlags::empty());
    }
}

/// With less memory than it wants it is slow, and counts what it did not get; with too little it is killed.
#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn memory_that_runs_out() {
    let Some(_alone) = support::live() else { return };
    if !guest() {
        return;
    }
    let fs = load::filesystem(384);
    let group = Group::new();
    load::beside(&[fs.path()], || {
        let session = group.attached(&["watch", "--tier", "tracepoints"]);
        group.write("memory.high", &(group.bytes() - (1 << 20)).to_string());
        sleep(Duration::from_secs(1));
        group.write("memory.high", "max");
        let done = session.interrupt();
        assert_silent(done.report());
        let verdict = done.report()["verdict"].as_str().unwrap();
        let lost =
            number(&done.report()["loss"]["records"]) > 0 || probe::skipped_by_the_kernel(done.report());
        assert!(
            verdict == "clean" || verdict == "inconclusive" && lost,
            "{}",
            done.report()["verdict_reasons"]
        );

        let session = group.attached(&["watch", "--tier", "tracepoints"]);
        let held = kept::Held::of(session.pid());
        held.assert_there();
        group.write("memory.max", "1M");
        let done = session.finish();
        assert_eq!(done.code, 128 + Signal::SIGKILL as i32, "{done:?}");
        held.wait_until_gone();
        group.write("memory.max", "max");
    });
    let uuid = fs.fsid().to_string();
    // A `sync` alone has nothing to write where the load's last transaction was committed.
    let write = load::write(&fs);
    let done = probe::run(&["run", "--tier", "tracepoints", "--fs", &uuid, "--", "sh", "-c", &write]);
    assert_clean(&done);
}
