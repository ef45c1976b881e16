//! btrfs is unloaded and loaded again between two runs of the tool.
use std::process::Command;

use super::module;
use crate::support::load;
use crate::support::probe::{self, assert_clean};

/// Where the guest keeps the modules it was started with.
const MODULE: &str = "/modules/btrfs.ko";

pub fn run() {
    let repeat = std::env::var("REPEAT").map_or(2, |text| text.parse().expect("REPEAT"));
    module::load();
    module::disarm();
    module::unload();
    for _ in 0..repeat {
        once();
        for (program, argument) in [("rmmod", "btrfs"), ("insmod", MODULE)] {
            let status = Command::new(program).arg(argument).status().expect("a program");
            assert!(status.success(), "{program} {argument}");
        }
    }
    once();
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
