//! The functions tier where a session does not choose it by itself: it loads, and sees what the tracepoints cannot.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use probe_workload::ioctl::btrfs;
use support::{
    load,
    probe::{self, assert_silent, number, preempts_programs},
};

/// Linux 7.3 refused a program of this tier, and no test asked for the tier there.
#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn a_write_in_a_subvolume_with_quotas() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(512);
    let uuid = fs.fsid().to_string();
    let root = btrfs::open_dir(fs.path()).unwrap();
    btrfs::quota_enable(&root).unwrap();
    btrfs::subvol_create(&root, "s").unwrap();
    drop(root);
    fs.sync().unwrap();
    let command =
        format!("dd if=/dev/zero of={0}/s/f bs=16k count=64; sync; rm {0}/s/f", fs.path().display());
    let done = probe::run(&["run", "--tier", "functions", "--fs", &uuid, "--", "sh", "-c", &command]);
    let report = done.report();
    assert_silent(report);
    assert_eq!(report["tier"], "functions", "{done:?}");
    if !preempts_programs(report) {
        assert_eq!(report["verdict"], "clean", "{done:?}");
    }
    assert!(number(&report["statistics"]["records"]) > 100, "{}", report["statistics"]);
}
