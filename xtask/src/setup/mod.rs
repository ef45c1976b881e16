//! Finds or installs what the build of the kernel side needs.
//!
//! The kernel side is built with `-Z build-std=core` for `bpfel-unknown-none`, which takes a compiler with the
//! source of its own `core` and a `bpf-linker` that speaks the compiler's LLVM. Stable compilers do
//! (`RUSTC_BOOTSTRAP=1`), so the first usable pair wins: a rustup toolchain with `rust-src`, then Debian's
//! `rustc-web` with `rust-web-src`. What is missing is installed where that needs no question: packages as root
//! through apt, toolchain parts through rustup, the linker below `target/tools`. Otherwise one sentence says
//! what to install.
//!
//! It never removes a package, never changes the user's default toolchain, and never builds with a linker whose LLVM cannot
//! read what the compiler writes.
mod apt;
mod cargo_deny;
mod crates;
mod linker;
mod llvm;
mod packagers;
mod rustup;
mod search;
mod stamp;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use self::search::Rejected;
pub use self::{cargo_deny::cargo_deny, packagers::Packager, rustup::toolchains, toolchain::Toolchain};
use crate::{proc, workspace::Workspace};

/// Everything the build of the kernel side needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    /// Compiler and source of `core`.
    pub toolchain: Toolchain,
    /// `bpf-linker`.
    pub linker: PathBuf,
    /// Folder that holds the compiler's libLLVM and no other, for the linker to load.
    pub llvm_folder: PathBuf,
}

/// Makes sure that everything is there. Costs a few `stat` calls when it is.
///
/// # Errors
/// One sentence that says what to install.
pub fn run(workspace: &Workspace) -> Result<Tools> {
    let tools = match stamp::read(workspace) {
        Some(tools) => tools,
        None => {
            let tools = install(workspace)?;
            stamp::write(workspace, &tools)?;
            tools
        }
    };
    tools_that_run();
    Ok(tools)
}

fn install(workspace: &Workspace) -> Result<Tools> {
    let toolchain = find_toolchain()?;
    let linker = linker::ensure(workspace, &toolchain)?;
    let llvm_folder = llvm::folder(workspace, &toolchain)?;
    println!(
        "setup: {} (rustc {}, LLVM {}), bpf-linker {}",
        toolchain.name,
        toolchain.release,
        toolchain.llvm,
        linker::VERSION
    );
    Ok(Tools { toolchain, linker, llvm_folder })
}

fn find_toolchain() -> Result<Toolchain> {
    let mut rejected = match search::find() {
        Ok(toolchain) => return Ok(toolchain),
        Err(rejected) => rejected,
    };
    if apt::usable() && apt::install(&["rustc-web", "cargo-web", "rust-web-src"]).is_ok() {
        rejected = match search::find() {
            Ok(toolchain) => return Ok(toolchain),
            Err(rejected) => rejected,
        };
    }
    if rustup::install_pinned().is_ok()
        && let Ok(toolchain) = search::find()
    {
        return Ok(toolchain);
    }
    let seen: Vec<String> = rejected.iter().map(|Rejected { name, why }| format!("{name}: {why}")).collect();
    let seen = if seen.is_empty() { "no compiler was found".to_owned() } else { seen.join("; ") };
    bail!(
        "nothing here can build the kernel side ({seen}): run `{}`, or on Debian `apt-get install rustc-web cargo-web \
         rust-web-src` as root",
        rustup::COMMAND
    );
}

/// Programs that no build needs, but something that runs: `(program, package, what cannot run without it)`.
const TOOLS: [(&str, &str, &str); 2] = [
    ("mkfs.btrfs", "btrfs-progs", "nothing can run live"),
    ("tmux", "tmux", "the live tests of the screen are skipped"),
];

/// Installs what is missing of [`TOOLS`] where that needs no question, else says it.
fn tools_that_run() {
    for (program, package, without) in TOOLS {
        if proc::which(program).is_some() {
            continue;
        }
        if !(apt::usable() && apt::install(&[package]).is_ok()) {
            println!("setup: {program} is missing, so {without}: install the package {package}");
        }
    }
}

/// Makes sure that a file is there; its Debian package is installed where that needs no question.
///
/// # Errors
/// It is missing and cannot be installed.
pub fn file(path: &str, package: &str) -> Result<()> {
    if !Path::new(path).is_file() && apt::usable() {
        apt::install(&[package])?;
    }
    if !Path::new(path).is_file() {
        bail!("{path} is missing: install the package {package}");
    }
    Ok(())
}

/// A program of the machine; its Debian package is installed where that needs no question.
///
/// # Errors
/// It is missing and cannot be installed.
pub fn program(name: &str, package: &str) -> Result<PathBuf> {
    if let Some(path) = proc::which(name) {
        return Ok(path);
    }
    if apt::usable() {
        apt::install(&[package])?;
    }
    match proc::which(name) {
        Some(path) => Ok(path),
        None => bail!("{name} is missing: install the package {package}"),
    }
}
