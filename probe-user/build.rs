//! Puts the kernel side into the tool: `OUT_DIR/probe.bpf.o`, for `include_bytes!`.
//!
//! `cargo xtask build` names the object in `BTRFS_PROBE_EBPF`. A plain `cargo check` or `cargo test` takes the one
//! that the last `cargo xtask build` left in `target/ebpf`; without any, the tool compiles with an empty object
//! and `cfg(no_ebpf_object)`, by which it knows to say so.
#![allow(clippy::print_stdout, reason = "how a build script talks to cargo")]
use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

const VARIABLE: &str = "BTRFS_PROBE_EBPF";
const OBJECT: &str = "probe.bpf.o";

fn main() -> io::Result<()> {
    println!("cargo::rustc-check-cfg=cfg(no_ebpf_object)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::Error::other("cargo sets OUT_DIR"))?);
    let object = match env::var_os(VARIABLE) {
        Some(named) => Some(PathBuf::from(named)),
        None => left_by_xtask(&out)?,
    };
    let bytes = match &object {
        Some(object) => {
            println!("cargo::rerun-if-changed={}", object.display());
            fs::read(object)
                .map_err(|error| io::Error::other(format!("cannot read {}: {error}", object.display())))?
        }
        None => {
            println!("cargo::rustc-cfg=no_ebpf_object");
            Vec::new()
        }
    };
    fs::write(out.join(OBJECT), bytes)
}

/// The object in `<target folder>/ebpf`, if there is one; otherwise makes that folder and watches it.
///
/// A watched path that does not exist would count as changed in every build, so the folder is watched and not
/// the file that is missing.
fn left_by_xtask(out: &Path) -> io::Result<Option<PathBuf>> {
    // Cargo tags the root of a target folder and the folder of a `--target` below it; how deep OUT_DIR lies depends on
    // that, so the outermost is taken.
    let tagged = out.ancestors().filter(|folder| folder.join("CACHEDIR.TAG").is_file());
    let Some(target) = tagged.last() else {
        return Ok(None);
    };
    let folder = target.join("ebpf");
    let object = folder.join(OBJECT);
    if object.is_file() {
        return Ok(Some(object));
    }
    fs::create_dir_all(&folder)?;
    println!("cargo::rerun-if-changed={}", folder.display());
    Ok(None)
}
