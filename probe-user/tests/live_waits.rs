//! Reservations that wait for space: seen while they wait, in the recording, and counted with their flushes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::{
    fs::File,
    io::{ErrorKind, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    thread::JoinHandle,
};

use probe_workload::{
    ioctl::file::{freeze, thaw},
    loopfs::{LoopFs, LoopFsOptions},
};
use serde_json::Value;
use support::probe::{self, RING, assert_silent, list, lives, number};

const MIB: u64 = 1 << 20;

/// A filesystem whose device is a file on another filesystem, which can be frozen: then the device does not answer.
struct Stopped {
    inner: Option<LoopFs>,
    outer: LoopFs,
    frozen: bool,
}

impl Stopped {
    fn new() -> Self {
        let outer = LoopFs::create_mounted(LoopFsOptions::new(700 * MIB).single()).unwrap();
        let options = LoopFsOptions { dir: Some(outer.path().to_owned()), ..LoopFsOptions::new(256 * MIB) };
        let inner = LoopFs::create_mounted(options.single()).unwrap();
        Self { inner: Some(inner), outer, frozen: false }
    }

    fn inner(&self) -> &LoopFs {
        self.inner.as_ref().unwrap()
    }

    fn freeze(&mut self) {
        freeze(File::open(self.outer.path()).unwrap()).unwrap();
        self.frozen = true;
    }

    fn thaw(&mut self) {
        if std::mem::take(&mut self.frozen) {
            thaw(File::open(self.outer.path()).unwrap()).unwrap();
        }
    }
}

impl Drop for Stopped {
    /// The inner one cannot be unmounted while the outer one is frozen.
    fn drop(&mut self) {
        self.thaw();
        self.inner = None;
    }
}

