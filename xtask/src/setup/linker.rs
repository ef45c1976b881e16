//! `bpf-linker`, built from crates.io below `target/tools`.
use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use super::{crates, rustup, toolchain::Toolchain};
use crate::workspace::Workspace;

/// The last version that can load the LLVM of the Rust toolchain; later ones link a system LLVM.
pub const VERSION: &str = "0.10.3";
/// Majors of LLVM that this version has a feature for.
const LLVM_MAJORS: RangeInclusive<u32> = 20..=22;

/// The linker for this toolchain; builds it once if it is not there.
///
/// # Errors
/// If no feature of the linker fits the compiler's LLVM, or if it cannot be built.
pub fn ensure(workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
    let major = toolchain.llvm.major;
    if !fits(major) {
        bail!(
            "rustc {} has LLVM {}, but bpf-linker {VERSION} reads LLVM {} to {}: run `{}`",
            toolchain.release,
            toolchain.llvm,
            LLVM_MAJORS.start(),
            LLVM_MAJORS.end(),
            rustup::COMMAND
        );
    }
    // Version and LLVM are part of the path, so a linker for another LLVM is never mistaken for this one.
    let root = workspace.tools().join(format!("bpf-linker-{VERSION}-llvm-{major}"));
    let linker = root.join("bin/bpf-linker");
    if !linker.is_file() {
        build(workspace, &root, major)?;
    }
    Ok(linker)
}

/// Whether the linker can be built for this LLVM.
pub fn fits(llvm_major: u32) -> bool {
    LLVM_MAJORS.contains(&llvm_major)
}

fn build(workspace: &Workspace, root: &Path, llvm_major: u32) -> Result<()> {
    println!("setup: building bpf-linker {VERSION} for LLVM {llvm_major} (about a minute)");
    let feature = format!("rust-llvm-{llvm_major}");
    let arguments = ["--no-default-features", "--features", &feature];
    crates::install(workspace, ("bpf-linker", VERSION), root, &arguments)
}
