//! What test suites do to filesystems besides writing: failed mounts, replayed logs, seeds, replaced devices, relocation,
//! quotas that go away under load, other identities. All of it is correct, so nothing may be found.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use probe_user::workload::loopfs::{LoopFs, LoopFsOptions};
use probe_user::workload::ops::Abilities;
use serde_json::Value;
use support::load::{beside, filesystem, operate};
use support::probe::{self, Done, RING, assert_clean, assert_silent, list};

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

/// Some files of every kind of write.
fn write(fs: &LoopFs) {
    operate(fs.path(), Abilities::default(), 2, 80, &["buffered", "small", "sync", "twins"]);
}

/// A filesystem that is not mounted.
fn unmounted(size_mib: u64) -> LoopFs {
    LoopFs::create(LoopFsOptions::new(size_mib << 20).single()).unwrap()
}

#[test]
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

/// The device as it was after an fsync: its log is replayed by the mount, which makes claims of its own.
#[test]
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

/// The kernel forgets what is reserved in qgroups, and says so by no event: nothing is found, and it may be unsure.
#[test]
fn quotas_that_go_away_under_load_find_nothing() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem(384);
    write(&fs);
    let (done, ()) = watched(|| {
        beside(&[fs.path()], || {
            for _ in 0..3 {
                progs("btrfs", &["quota", "enable", text(fs.path())]);
                std::thread::sleep(std::time::Duration::from_millis(700));
                progs("btrfs", &["quota", "rescan", "-w", text(fs.path())]);
                progs("btrfs", &["quota", "disable", text(fs.path())]);
            }
        });
        fs.umount().unwrap();
    });
    assert_silent(done.report());
    for reason in list(&done.report()["verdict_reasons"]).iter().filter(|_| done.code != 0) {
        assert!(reason.as_str().unwrap().contains("qgroup"), "{reason}");
    }
}

/// The same device under another name is another filesystem.
#[test]
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
    let device = text(fs.device()).rsplit('/').next().unwrap();
    let own =
        |life: &&Value| list(&life["devices"]).iter().any(|name| name.as_str().unwrap().ends_with(device));
    let lives = list(&done.report()["filesystems"]);
    let uuids: BTreeSet<&str> = lives.iter().filter(own).map(|life| life["uuid"].as_str().unwrap()).collect();
    assert_eq!(uuids.len(), 2, "{uuids:?}");
}

/// Full to the last byte, and then read-only and back.
#[test]
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
