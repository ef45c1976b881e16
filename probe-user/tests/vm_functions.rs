//! The functions tier where a session does not choose it by itself: it loads, and sees what the tracepoints cannot.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use probe_workload::{ioctl::btrfs, loopfs::LoopFs};
use support::{
    load,
    probe::{self, assert_silent, number, preempts_programs},
};

/// Quotas are on, and `s` is a subvolume.
fn with_quotas() -> LoopFs {
    let fs = load::filesystem(512);
    let root = btrfs::open_dir(fs.path()).unwrap();
    btrfs::quota_enable(&root).unwrap();
    btrfs::subvol_create(&root, "s").unwrap();
    fs.sync().unwrap();
    fs
}

/// Linux 7.3 refused a program of this tier, and no test asked for the tier there.
#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn a_write_in_a_subvolume_with_quotas() {
    let Some(_alone) = support::live() else { return };
    let fs = with_quotas();
    let uuid = fs.fsid().to_string();
    let command =
        format!("dd if=/dev/zero of={0}/s/f bs=16k count=64; sync; rm {0}/s/f", fs.path().display());
    let done = probe::run(&["run", "--tier", "functions", "--fs", &uuid, "--", "sh", "-c", &command]);
    let report = done.report();
    assert_silent(report);
    assert_eq!(report["tier"], "functions", "{done:?}");
    assert_eq!(report["verdict"], "clean", "{done:?}");
    assert!(number(&report["statistics"]["records"]) > 100, "{}", report["statistics"]);
}

/// On 6.1 the flag that cancels a rescan has the place that the flag of simple quotas has in newer kernels. What was reserved while it stood was
/// a leak when it no longer did.
#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn quotas_that_are_inconsistent_are_not_taken_for_simple_ones() {
    let Some(_alone) = support::live() else { return };
    let fs = with_quotas();
    let uuid = fs.fsid().to_string();
    // The qgroup of higher level makes them inconsistent. The extent has its delayed ref before the rescan, which commits it.
    let command = "set -e; cd \"$1\"; btrfs qgroup create 1/1 .; btrfs subvolume snapshot -i 1/1 s t; \
                   dd if=/dev/zero of=s/f bs=64k count=4 conv=fsync; btrfs quota rescan -w .; \
                   dd if=/dev/zero of=s/g bs=64k count=4 conv=fsync; cd /; sync";
    let at = fs.path().to_str().unwrap();
    let done =
        probe::run(&["run", "--tier", "functions", "--fs", &uuid, "--", "sh", "-c", command, "sh", at]);
    let report = done.report();
    assert_eq!(report["tier"], "functions", "{done:?}");
    assert!(number(&report["statistics"]["records"]) > 100, "{done:?}");
    assert!(matches!(done.code, 0 | 4), "{done:?}");
    let unknown: Vec<_> =
        probe::list(&report["findings"]).iter().filter(|finding| finding["known"].is_null()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// The functions tier is the default on every kernel with kprobes. Where programs of tracepoints can be preempted, those that fire
/// outside of spinlocks are kprobes.
#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn programs_of_tracepoints_that_can_be_preempted_are_kprobes() {
    let Some(_alone) = support::live() else { return };
    let _fs = load::filesystem(256);
    let done = probe::run(&["run", "--tier", "auto", "--", "true"]);
    let report = done.report();
    assert_eq!(report["tier"], "functions", "{done:?}");
    let hooks = report["hooks"].as_array().unwrap();
    let kind = |id: &str| hooks.iter().find(|hook| hook["id"] == id).unwrap()["kind"].as_str().unwrap();
    let wanted = if preempts_programs(report) { "raw_tracepoint+kprobe" } else { "raw_tracepoint" };
    assert_eq!((kind("btrfs_space_reservation"), kind("btrfs_reserve_extent")), (wanted, wanted));
    // Under a spinlock.
    assert_eq!(kind("update_bytes_may_use"), "raw_tracepoint");
}

/// The functions of btrfs take fentry, of a module as of the kernel itself; kprobes run where programs of the other kind would be
/// skipped.
#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn functions_are_hooked_by_fentry_unless_programs_are_preempted() {
    let Some(_alone) = support::live() else { return };
    let _fs = load::filesystem(256);
    let done = probe::run(&["run", "--tier", "functions", "--", "true"]);
    let report = done.report();
    let loaded = std::fs::read_to_string("/proc/modules").unwrap();
    let btrfs = if loaded.lines().any(|line| line.starts_with("btrfs ")) { "module" } else { "builtin" };
    assert_eq!(report["kernel"]["btrfs"], btrfs, "{done:?}");
    let wanted = if preempts_programs(report) { "kprobe" } else { "fentry" };
    let hooks = report["hooks"].as_array().unwrap().iter().filter(|hook| {
        hook["state"] == "attached" && !hook["kind"].as_str().unwrap().starts_with("raw_tracepoint")
    });
    let kinds: Vec<&str> = hooks.map(|hook| hook["kind"].as_str().unwrap()).collect();
    assert!(kinds.len() > 40 && kinds.iter().all(|kind| kind.starts_with(wanted)), "{wanted}: {kinds:?}");
}
