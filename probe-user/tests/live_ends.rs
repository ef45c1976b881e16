//! What test suites do to filesystems besides writing: failed mounts, replayed logs, seeds, replaced devices, relocation,
//! quotas that go away under load, other identities. All of it is correct, so nothing may be found.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
#![allow(clippy::print_stdout, reason = "a test says what the kernel has")]
mod support;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::{fd::AsRawFd, unix::fs::FileExt},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use probe_workload::{
    loopfs::{LoopFs, LoopFsOptions},
    ops::Abilities,
};
use serde_json::Value;
use support::{
    load::{beside, filesystem, operate},
    probe::{self, Done, RING, assert_clean, assert_silent, assert_silent_but_for, list, number},
};

/// Follows everything while `body` runs.
fn watched<T>(body: impl FnOnce() -> T) -> (Done, T) {
    let session = probe::attached(&["watch", "--ring-size", RING]);
    let result = body();
    (session.interrupt(), result)
}

/// Runs a program of btrfs-progs to a good end.
fn progs(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The lives that were seen on the device of `fs`.
fn lives_on<'a>(done: &'a Done, fs: &LoopFs) -> Vec<&'a Value> {
    let device = text(fs.device()).rsplit('/').next().unwrap();
    let own =
        |life: &&Value| list(&life["devices"]).iter().any(|name| name.as_str().unwrap().ends_with(device));
    list(&done.report()["filesystems"]).iter().filter(own).collect()
}

/// Some files of every kind of write.
fn write(fs: &LoopFs) {
    operate(fs.path(), Abilities::default(), 2, 80, &["buffered", "small", "sync", "twins"]);
}

/// A filesystem that is not mounted.
fn unmounted(size_mib: u64) -> LoopFs {
    LoopFs::create(LoopFsOptions::new(size_mib << 20).single()).unwrap()
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_mount_that_fails_is_no_life() {
    let Some(_alone) = support::live() else { return };
    let fs = unmounted(160);
    let (done, ()) = watched(|| {
        // Refused late: the trees are read and threads are there by then.
        fs.mount_with("subvol=there-is-none").unwrap_err();
        fs.mount_with("no_such_option").unwrap_err();
        fs.mount().unwrap();
        write(&fs);
        fs.umount().unwrap();
    });
    assert_clean(&done);
}

/// Hooks that go on while a filesystem is unmounted may see the last that it does, and not that this is its end: what the
/// kernel then shows under its name is of the next mount.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_session_that_begins_during_an_unmount_is_silent() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(160);
    let stop = AtomicBool::new(false);
    let reports: Vec<Done> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                fs.umount().unwrap();
                fs.mount().unwrap();
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let sessions = (0..8).map(|_| probe::run(&["watch", "--duration", "300ms", "--ring-size", "64M"]));
        let reports = sessions.collect();
        stop.store(true, Ordering::Relaxed);
        reports
    });
    for done in reports {
        assert_silent(done.report());
    }
}

/// Half of a mirror is gone: the mount fails after its threads are there, and works without it when told so.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_mount_that_lacks_a_device_is_clean() {
    let Some(_alone) = support::live() else { return };
    let (fs, other) = (unmounted(256), unmounted(256));
    let (one, two) = (text(fs.device()), text(other.device()));
    progs("mkfs.btrfs", &["-q", "-f", "-d", "raid1", "-m", "raid1", one, two]);
    fs.mount().unwrap();
    write(&fs);
    fs.umount().unwrap();
    progs("btrfs", &["device", "scan", "--forget", two]);
    let (done, ()) = watched(|| {
        fs.mount().unwrap_err();
        fs.mount_with("degraded").unwrap();
        write(&fs);
        fs.umount().unwrap();
    });
    assert_clean(&done);
    // The failed one came to threads, and never to reservations.
    let lives = lives_on(&done, &fs);
    assert_eq!(lives.iter().filter(|life| !list(&life["chains"]).is_empty()).count(), 1, "{lives:?}");
    assert!(lives.iter().all(|life| life["ended"] == true), "{lives:?}");
}

/// The device as it was after an fsync: its log is replayed by the mount, which makes claims of its own.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_log_that_is_replayed_is_clean() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    write(&fs);
    fs.sync().unwrap();
    for number in 0..20 {
        let file = File::create(fs.path().join(format!("logged.{number}"))).unwrap();
        file.write_all_at(&[3; 300_000], 0).unwrap();
        file.sync_all().unwrap();
    }
    let crashed = fs::read(fs.device()).unwrap();
    fs.umount().unwrap();
    let device = File::options().write(true).open(fs.device()).unwrap();
    device.write_all_at(&crashed, 0).unwrap();
    device.sync_all().unwrap();
    drop((device, crashed));
    let (done, ()) = watched(|| {
        fs.mount().unwrap();
        assert_eq!(
            fs.path().join("logged.19").metadata().unwrap().len(),
            300_000,
            "the log was not replayed"
        );
        write(&fs);
        fs.umount().unwrap();
    });
    assert_clean(&done);
}

