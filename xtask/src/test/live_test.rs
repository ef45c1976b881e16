//! Live tests on the machine itself. They run one at a time: they share the kernel, and each watches all of it.
use std::process::Command;

use anyhow::{Result, anyhow, bail};

use super::{along, tally::Tally};
use crate::{build::TestedPrograms, proc, workspace::Workspace};

/// Integration tests with this prefix need root and a kernel to disturb.
pub const LIVE: &str = "live";

/// For the binary of live tests, here and in guests. They are marked `#[ignore]`, so that `cargo test` does not count them
/// as passed. One after the other. Not captured, or the reason of a test that skips itself would not be seen.
pub const ARGUMENTS: [&str; 3] = ["--include-ignored", "--test-threads=1", "--nocapture"];

/// All of them, one after the other.
///
/// # Errors
/// If one fails, or there is none.
pub fn run(workspace: &Workspace, programs: &TestedPrograms, tally: &mut Tally) -> Result<()> {
    let mut failed = Vec::new();
    let mut any = false;
    for (name, path) in programs.tests.iter().filter(|(name, _)| name.starts_with(LIVE)) {
        any = true;
        println!("\n     Running tests/{name}.rs ({})", path.display());
        let mut command = Command::new(path);
        proc::forget_outer_package(&mut command);
        command
            // Where cargo runs tests.
            .current_dir(workspace.root.join("probe-user"))
            .env("BTRFS_PROBE_BIN", &programs.tool)
            .args(ARGUMENTS);
        if let Err(error) = along::read(&mut command, tally) {
            failed.push(format!("{name}: {error:#}"));
        }
    }
    if !any {
        bail!("there is no live test: probe-user/tests/live*.rs is missing");
    }
    if failed.is_empty() { Ok(()) } else { Err(anyhow!(failed.join(", "))) }
}
