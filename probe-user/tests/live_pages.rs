//! What our pages tell root to type: each command runs on a filesystem that is mounted at `/mnt`, for this test alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::{path::Path, process::Command};

use probe_workload::loopfs::LoopFs;
use support::{load, pages, probe, suite::Suite};
use tempfile::TempDir;

/// A suite that the pages' `./check` runs, whatever group they name.
fn suite(folder: &Path, fs: &LoopFs) -> Suite {
    let mut suite = Suite::new();
    let write = format!("dd if=/dev/zero of={}/one bs=64k count=16 conv=fsync", fs.path().display());
    suite.test("generic/001", &write);
    let command: Vec<String> = suite.command(fs, &[]).iter().map(|word| format!("'{word}'")).collect();
    std::fs::write(folder.join("check"), format!("#!/bin/sh\nexec {}\n", command.join(" ")))
        .expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.join("check"), mode).expect("a script");
    suite
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn commands_of_root_run_and_print_what_the_pages_show() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(512);
    // Of this shell alone: the machine may have something at these places.
    let own = ["unshare", "--mount", "--propagation", "private"];
    let before = format!("mount --bind {} /mnt && mount -t tmpfs none /var/tmp || exit", fs.path().display());
    let mut wrong = Vec::new();
    let mut commands = 0;
    for (page, text) in pages::pages() {
        let blocks: Vec<_> = pages::blocks(&text).into_iter().filter(|block| block.root).collect();
        if blocks.is_empty() {
            continue;
        }
        commands += blocks.iter().map(|block| block.steps.len()).sum::<usize>();
        let folder = TempDir::new().expect("a folder");
        pages::furnish(folder.path(), &probe::program());
        let _suite = suite(folder.path(), &fs);
        wrong.extend(pages::run(&page, &blocks, folder.path(), &own, &before));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(commands > 0, "no page has a command of root");
}

/// The line of shell that the unit for systemd starts, as systemd hands it to the shell.
fn line_of_the_unit() -> String {
    let unit = include_str!("../../packaging/btrfs-probe-watch@.service");
    let (_, rest) = unit.split_once("ExecStart=/bin/sh -c '").expect("the unit starts a shell");
    let (line, _) = rest.split_once("' sh %i %f").expect("with the instance and its path");
    line.replace("\\\n", " ").replace("$$", "$")
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_unit_watches_a_uuid_or_a_path_with_three_rights() {
    let Some(_alone) = support::live() else { return };
    let fs = load::filesystem(256);
    let folder = TempDir::new().expect("a folder");
    pages::furnish(folder.path(), &probe::program());
    let uuid = fs.fsid().to_string();
    let path = fs.path().display().to_string();
    for (instance, escaped) in [(uuid.as_str(), "/not/a/path"), ("an-escaped-path", path.as_str())] {
        let status = load::beside(&[fs.path()], || {
            // The bounding set of the unit. What else it forbids, systemd alone can do.
            let mut unit = Command::new("setpriv");
            unit.args([
                "--bounding-set",
                "-all,+bpf,+perfmon,+syslog",
                "--inh-caps",
                "-all",
                "--no-new-privs",
            ]);
            unit.args(["sh", "-c", &line_of_the_unit(), "sh", instance, escaped]);
            unit.env("PATH", format!("{}:/usr/bin:/bin", folder.path().join(".bin").display()));
            unit.env("STATE_DIRECTORY", folder.path()).env("OPTIONS", "--duration 3s --ring-size 64M");
            unit.output().expect("setpriv")
        });
        let said = String::from_utf8_lossy(&status.stdout).into_owned();
        let why = String::from_utf8_lossy(&status.stderr).into_owned();
        assert!([Some(0), Some(4)].contains(&status.status.code()), "{instance}: {said}{why}");
        assert!(said.contains(&format!("Filesystem {uuid}")), "{instance}: {said}{why}");
        let metrics = std::fs::read_to_string(folder.path().join("btrfs-probe.prom")).expect("metrics");
        assert!(metrics.contains("btrfs_probe_watching 0"), "{metrics}");
    }
}
