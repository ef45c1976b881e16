//! What ends a session, and what is left after it: nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::load;
use support::probe::{self, RING, assert_clean, assert_silent, lives};

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_signal_ends_the_capture_and_the_report_is_written() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(384);
    let uuid = fs.fsid().to_string();
    for wanted in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let done = load::beside(&[fs.path()], || {
            let session = probe::attached(&["watch", "--fs", &uuid, "--ring-size", RING, "--format", "text"]);
            std::thread::sleep(Duration::from_secs(1));
            session.signal(wanted);
            session.finish()
        });
        assert_clean(&done);
        let verdict = done.report()["verdict"].as_str().unwrap();
        assert!(done.stdout.to_lowercase().contains(verdict), "{wanted}: {}", done.stdout);
        assert_eq!(lives(done.report(), &uuid).len(), 1, "{wanted}");
    }
}

/// A command that is running gets the signal too, and its end is the end of the session.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_signal_reaches_the_command() {
    let Some(_alone) = support::live() else { return };
    let _fs = load::filesystem(256);
    let begun = Instant::now();
    let mut session = probe::attached(&["run", "--", "sh", "-c", "echo ready >&2; exec sleep 60"]);
    session.wait_for("ready");
    session.signal(Signal::SIGTERM);
    let done = session.finish();
    assert!(begun.elapsed() < support::deadline(30));
    assert_silent(done.report());
    assert_eq!(done.code, 143, "{}", done.stderr);
}

/// Ids of what the kernel holds for a process: `prog_id` or `map_id` of its file descriptors.
fn held(pid: u32, field: &str) -> BTreeSet<u32> {
    std::fs::read_dir(format!("/proc/{pid}/fdinfo"))
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .filter_map(|text| {
            text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')?.trim().parse().ok())
        })
        .collect()
}

// What goes between being listed and being opened is not loaded.
fn loaded_programs() -> BTreeSet<u32> {
    aya::programs::loaded_programs().filter_map(Result::ok).map(|program| program.id()).collect()
}

fn loaded_maps() -> BTreeSet<u32> {
    aya::maps::loaded_maps().filter_map(Result::ok).map(|map| map.id()).collect()
}

/// Waits until none of `ids` is loaded: the kernel frees programs and maps after a grace period.
fn wait_until_gone(ids: &BTreeSet<u32>, loaded: impl Fn() -> BTreeSet<u32>) {
    let start = Instant::now();
    loop {
        let left: Vec<u32> = loaded().intersection(ids).copied().collect();
        if left.is_empty() {
            return;
        }
        assert!(start.elapsed() < support::deadline(20), "still loaded: {left:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn nothing_outlives_the_program_even_when_it_is_killed() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    for wanted in [Signal::SIGKILL, Signal::SIGINT] {
        load::beside(&[fs.path()], || {
            let session = probe::attached(&["watch"]);
            let (programs, maps) = (held(session.pid(), "prog_id"), held(session.pid(), "map_id"));
            assert!(programs.len() > 10 && maps.len() > 3, "{programs:?} {maps:?}");
            assert!(programs.is_subset(&loaded_programs()) && maps.is_subset(&loaded_maps()));
            std::thread::sleep(Duration::from_millis(500));
            session.signal(wanted);
            let done = session.finish();
            assert_eq!(done.code == 128 + Signal::SIGKILL as i32, wanted == Signal::SIGKILL, "{done:?}");
            wait_until_gone(&programs, loaded_programs);
            wait_until_gone(&maps, loaded_maps);
        });
    }
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_demo_that_is_interrupted_cleans_up_and_reports() {
    let Some(_alone) = support::live() else { return };
    let mut session = probe::start(&["demo"]);
    session.wait_for(" 3/");
    let pid = session.pid();
    let begun = Instant::now();
    let done = session.interrupt();
    assert!(begun.elapsed() < support::deadline(20));
    assert_eq!(support::leftovers(pid), Vec::<String>::new());
    assert!(done.stderr.contains("interrupted"), "{}", done.stderr);
    assert_silent(done.report());
    let expected = if done.report()["verdict"] == "clean" { 0 } else { 4 };
    assert_eq!(done.code, expected, "{}", done.report()["verdict_reasons"]);
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_whole_demo_is_clean() {
    let Some(_alone) = support::live() else { return };
    let session = probe::start(&["demo"]);
    let pid = session.pid();
    let done = session.finish();
    assert_eq!(support::leftovers(pid), Vec::<String>::new());
    let report = done.report();
    assert_silent(report);
    let filesystems = probe::list(&report["filesystems"]);
    assert_eq!(filesystems.len(), 2);
    assert!(filesystems.iter().all(|fs| fs["born"] == true && fs["ended"] == true), "{filesystems:?}");
    // Its ring is fixed, and unoptimised books may not keep up with it.
    if !cfg!(debug_assertions) {
        assert_clean(&done);
    }
}