/// A filesystem grows from a seed, and has another identity from then on while its fs_info stays.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_sprout_of_a_seed_is_clean() {
    let Some(_alone) = support::live() else { return };
    let (seed, other) = (filesystem(256), unmounted(256));
    write(&seed);
    seed.umount().unwrap();
    progs("btrfstune", &["-f", "-S", "1", text(seed.device())]);
    let (done, ()) = watched(|| {
        seed.mount_with("ro").unwrap();
        progs("btrfs", &["device", "add", "-f", text(other.device()), text(seed.path())]);
        progs("mount", &["-o", "remount,rw", text(seed.path())]);
        write(&seed);
        seed.umount().unwrap();
    });
    assert_clean(&done);
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_device_that_is_replaced_is_clean() {
    let Some(_alone) = support::live() else { return };
    // A replace needs room for chunks of its own beside the load.
    let (fs, other) = (filesystem(1024), unmounted(1024));
    write(&fs);
    let (done, ()) = watched(|| {
        beside(&[fs.path()], || {
            let (from, to) = (text(fs.device()), text(other.device()));
            progs("btrfs", &["replace", "start", "-B", "-f", from, to, text(fs.path())]);
        });
        fs.umount().unwrap();
    });
    assert_clean(&done);
}

/// Relocation writes through inodes of its own tree.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_full_balance_under_load_is_clean() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(512);
    write(&fs);
    let (done, ()) = watched(|| {
        beside(&[fs.path()], || {
            for _ in 0..2 {
                progs("btrfs", &["balance", "start", "--full-balance", text(fs.path())]);
            }
        });
        fs.umount().unwrap();
    });
    assert_clean(&done);
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_scrub_and_a_send_are_clean() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    write(&fs);
    let stream = tempfile::NamedTempFile::new().unwrap();
    let (done, ()) = watched(|| {
        beside(&[fs.path()], || {
            let snapshot = fs.path().join("sent");
            progs("btrfs", &["subvolume", "snapshot", "-r", text(&fs.path().join("a")), text(&snapshot)]);
            progs("btrfs", &["send", "-q", "-f", text(stream.path()), text(&snapshot)]);
            progs("btrfs", &["scrub", "start", "-B", text(fs.path())]);
        });
        fs.umount().unwrap();
    });
    assert_clean(&done);
}

/// What is reserved in qgroups stays while they are counted anew.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_quota_rescan_with_reservations_outstanding_is_clean() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(384);
    progs("btrfs", &["quota", "enable", text(fs.path())]);
    progs("btrfs", &["quota", "rescan", "-w", text(fs.path())]);
    let (done, rescans) = watched(|| {
        let rescans = beside(&[fs.path()], || {
            let begun = Instant::now();
            let mut rescans = 0;
            while begun.elapsed() < Duration::from_secs(2)
                || rescans < 3 && begun.elapsed() < support::deadline(60)
            {
                progs("btrfs", &["quota", "rescan", "-w", text(fs.path())]);
                rescans += 1;
            }
            rescans
        });
        fs.umount().unwrap();
        rescans
    });
    assert!(rescans > 2, "{rescans} rescans");
    assert_clean(&done);
    let life = lives_on(&done, &fs)[0];
    let qgroups = list(&life["chains"]).iter().filter(|chain| chain["account"] == "inode.qgroup_data");
    assert!(qgroups.map(|chain| number(&chain["links"])).sum::<i64>() > 100, "{life}");
}

/// The kernel forgets what is reserved in qgroups, and says so by no event: nothing is found, and it may be unsure.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn quotas_that_go_away_under_load_find_nothing() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(384);
    write(&fs);
    let (done, ()) = watched(|| {
        beside(&[fs.path()], || {
            for _ in 0..3 {
                progs("btrfs", &["quota", "enable", text(fs.path())]);
                std::thread::sleep(Duration::from_millis(700));
                progs("btrfs", &["quota", "rescan", "-w", text(fs.path())]);
                progs("btrfs", &["quota", "disable", text(fs.path())]);
            }
        });
        fs.umount().unwrap();
    });
    // A qgroup made anew where the one before lay, which the kernel's allocator does now and then, shows as one whose
    // value changed without a word.
    assert_silent_but_for(done.report(), |account| account.contains("qgroup"));
    for reason in list(&done.report()["verdict_reasons"]).iter().filter(|_| done.code != 0) {
        assert!(reason.as_str().unwrap().contains("qgroup"), "{reason}");
    }
}

