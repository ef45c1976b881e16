//! Beside a test suite: a window, a result and a verdict for each test.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::{
    collections::BTreeSet,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use probe_workload::loopfs::{Fsid, LoopFs};
use serde_json::Value;
use support::{
    load::filesystem,
    probe::{self, Done, RING, assert_clean, list},
    suite::Suite,
};

/// Longer than a sign takes from the kernel into the books.
const SEEN: Duration = Duration::from_millis(500);
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

/// The tests on `fs`: somebody else may run a suite on this machine too.
fn tests<'a>(done: &'a Done, fs: &LoopFs) -> Vec<&'a Value> {
    let device = fs.device().file_name().unwrap().to_str().unwrap();
    let own = |test: &&Value| list(&test["devices"]).iter().any(|name| name == device);
    list(&done.report()["tests"]).iter().filter(own).collect()
}

/// True if a filesystem was one of a test. There may be more: somebody may mount something beside it.
fn lived(test: &Value, uuid: &str) -> bool {
    list(&test["filesystems"]).iter().any(|own| own == uuid)
}

fn column<'a>(done: &'a Done, fs: &LoopFs, name: &str) -> Vec<&'a Value> {
    tests(done, fs).into_iter().map(|test| &test[name]).collect()
}

/// As `assert_clean`, for a command that may have failed.
fn assert_tests_clean(done: &Done, fs: &LoopFs) {
    probe::assert_silent(done.report());
    for test in tests(done, fs) {
        let skipped = probe::skipped_by_the_kernel(done.report());
        assert!(test["verdict"] == "clean" || skipped, "{test}");
    }
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
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
    assert_tests_clean(&done, &fs);
    assert_eq!(
        column(&done, &fs, "name"),
        ["generic/001", "generic/002", "generic/003", "btrfs/004", "btrfs/1005"]
    );
    assert_eq!(column(&done, &fs, "result"), ["pass", "notrun", "fail", "fail", "fail"]);
    let reasons = column(&done, &fs, "result_reason");
    assert_eq!(reasons[0], &Value::Null);
    assert_eq!(reasons[1..], ["needs a thing", "exit status 3", "output mismatch", "killed by signal 11"]);
    let device = fs.device().file_name().unwrap().to_str().unwrap();
    for test in tests(&done, &fs) {
        assert_eq!(test["devices"], serde_json::json!([device]), "{test}");
        assert_eq!(test["ended"], true, "{test}");
        assert!(probe::number(&test["duration_ns"]) > 300_000_000, "{test}");
    }
    let first = tests(&done, &fs)[0];
    assert!(lived(first, &fs.fsid().to_string()), "{first}");
    assert!(probe::number(&first["records"]) > 0, "{first}");
    let xml = std::fs::read_to_string(junit).unwrap();
    for name in ["generic/001", "btrfs/1005"] {
        assert!(xml.contains(&format!("name=\"{name}\" classname=\"xfstests.global\"")), "{xml}");
    }
    // Nothing is found, so nothing is left among the suite's results.
    assert!(!suite.results("generic/001.rsv").exists());
}

/// As xfstests-bld starts it, with what isolates a test between it and the script.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_check_that_a_shell_reads_has_one_window_a_test() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let mut suite = Suite::new();
    suite.test("generic/871", WRITE).test("generic/872", WRITE);
    let mut command = suite.command(&fs, &[("BETWEEN", "1")]);
    let check = command.iter().position(|word| word.ends_with("/check")).unwrap();
    command.insert(check, "sh".to_owned());
    let done = run(&command, &[]);
    assert_clean(&done);
    // Windows without devices too, which are nobody's.
    let names: Vec<_> =
        list(&done.report()["tests"]).iter().filter_map(|test| test["name"].as_str()).collect();
    let ours: Vec<_> = names.into_iter().filter(|name| name.starts_with("generic/87")).collect();
    assert_eq!(ours, ["generic/871", "generic/872"]);
    assert_eq!(column(&done, &fs, "result"), ["pass", "pass"]);
}

