//! Which filesystem, and what happens to it: mounts, remounts, new filesystems in old places, limits, aborts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
#![allow(clippy::print_stdout, reason = "a failing test should show what was seen")]
mod support;

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use probe_workload::{
    loopfs::{Fsid, LoopFs, LoopFsOptions},
    mix::MixReport,
    ops::{Abilities, Layout, OpOutcome, TWINS, shared_name},
};
use serde_json::Value;
use support::{
    load::{beside, filesystem, operate, operate_in},
    probe::{self, Done, RING, assert_clean, assert_silent, list, lives, number},
};

const ALL: Abilities = Abilities { quota: false, balance: true, remount: true, fill: true };

/// Watches `uuid` while `body` runs.
fn watched<T>(uuid: &str, body: impl FnOnce() -> T) -> (Done, T) {
    let session = probe::attached(&["watch", "--fs", uuid, "--ring-size", RING]);
    let result = body();
    (session.interrupt(), result)
}

/// All that an unmounted filesystem still claimed when it ended.
fn assert_empty(fs: &Value) {
    assert_eq!(fs["ended"], true, "{fs}");
    assert_eq!(fs["inodes"], 0, "{fs}");
    let space = fs["space"].as_object().unwrap();
    assert!(!space.is_empty(), "its last levels were not read: {fs}");
    for (name, levels) in space {
        assert_eq!(levels["bytes_may_use"], 0, "{name}: {levels}");
        assert_eq!(levels["bytes_reserved"], 0, "{name}: {levels}");
    }
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn only_the_filesystem_named_is_followed() {
    let Some(_alone) = support::live() else { return };
    let (one, two) = (filesystem(256), filesystem(256));
    beside(&[one.path(), two.path()], || {
        let uuid = one.fsid().to_string();
        for name in [one.path().to_str().unwrap(), &uuid, one.device().to_str().unwrap()] {
            let done = probe::run(&["watch", "--duration", "2s", "--ring-size", RING, "--fs", name]);
            assert_clean(&done);
            let followed: Vec<&Value> = list(&done.report()["filesystems"]).iter().collect();
            assert_eq!(followed.len(), 1, "--fs {name}: {followed:?}");
            assert_eq!(followed[0]["uuid"], uuid.as_str());
            assert_eq!(followed[0]["mounts"][0], one.path().to_str().unwrap());
            assert!(
                list(&followed[0]["chains"]).iter().map(|chain| number(&chain["links"])).sum::<i64>() > 100
            );
        }
    });
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn an_unmount_closes_every_account() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(320);
    let uuid = fs.fsid().to_string();
    // Dirty files and held chunks from before, of which the openings are not known.
    // On an emulated machine one operation that fills takes minutes; there the tests of limits alone do it.
    let abilities = Abilities { fill: support::patience() == 1, ..ALL };
    operate(fs.path(), abilities, 2, 200, &[]);
    let (done, ()) = watched(&uuid, || {
        operate(fs.path(), abilities, 4, 600, &[]);
        fs.umount().unwrap();
        std::thread::sleep(Duration::from_millis(500));
    });
    assert_clean(&done);
    let [life] = lives(done.report(), &uuid)[..] else { panic!("{:?}", done.report) };
    assert_eq!(life["born"], false);
    assert!(number(&life["inodes_closed"]) > 10, "{life}");
    assert_empty(life);
}

/// Writes a line to the kernel's log as btrfs does: what comes from `/dev/kmsg` passes where the kernel's own lines pass.
fn complain(device: &Path) {
    let device = device.file_name().unwrap().display();
    let line =
        format!("<4>BTRFS warning (device {device}): qgroup 0/257 has unreleased space, type 0 rsv 4096\n");
    std::fs::write("/dev/kmsg", line).unwrap();
}

/// It was read with `--fstests` only, and a kernel that leaks space of qgroups was clean.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn what_the_kernel_complains_of_is_not_clean() {
    let Some(_alone) = support::live() else { return };
    let (fs, other) = (filesystem(160), filesystem(160));
    let uuid = fs.fsid().to_string();
    let work = |complained: &LoopFs| {
        operate(fs.path(), Abilities::default(), 1, 20, &["buffered", "small"]);
        complain(complained.device());
    };
    let (done, ()) = watched(&uuid, || work(&fs));
    assert_silent(done.report());
    assert_eq!((done.code, done.report()["verdict"].as_str()), (4, Some("inconclusive")), "{}", done.stderr);
    let names = |done: &Done, uuid: &str| {
        let reasons = list(&done.report()["verdict_reasons"]).iter().filter_map(Value::as_str);
        reasons
            .filter(|reason| reason.starts_with("The kernel said of loop") && reason.contains(uuid))
            .count()
    };
    assert_eq!(names(&done, &uuid), 1, "{}", done.report()["verdict_reasons"]);

    // A recording says the same.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.rsv");
    let session = probe::attached(&["record", "-o", file.to_str().unwrap(), "--fs", &uuid]);
    work(&fs);
    assert_eq!(session.interrupt().code, 0);
    let done = probe::run(&["report", file.to_str().unwrap()]);
    assert_eq!((done.code, names(&done, &uuid)), (4, 1), "{}", done.report()["verdict_reasons"]);

    // Of a filesystem that is not followed.
    let (done, ()) = watched(&uuid, || work(&other));
    assert_clean(&done);
    let session = probe::attached(&["watch", "--ring-size", RING]);
    work(&other);
    let done = session.interrupt();
    let reasons = &done.report()["verdict_reasons"];
    assert_eq!(done.code, 4, "all are followed, and it may be one that had nothing to do: {reasons}");
    assert!(
        list(reasons).iter().any(|reason| reason.to_string().contains("The kernel said of loop")),
        "{reasons}"
    );
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_remount_is_no_end() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let uuid = fs.fsid().to_string();
    let (done, ()) = watched(&uuid, || {
        for round in 0..5 {
            operate(fs.path(), Abilities::default(), 1, 20, &["buffered", "small", "truncate"]);
            // Refused while an unlinked inode is still to be destroyed.
            let begun = Instant::now();
            while let Err(error) = fs.remount(true) {
                assert!(begun.elapsed() < support::deadline(10), "{error}");
                std::thread::sleep(Duration::from_millis(10));
            }
            fs.remount(false).unwrap();
            std::fs::write(fs.path().join(format!("after{round}")), vec![1; 100_000]).unwrap();
        }
    });
    assert_clean(&done);
    let [life] = lives(done.report(), &uuid)[..] else { panic!("{:?}", done.report) };
    assert_eq!((&life["ended"], &life["aborted"]), (&Value::Bool(false), &Value::Bool(false)));
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn many_quick_mounts_are_as_many_lives() {
    const MOUNTS: usize = 50;
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(160);
    let uuid = fs.fsid().to_string();
    fs.umount().unwrap();
    let (done, ()) = watched(&uuid, || {
        for round in 0..MOUNTS {
            fs.mount().unwrap();
            std::fs::write(fs.path().join("file"), vec![round as u8; 200_000]).unwrap();
            fs.umount().unwrap();
        }
    });
    assert_clean(&done);
    let all = lives(done.report(), &uuid);
    assert_eq!(all.len(), MOUNTS);
    for life in all {
        assert_eq!(life["born"], true, "{life}");
        assert_empty(life);
    }
}

/// What came after its work queues were gone, the release of the global reserve, was the first that was seen of it: it was one
/// that lives for ever, and freed memory was read as its levels.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_filesystem_first_seen_at_its_unmount_ends() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(160);
    let uuid = fs.fsid().to_string();
    std::fs::write(fs.path().join("file"), vec![1; 100_000]).unwrap();
    // A mount without anything to write has nothing to say until the reserve is released.
    fs.umount().unwrap();
    fs.mount().unwrap();
    fs.remount(true).unwrap();
    let (done, ()) = watched(&uuid, || fs.umount().unwrap());
    assert_silent(done.report());
    let [life] = lives(done.report(), &uuid)[..] else { panic!("{:?}", done.report) };
    assert_eq!((&life["born"], &life["ended"]), (&Value::Bool(false), &Value::Bool(true)), "{life}");
}

