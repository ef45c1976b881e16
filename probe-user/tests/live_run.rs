//! `run`: whose exit status it is, and what becomes of the output.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::signal::Signal,
};
use probe_workload::loopfs::Fsid;
use serde_json::Value;
use support::{
    load,
    probe::{self, Done, assert_clean, lives, number},
};
use tempfile::TempDir;

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_status_of_the_command_is_passed_on() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    let (uuid, write) = (fs.fsid().to_string(), load::write(&fs));
    let done = probe::run(&["run", "--fs", &uuid, "--", "sh", "-c", &write]);
    assert_clean(&done);
    assert_eq!(done.report()["command"][0], "sh");
    assert!(number(&done.report()["statistics"]["order_checked"]) >= 64, "{}", done.report()["statistics"]);

    for (end, code) in [("exit 7", 7), ("kill -TERM $$", 143)] {
        let done = probe::run(&["run", "--", "sh", "-c", &format!("{write}; {end}")]);
        assert_eq!(done.code, code);
        let verdict = &done.report()["verdict"];
        assert!(verdict == "clean" || probe::skipped_by_the_kernel(done.report()), "{verdict}");
    }
}

/// Asserts that nothing was judged and that the report says so, to scripts too.
fn assert_nothing_judged(done: &Done, begin: &str, named: &str) {
    probe::assert_silent(done.report());
    assert_eq!((done.code, done.report()["verdict"].as_str()), (4, Some("inconclusive")), "{done:?}");
    let [reason] = probe::other_reasons(done.report())[..] else {
        panic!("{}", done.report()["verdict_reasons"])
    };
    assert!(reason.starts_with(begin) && reason.contains(named), "{reason}");
}

/// A filesystem that never came made the session clean.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_session_that_followed_nothing_is_inconclusive() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    let (uuid, never) = (fs.fsid().to_string(), Fsid::random().unwrap().to_string());
    load::beside(&[fs.path()], || {
        let done = probe::run(&["watch", "--duration", "1s", "--fs", &never]);
        assert_nothing_judged(&done, &format!("No filesystem matched --fs {never}: "), &uuid);
        // The status of the command comes first.
        let done = probe::run(&["run", "--fs", &never, "--", "sh", "-c", "exit 7"]);
        assert_eq!((done.code, done.report()["verdict"].as_str()), (7, Some("inconclusive")));
        for (option, number) in [("--inode", "9999999"), ("--subvol", "8888888")] {
            let done = probe::run(&["watch", "--duration", "1s", "--fs", &uuid, option, number]);
            assert_nothing_judged(&done, &format!("No reservation matched {option} {number} "), "writes to");
        }
        let done = probe::run(&["watch", "--duration", "1s", "--fs", &uuid, "--fs", &never]);
        assert_nothing_judged(&done, &format!("No filesystem matched --fs {never}: "), &uuid);
    });
}

/// A filesystem on which nothing happened was called clean, though nothing was held to account.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_session_in_which_nothing_happened_is_inconclusive() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    let (uuid, write) = (fs.fsid().to_string(), load::write(&fs));
    // Without a transaction that would be committed in the middle.
    fs.umount().unwrap();
    fs.mount_with("ro").unwrap();
    let begin = format!("Nothing happened on --fs {uuid} (mounted on ");
    let done = probe::run(&["run", "--fs", &uuid, "--", "true"]);
    assert_nothing_judged(&done, &begin, fs.path().to_str().unwrap());
    // And so says its recording.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("idle.rsv");
    let file = file.to_str().unwrap();
    let recorded = probe::run(&["record", "-o", file, "--fs", &uuid, "--", "true"]);
    assert_eq!(recorded.code, 0, "{}", recorded.stderr);
    let replay = probe::run(&["report", file]);
    assert_eq!(probe::other_reasons(replay.report()), probe::other_reasons(done.report()));
    assert_nothing_judged(&replay, &begin, fs.path().to_str().unwrap());

    fs.remount(false).unwrap();
    assert_clean(&probe::run(&["run", "--fs", &uuid, "--", "sh", "-c", &write]));
    let inode = std::fs::metadata(fs.path().join("file")).unwrap().ino().to_string();
    assert_clean(&probe::run(&["run", "--fs", &uuid, "--inode", &inode, "--", "sh", "-c", &write]));
}