/// Nobody can write or read the log, `check` and the tool included: scripts show themselves. Sections are told apart, and
/// named as in the suite's own `result.xml`.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_suite_without_a_log_is_followed_through_its_sections() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let mut suite = Suite::new();
    suite
        .test("generic/001", WRITE)
        .test("generic/002", "[ -w /dev/kmsg ] && echo there is a log > $RESULT_DIR/002.notrun; sleep 0.3");
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("junit.xml");
    let format = format!("junit={}", junit.display());
    let mut arguments = vec!["run", "--fstests", "--ring-size", RING, "--format", &format, "--"];
    let command = suite.command(&fs, &[("SECTIONS", "simple quota")]);
    arguments.extend(command.iter().map(String::as_str));
    let nothing = folder.path().join("nothing");
    std::fs::write(&nothing, "").unwrap();
    let done = probe::start_with(&arguments, |command| without_log(command, &nothing)).finish();
    assert_clean(&done);
    assert_eq!(column(&done, &fs, "name"), ["generic/001", "generic/002", "generic/001", "generic/002"]);
    assert_eq!(column(&done, &fs, "section"), ["simple", "simple", "quota", "quota"]);
    assert_eq!(column(&done, &fs, "result"), ["pass", "pass", "pass", "pass"], "{}", done.report()["tests"]);
    let xml = std::fs::read_to_string(junit).unwrap();
    for section in ["simple", "quota"] {
        for name in ["generic/001", "generic/002"] {
            let case = format!("name=\"{name}\" classname=\"xfstests.{section}\"");
            assert_eq!(xml.matches(&case).count(), 1, "{case}: {xml}");
        }
    }
}

/// An empty file that cannot be written instead of the log, for this process and its children.
fn without_log(command: &mut Command, nothing: &Path) {
    let nothing = nothing.to_owned();
    let bind = move || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        mount(Some(&nothing), "/dev/kmsg", none, MsFlags::MS_BIND, none)?;
        mount(
            none,
            "/dev/kmsg",
            none,
            MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | MsFlags::MS_NODEV,
            none,
        )?;
        Ok(())
    };
    // SAFETY: system calls only, in the child before it executes the program.
    unsafe { command.pre_exec(bind) };
}

/// The same test twice in a row is two windows.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_test_that_is_repeated_has_a_window_each_time() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let mut suite = Suite::new();
    suite.test("generic/001", WRITE).test("generic/001", WRITE);
    let done = run(&suite.command(&fs, &[]), &[]);
    assert_clean(&done);
    assert_eq!(column(&done, &fs, "name"), ["generic/001", "generic/001"]);
    let starts = column(&done, &fs, "started_at");
    assert_ne!(starts[0], starts[1]);
}

/// `watch` that comes when a test is running, and goes when another one is.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_suite_that_somebody_else_started_is_met_in_the_middle() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let mut suite = Suite::new();
    let go_on = suite.results("go-on");
    let wait = format!("while ! [ -e {} ]; do sleep 0.1; done", go_on.display());
    suite.test("generic/001", &wait).test("generic/002", WRITE).test("generic/003", "sleep 600");
    let check = start(&suite.command(&fs, &[]));
    sleep(SEEN * support::patience());
    let session = probe::attached(&["watch", "--fstests", "--ring-size", RING]);
    std::fs::write(&go_on, "").unwrap();
    wait_for(&suite.results("generic/003.full"));
    let done = session.interrupt();
    drop(check);
    assert_clean(&done);
    assert_eq!(column(&done, &fs, "name"), ["generic/001", "generic/002", "generic/003"]);
    assert_eq!(column(&done, &fs, "result"), [&Value::from("pass"), &Value::from("pass"), &Value::Null]);
    assert_eq!(column(&done, &fs, "ended"), [true, true, false]);
}

