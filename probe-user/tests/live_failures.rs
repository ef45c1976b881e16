//! Reservations that fail for lack of space: the report says in one sentence why, and its figures add up.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::fcntl::{FallocateFlags, fallocate};
use probe_workload::{ioctl::btrfs, loopfs::LoopFs};
use serde_json::Value;
use support::{
    failures::{assert_adds_up, failures, text},
    load,
    probe::{self, assert_clean, list, number},
};

const MIB: usize = 1 << 20;

/// Fills a filesystem with data: a large file, and between its parts a little of another one. Little is dirty at a time, so metadata
/// needs no second chunk.
fn fill(folder: &Path) -> File {
    let mut large = File::create(folder.join("large")).unwrap();
    let mut small = File::create(folder.join("small")).unwrap();
    let block = vec![0x5a; 8 * MIB];
    loop {
        let part = large
            .write_all(&block)
            .and_then(|()| large.sync_data())
            .and_then(|()| small.write_all(&block[..65536]))
            .and_then(|()| small.sync_data());
        match part {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return large,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Only metadata is full. No block group of data is empty, so none is given back.
fn full_of_air() -> LoopFs {
    let fs = load::filesystem(256);
    let large = fill(fs.path());
    fs.sync().unwrap();
    large.set_len(0).unwrap();
    drop(large);
    fs.sync().unwrap();
    // The global reserve of older kernels is smaller: files whose data is inline take what is left.
    let made = (0..20_000)
        .take_while(|number| std::fs::write(fs.path().join(format!("inline{number}")), [7; 1500]).is_ok());
    assert!(made.count() < 20_000, "metadata never becomes full");
    fs
}

/// Makes folders until it fails: what a commit frees may be enough for a few.
fn mkdirs(fs: &LoopFs) -> String {
    format!("i=0; while mkdir {}/x$i && [ $i -lt 2000 ]; do i=$((i+1)); done", fs.path().display())
}

/// Tickets for data that failed.
fn of_data(report: &Value) -> Vec<&Value> {
    failures(report, "ticket").into_iter().filter(|failure| failure["space_info"] == "data").collect()
}

/// `mkdir` failed on a filesystem with 211 MiB free, and the report said that nothing had failed.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn free_space_that_only_data_can_use_is_no_use_to_mkdir() {
    let Some(_alone) = support::live() else { return };
    let fs = full_of_air();
    let uuid = fs.fsid().to_string();
    let command = mkdirs(&fs);
    let done = probe::run(&["run", "--fs", &uuid, "--", "sh", "-c", &command]);
    assert_eq!(done.report()["verdict"], "clean", "{done:?}");
    assert_adds_up(done.report());
    let [failure] = failures(done.report(), "ticket")[..] else { panic!("{}", done.report()["failures"]) };
    assert_eq!((text(failure, "errno"), text(failure, "space_info")), ("ENOSPC", "metadata"));
    assert_eq!(text(failure, "filesystem"), uuid);
    let instance = &list(&failure["instances"])[0];
    assert!(text(instance, "who").starts_with("mkdir (thread "), "{instance}");
    assert!(text(instance, "call").starts_with("mkdir"), "{instance}");
    let why = &instance["why"];
    let causes: Vec<&str> = list(&why["causes"]).iter().filter_map(Value::as_str).collect();
    assert_eq!(causes, ["data-only-free-space", "no-room-for-a-chunk"], "{why}");
    let sentence = text(why, "sentence");
    for part in [
        "Metadata is full: a reservation of ",
        " does not fit",
        "of it by the global reserve",
        "no device has unallocated space for another chunk",
        "that data has free cannot be used for metadata.",
    ] {
        assert!(sentence.contains(part), "{part}: {sentence}");
    }
    assert_eq!(number(&instance["bytes"]), number(&why["request"]));
    assert!(list(&why["help"])[0].as_str().unwrap().contains("btrfs balance start"), "{why}");
}

/// A recording says the same, and so do the lines.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_recording_explains_a_failure_as_the_live_session_does() {
    let Some(_alone) = support::live() else { return };
    let fs = full_of_air();
    let uuid = fs.fsid().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("full.rsv");
    let file = file.to_str().unwrap();
    let command = mkdirs(&fs);
    let _ = probe::run(&["record", "-o", file, "--fs", &uuid, "--", "sh", "-c", &command]);
    let replay = probe::run(&["report", file]);
    assert_adds_up(replay.report());
    let [failure] = failures(replay.report(), "ticket")[..] else {
        panic!("{}", replay.report()["failures"])
    };
    let why = &list(&failure["instances"])[0]["why"];
    assert_eq!(list(&why["causes"])[0], "data-only-free-space", "{why}");
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn data_that_is_full_needs_a_chunk() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    drop(fill(fs.path()));
    fs.sync().unwrap();
    let uuid = fs.fsid().to_string();
    // No new file: that would need metadata.
    let command = format!("head -c 16777216 /dev/zero >> {}", fs.path().join("small").display());
    let done = probe::run(&["run", "--fs", &uuid, "--", "sh", "-c", &command]);
    assert_eq!(done.report()["verdict"], "clean", "{done:?}");
    assert_adds_up(done.report());
    let [failure] = of_data(done.report())[..] else { panic!("{}", done.report()["failures"]) };
    let why = &list(&failure["instances"])[0]["why"];
    assert_eq!(list(&why["causes"])[0], "no-room-for-a-chunk", "{why}");
    assert!(text(why, "sentence").starts_with("Data is full: a reservation of "), "{why}");
}

/// A scrub that runs. Without the end that this makes, the unmount would wait for it.
struct Scrub<'a>(&'a Path);