/// Where the functions of btrfs are hooked: by what, and why not by fentry, and that they run by it.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_report_says_by_what_functions_are_hooked() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    let (uuid, write) = (fs.fsid().to_string(), load::write(&fs));
    let done = probe::run(&["run", "--fs", &uuid, "--", "sh", "-c", &write]);
    assert_clean(&done);
    let report = done.report();
    let functions: Vec<&Value> = report["hooks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|hook| hook["kind"].as_str().is_some_and(|kind| !kind.starts_with("raw_")))
        .collect();
    if report["tier"] == "tracepoints" {
        assert!(functions.is_empty(), "{functions:?}");
        return;
    }
    for hook in functions.iter().filter(|hook| hook["state"] == "attached") {
        let fentry = hook["kind"].as_str().unwrap().starts_with("fentry");
        assert_eq!(hook["reason"].is_null(), fentry, "{hook}");
        assert_eq!(hook["missed"], 0, "{hook}");
    }
    let reserve = functions.iter().find(|hook| hook["id"] == "btrfs_delalloc_reserve_metadata").unwrap();
    assert!(number(&reserve["hits"]) >= 64, "{reserve}");
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_command_that_does_not_exist_is_one_sentence() {
    let Some(_alone) = support::live() else { return };
    let _fs = load::filesystem(256);
    let done = probe::run(&["run", "--", "/no/such/command"]);
    assert_eq!(done.code, 1);
    assert!(done.report.is_none());
    let last = done.stderr.lines().last().unwrap();
    assert!(last.starts_with("btrfs-probe: cannot start /no/such/command: "), "{}", done.stderr);
}

/// The command's own output and input are left alone.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_command_has_standard_output_to_itself() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    let command = format!("{}; echo from the command", load::write(&fs));
    let done = probe::run(&["run", "-q", "--", "sh", "-c", &command]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "from the command\n"));
}

/// What is said of filesystems with `-vv`, and with less nothing. All hooks go on with it too.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_kernel_side_names_each_filesystem_that_it_meets() {
    let Some(_alone) = support::live() else { return };
    let (one, two) = (load::filesystem(256), load::filesystem(256));
    let (uuid, other) = (one.fsid().to_string(), two.fsid().to_string());
    let script = [one.path(), two.path()].map(|path| {
        let file = path.join("file");
        format!("dd if=/dev/zero of={} bs=64k count=64 conv=fsync status=none", file.display())
    });
    let script = script.join("; ");
    let run = |verbose: &str| probe::run(&["run", verbose, "--fs", &uuid, "--", "sh", "-c", &script]);
    let done = run("-vv");
    assert_clean(&done);
    let failed = |hook: &&Value| hook["state"] == "failed";
    let hooks = done.report()["hooks"].as_array().unwrap();
    assert_eq!(hooks.iter().find(failed), None, "{}", done.stderr);
    for (uuid, fate) in [(&uuid, "followed"), (&other, "left out")] {
        let begin = format!("kernel side: filesystem {uuid} first seen by ");
        let lines: Vec<&str> = done.stderr.lines().filter(|line| line.contains(&begin)).collect();
        let [line] = lines[..] else { panic!("{uuid}: {}", done.stderr) };
        assert!(line.starts_with("[INFO ] ") && line.ends_with(fate), "{line}");
    }
    let done = run("-v");
    assert_clean(&done);
    assert!(!done.stderr.contains("kernel side"), "{}", done.stderr);
}

/// Nobody empties the ring for a while.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_kernel_side_tells_of_a_loss() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    let uuid = fs.fsid().to_string();
    let arguments = ["watch", "-vv", "--fs", &uuid, "--ring-size", "64K", "--stacks", "all"];
    let session = probe::attached(&arguments);
    session.signal(Signal::SIGSTOP);
    for number in 0..400 {
        std::fs::write(fs.path().join(format!("file{number}")), vec![1; 100_000]).unwrap();
    }
    session.signal(Signal::SIGCONT);
    let done = session.interrupt();
    let lost = number(&done.report()["loss"]["by_class"]["books_record"]);
    assert!(lost > 0, "{}", done.report()["loss"]);
    let first = |line: &str| {
        line.starts_with("[WARN ] kernel side: lost at ") && line.contains(": books_record (1 so far on CPU ")
    };
    assert!(done.stderr.lines().any(first), "{}", done.stderr);
    assert!(!done.stderr.contains("found no room in their ring"), "{}", done.stderr);
}

/// A tmpfs of its own, without a free byte.
struct FullDisk(TempDir);

impl FullDisk {
    fn new() -> Self {
        let disk = Self::empty();
        disk.fill();
        disk
    }