/// A test hangs and is killed; the next one hangs too, `check` is killed, and its script lives on for a while.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn tests_that_hang_and_crash_have_their_windows_to_the_end() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let mut suite = Suite::new();
    let hang = format!("{WRITE}; touch $RESULT_DIR/$(basename $0).hangs; exec sleep 600");
    suite.test("generic/001", &hang).test("generic/002", &hang).test("generic/003", WRITE);
    let session = probe::attached(&["watch", "--fstests", "--ring-size", RING]);
    let mut check = start(&suite.command(&fs, &[]));
    wait_for(&suite.results("generic/001.hangs"));
    kill(script_of(&check), Signal::SIGKILL).unwrap();
    wait_for(&suite.results("generic/002.hangs"));
    let script = script_of(&check);
    check.0.kill().unwrap();
    check.0.wait().unwrap();
    let alone = Instant::now();
    sleep(Duration::from_millis(1500));
    kill(script, Signal::SIGTERM).unwrap();
    let alone = alone.elapsed();
    sleep(SEEN * support::patience());
    let done = session.interrupt();
    assert_clean(&done);
    assert_eq!(column(&done, &fs, "name"), ["generic/001", "generic/002"]);
    assert_eq!(column(&done, &fs, "result_reason"), ["killed by signal 9", "killed by signal 15"]);
    assert_eq!(column(&done, &fs, "ended"), [true, true]);
    let second = tests(&done, &fs)[1];
    assert!(probe::number(&second["duration_ns"]) as u128 > alone.as_nanos(), "{second}");
}

