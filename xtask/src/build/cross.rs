//! The tool for another machine than this one.
//!
//! Distributions and rustup have no standard library of another machine for the compiler that is here, but the compiler that builds
//! the kernel side has the source of its own: the standard library is built from it, once. What is C comes from Debian's cross
//! compiler.
use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{machine::Machine, proc, setup, workspace::Workspace};

/// A cargo that builds for `machine`: to be given the task and `--target` first, then [`ARGUMENTS`].
///
/// # Errors
/// A compiler is missing and cannot be installed.
pub fn cargo(workspace: &Workspace, machine: Machine) -> Result<Command> {
    let toolchain = setup::run(workspace)?.toolchain;
    let mut command = match &toolchain.cargo {
        Some(cargo) => Command::new(cargo),
        None => workspace.cargo(),
    };
    command.current_dir(&workspace.root);
    proc::forget_outer_package(&mut command);
    let gcc = tool(machine, "gcc")?;
    let ar = tool(machine, "ar")?;
    let target = machine.target();
    let linker = target.replace('-', "_").to_uppercase();
    command
        .env("RUSTC", &toolchain.rustc)
        .env_remove("RUSTUP_TOOLCHAIN")
        // `-Z build-std` on a stable compiler; a nightly one ignores it.
        .env("RUSTC_BOOTSTRAP", "1")
        .env(format!("CARGO_TARGET_{linker}_LINKER"), &gcc)
        .env(format!("CC_{}", target.replace('-', "_")), &gcc)
        .env(format!("AR_{}", target.replace('-', "_")), &ar);
    Ok(command)
}

/// Of cargo.
pub const ARGUMENTS: [&str; 2] = ["-Z", "build-std=std,panic_unwind"];

/// A program of the cross compiler's packages, or this machine's own.
///
/// # Errors
/// It is missing and cannot be installed.
pub fn tool(machine: Machine, name: &str) -> Result<PathBuf> {
    if machine.is_here() {
        return setup::program(name, if name == "gcc" { "gcc" } else { "binutils" });
    }
    let triple = format!("{}-linux-gnu", machine.name());
    let package = if name == "gcc" { format!("gcc-{triple}") } else { format!("binutils-{triple}") };
    let program = setup::program(&format!("{triple}-{name}"), &package)?;
    if name == "gcc" {
        // Only recommended by the compiler.
        setup::file(&format!("/usr/{triple}/lib/libc.a"), &format!("libc6-dev-{}-cross", machine.debian()))
            .context("what the tool is linked with is missing")?;
    }
    Ok(program)
}