impl<'a> Scrub<'a> {
    fn start(path: &'a Path) -> Self {
        // It goes on in the background with what it was given to write to.
        let mut start = Command::new("btrfs");
        start.args(["scrub", "start"]).arg(path).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(start.status().unwrap().success());
        Self(path)
    }
}

impl Drop for Scrub<'_> {
    fn drop(&mut self) {
        let _ = Command::new("btrfs").args(["scrub", "cancel"]).arg(self.0).output();
    }
}

/// Scrub makes the block group read-only that it reads; a limit of its speed keeps it there.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn what_scrub_makes_read_only_is_named() {
    let Some(_alone) = support::live() else { return };
    const PIECE: usize = 64 * MIB;
    // Of block groups that take scrub a minute each. Nothing is written to them but what names them.
    let fs = load::filesystem(8 << 10);
    let uuid = fs.fsid().to_string();
    let speed = format!("/sys/fs/btrfs/{uuid}/devinfo/1/scrub_speed_max");
    std::fs::write(&speed, "1048576").unwrap();
    // A new file would need metadata.
    File::create(fs.path().join("g")).unwrap();
    let allocate = |number: &usize| {
        let file = File::create(fs.path().join(format!("f{number}"))).unwrap();
        fallocate(&file, FallocateFlags::empty(), 0, PIECE as i64).is_ok()
    };
    let Some(full) = (0..1000).find(|number| !allocate(number)) else { panic!("never full") };
    fs.sync().unwrap();
    // Each block group has free bytes, and room for what is in one of the others.
    for number in (0..full).step_by(2) {
        std::fs::remove_file(fs.path().join(format!("f{number}"))).unwrap();
    }
    fs.sync().unwrap();
    let scrub = Scrub::start(fs.path());
    let data = |name: &str| {
        let path = format!("/sys/fs/btrfs/{uuid}/allocation/data/{name}");
        std::fs::read_to_string(path).unwrap().trim().parse::<usize>().unwrap()
    };
    let begun = Instant::now();
    while data("bytes_readonly") < 2 * PIECE {
        assert!(begun.elapsed() < support::deadline(30), "scrub does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    // What is free would do, if all of it could be used.
    let bytes = data("total_bytes") - data("bytes_used") - PIECE;
    let command = format!("fallocate -l {bytes} {}/g", fs.path().display());
    let done = probe::run(&["run", "--fs", &uuid, "--", "sh", "-c", &command]);
    drop(scrub);
    assert_adds_up(done.report());
    let [failure] = of_data(done.report())[..] else { panic!("{}", done.report()["failures"]) };
    let why = &list(&failure["instances"])[0]["why"];
    assert_eq!(list(&why["causes"]).first(), Some(&"readonly-block-groups".into()), "{why}");
    assert!(text(why, "sentence").ends_with("cannot be used while they are read-only."), "{why}");
}

/// EDQUOT has no tracepoint, and the report knew nothing of it.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_limit_of_a_qgroup_is_named() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(512);
    let uuid = fs.fsid().to_string();
    let root = btrfs::open_dir(fs.path()).unwrap();
    btrfs::quota_enable(&root).unwrap();
    btrfs::subvol_create(&root, "s").unwrap();
    fs.sync().unwrap();
    let subvol = btrfs::subvol_id(btrfs::open_dir(&fs.path().join("s")).unwrap()).unwrap();
    btrfs::qgroup_limit(&root, subvol, Some(10 << 20)).unwrap();
    drop(root);
    let folder = fs.path().join("s");
    let command = format!(
        "dd if=/dev/zero of={0}/f bs=16k count=1280; sync; mkdir {0}/x; for i in 1 2 3; do echo 1 > {0}/$i; done; exit 9",
        folder.display()
    );
    let done = probe::run(&["run", "--fs", &uuid, "--", "sh", "-c", &command]);
    assert_eq!((done.code, done.report()["verdict"].as_str()), (9, Some("clean")), "{done:?}");
    let refused = failures(done.report(), "qgroup");
    let [failure] = refused[..] else { panic!("{}", done.report()["failures"]) };
    assert_eq!((text(failure, "errno"), text(failure, "qgroup")), ("EDQUOT", &*format!("0/{subvol}")));
    let tasks: Vec<&str> = list(&failure["tasks"]).iter().map(|task| text(task, "comm")).collect();
    assert!(tasks.contains(&"dd") && tasks.contains(&"mkdir"), "{tasks:?}");
    for instance in list(&failure["instances"]) {
        let (why, limit) = (&instance["why"], &instance["limit"]);
        let begin = format!("Qgroup 0/{subvol} may have 10 MiB referenced: ");
        assert!(text(why, "sentence").starts_with(&begin), "{why}");
        assert_eq!(list(&why["causes"]), ["qgroup-limit"]);
        let kinds = ["rfer", "reserved_data", "reserved_meta_pertrans", "reserved_meta_prealloc"];
        let held: i64 = kinds.iter().map(|kind| number(&limit[*kind])).sum();
        assert!(held + number(&instance["bytes"]) > number(&limit["max_rfer"]), "{instance}");
    }
    // Without a limit nothing is refused.
    let root = btrfs::open_dir(fs.path()).unwrap();
    btrfs::qgroup_limit(&root, subvol, None).unwrap();
    drop(root);
    let command = format!("dd if=/dev/zero of={0}/f bs=16k count=1280; mkdir {0}/x", folder.display());
    let done = probe::run(&["run", "--fs", &uuid, "--", "sh", "-c", &command]);
    assert_clean(&done);
    assert!(failures(done.report(), "qgroup").is_empty(), "{}", done.report()["failures"]);
}

