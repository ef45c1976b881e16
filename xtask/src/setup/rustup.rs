//! Toolchains of rustup: where they are, and the one we would add.
use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::proc;

/// A dated nightly (rustc 1.97, LLVM 22.1) so that two machines build the same object; its LLVM is one that the
/// linker can load.
const PINNED: &str = "nightly-2026-05-20";
/// What a person would type to get it.
pub const COMMAND: &str =
    "rustup toolchain install nightly-2026-05-20 --profile minimal --component rust-src";

/// Installed toolchains, best first: the pinned one, other nightlies, the rest. Name and folder.
pub fn toolchains() -> Vec<(String, PathBuf)> {
    let home = env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".rustup")));
    let Some(home) = home else { return Vec::new() };
    let mut found: Vec<(String, PathBuf)> = fs::read_dir(home.join("toolchains"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect();
    found.sort_by_key(|(name, _)| (!name.starts_with(PINNED), !name.starts_with("nightly"), name.clone()));
    found
}

/// Installs the pinned toolchain with the source of `core`, without touching the default toolchain.
///
/// # Errors
/// If rustup is not there or cannot reach its server.
pub fn install_pinned() -> Result<()> {
    let rustup = proc::which("rustup").context("rustup is not installed")?;
    println!("setup: rustup toolchain install {PINNED}");
    let mut command = Command::new(rustup);
    command.env("RUSTUP_MAX_RETRIES", "1").args(["toolchain", "install", PINNED]);
    command.args(["--profile", "minimal", "--component", "rust-src", "--no-self-update"]);
    proc::quietly(&mut command)
}