/// A session over a test suite went blind: what the kernel side had kept for filesystems that were gone was not given to
/// those that came, and a hundred at once were more than it had room for.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn hundreds_of_filesystems_at_once_and_after_one_another_are_clean() {
    let Some(_alone) = support::live() else { return };
    // Fewer in emulation, where a mount takes seconds. More than there once was room for all the same.
    let (at_once, rounds) = if support::patience() == 1 { (200, 3) } else { (80, 2) };
    let session = probe::attached(&["watch", "--ring-size", RING]);
    let mut uuids = Vec::new();
    for round in 0..rounds {
        let count: usize = if round + 1 == rounds { at_once / 2 } else { at_once };
        let filesystems: Vec<LoopFs> = (0..count).map(|_| filesystem(130)).collect();
        std::thread::scope(|scope| {
            for part in filesystems.chunks(count.div_ceil(2)) {
                scope.spawn(move || {
                    for fs in part {
                        for index in 0..3 {
                            let path = fs.path().join(format!("file{index}"));
                            std::fs::write(path, vec![1; 200_000]).unwrap();
                        }
                        std::fs::remove_file(fs.path().join("file0")).unwrap();
                    }
                });
            }
        });
        for fs in &filesystems {
            uuids.push(fs.fsid().to_string());
            fs.umount().unwrap();
        }
    }
    let done = session.interrupt();
    assert_clean(&done);
    let loss = done.report()["loss"]["by_class"].as_object().unwrap();
    if !probe::preempts_programs(done.report()) {
        assert!(loss.values().all(|count| *count == 0), "{loss:?}");
    }
    for uuid in uuids {
        let [life] = lives(done.report(), &uuid)[..] else { panic!("{uuid} is not one life") };
        assert_eq!(life["born"], true, "{life}");
        assert_empty(life);
    }
}