/// A filesystem on which nothing happened while it was watched had no section, whatever it held.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn what_was_held_before_is_shown() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    let uuid = fs.fsid().to_string();
    // 8 MiB of dirty data. The kernel writes them after 30 seconds: while an emulated machine still attaches.
    let mut file = File::create(fs.path().join("dirty")).unwrap();
    file.write_all(&vec![1; 8 * MIB]).unwrap();
    let done = probe::run(&["watch", "--fs", &uuid, "--duration", "1s"]);
    let level = format!("/sys/fs/btrfs/{uuid}/allocation/data/bytes_may_use");
    let still: i64 = std::fs::read_to_string(&level).unwrap().trim().parse().unwrap();
    let [section] = probe::lives(done.report(), &uuid)[..] else {
        panic!("{}", done.report()["filesystems"])
    };
    let data = number(&section["space"]["data"]["bytes_may_use"]);
    let metadata = number(&section["space"]["metadata"]["bytes_may_use"]);
    assert!(metadata > 0, "{section}");
    // What is held afterwards was held before, for nobody else writes.
    assert!(data >= still, "{still}: {section}");
}

/// Bytes of the moves out of a reserve for which `kind` holds.
fn moved(draws: &Value, from: &str, kind: impl Fn(&str) -> bool) -> i64 {
    let cells = list(&draws["moves"]).iter();
    cells
        .filter(|cell| text(cell, "from") == from && kind(text(cell, "kind")))
        .map(|cell| number(&cell["bytes"]))
        .sum()
}