/// The same device under another name is another filesystem.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_filesystem_that_changes_its_identity_is_clean() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    write(&fs);
    fs.umount().unwrap();
    let (done, ()) = watched(|| {
        for option in ["-u", "-m"] {
            progs("btrfstune", &["-f", option, text(fs.device())]);
            fs.mount().unwrap();
            write(&fs);
            fs.umount().unwrap();
        }
    });
    assert_clean(&done);
    let lives = lives_on(&done, &fs);
    let uuids: BTreeSet<&str> = lives.iter().map(|life| life["uuid"].as_str().unwrap()).collect();
    assert_eq!(uuids.len(), 2, "{uuids:?}");
}

/// `FS_IOC_SHUTDOWN`, `_IOR('X', 125, __u32)`: by the number of XFS, which btrfs takes too where it has the call at all.
const SHUTDOWN: u64 = nix::request_code_read!(b'X', 125, size_of::<u32>());

/// Forced to stop with everything dirty. A kernel without the call refuses it, and goes on as before.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_forced_shutdown_finds_nothing() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(256);
    let (done, stopped) = watched(|| {
        write(&fs);
        for number in 0..40 {
            fs::write(fs.path().join(format!("dirty.{number}")), [5; 200_000]).unwrap();
        }
        let root = File::open(fs.path()).unwrap();
        let how: u32 = 0;
        // SAFETY: the kernel reads one u32 from the live variable.
        let answer = unsafe { nix::libc::ioctl(root.as_raw_fd(), SHUTDOWN as _, &raw const how) };
        let errno = nix::errno::Errno::last();
        assert!(answer == 0 || errno == nix::errno::Errno::ENOTTY, "{errno}");
        drop(root);
        assert_eq!(fs::write(fs.path().join("after"), [6; 100_000]).is_err(), answer == 0);
        fs.umount().unwrap();
        answer == 0
    });
    println!("this kernel {} the call", if stopped { "has" } else { "does not have" });
    assert_silent(done.report());
    assert_eq!(lives_on(&done, &fs)[0]["ended"], true);
    if !stopped {
        assert_clean(&done);
    }
}

/// Down to hardly more than what is in it, and back.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_filesystem_that_shrinks_and_grows_is_clean() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(1024);
    write(&fs);
    let resize = |size: &str| {
        let arguments = ["filesystem", "resize", size, text(fs.path())];
        Command::new("btrfs").args(arguments).output().unwrap().status.success()
    };
    let (done, (least, refused)) = watched(|| {
        let result = beside(&[fs.path()], || {
            let sizes = [768, 640, 512, 384, 320, 256, 192, 128, 64];
            let taken: Vec<u32> = sizes.into_iter().take_while(|size| resize(&format!("{size}m"))).collect();
            let refused = taken.len() < sizes.len();
            assert!(resize("max"));
            (taken.last().copied(), refused)
        });
        fs.umount().unwrap();
        result
    });
    assert!(least.is_some_and(|least| least < 1024) && refused, "{least:?} MiB at last");
    assert_clean(&done);
}

/// As small as mkfs makes them, in both layouts, and nearly nothing fits.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_smallest_filesystems_are_clean() {
    let Some(_alone) = support::live() else { return };
    let mut mixed = LoopFsOptions::new(16 << 20).single();
    mixed.mixed = true;
    let all = [mixed, LoopFsOptions::new(112 << 20).single()].map(|options| LoopFs::create(options).unwrap());
    let (done, refused) = watched(|| {
        let mut refused = 0;
        for fs in &all {
            fs.mount().unwrap();
            for number in 0..300 {
                refused += u32::from(fs::write(fs.path().join(number.to_string()), [2; 200_000]).is_err());
            }
            let _ = fs.sync();
            fs.umount().unwrap();
        }
        refused
    });
    assert!(refused > 0, "all of it fitted");
    assert_clean(&done);
}

/// Full to the last byte, and then read-only and back.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_filesystem_without_a_free_byte_is_clean() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(128);
    let (done, ()) = watched(|| {
        let file = File::create(fs.path().join("all")).unwrap();
        let mut at = 0;
        while file.write_all_at(&[1; 1 << 20], at).is_ok() {
            at += 1 << 20;
        }
        let _ = file.sync_all();
        drop(file);
        fs.remount(true).unwrap();
        fs.remount(false).unwrap();
        fs.umount().unwrap();
    });
    assert_clean(&done);
}

/// The old free-space cache: inodes of its own that reserve and release, and are thrown away.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_inodes_of_a_free_space_cache_are_clean() {
    let Some(_alone) = support::live() else { return };
    let fs = unmounted(256);
    let (done, ()) = watched(|| {
        for options in ["clear_cache,space_cache=v1", "space_cache=v1"] {
            fs.mount_with(options).unwrap();
            write(&fs);
            fs.sync().unwrap();
            fs.umount().unwrap();
        }
    });
    assert_clean(&done);
}