/// Release hooks go on before reserve hooks: what is mounted and used in between has no complete books.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_filesystem_mounted_while_the_hooks_go_on_is_not_taken_for_born() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(160);
    let uuid = fs.fsid().to_string();
    operate(fs.path(), Abilities::default(), 1, 10, &["twins"]);
    fs.umount().unwrap();
    let work = || {
        fs.mount().unwrap();
        for index in 0..20 {
            std::fs::write(fs.path().join(format!("f{index}")), vec![1; 300_000]).unwrap();
        }
        fs.umount().unwrap();
    };
    for _ in 0..2 {
        let mut session = probe::start(&["watch", "--fs", &uuid, "--ring-size", RING]);
        let begun = Instant::now();
        while !session.said("attached,") {
            assert!(begun.elapsed() < support::deadline(90), "the hooks never went on");
            work();
        }
        // So many are seen whole.
        for _ in 0..4 {
            work();
        }
        let done = session.interrupt();
        assert_clean(&done);
        assert!(lives(done.report(), &uuid).len() > 3, "{:?}", done.report);
    }
}

/// A new filesystem on the same device gets the fs_info's address of the old one more often than not.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_new_filesystem_on_the_same_device_is_another_one() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(160);
    let mut uuids = vec![fs.fsid().to_string()];
    let session = probe::attached(&["watch", "--ring-size", RING]);
    for _ in 0..4 {
        operate(fs.path(), Abilities::default(), 2, 60, &["buffered", "small", "twins"]);
        fs.umount().unwrap();
        let uuid = Fsid::random().unwrap().to_string();
        let made = Command::new("mkfs.btrfs")
            .args(["-q", "-f", "-K", "-U", &uuid])
            .arg(fs.device())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        fs.mount().unwrap();
        uuids.push(uuid);
    }
    fs.umount().unwrap();
    let done = session.interrupt();
    assert_clean(&done);
    for (index, uuid) in uuids.iter().enumerate() {
        let [life] = lives(done.report(), uuid)[..] else { panic!("{uuid}: {:?}", done.report) };
        assert_eq!(life["born"], index > 0, "{life}");
        assert_empty(life);
    }
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn equal_inode_numbers_in_two_subvolumes_are_two_inodes() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let uuid = fs.fsid().to_string();
    let (done, _) =
        watched(&uuid, || operate(fs.path(), Abilities::default(), 2, 100, &["twins", "snapshot", "subvol"]));
    assert_clean(&done);
    for root in TWIN_ROOTS {
        let twin = inode(&done, &uuid, root);
        assert!(twin.is_some_and(|twin| number(&twin["reservations"]) > 0), "{root}: {:?}", done.report);
    }
}