/// Writes until no space is left, in a thread of its own. The file is there already: to make one may wait for space too.
fn fill(mut file: File) -> JoinHandle<()> {
    let write = move || {
        let block = vec![0x5a; MIB as usize];
        for _ in 0..512 {
            match file.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    };
    std::thread::Builder::new().name("waits-for-space".to_owned()).spawn(write).unwrap()
}

/// Half of the filesystem is written and on the device, the other half is to come.
fn half(fs: &Path) {
    let mut file = File::create(fs.join("first")).unwrap();
    file.write_all(&vec![1; 100 * MIB as usize]).unwrap();
    file.sync_all().unwrap();
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_reservation_that_waits_is_seen_while_it_waits() {
    let Some(_alone) = support::live() else { return };
    let mut fs = Stopped::new();
    let (path, uuid) = (fs.inner().path().to_owned(), fs.inner().fsid().to_string());
    half(&path);
    let folder = tempfile::tempdir().unwrap();
    let keep = ["--keep", "60s", "--dump-on", "stall", "--dump-to", folder.path().to_str().unwrap()];
    let watch = ["watch", "--fs", &uuid, "--stall", "1500ms", "--ring-size", RING];
    let mut session = probe::attached(&[&watch[..], &keep].concat());
    let second = File::create(path.join("second")).unwrap();
    fs.freeze();
    let writer = fill(second);
    session.wait_for("has waited at least");
    fs.thaw();
    writer.join().unwrap();
    session.wait_for("stall over");
    let ino = std::fs::metadata(path.join("second")).unwrap().ino();
    let done = session.interrupt();
    assert_silent(done.report());
    let of = lives(done.report(), &uuid)[0];
    let stall = &list(&of["waits"]["stalls"])[0];
    assert!(number(&stall["waited_ns"]) >= 1_500_000_000, "{stall}");
    assert_eq!(stall["ticket"]["task"]["comm"], "waits-for-space", "{stall}");
    assert_eq!(stall["ticket"]["inode"], ino, "{stall}");
    assert_eq!(stall["ticket"]["flusher_on"], true, "{stall}");
    let functions = |stack: &Value| -> Vec<String> {
        list(stack).iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let stack = functions(&stall["ticket"]["stack"]);
    assert!(stack.iter().any(|name| name.contains("btrfs_buffered_write")), "{stall}");
    let worker = &stall["worker"];
    assert!(worker["task"]["comm"].as_str().unwrap().starts_with("kworker/"), "{stall}");
    let stack = functions(&worker["stack"]);
    assert!(stack.iter().any(|name| name.contains("reclaim")), "{stall}");
    assert!(number(&of["waits"]["times"]["max_ns"]) >= 1_500_000_000, "{}", of["waits"]["times"]);
    assert!(list(&of["waits"]["waiting"]).is_empty(), "{}", of["waits"]);
    // The flight recorder kept what came before it.
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}: {}", done.stderr) };
    let kept = probe::run(&["report", file.to_str().unwrap()]);
    assert_silent(kept.report());
    assert_eq!(lives(kept.report(), &uuid).len(), 1);
}

/// The recording ends while a reservation waits. Its report says so each time, in each format.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn what_never_ended_is_in_the_recording() {
    let Some(_alone) = support::live() else { return };
    let mut fs = Stopped::new();
    let (path, uuid) = (fs.inner().path().to_owned(), fs.inner().fsid().to_string());
    half(&path);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stall.rsv");
    let file = file.to_str().unwrap();
    let recorder = probe::attached(&["record", "-o", file, "--fs", &uuid, "--ring-size", RING]);
    let second = File::create(path.join("second")).unwrap();
    fs.freeze();
    let writer = fill(second);
    std::thread::sleep(support::deadline(4));
    let recorded = recorder.interrupt();
    fs.thaw();
    writer.join().unwrap();
    assert_eq!(recorded.code, 0, "{recorded:?}");
    let done = probe::run(&["report", file, "--stall", "1s", "--format", "ndjson"]);
    assert_silent(done.report());
    let of = lives(done.report(), &uuid)[0];
    let waiting = &list(&of["waits"]["waiting"])[0];
    assert_eq!(waiting["task"]["comm"], "waits-for-space", "{waiting}");
    assert!(number(&waiting["waited_at_least_ns"]) >= 1_000_000_000, "{waiting}");
    assert!(number(&waiting["bytes"]) > 0, "{waiting}");
    let lines: Vec<Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stall = lines.iter().find(|line| line["type"] == "stall").unwrap();
    assert_eq!((&stall["ticket"], stall["filesystem"].as_str()), (waiting, Some(uuid.as_str())));
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn flushes_of_a_full_filesystem_are_counted() {
    let Some(_alone) = support::live() else { return };
    let fs = LoopFs::create_mounted(LoopFsOptions::new(256 * MIB).single()).unwrap();
    let uuid = fs.fsid().to_string();
    let session = probe::attached(&["watch", "--fs", &uuid, "--ring-size", RING]);
    fill(File::create(fs.path().join("file")).unwrap()).join().unwrap();
    fs.sync().unwrap();
    let done = session.interrupt();
    assert_silent(done.report());
    let of = lives(done.report(), &uuid)[0];
    let states = list(&of["flushes"]["states"]);
    let calls = |name: &str| -> i64 {
        states.iter().filter(|row| row["state"] == name).map(|row| number(&row["calls"])).sum()
    };
    // Data that does not fit makes the kernel allocate a chunk and commit, whatever its version.
    assert!(calls("ALLOC_CHUNK_FORCE") > 0 && calls("COMMIT_TRANS") > 0, "{}", of["flushes"]);
    for row in states {
        assert!(row["state"].as_str().unwrap().parse::<i32>().is_err(), "no name: {row}");
        assert!(number(&row["timed"]) <= number(&row["calls"]), "{row}");
        assert!(number(&row["longest_ns"]) <= number(&row["time_ns"]), "{row}");
    }
    assert!(number(&of["flushes"]["commits"]) > 0, "{}", of["flushes"]);
    let runs = list(&of["flushes"]["runs"]).iter().map(|run| number(&run["for_tickets"])).sum::<i64>();
    assert!(runs > 0, "{}", of["flushes"]);
    let (times, tickets) = (&of["waits"]["times"], &of["tickets"]);
    let measured = number(&times["count"]) + number(&times["unmeasured"]);
    assert_eq!(measured, number(&tickets["granted"]) + number(&tickets["failed"]), "{times} {tickets}");
    let buckets = list(&times["histogram"]).iter().map(|bucket| number(&bucket["count"])).sum::<i64>();
    assert_eq!(buckets, number(&times["count"]), "{times}");
    let order = ["p50_ns", "p90_ns", "p99_ns", "max_ns"].map(|name| number(&times[name]));
    assert!(order.is_sorted(), "{times}");
    assert!(
        list(&of["waits"]["tasks"]).iter().any(|task| task["task"]["comm"] == "waits-for-space"),
        "{}",
        of["waits"]
    );
}
