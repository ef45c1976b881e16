//! The modules that btrfs on a loop device needs, and those that a test loads by itself, in the order in which they can be loaded.
use std::{collections::BTreeMap, fs, path::Path, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail};

use super::{Release, kernel::Kernel};
use crate::proc;

/// Loaded where the kernel has them as modules; what it has built in or does not have is left out.
const WANTED: &[&str] = &[
    "crc32c_generic",
    "crc32c_intel",
    "crc32c_cryptoapi",
    "libcrc32c",
    "xxhash_generic",
    "sha256_generic",
    "blake2b_generic",
    "loop",
    "btrfs",
];
/// Brought along for tests that load them: zoned devices.
const FOR_TESTS: &[&str] = &["null_blk"];

/// One module, decompressed.
pub struct Module {
    /// Name, with underscores.
    pub name: String,
    /// The object.
    pub bytes: Vec<u8>,
    /// Whether the guest loads it before anything else runs.
    pub at_start: bool,
}

/// Modules in the order of loading.
///
/// # Errors
/// A module cannot be read, or there is no btrfs.
pub fn ordered(kernel: &Kernel) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    find(&kernel.modules, &mut files)?;
    let mut order = Vec::new();
    for (names, at_start) in [(WANTED, true), (FOR_TESTS, false)] {
        for name in names {
            add(name, at_start, &files, &mut order)?;
        }
    }
    if kernel.release != Release::BuiltIn6_12 && !order.iter().any(|module| module.name == "btrfs") {
        bail!("Linux {} has no module btrfs below {}", kernel.uname, kernel.modules.display());
    }
    Ok(order)
}

/// The object of btrfs.
///
/// # Errors
/// It cannot be read, or there is none.
pub fn btrfs(kernel: &Kernel) -> Result<Vec<u8>> {
    let mut files = BTreeMap::new();
    find(&kernel.modules, &mut files)?;
    let file = files.get("btrfs").with_context(|| {
        format!("Linux {} has no module btrfs below {}", kernel.uname, kernel.modules.display())
    })?;
    read(file)
}

fn find(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find(&path, files)?;
        } else if let Some((name, _)) = entry.file_name().to_string_lossy().split_once(".ko") {
            files.insert(name.replace('-', "_"), path);
        }
    }
    Ok(())
}

fn add(name: &str, at_start: bool, files: &BTreeMap<String, PathBuf>, order: &mut Vec<Module>) -> Result<()> {
    if order.iter().any(|module| module.name == name) {
        return Ok(());
    }
    let Some(file) = files.get(name) else { return Ok(()) };
    let bytes = read(file)?;
    for needed in needs(&bytes) {
        add(&needed, at_start, files, order)?;
    }
    order.push(Module { name: name.to_owned(), bytes, at_start });
    Ok(())
}

/// The module in `file`, decompressed: busybox loads plain ones only.
fn read(file: &Path) -> Result<Vec<u8>> {
    let program = match file.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return fs::read(file).with_context(|| format!("cannot read {}", file.display())),
    };
    let path =
        proc::which(program).with_context(|| format!("install {program}: {} needs it", file.display()))?;
    let output = Command::new(path).arg("-dc").arg(file).output().context("cannot decompress a module")?;
    if !output.status.success() {
        bail!("{} cannot be decompressed", file.display());
    }
    Ok(output.stdout)
}

/// `depends=` of `.modinfo`.
fn needs(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else { return Vec::new() };
    let rest = &module[at + KEY.len()..];
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(0);
    let list = String::from_utf8_lossy(&rest[..end]);
    list.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use std::{collections::BTreeMap, fs};

    use super::{add, needs};

    #[test]
    fn what_a_test_loads_brings_what_it_needs_and_is_not_loaded_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = BTreeMap::new();
        for (name, needs) in [("loop", ""), ("null_blk", "loop,configfs"), ("configfs", "")] {
            let path = folder.path().join(format!("{name}.ko"));
            fs::write(&path, format!("x\0depends={needs}\0")).unwrap();
            files.insert(name.to_owned(), path);
        }
        let mut order = Vec::new();
        add("loop", true, &files, &mut order).unwrap();
        add("null_blk", false, &files, &mut order).unwrap();
        add("not_there", true, &files, &mut order).unwrap();
        let order: Vec<_> = order.iter().map(|module| (module.name.as_str(), module.at_start)).collect();
        assert_eq!(order, [("loop", true), ("configfs", false), ("null_blk", false)]);
    }

    #[test]
    fn dependencies_are_read_from_modinfo() {
        assert_eq!(
            needs(b"license=GPL\0depends=raid6_pq,lib-crc32c\0intree=Y\0"),
            ["raid6_pq", "lib_crc32c"]
        );
        assert!(needs(b"x\0depends=\0y\0").is_empty());
        assert!(needs(b"nothing").is_empty());
    }
}