/// Only where there is room: where a reservation has to wait for space, the kernel first writes out what is dirty.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn twins_that_are_dirty_hold_each_its_own() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(1024);
    let uuid = fs.fsid().to_string();
    Layout::prepare(fs.path(), Abilities::default()).unwrap();
    fs.sync().unwrap();
    let lengths = [300_000, 100_000];
    let (done, ()) = watched(&uuid, || {
        for (twin, length) in TWINS.into_iter().zip(lengths) {
            let file = File::options().write(true).open(fs.path().join(twin).join(shared_name(0))).unwrap();
            file.write_all_at(&vec![7; length], 0).unwrap();
        }
    });
    assert_clean(&done);
    if probe::skipped_by_the_kernel(done.report()) {
        // The reservation of one of them may be what was skipped.
        return;
    }
    for (root, length) in TWIN_ROOTS.into_iter().zip(lengths) {
        let twin = inode(&done, &uuid, root).unwrap_or_else(|| panic!("{root}: {:?}", done.report));
        let pages = length.next_multiple_of(4096);
        assert_eq!(number(&twin["delalloc_bytes"]), i64::try_from(pages).unwrap(), "{twin}");
        assert!(number(&twin["meta_rsv"]) > 0, "{twin}");
    }
}

/// The subvolumes of [`TWINS`].
const TWIN_ROOTS: [i64; 2] = [256, 257];

/// What is told of the first of the twins' files in the subvolume `root`.
fn inode<'a>(done: &'a Done, uuid: &str, root: i64) -> Option<&'a Value> {
    list(&done.report()["inodes"]).iter().find(|inode| {
        inode["filesystem"] == uuid && number(&inode["root"]) == root && number(&inode["inode"]) == 257
    })
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn snapshots_and_deleted_subvolumes_are_clean() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(320);
    let uuid = fs.fsid().to_string();
    let (done, report) = watched(&uuid, || {
        let report =
            operate(fs.path(), ALL, 4, 400, &["snapshot", "subvol", "buffered", "orphan", "reflink"]);
        fs.umount().unwrap();
        report
    });
    assert!(report.of("snapshot", OpOutcome::Done) > 20, "{report}");
    assert_clean(&done);
    assert_empty(lives(done.report(), &uuid)[0]);
}