    /// One that is to be filled later.
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        mount(Some("full"), folder.path(), Some("tmpfs"), MsFlags::empty(), Some("size=64k")).unwrap();
        Self(folder)
    }

    fn fill(&self) {
        let error = std::fs::write(self.0.path().join("ballast"), vec![1; 1 << 20]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_full_disk_is_one_sentence_and_leaves_no_half_report() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    let disk = FullDisk::new();
    let target = disk.0.path().join("report.txt");
    let done = probe::run(&["run", "-o", target.to_str().unwrap(), "--", "sh", "-c", &load::write(&fs)]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let last = done.stderr.lines().last().unwrap();
    assert!(last.contains("the disk is full") && last.contains("report.txt"), "{}", done.stderr);
    let left: Vec<_> =
        std::fs::read_dir(disk.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["ballast"]);
    // The other report was written all the same.
    assert_eq!(done.report()["verdict"], "clean");
}

/// All that a session writes, each on the same full disk.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_full_disk_is_said_of_each_output_and_the_verdict_stays() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    let disk = FullDisk::empty();
    let at = |name: &str| disk.0.path().join(name).to_str().unwrap().to_owned();
    let formats = ["html", "ndjson", "junit", "folded"];
    let named: Vec<String> =
        formats.iter().map(|name| format!("{name}={}", at(&format!("out.{name}")))).collect();
    let (metrics, kept) = (at("metrics.prom"), at(""));
    let mut arguments = vec!["watch", "--metrics", &metrics, "--keep", "10s", "--dump-to", &kept];
    arguments.extend(named.iter().flat_map(|format| ["--format", format]));
    let mut session = probe::attached(&arguments);
    disk.fill();
    std::fs::write(fs.path().join("file"), vec![1; 300_000]).unwrap();
    fs.umount().unwrap();
    session.signal(Signal::SIGUSR1);
    session.wait_for("kept records");
    let done = session.interrupt();
    assert_eq!(done.code, 1, "{}", done.stderr);
    for name in formats
        .map(|name| format!("out.{name}"))
        .iter()
        .map(String::as_str)
        .chain(["metrics.prom", "kept records"])
    {
        let said: Vec<&str> = done.stderr.lines().filter(|line| line.contains(name)).collect();
        assert!(!said.is_empty(), "{name}: {}", done.stderr);
        assert!(said.iter().all(|line| line.contains("the disk is full")), "{said:?}");
        assert!(!done.stderr.contains("os error"), "{}", done.stderr);
    }
    // What was written before is whole.
    let mut left: Vec<_> =
        std::fs::read_dir(disk.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["ballast", "metrics.prom"]);
    assert!(std::fs::read_to_string(&metrics).unwrap().ends_with("# EOF\n"));
    assert_eq!(done.report()["verdict"], "clean");
    // What is full at the start is said before anything is followed.
    for arguments in [&["record", "-o", &at("run.rsv"), "--", "true"][..], &["watch", "--metrics", &metrics]]
    {
        let done = probe::run(arguments);
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(done.one_sentence().contains("the disk is full"), "{}", done.stderr);
    }
}

/// Whole or not at all.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_recording_is_private_and_a_report_is_as_the_umask_says() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    let (text, recording) = (folder.path().join("report.txt"), folder.path().join("run.rsv"));
    let done = probe::run(&["run", "-o", text.to_str().unwrap(), "--", "sh", "-c", &load::write(&fs)]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let done = probe::run(&["record", "-o", recording.to_str().unwrap(), "--", "true"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "").unwrap();
    assert_eq!((mode(&text), mode(&recording)), (mode(&plain), 0o600));
    assert!(std::fs::read_to_string(&text).unwrap().to_lowercase().contains("clean"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn lines_of_json_end_with_the_report() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    let uuid = fs.fsid().to_string();
    let done = load::beside(&[fs.path()], || {
        probe::run(&[
            "watch",
            "--fs",
            &uuid,
            "--format",
            "ndjson",
            "--duration",
            "2s",
            "--ring-size",
            probe::RING,
        ])
    });
    assert_clean(&done);
    let lines: Vec<Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["type"].is_string()), "{}", done.stdout);
    let last = lines.last().unwrap();
    assert_eq!(last["type"], "report");
    let mut last = last.clone();
    last.as_object_mut().unwrap().remove("type");
    assert_eq!(last, *done.report());
    assert_eq!(lives(&last, &uuid).len(), 1);
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_reader_that_goes_away_is_no_error() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    for arguments in [&["watch"][..], &["watch", "--format", "ndjson"][..]] {
        let folder = tempfile::tempdir().unwrap();
        let json = folder.path().join("report.json");
        let mut command = probe::command(arguments, &json);
        if arguments.len() == 1 {
            command.args(["--format", "text"]);
        }
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("attached,") {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
        }
        std::fs::write(fs.path().join("file"), [7; 100_000]).unwrap();
        fs.sync().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
        stderr.read_to_string(&mut said).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
        let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        assert_eq!(report["verdict"], "clean", "{}", report["verdict_reasons"]);
    }
}
