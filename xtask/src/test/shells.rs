//! Shells for the test of our completions: those of the machine, or Debian's, unpacked below `target/tools` and not installed.
use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::{along, tally::Tally};
use crate::{
    build::{self, Profile},
    proc,
    vm::apt::Apt,
    workspace::Workspace,
};

/// The integration test.
pub const TEST: &str = "shells";
const SHELLS: [&str; 2] = ["fish", "zsh"];
/// Shells, and what they need beside what every machine has.
const PACKAGES: [&str; 5] = ["fish", "fish-common", "libpcre2-32-0", "zsh", "zsh-common"];

/// The completions in zsh and fish. Returns what cannot be checked here, and why.
///
/// # Errors
/// If a test fails or does not build.
pub fn run(workspace: &Workspace, tally: &mut Tally) -> Result<Option<String>> {
    let root = workspace.tools().join("shells");
    if SHELLS.iter().any(|shell| proc::which(shell).is_none())
        && let Err(error) = fetch(&root)
    {
        return Ok(Some(format!("the completions in fish and zsh: {error:#} (apt-get install fish zsh)")));
    }
    let mut command = build::cargo(workspace, Profile::Debug, "test")?;
    command.env("BTRFS_PROBE_SHELLS", &root);
    command.args(["--package", "probe-user", "--test", TEST, "--", "--include-ignored"]);
    along::read(&mut command, tally).map(|()| None)
}

fn fetch(root: &Path) -> Result<()> {
    let done = root.join("unpacked");
    if !done.is_file() {
        // Lists of its own: those of the guests may be fetched at the same time.
        let apt = Apt::open(root)?;
        let packages = PACKAGES.map(str::to_owned);
        apt.unpack(&packages, &root.join("packages"), root)?;
        fs::write(&done, "").with_context(|| format!("cannot write below {}", root.display()))?;
    }
    // Of another Debian than this machine, perhaps.
    for place in ["usr/bin/fish", "bin/zsh"] {
        let mut command = Command::new(root.join(place));
        command.arg("--version").env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"));
        proc::quietly(&mut command).context("Debian's shells do not run here")?;
    }
    Ok(())
}
