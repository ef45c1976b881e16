//! Programs of crates.io that are built below `target/tools`.
use std::{ffi::OsStr, fs, path::Path};

use anyhow::{Context as _, Result};

use crate::{proc, workspace::Workspace};

/// Builds one version of a crate's programs, at `root/bin`. They wait for others and compute little: not optimised they are as
/// fast, and built in half the time.
///
/// # Errors
/// If it cannot be built.
pub fn install<S: AsRef<OsStr>>(
    workspace: &Workspace,
    (name, version): (&str, &str),
    root: &Path,
    arguments: &[S],
) -> Result<()> {
    fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
    let mut command = workspace.cargo();
    // Not from the workspace: its .cargo/config.toml and lock file are not the tool's.
    command.current_dir(root).env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    command.args(["install", "--locked", "--quiet", name, "--version", version]);
    command.args(arguments).arg("--root").arg(root);
    command.envs([
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
        ("CARGO_PROFILE_RELEASE_LTO", "off"),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
        ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
    ]);
    proc::quietly(&mut command).with_context(|| {
        format!("cannot build {name} {version}: it needs crates.io and a C compiler (package gcc)")
    })
}
