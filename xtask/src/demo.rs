//! `cargo xtask demo`: builds the tool and runs its demo.
use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{
    build::{self, Profile},
    proc,
    workspace::Workspace,
};

/// Builds `btrfs-probe` and runs `btrfs-probe demo` with these arguments; returns its exit code.
///
/// # Errors
/// If it cannot be built or run.
pub fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<u8> {
    let program = build::run(workspace, Profile::Release)?;
    if !proc::is_root() {
        println!(
            "demo: not root, so btrfs-probe replays a recording; run `sudo {} demo` to see it live",
            program.display()
        );
    }
    let mut command = Command::new(program);
    proc::forget_outer_package(&mut command);
    let status = proc::aloud(command.arg("demo").args(arguments))?;
    Ok(proc::exit_code(status))
}
