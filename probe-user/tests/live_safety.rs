//! What goes wrong around a session: it survives, or it leaves nothing; never is there a false finding.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::{ffi::CString, os::unix::process::CommandExt, process::Command};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};
use probe_workload::mounts;
use support::{
    kept, load,
    probe::{self, RING, assert_clean, lives, number},
};

/// While programs are being loaded, and when some hooks are on.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_session_that_is_killed_while_it_attaches_leaves_nothing() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    load::beside(&[fs.path()], || {
        for (programs, links) in [(1, 0), (10, 0), (0, 1), (0, 12)] {
            kept::killed_with(&["watch", "--tier", "tracepoints"], programs, links);
        }
    });
    // And the next one is as if nothing had been.
    let uuid = fs.fsid().to_string();
    let file = fs.path().join("file").to_str().unwrap().to_owned();
    let done = probe::run(&[
        "run",
        "--fs",
        &uuid,
        "--",
        "dd",
        "if=/dev/zero",
        &format!("of={file}"),
        "bs=64k",
        "count=64",
    ]);
    assert_clean(&done);
}

/// Each is an entry in the kernel side's table of tasks, for as long as it lives.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn thousands_of_short_tasks_that_write() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(512);
    let uuid = fs.fsid().to_string();
    let tasks = support::at_least(4000);
    let script = format!(
        "cd {} || exit 9; i=0; while [ $i -lt {tasks} ]; do (echo $i > f$i) & i=$((i+1)); [ $((i % 200)) = 0 ] && wait; done; wait; sync",
        fs.path().display()
    );
    let done = probe::run(&["run", "--fs", &uuid, "--ring-size", RING, "--", "sh", "-c", &script]);
    assert_clean(&done);
    assert_eq!(std::fs::read_dir(fs.path()).unwrap().count() as i64, tasks);
    assert!(number(&done.report()["statistics"]["records"]) > tasks, "{}", done.report()["statistics"]);
}

/// 2,000 of tmpfs and 200 of the filesystem itself.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn thousands_of_mounts() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    let uuid = fs.fsid().to_string();
    let folder = tempfile::tempdir().unwrap();
    let name = |kind: &str, number: usize| {
        let place = folder.path().join(format!("{kind}{number}"));
        std::fs::create_dir(&place).unwrap();
        CString::new(place.to_str().unwrap()).unwrap()
    };
    let others: Vec<CString> = (0..2000).map(|number| name("t", number)).collect();
    let own: Vec<CString> = (0..200).map(|number| name("b", number)).collect();
    let root = CString::new(fs.path().to_str().unwrap()).unwrap();
    // Copies of mounts keep a filesystem alive that others unmount: those of others go at once.
    let foreign: Vec<CString> = mounts::current()
        .unwrap()
        .into_iter()
        .filter(|mount| mount.fstype == "btrfs" && mount.point != fs.path())
        .map(|mount| CString::new(mount.point.to_str().unwrap()).unwrap())
        .collect();
    let last = own.last().unwrap().to_str().unwrap().to_owned();
    let change = move |command: &mut Command| {
        let change = move || {
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(None::<&str>, c"/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
            for point in &foreign {
                umount2(point.as_c_str(), MntFlags::MNT_DETACH)?;
            }
            for point in &others {
                mount(Some(c"t"), point.as_c_str(), Some(c"tmpfs"), MsFlags::empty(), Some(c"size=4k"))?;
            }
            for point in &own {
                mount(Some(root.as_c_str()), point.as_c_str(), None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
            }
            Ok(())
        };
        // SAFETY: system calls only, on strings made before the fork.
        unsafe { command.pre_exec(change) };
    };
    // By one of the copies, which is the newest mount.
    let write = format!("dd if=/dev/zero of={last}/file bs=64k count=64 conv=fsync status=none");
    let done = probe::start_with(&["run", "--fs", &last, "--", "sh", "-c", &write], change).finish();
    assert_clean(&done);
    let [life] = lives(done.report(), &uuid)[..] else { panic!("{}", done.report()["filesystems"]) };
    let paths = probe::list(&life["mounts"]);
    assert!(paths.iter().any(|path| path == last.as_str()) && paths.len() == 201, "{} paths", paths.len());
    assert!(number(&done.report()["statistics"]["records"]) > 10);
}
