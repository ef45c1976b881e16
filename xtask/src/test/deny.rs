//! Checks the code that we depend on: its licences, its sources, and advisories against it. `deny.toml` has the rules.
use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::{proc, setup, workspace::Workspace};

/// The trees of dependencies.
const MANIFESTS: [&str; 3] = ["Cargo.toml", "probe-ebpf/Cargo.toml", "probe-user/fuzz/Cargo.toml"];

/// Holds each tree to the rules. Returns what could not be checked here, and why.
///
/// # Errors
/// A rule is broken, or `cargo-deny` cannot be had.
pub fn run(workspace: &Workspace) -> Result<Option<String>> {
    let program = setup::cargo_deny(workspace)?;
    for manifest in MANIFESTS {
        let mut command = check(workspace, &program, manifest);
        command.args(["check", "licenses", "bans", "sources"]);
        proc::quietly(&mut command).with_context(|| format!("{manifest}: see deny.toml"))?;
    }
    // The only part that needs more than crates.io.
    let mut fetch = check(workspace, &program, MANIFESTS[0]);
    fetch.args(["fetch", "db"]).env("GIT_TERMINAL_PROMPT", "0");
    if proc::quietly(&mut fetch).is_err() {
        let what = "advisories: their database is on GitHub, which cannot be reached";
        return Ok(Some(what.to_owned()));
    }
    for manifest in MANIFESTS {
        let mut command = check(workspace, &program, manifest);
        command.args(["--offline", "check", "advisories"]);
        proc::quietly(&mut command).with_context(|| format!("{manifest}: an advisory"))?;
    }
    Ok(None)
}

fn check(workspace: &Workspace, program: &Path, manifest: &str) -> Command {
    let mut command = Command::new(program);
    proc::forget_outer_package(&mut command);
    command.current_dir(&workspace.root).env("CARGO", workspace.cargo().get_program());
    command.arg("--config").arg(workspace.root.join("deny.toml"));
    // Locked: a check must not write, and a lock file that is out of date is checked by nobody.
    command.args(["--locked", "--workspace", "--manifest-path"]).arg(workspace.root.join(manifest));
    command
}
