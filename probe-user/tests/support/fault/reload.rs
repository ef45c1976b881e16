//! btrfs is unloaded and loaded again between two runs of the tool.
use std::process::Command;

use super::module;
use crate::support::load;
use crate::support::probe::{self, assert_clean};
use crate::support::suite::Suite;

/// Where the guest keeps the modules it was started with.
const MODULE: &str = "/modules/btrfs.ko";

pub fn run() {
    let repeat = std::env::var("REPEAT").map_or(1, |text| text.parse().expect("REPEAT"));
    module::load();
    module::disarm();
    module::unload();
    in_use();
    for _ in 0..repeat {
        once();
        for (program, argument) in [("rmmod", "btrfs"), ("insmod", MODULE)] {
            let status = Command::new(program).arg(argument).status().expect("a program");
            assert!(status.success(), "{program} {argument}");
        }
    }
    once();
}

/// A suite that reloads the module beside the tool is told that it is in use, and goes on with the one that is there.
fn in_use() {
    let fs = load::filesystem(256);
    let mut suite = Suite::new();
    suite.test(
        "btrfs/001",
        "umount $TEST_DIR || exit 2
        rmmod btrfs && exit 3
        mount -t btrfs $TEST_DEV $TEST_DIR || exit 4
        dd if=/dev/zero of=$TEST_DIR/file bs=64k count=4 conv=fsync",
    );
    let command = suite.command(&fs, &[]);
    // That it holds on to btrfs is the same on both tiers, and this one attaches quickly.
    let mut arguments = vec!["run", "--fstests", "--tier", "tracepoints", "--"];
    arguments.extend(command.iter().map(String::as_str));
    let done = probe::run(&arguments);
    assert_eq!(done.report()["tests"][0]["result"], "pass", "{}", done.report()["tests"]);
    assert_clean(&done);
}

/// A load under the tool, from mount to unmount.
fn once() {
    let mut arguments = vec!["run"];
    if std::env::var_os("BTRFS_PROBE_FAULT_NO_TIER").is_none() {
        arguments.extend(super::run::Tier::Functions.arguments());
    }
    let fs = load::filesystem(256);
    let file = fs.path().join("file");
    let write = format!("dd if=/dev/zero of={} bs=64k count=64 conv=fsync", file.display());
    arguments.extend(["--", "sh", "-c", &write]);
    assert_clean(&probe::run(&arguments));
}
