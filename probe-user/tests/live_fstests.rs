//! Beside a test suite: a window, a result and a verdict for each test.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use serde_json::Value;
use support::load::filesystem;
use support::probe::{self, Done, RING, assert_clean, list};
use support::suite::Suite;

/// Writes something, waits for it, and lasts about as long as the shortest test of xfstests.
const WRITE: &str =
    "dd if=/dev/zero of=$TEST_DIR/file.$$ bs=64k count=40 conv=fsync; rm -f $TEST_DIR/file.$$; sleep 0.3";

/// `run --fstests` over `command`.
fn run(command: &[String], more: &[&str]) -> Done {
    let mut arguments: Vec<&str> = vec!["run", "--fstests", "--ring-size", RING];
    arguments.extend(more);
    arguments.push("--");
    arguments.extend(command.iter().map(String::as_str));
    probe::run(&arguments)
}

fn column<'a>(done: &'a Done, name: &str) -> Vec<&'a Value> {
    list(&done.report()["tests"]).iter().map(|test| &test[name]).collect()
}

/// As `assert_clean`, for a command that may have failed.
fn assert_tests_clean(done: &Done) {
    probe::assert_silent(done.report());
    for test in list(&done.report()["tests"]) {
        let skipped = probe::skipped_by_the_kernel(done.report());
        assert!(test["verdict"] == "clean" || skipped, "{test}");
    }
}

#[test]
fn each_test_has_its_window_its_result_and_its_verdict() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let mut suite = Suite::new();
    suite
        .test("generic/001", WRITE)
        .test("generic/002", "echo needs a thing > $RESULT_DIR/002.notrun")
        .test("generic/003", &format!("{WRITE}; exit 3"))
        .test("btrfs/004", &format!("{WRITE}; touch $RESULT_DIR/004.expect"))
        .test("btrfs/1005", "kill -SEGV $$");
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("junit.xml");
    let done = run(&suite.command(&fs, &[]), &["--format", &format!("junit={}", junit.display())]);
    assert_eq!(done.code, 1, "the status of the suite: {}", done.stderr);
    assert_tests_clean(&done);
    assert_eq!(
        column(&done, "name"),
        ["generic/001", "generic/002", "generic/003", "btrfs/004", "btrfs/1005"]
    );
    assert_eq!(column(&done, "result"), ["pass", "notrun", "fail", "fail", "fail"]);
    let reasons = column(&done, "result_reason");
    assert_eq!(reasons[0], &Value::Null);
    assert_eq!(reasons[1..], ["needs a thing", "exit status 3", "output mismatch", "killed by signal 11"]);
    let device = fs.device().file_name().unwrap().to_str().unwrap();
    for test in list(&done.report()["tests"]) {
        assert_eq!(test["devices"], serde_json::json!([device]), "{test}");
        assert_eq!(test["ended"], true, "{test}");
        assert!(probe::number(&test["duration_ns"]) > 300_000_000, "{test}");
    }
    let first = &list(&done.report()["tests"])[0];
    assert_eq!(first["filesystems"], serde_json::json!([fs.fsid().to_string()]));
    assert!(probe::number(&first["records"]) > 0, "{first}");
    let xml = std::fs::read_to_string(junit).unwrap();
    for name in ["generic/001", "btrfs/1005"] {
        assert!(xml.contains(&format!("name=\"{name}\" classname=\"xfstests.global\"")), "{xml}");
    }
    // Nothing is found, so nothing is left among the suite's results.
    assert!(!suite.results("generic/001.rsv").exists());
}

/// Where the log cannot be written, scripts show themselves.
#[test]
fn a_suite_that_is_silent_in_the_log_is_followed_all_the_same() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let mut suite = Suite::new();
    suite.test("generic/001", WRITE).test("generic/002", WRITE);
    let done = run(&suite.command(&fs, &[("QUIET", "1"), ("SECTION", "quota/")]), &[]);
    assert_clean(&done);
    assert_eq!(column(&done, "name"), ["generic/001", "generic/002"]);
    assert_eq!(column(&done, "section"), ["quota", "quota"]);
    assert_eq!(column(&done, "result"), ["pass", "pass"]);
}