/// A filesystem whose metadata is full removes files: the delayed refs are paid for by the global reserve.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn who_draws_on_the_global_reserve_is_named() {
    let Some(_alone) = support::live() else { return };
    let fs = full_of_air();
    let uuid = fs.fsid().to_string();
    let mount = fs.path().display().to_string();
    let fill = format!("i=0; while echo 1 > {mount}/small$i && [ $i -lt 20000 ]; do i=$((i+1)); done");
    let command = format!("{fill}; rm -f {mount}/inline* {mount}/small*; sync -f {mount} || sync; sleep 1");
    let done = probe::run(&["run", "--fs", &uuid, "--", "sh", "-c", &command]);
    assert_eq!(done.report()["verdict"], "clean", "{done:?}");
    let [section] = probe::lives(done.report(), &uuid)[..] else {
        panic!("{}", done.report()["filesystems"])
    };
    let draws = &section["draws"];
    let by_calls = done.report()["tier"] == "functions";
    assert_eq!(draws["source"], if by_calls { "calls" } else { "tracepoints" });
    let global = list(&draws["global"]);
    // The root tree is written at each commit, and the global reserve is its own one.
    let own = global.iter().find(|draw| draw["kind"] == "use" && draw["root"] == 1);
    assert!(own.is_some(), "{draws}");
    let Some(fallen) = global.iter().find(|draw| draw["kind"] == "fall-back") else { panic!("{draws}") };
    assert!(!list(&fallen["stack"]).is_empty() && !list(&fallen["tasks"]).is_empty(), "{fallen}");
    assert!(number(&draws["global_lowest"]["reserved"]) < number(&draws["global_lowest"]["size"]), "{draws}");
    // Each draw is in the matrix, and each move out of the global reserve is a draw.
    let drawn: i64 = global.iter().map(|draw| number(&draw["bytes"])).sum();
    let left_out = number(&draws["global_left_out"]["bytes"]);
    let gone = |kind: &str| matches!(kind, "use" | "fall-back" | "migrate" | "steal");
    assert_eq!(drawn + left_out, moved(draws, "fs.global_rsv", gone), "{draws}");
    for cell in list(&draws["moves"]) {
        let of_roots: i64 = list(&cell["roots"]).iter().map(|root| number(&root["bytes"])).sum();
        let of_callers: i64 = list(&cell["callers"]).iter().map(|by| number(&by["bytes"])).sum();
        let (roots, callers) =
            (number(&cell["other_roots"]["bytes"]), number(&cell["other_callers"]["bytes"]));
        assert!([0, number(&cell["bytes"])].contains(&(of_roots + roots)), "{cell}");
        assert!(of_callers + callers <= number(&cell["bytes"]), "{cell}");
    }
    // Nothing is at work at the two readings, so every byte that came or went is attributed; a commit fills up the global reserve
    // without a call.
    assert_eq!(list(&draws["reserves"]).len(), if by_calls { 5 } else { 0 });
    for row in list(&draws["reserves"]) {
        let rest = number(&row["not_attributed"]);
        assert!(rest == 0 || (rest > 0 && row["reserve"] == "fs.global_rsv"), "{row}");
    }
    assert_eq!(list(&draws["idle_growth"]), [] as [Value; 0]);
}