/// The recorder dies with the machine: what it wrote shows the test that was running.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_recording_of_a_suite_that_was_cut_off_shows_the_test_that_ran() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let mut suite = Suite::new();
    suite.test("generic/001", WRITE).test("generic/002", &format!("{WRITE}; exec sleep 600"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("suite.rsv").display().to_string();
    let session = probe::attached(&["record", "--fstests", "--ring-size", RING, "-o", &file]);
    let check = start(&suite.command(&fs, &[]));
    wait_for(&suite.results("generic/002.full"));
    // It writes out once a second.
    sleep(Duration::from_millis(2500));
    session.signal(Signal::SIGKILL);
    drop(session.finish());
    drop(check);
    let done = probe::run(&["report", &format!("{file}.tmp")]);
    probe::assert_silent(done.report());
    assert_eq!(column(&done, &fs, "name"), ["generic/001", "generic/002"]);
    assert_eq!(column(&done, &fs, "result"), [&Value::from("pass"), &Value::Null]);
    assert_eq!(column(&done, &fs, "ended"), [true, false]);
}

/// A suite beside the tool; what still runs of it goes with it.
struct Check(Child);

impl Drop for Check {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.0.id() as i32), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

fn start(command: &[String]) -> Check {
    let (program, arguments) = command.split_first().unwrap();
    Check(Command::new(program).args(arguments).process_group(0).spawn().unwrap())
}

/// Waits until a test has come so far, and until the tool has had the time to see it.
fn wait_for(file: &Path) {
    let begun = Instant::now();
    while !file.exists() {
        assert!(begun.elapsed() < support::deadline(60), "{} never came", file.display());
        sleep(Duration::from_millis(50));
    }
    sleep(SEEN * support::patience());
}

/// The script that a suite runs now.
fn script_of(check: &Check) -> Pid {
    let children = format!("/proc/{0}/task/{0}/children", check.0.id());
    let text = std::fs::read_to_string(children).unwrap();
    Pid::from_raw(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// A ring that is too small spoils the test with the load.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_loss_spoils_the_test_it_fell_into_and_no_other() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(512);
    let mut suite = Suite::new();
    let mixload = support::example("mixload").display().to_string();
    suite
        .test("generic/001", "echo x > $TEST_DIR/one; sleep 2")
        .test("generic/002", &format!("sleep 2; {mixload} --threads 4 --seconds 5 --dir $TEST_DIR"))
        .test("generic/003", "sleep 2; echo x > $TEST_DIR/three; sleep 1");
    let done = {
        let command = suite.command(&fs, &[]);
        // Its own filesystem alone: what others do to the machine would fill so small a ring too.
        let uuid = fs.fsid().to_string();
        let mut arguments = vec!["run", "--fstests", "--fs", &uuid, "--ring-size", "64K", "--"];
        arguments.extend(command.iter().map(String::as_str));
        probe::run(&arguments)
    };
    assert!(list(&done.report()["findings"]).is_empty(), "FALSE ALARM: {}", done.report()["findings"]);
    assert_eq!(
        column(&done, &fs, "verdict"),
        ["clean", "inconclusive", "clean"],
        "{}",
        done.report()["tests"]
    );
    let second = tests(&done, &fs)[1];
    assert!(probe::number(&second["lost"]) > 0, "{second}");
}

/// A test mounts a file: nobody named that loop device, and its filesystem is of the test all the same.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_filesystem_that_a_test_makes_for_itself_is_of_that_test() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let mut suite = Suite::new();
    let uuid = Fsid::random().unwrap().to_string();
    let inner = "cd $RESULT_DIR; truncate -s 128M image; mkfs.btrfs -q -U $INNER image; mkdir inner\n\
        mount -o loop image inner && dd if=/dev/zero of=inner/file bs=64k count=40 conv=fsync; umount inner; rm image";
    suite.test("generic/001", &format!("{WRITE}\n{inner}")).test("generic/002", WRITE);
    let done = run(&suite.command(&fs, &[("INNER", &uuid)]), &[]);
    assert_clean(&done);
    let [first, second] = tests(&done, &fs)[..] else { panic!("{}", done.report()["tests"]) };
    assert!(lived(first, &uuid) && !lived(second, &uuid), "{first} {second}");
    assert!(lived(first, &fs.fsid().to_string()) && lived(second, &fs.fsid().to_string()));
}

/// cgroup2, wherever else it is mounted.
struct Cgroups(tempfile::TempDir);

impl Cgroups {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        mount(Some("scopes"), folder.path(), Some("cgroup2"), MsFlags::empty(), None::<&str>).unwrap();
        Self(folder)
    }

    /// A folder for the scopes of one suite.
    fn slice(&self, name: &str) -> std::path::PathBuf {
        let path = self.0.path().join(format!("{name}-{}.slice", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        path
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.0.path()).unwrap().flatten() {
            if entry.file_name().to_string_lossy().ends_with(&format!("-{}.slice", std::process::id())) {
                let _ = std::fs::remove_dir(entry.path());
            }
        }
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

/// Two runs on devices of their own, with tests of the same names, each in a scope of its own as under systemd.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn suites_side_by_side_are_told_apart() {
    let Some(_alone) = support::live() else { return };
    let cgroups = Cgroups::mount();
    let (one, other) = (filesystem(256), filesystem(256));
    let (mut first, mut second) = (Suite::new(), Suite::new());
    first.test("generic/001", WRITE).test("generic/002", WRITE);
    second.test("generic/001", &format!("{WRITE}; sleep 0.5")).test("generic/002", WRITE);
    let scoped = |suite: &Suite, fs, slice: &str| {
        suite.command(fs, &[("SCOPES", cgroups.slice(slice).to_str().unwrap())]).join(" ")
    };
    let (a, b) = (scoped(&first, &one, "one"), scoped(&second, &other, "other"));
    let both = ["sh".to_owned(), "-c".to_owned(), format!("{a} & {b}; wait")];
    let done = run(&both, &[]);
    assert_clean(&done);
    let tests = [tests(&done, &one), tests(&done, &other)].concat();
    assert_eq!(tests.len(), 4, "{tests:?}");
    let mut runs = BTreeSet::new();
    for test in tests {
        let uuids = [&one, &other].map(|fs| fs.fsid().to_string());
        let [own] = &uuids.iter().filter(|uuid| lived(test, uuid)).collect::<Vec<_>>()[..] else {
            panic!("{test}")
        };
        runs.insert((test["run"].as_u64().unwrap(), (*own).clone()));
        let name = test["name"].as_str().unwrap();
        assert_eq!(test["scope"], format!("fs{}.scope", name.replace('/', "-")), "{test}");
    }
    assert_eq!(runs.len(), 2, "each run has its own filesystem: {runs:?}");
}