/// The same test twice in a row is two windows.
#[test]
fn a_test_that_is_repeated_has_a_window_each_time() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let mut suite = Suite::new();
    suite.test("generic/001", WRITE).test("generic/001", WRITE);
    let done = run(&suite.command(&fs, &[]), &[]);
    assert_clean(&done);
    assert_eq!(column(&done, "name"), ["generic/001", "generic/001"]);
    let starts = column(&done, "started_at");
    assert_ne!(starts[0], starts[1]);
}

/// `watch` that comes when a test is running, and goes when another one is.
#[test]
fn a_suite_that_somebody_else_started_is_met_in_the_middle() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let mut suite = Suite::new();
    let go_on = suite.results("go-on");
    let wait = format!("while ! [ -e {} ]; do sleep 0.1; done", go_on.display());
    suite.test("generic/001", &wait).test("generic/002", WRITE).test("generic/003", "sleep 600");
    let command = suite.command(&fs, &[]);
    let (program, arguments) = command.split_first().unwrap();
    let mut check = std::process::Command::new(program).args(arguments).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let session = probe::attached(&["watch", "--fstests", "--ring-size", RING]);
    std::fs::write(&go_on, "").unwrap();
    let third = suite.results("generic/003.full");
    let begun = std::time::Instant::now();
    while !third.exists() {
        assert!(begun.elapsed() < support::deadline(60), "the third test never began");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    let done = session.interrupt();
    end_of(&mut check);
    assert_clean(&done);
    assert_eq!(column(&done, "name"), ["generic/001", "generic/002", "generic/003"]);
    assert_eq!(column(&done, "result"), [&Value::from("pass"), &Value::from("pass"), &Value::Null]);
}

/// Ends the script that hangs, and the suite after it.
fn end_of(check: &mut std::process::Child) {
    let children = format!("/proc/{0}/task/{0}/children", check.id());
    for pid in std::fs::read_to_string(children).unwrap().split_whitespace() {
        let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    check.wait().unwrap();
}

/// A ring that is too small spoils the test with the load.
#[test]
fn a_loss_spoils_the_test_it_fell_into_and_no_other() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(512);
    let mut suite = Suite::new();
    let mixload = support::example("mixload").display().to_string();
    suite
        .test("generic/001", "echo x > $TEST_DIR/one; sleep 2")
        .test("generic/002", &format!("sleep 1; {mixload} --threads 4 --seconds 5 --dir $TEST_DIR"))
        .test("generic/003", "sleep 2; echo x > $TEST_DIR/three; sleep 1");
    let done = {
        let command = suite.command(&fs, &[]);
        let mut arguments = vec!["run", "--fstests", "--ring-size", "64K", "--"];
        arguments.extend(command.iter().map(String::as_str));
        probe::run(&arguments)
    };
    assert!(list(&done.report()["findings"]).is_empty(), "FALSE ALARM: {}", done.report()["findings"]);
    assert_eq!(column(&done, "verdict"), ["clean", "inconclusive", "clean"], "{}", done.report()["tests"]);
    let second = &list(&done.report()["tests"])[1];
    assert!(probe::number(&second["lost"]) > 0, "{second}");
}

/// Two runs on devices of their own.
#[test]
fn suites_side_by_side_are_told_apart() {
    let Some(_alone) = support::live() else { return };
    let (one, other) = (filesystem(256), filesystem(256));
    let (mut first, mut second) = (Suite::new(), Suite::new());
    first.test("generic/001", WRITE).test("generic/002", WRITE);
    second.test("btrfs/001", &format!("{WRITE}; sleep 0.5")).test("btrfs/002", WRITE);
    let (a, b) = (first.command(&one, &[]).join(" "), second.command(&other, &[]).join(" "));
    let both = ["sh".to_owned(), "-c".to_owned(), format!("{a} & {b}; wait")];
    let done = run(&both, &[]);
    assert_clean(&done);
    let tests = list(&done.report()["tests"]);
    assert_eq!(tests.len(), 4, "{tests:?}");
    let mut runs = std::collections::BTreeSet::new();
    for test in tests {
        let own = if test["name"].as_str().unwrap().starts_with("generic") { &one } else { &other };
        assert_eq!(test["filesystems"], serde_json::json!([own.fsid().to_string()]), "{test}");
        runs.insert(test["run"].as_u64().unwrap());
    }
    assert_eq!(runs.len(), 2);
}
