//! The search for a compiler that can build the kernel side.
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{
    linker, llvm, rustup,
    toolchain::{LlvmVersion, Toolchain},
};
use crate::proc;

/// Oldest compiler that builds the kernel side: its `rust-version`.
const MINIMUM: (u32, u32) = (1, 88);
/// Where a distribution puts its compiler; PATH may show rustup's first.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";

/// A compiler that was found and cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// How to call it.
    pub name: String,
    /// Why not, without a full stop.
    pub why: String,
}

/// The first pair that can build the kernel side; otherwise why none can.
///
/// # Errors
/// Every compiler met, with its reason.
pub fn find() -> Result<Toolchain, Vec<Rejected>> {
    let mut candidates: Vec<(String, PathBuf)> =
        rustup::toolchains().into_iter().map(|(name, folder)| (name, folder.join("bin/rustc"))).collect();
    candidates.push(("the system's rustc".to_owned(), SYSTEM_RUSTC.into()));
    let mut rejected = Vec::new();
    let mut seen = Vec::new();
    for (name, rustc) in candidates {
        let Ok(real) = rustc.canonicalize() else { continue };
        if seen.contains(&real) {
            continue;
        }
        seen.push(real);
        match probe(&name, &rustc) {
            Ok(toolchain) => return Ok(toolchain),
            Err(why) => rejected.push(Rejected { name, why: format!("{why:#}") }),
        }
    }
    Err(rejected)
}

fn probe(name: &str, rustc: &Path) -> Result<Toolchain> {
    let sysroot = rustc.parent().and_then(Path::parent).context("it lies in no folder")?;
    // The cheapest question first: most toolchains have no source.
    let core = core_of(sysroot)?;
    let mut version = Command::new(rustc);
    version.arg("-vV").env_remove("LD_LIBRARY_PATH");
    let version = proc::stdout_of(&mut version)?;
    let fields = fields(&version);
    let release = (*fields.get("release").context("`rustc -vV` names no release")?).to_owned();
    if minor_of(&release).is_none_or(|version| version < MINIMUM) {
        bail!("rustc {release} is older than {}.{}", MINIMUM.0, MINIMUM.1);
    }
    source_fits(&core, &release)?;
    let llvm = fields
        .get("LLVM version")
        .and_then(|text| LlvmVersion::parse(text))
        .context("`rustc -vV` names no LLVM version")?;
    if !linker::fits(llvm.major) {
        bail!("bpf-linker {} cannot read its LLVM {llvm}", linker::VERSION);
    }
    let llvm_library = llvm::library_of(rustc)?;
    let cargo = Some(sysroot.join("bin/cargo")).filter(|cargo| cargo.is_file());
    Ok(Toolchain { name: name.to_owned(), rustc: rustc.to_owned(), cargo, core, release, llvm, llvm_library })
}

fn core_of(sysroot: &Path) -> Result<PathBuf> {
    let library = sysroot.join("lib/rustlib/src/rust/library");
    let core = library.join("core/src/lib.rs");
    // `-Z build-std` resolves against this lock file and says so late if it is missing.
    if !core.is_file() || !library.join("Cargo.lock").is_file() {
        bail!("the source of its core is not installed");
    }
    Ok(core)
}

/// rustup keeps compiler and source in step; a distribution's are two packages, and its source says its version.
fn source_fits(core: &Path, release: &str) -> Result<()> {
    let Some(file) = core.ancestors().nth(4).map(|root| root.join("src/version")) else { return Ok(()) };
    let Ok(version) = fs::read_to_string(file) else { return Ok(()) };
    let version = version.trim();
    if version != release {
        bail!("its source is of version {version}, the compiler of {release}");
    }
    Ok(())
}

fn fields(version: &str) -> HashMap<&str, &str> {
    version.lines().filter_map(|line| line.split_once(": ")).collect()
}

fn minor_of(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    fn source(version: Option<&str>) -> (tempfile::TempDir, PathBuf) {
        let sysroot = tempfile::tempdir().unwrap();
        let root = sysroot.path().join("lib/rustlib/src/rust");
        fs::create_dir_all(root.join("library/core/src")).unwrap();
        fs::write(root.join("library/core/src/lib.rs"), "").unwrap();
        fs::write(root.join("library/Cargo.lock"), "").unwrap();
        if let Some(version) = version {
            fs::create_dir_all(root.join("src")).unwrap();
            fs::write(root.join("src/version"), version).unwrap();
        }
        let core = core_of(sysroot.path()).unwrap();
        (sysroot, core)
    }

    #[test]
    fn a_source_of_another_version_is_refused() {
        let (_keep, core) = source(Some("1.85.0\n"));
        assert!(source_fits(&core, "1.85.0").is_ok());
        let why = source_fits(&core, "1.96.0").unwrap_err().to_string();
        assert_eq!(why, "its source is of version 1.85.0, the compiler of 1.96.0");
    }

    #[test]
    fn a_source_that_names_no_version_is_rustups_and_fits() {
        let (_keep, core) = source(None);
        assert!(source_fits(&core, "1.97.0-nightly").is_ok());
    }

    #[test]
    fn a_toolchain_without_source_is_refused_before_anything_is_run() {
        let empty = tempfile::tempdir().unwrap();
        assert!(core_of(empty.path()).is_err());
    }

    #[test]
    fn releases_are_compared_as_numbers() {
        assert_eq!(minor_of("1.97.0-nightly"), Some((1, 97)));
        assert!(minor_of("1.100.0").unwrap() > MINIMUM);
        assert!(minor_of("1.63.0").unwrap() < MINIMUM);
    }
}
