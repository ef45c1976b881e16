//! The tests that run in guests: which binaries, on which kernels.
use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};

use super::{Release, guest::Guest, headers, initramfs::Item, kernel::Kernel};
use crate::{
    build::{self, GuestPrograms},
    workspace::Workspace,
};

/// One test binary.
struct Entry {
    /// Name of the test target of `probe-user`.
    test: &'static str,
    /// Kernels it runs on.
    releases: &'static [Release],
    /// Whether it loads the fault module.
    fault: bool,
}

const EVERY: &[Release] = &[Release::V6_1, Release::V6_12, Release::V7];
/// The fault module is built for these.
const FAULT: &[Release] = &[Release::V6_1, Release::V6_12];

/// In the order of running. Binaries share one boot, unless they load the fault module.
const ENTRIES: &[Entry] = &[
    Entry { test: "live_filesystems", releases: EVERY, fault: false },
    Entry { test: "live_load", releases: EVERY, fault: false },
    Entry { test: "live_record", releases: EVERY, fault: false },
    Entry { test: "live_rights", releases: EVERY, fault: false },
    Entry { test: "live_run", releases: EVERY, fault: false },
    Entry { test: "live_signals", releases: EVERY, fault: false },
];

/// Time for all binaries of one boot under TCG; a guest that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(900);

/// Runs all tests of one kernel; what they print goes to `output`.
///
/// # Errors
/// A guest did not come to its end, or a binary failed.
pub fn run(workspace: &Workspace, release: Release, output: &mut dyn FnMut(&[u8])) -> Result<()> {
    let programs = build::for_guests(workspace)?;
    let mut failed = Vec::new();
    for fault in [false, true] {
        let entries: Vec<&Entry> = ENTRIES
            .iter()
            .filter(|entry| entry.fault == fault && entry.releases.contains(&release))
            .collect();
        if entries.is_empty() {
            continue;
        }
        let mut items = items(&programs, &entries)?;
        if fault && FAULT.contains(&release) {
            let module = headers::fault_module(workspace, &Kernel::ensure(workspace, release)?)?;
            items.push(Item::program(module, format!("/lib/fault/{}.ko", headers::MODULE)));
        }
        let mut script = String::from("export CI=true BTRFS_PROBE_GUEST=1 RUST_BACKTRACE=1\nworst=0\n");
        if !fault {
            script.push_str(
                "echo \"running btrfs-probe demo\"\n/bin/btrfs-probe demo --format text >/tmp/demo.txt 2>&1 || { cat /tmp/demo.txt; \
                 echo 'test demo ... FAILED'; echo 'test result: FAILED. 0 passed; 1 failed;'; worst=1; }\n",
            );
        }
        for Entry { test, .. } in &entries {
            script.push_str(&format!(
                "echo \"running {test}\"\n/tests/{test} --test-threads=1 --nocapture || {{ echo '{test} failed'; worst=1; }}\n"
            ));
        }
        script.push_str("exit $worst\n");
        let guest =
            Guest { release, memory: "2G".to_owned(), timeout: PATIENCE, items, collect: Vec::new(), script };
        if guest.run(workspace, None, output)? != 0 {
            failed.push(if fault { "with the fault module" } else { "without the fault module" });
        }
    }
    if !failed.is_empty() {
        bail!("tests failed in the guest, {}", failed.join(" and "));
    }
    Ok(())
}

/// The tool, the examples and the tests, where the tests look for them.
fn items(programs: &GuestPrograms, entries: &[&Entry]) -> Result<Vec<Item>> {
    let mut items = vec![
        Item::program(programs.tool.clone(), "/bin/btrfs-probe"),
        // Tests name the tool by the path at which cargo built it.
        Item::program(programs.tool.clone(), programs.tool.display().to_string()),
    ];
    for (name, path) in &programs.examples {
        items.push(Item::program(path.clone(), format!("/examples/{name}")));
    }
    for Entry { test, .. } in entries {
        let found = programs.tests.iter().find(|(name, _)| name == test);
        let (_, path): &(String, PathBuf) = found.with_context(|| format!("cargo built no test {test}"))?;
        // Examples are looked for beside the folder of the test.
        items.push(Item::program(path.clone(), format!("/tests/{test}")));
    }
    Ok(items)
}
