//! What ends a session, and what is left after it: nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::probe::{self, RING, assert_clean, assert_silent, lives};
use support::{kept, load};

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

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn nothing_outlives_the_program_even_when_it_is_killed() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    for wanted in [Signal::SIGKILL, Signal::SIGINT] {
        load::beside(&[fs.path()], || {
            let session = probe::attached(&["watch"]);
            let held = kept::Held::of(session.pid());
            held.assert_there();
            std::thread::sleep(Duration::from_millis(500));
            session.signal(wanted);
            let done = session.finish();
            assert_eq!(done.code == 128 + Signal::SIGKILL as i32, wanted == Signal::SIGKILL, "{done:?}");
            held.wait_until_gone();
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
