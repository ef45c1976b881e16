//! The tool itself, static, with the kernel side inside.
use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{artifacts, elf};
use crate::workspace::Workspace;

/// Tells `probe-user/build.rs` which object to put in.
const OBJECT_VARIABLE: &str = "BTRFS_PROBE_EBPF";
/// libc inside: the binary must run in a machine that holds nothing but a kernel.
const STATIC: &str = "-C target-feature=+crt-static";

/// How much the compiler should optimise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// What is shipped and measured.
    Release,
    /// Quick to build.
    Debug,
}

/// Builds `btrfs-probe` around `object` and returns its path.
///
/// # Errors
/// If it does not build, or if the result would need a shared library.
pub fn build(workspace: &Workspace, object: &Path, profile: Profile) -> Result<PathBuf> {
    let mut command = static_cargo(workspace, object, profile, "build")?;
    command.args(["--bin", "btrfs-probe"]);
    let programs = artifacts::build(&mut command, "btrfs-probe")?;
    let program = programs.into_iter().next().context("cargo built no btrfs-probe")?.path;
    let bytes = fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    let foreign = || format!("{} is not a 64-bit ELF program", program.display());
    if elf::has_interpreter(&bytes).with_context(foreign)? {
        bail!(
            "{} needs a dynamic linker: install the static libc (package libc6-dev or glibc-static)",
            program.display()
        );
    }
    Ok(program)
}

/// A cargo command for `probe-user` whose programs have their libc inside and the kernel side `object` in the tool.
///
/// # Errors
/// The tool is not built on this architecture.
pub fn static_cargo(
    workspace: &Workspace,
    object: &Path,
    profile: Profile,
    what: &str,
) -> Result<std::process::Command> {
    let mut command = workspace.cargo();
    let flags = match env::var("RUSTFLAGS") {
        Ok(outer) => format!("{outer} {STATIC}"),
        Err(_) => STATIC.to_owned(),
    };
    command
        .args([what, "--package", "probe-user"])
        // Named even though it is the host: else the flags would reach build scripts and macros, which must be
        // loadable.
        .args(["--target", &host()?])
        .env(OBJECT_VARIABLE, object)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", flags);
    if profile == Profile::Release {
        command.arg("--release");
    }
    Ok(command)
}

/// The target triple of this machine, of those that the tool is built for.
fn host() -> Result<String> {
    let libc = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    match env::consts::ARCH {
        architecture @ ("x86_64" | "aarch64") => Ok(format!("{architecture}-unknown-linux-{libc}")),
        other => bail!("btrfs-probe is built on x86_64 and aarch64, not on {other}"),
    }
}
