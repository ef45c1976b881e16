//! The kernel side: every bin target of `probe-ebpf` becomes an object in `target/ebpf`.
use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{artifacts, crate_names, elf, remap};
use crate::{proc, setup::Tools, workspace::Workspace};

const TARGET: &str = "bpfel-unknown-none";
/// BTF in the object is what map definitions and the verifier's messages live on. And LLVM writes copies and fillings of
/// memory out, word by word: the linker would have it keep most as calls of [`LOOPS`].
const RUSTFLAGS: [&str; 3] =
    ["-Cdebuginfo=2", "-Clink-arg=--btf", "-Clink-arg=--disable-expand-memcpy-in-order"];
/// These go byte by byte, on every run of the program that calls them, and the verifier goes with them. What LLVM does
/// not write out by itself is to be copied by words.
const LOOPS: [&str; 5] = ["bcmp", "memcmp", "memcpy", "memmove", "memset"];
/// The bin target with the hooks; its object is called `probe`. Others keep their names.
const MAIN_BIN: &str = "probe-ebpf";
/// Settings of the outer build that must not reach this one: another target, another compiler.
const OUTER: [&str; 8] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOC",
    "RUSTUP_TOOLCHAIN",
];

/// Builds the kernel side and returns the path of the main object.
///
/// # Errors
/// If it does not build, or if what comes out is not an eBPF object.
pub fn build(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    let mut command = workspace.cargo();
    if let Some(cargo) = &tools.toolchain.cargo {
        command = std::process::Command::new(cargo);
        proc::forget_outer_package(&mut command);
    }
    for name in OUTER {
        command.env_remove(name);
    }
    let linker = tools.linker.parent().context("the linker lies in no folder")?;
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([linker.to_owned()].into_iter().chain(env::split_paths(&path)))?;
    let sysroot = tools.toolchain.rustc.parent().and_then(Path::parent).map(Path::to_owned);
    let mut flags: Vec<String> = RUSTFLAGS.map(str::to_owned).into();
    flags.extend(remap::flags(workspace, sysroot));
    command
        .current_dir(workspace.root.join("probe-ebpf"))
        .env("RUSTC", &tools.toolchain.rustc)
        // `-Z build-std` on a stable compiler; a nightly one ignores it.
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTFLAGS")
        // Names of source files are in the object, for the verifier's messages.
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("PATH", path)
        // What bpf-linker loads its LLVM from.
        .env("LD_LIBRARY_PATH", &tools.llvm_folder)
        .args(["build", "--release", "-Z", "build-std=core", "--target", TARGET, "--target-dir"])
        .arg(workspace.target.join("ebpf-build"));
    crate_names::fix(&mut command)?;
    let programs = artifacts::build(&mut command, "the kernel side (probe-ebpf)")?;
    for program in &programs {
        let bytes =
            fs::read(&program.path).with_context(|| format!("cannot read {}", program.path.display()))?;
        if !elf::is_bpf(&bytes) {
            bail!("{} is not an eBPF object", program.path.display());
        }
        if let Some((section, function)) = elf::callers(&bytes, &LOOPS)?.first() {
            bail!(
                "a function in section {section} of the kernel side calls {function}: copy or fill by words"
            );
        }
        put(&bytes, &workspace.object(object_name(&program.name)))?;
    }
    if !programs.iter().any(|program| program.name == MAIN_BIN) {
        bail!(
            "probe-ebpf has no bin target `{MAIN_BIN}`, so there is no kernel side to put into btrfs-probe"
        );
    }
    Ok(workspace.object(object_name(MAIN_BIN)))
}

fn object_name(bin: &str) -> &str {
    if bin == MAIN_BIN { "probe" } else { bin }
}

/// Writes an object unless it is there already: a new time stamp alone would rebuild the user side.
fn put(bytes: &[u8], to: &Path) -> Result<()> {
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let folder = to.parent().context("the object lies in no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let aside = to.with_extension("new");
    fs::write(&aside, bytes).with_context(|| format!("cannot write {}", aside.display()))?;
    fs::rename(&aside, to).with_context(|| format!("cannot write {}", to.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn an_unchanged_object_keeps_its_time_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let object = folder.path().join("ebpf/probe.bpf.o");
        put(b"one", &object).unwrap();
        fs::File::options().write(true).open(&object).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        put(b"one", &object).unwrap();
        assert_eq!(object.metadata().unwrap().modified().unwrap(), SystemTime::UNIX_EPOCH);
        put(b"two", &object).unwrap();
        assert_eq!(fs::read(&object).unwrap(), b"two");
        assert_ne!(object.metadata().unwrap().modified().unwrap(), SystemTime::UNIX_EPOCH);
    }
}
