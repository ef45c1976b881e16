//! What our pages tell root to type: each command runs on a filesystem that is mounted at `/mnt`, for this test alone.
mod support;

use probe_workload::loopfs::LoopFs;
use support::{load, pages, probe, suite::Suite};
use tempfile::TempDir;

/// A suite that the pages' `./check` runs, whatever group they name.
fn suite(folder: &std::path::Path, fs: &LoopFs) -> Suite {
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