/// Runs into the limit `wanted` and unmounts, watched from before the first mount.
fn at_a_limit(
    options: LoopFsOptions,
    abilities: Abilities,
    names: &[&str],
    wanted: OpOutcome,
) -> (Value, MixReport) {
    let fs = LoopFs::create_mounted(options).unwrap();
    let uuid = fs.fsid().to_string();
    let (done, report) = watched(&uuid, || {
        let layout = Layout::prepare(fs.path(), abilities).unwrap();
        let mut report = operate_in(&layout, 1, 3, names);
        report.add(&operate_in(&layout, 4, 300, &[names, &["buffered", "small", "sync"]].concat()));
        // It keeps folders open, and the filesystem is to be unmounted.
        drop(layout);
        fs.umount().unwrap();
        report
    });
    println!("{report}");
    assert!(report.outcome(wanted) > 0, "{report}");
    assert_clean(&done);
    let report_of_probe = done.report().clone();
    assert_empty(lives(&report_of_probe, &uuid)[0]);
    (report_of_probe, report)
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn no_space_for_metadata_of_its_own_is_clean() {
    let Some(_alone) = support::live() else { return };
    let options = LoopFsOptions::new(192 << 20).single();
    let (report, _) = at_a_limit(options, ALL, &["fill_metadata"], OpOutcome::NoSpace);
    println!("{}", report["failed_reservations"]);
    assert!(list(&report["filesystems"]).iter().any(|fs| number(&fs["enospc"]) > 0));
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn no_space_for_data_and_metadata_in_one_is_clean() {
    let Some(_alone) = support::live() else { return };
    let mut options = LoopFsOptions::new(160 << 20).single();
    options.mixed = true;
    let (report, _) = at_a_limit(options, ALL, &["fill_data", "fill_metadata"], OpOutcome::NoSpace);
    println!("{}", report["failed_reservations"]);
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_quota_limit_is_clean() {
    let Some(_alone) = support::live() else { return };
    let mut options = LoopFsOptions::new(256 << 20).single();
    options.quota = true;
    let abilities = Abilities { quota: true, balance: false, remount: true, fill: false };
    let (report, _) = at_a_limit(options, abilities, &["quota"], OpOutcome::OverQuota);
    println!("{}", report["failed_reservations"]);
    let qgroups = list(&report["filesystems"])
        .iter()
        .flat_map(|fs| list(&fs["chains"]))
        .filter(|chain| chain["account"] == "inode.qgroup_data");
    assert!(qgroups.map(|chain| number(&chain["links"])).sum::<i64>() > 100);
}

/// Errors of the device abort the transaction: what had been reserved is torn down in another way.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn an_aborted_filesystem_gives_no_finding() {
    let Some(_alone) = support::live() else { return };
    let fs = LoopFs::create_mounted(LoopFsOptions::new(256 << 20).single()).unwrap();
    let uuid = fs.fsid().to_string();
    let (done, aborted) = watched(&uuid, || {
        operate(fs.path(), Abilities::default(), 2, 100, &["buffered", "small"]);
        fs.sync().unwrap();
        // What is left has one superblock and no block of a tree.
        fs.cut_device(1 << 20).unwrap();
        // Until the kernel has had enough; each answer is right.
        let aborted = (0..20).any(|round| {
            let _ = dirty(&fs.path().join(format!("late{round}")));
            fs.sync().is_err() && fs.remount(false).is_err()
        });
        let _ = fs.umount();
        aborted
    });
    assert!(aborted, "the device's errors did not abort it");
    assert_silent(done.report());
    let [life] = lives(done.report(), &uuid)[..] else { panic!("{:?}", done.report) };
    println!("{} {}", done.report()["verdict"], done.report()["verdict_reasons"]);
    assert_eq!((&life["aborted"], &life["ended"]), (&Value::Bool(true), &Value::Bool(true)), "{life}");
    let failures = list(&done.report()["failures"]);
    let aborts: Vec<&Value> = failures.iter().filter(|failure| failure["kind"] == "abort").collect();
    assert!(!aborts.is_empty(), "{failures:?}");
    for instance in aborts.iter().flat_map(|abort| list(&abort["instances"])) {
        assert!(instance["aborted_at"].as_str().is_some_and(|place| place.contains(':')), "{instance}");
    }
}

fn dirty(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)?;
    for index in 0..40 {
        std::fs::write(path.join(index.to_string()), vec![index; 50_000])?;
    }
    Ok(())
}
