//! The tool itself, static, with the kernel side inside.
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{artifacts, cross, elf, remap};
use crate::{machine::Machine, workspace::Workspace};

/// Tells `probe-user/build.rs` which object to put in.
const OBJECT_VARIABLE: &str = "BTRFS_PROBE_EBPF";
/// libc inside: the binary must run in a machine that holds nothing but a kernel.
const STATIC: &str = "-C target-feature=+crt-static";

/// How much the compiler should optimise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// What is shipped and measured.
    Release,
    /// What is given to others: shipped, without a path of this machine in it.
    Dist,
    /// Quick to build.
    Debug,
    /// What tests run: our own crates optimised, since emulated processors run them too, and with the checks of a debug
    /// build. All other crates are those of the debug build, which are there by then.
    Tests,
}

impl Profile {
    /// What it is to cargo.
    const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Release => &["--release"],
            Self::Dist => &["--release", "--locked"],
            Self::Debug => &[],
            Self::Tests => &[
                "--config",
                "profile.dev.package.probe-common.opt-level=2",
                "--config",
                "profile.dev.package.probe-record.opt-level=2",
                "--config",
                "profile.dev.package.probe-ledger.opt-level=2",
                "--config",
                "profile.dev.package.probe-workload.opt-level=2",
                "--config",
                "profile.dev.package.probe-user.opt-level=2",
            ],
        }
    }
}

/// Builds `btrfs-probe` around the kernel side that was built last, and returns its path.
///
/// # Errors
/// If it does not build, or if the result would need a shared library.
pub fn build(workspace: &Workspace, profile: Profile, machine: Machine) -> Result<PathBuf> {
    let mut command = cargo_for(workspace, profile, "build", machine)?;
    command.args(["--package", "probe-user", "--bin", "btrfs-probe"]);
    let programs = artifacts::build(&mut command, "btrfs-probe")?;
    let program = programs.into_iter().next().context("cargo built no btrfs-probe")?.path;
    check_static(&program)?;
    Ok(program)
}

/// # Errors
/// If the program would need a shared library.
pub fn check_static(program: &Path) -> Result<()> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let foreign = || format!("{} is not a 64-bit ELF program", program.display());
    if elf::has_interpreter(&bytes).with_context(foreign)? {
        bail!(
            "{} needs a dynamic linker: install the static libc (package libc6-dev or glibc-static)",
            program.display()
        );
    }
    Ok(())
}

/// A cargo command whose programs have their libc inside. All of ours are of this kind, so that they share what they can.
///
/// # Errors
/// The tool is not built on this architecture.
pub fn cargo(workspace: &Workspace, profile: Profile, what: &str) -> Result<Command> {
    cargo_for(workspace, profile, what, Machine::here()?)
}

/// As [`cargo`], for that machine.
///
/// # Errors
/// What builds for it is missing.
pub fn cargo_for(workspace: &Workspace, profile: Profile, what: &str, machine: Machine) -> Result<Command> {
    let mut command = if machine.is_here() { workspace.cargo() } else { cross::cargo(workspace, machine)? };
    let mut own = vec![STATIC.to_owned()];
    if profile == Profile::Dist {
        own.extend(remap::flags(workspace, None));
        // Flags do not tell cargo's files apart: each build would undo the other's.
        command.env("CARGO_TARGET_DIR", workspace.target.join("dist-build"));
    }
    let own = own.join(" ");
    let flags = |name| match env::var(name) {
        // What the caller wants is not in what others build.
        Ok(outer) if profile != Profile::Dist => format!("{outer} {own}"),
        _ => own.clone(),
    };
    command
        .arg(what)
        // Named even though it is the host: else the flags would reach build scripts and macros, which must be
        // loadable.
        .args(["--target", &machine.target()])
        .args(if machine.is_here() { &[][..] } else { &cross::ARGUMENTS[..] })
        .args(profile.words())
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", flags("RUSTFLAGS"))
        .env("RUSTDOCFLAGS", flags("RUSTDOCFLAGS"));
    // Not left to be found: a target folder that cargo did not make itself has no mark to find it by.
    let object = workspace.object("probe");
    if object.is_file() {
        command.env(OBJECT_VARIABLE, object);
    }
    Ok(command)
}
