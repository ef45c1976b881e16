//! `bpf-linker`, built from crates.io below `target/tools`.
use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{rustup, toolchain::Toolchain};
use crate::{proc, workspace::Workspace};

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
    fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
    let mut command = workspace.cargo();
    // Not from the workspace: its .cargo/config.toml and lock file are not the linker's.
    command.current_dir(root).env_remove("CARGO_TARGET_DIR").env_remove("RUSTFLAGS");
    command.args([
        "install",
        "--locked",
        "--quiet",
        "bpf-linker",
        "--version",
        VERSION,
        "--no-default-features",
    ]);
    command.args(["--features", &format!("rust-llvm-{llvm_major}"), "--root"]).arg(root);
    // It calls LLVM and does little else: not optimised it links as fast, and is built in half the time.
    command.envs([
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
        ("CARGO_PROFILE_RELEASE_LTO", "off"),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
        ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
    ]);
    proc::quietly(&mut command).with_context(|| {
        format!("cannot build bpf-linker {VERSION}: it needs crates.io and a C compiler (package gcc)")
    })
}
