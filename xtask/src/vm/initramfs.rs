//! The contents of a guest's initramfs.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{cpio::Archive, modules::Module};
use crate::{proc, setup};

/// A file of the host for the guest.
#[derive(Clone, Debug)]
pub struct Item {
    host: PathBuf,
    guest: String,
}

impl Item {
    /// A file with its place in the guest. Programs bring the libraries that they load.
    pub fn program(host: PathBuf, guest: impl Into<String>) -> Self {
        Self { host, guest: guest.into() }
    }
}

/// Programs of the host that the guest gets, with their packages.
const PROGRAMS: &[(&str, &str)] = &[("mkfs.btrfs", "btrfs-progs"), ("btrfs", "btrfs-progs")];

/// Packs everything into one archive.
///
/// # Errors
/// A program or file is missing.
pub fn pack(modules: &[Module], items: &[Item], init: &str, script: &str) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["/proc", "/sys", "/dev", "/tmp", "/run", "/root", "/mnt", "/out", "/var/tmp"] {
        archive.folder(folder);
    }
    archive.file("/init", init.as_bytes(), true);
    archive.file("/command", script.as_bytes(), true);
    archive.file(
        "/etc/passwd",
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
        false,
    );
    archive.file("/etc/group", b"root:x:0:\nnogroup:x:65534:\n", false);
    let busybox = setup::program("busybox", "busybox-static")?;
    archive.file("/bin/busybox", &read(&busybox)?, true);
    let mut order = String::new();
    for module in modules {
        archive.file(&format!("/modules/{}.ko", module.name), &module.bytes, false);
        if module.at_start {
            order.push_str(&module.name);
            order.push('\n');
        }
    }
    archive.file("/modules/order", order.as_bytes(), false);
    let mut libraries = BTreeSet::new();
    for (name, package) in PROGRAMS {
        let program = setup::program(name, package)?;
        archive.file(&format!("/usr/bin/{name}"), &read(&program)?, true);
        libraries.extend(needed(&program));
    }
    let mut places = BTreeSet::new();
    for Item { host, guest } in items {
        let place = if guest.starts_with('/') { guest.clone() } else { format!("/{guest}") };
        // The later of two files for one place would only be unpacked over the first.
        if places.insert(place.clone()) {
            archive.file(&place, &read(host)?, true);
            libraries.extend(needed(host));
        }
    }
    for library in libraries {
        archive.file(&library, &read(Path::new(&library))?, true);
    }
    Ok(archive.finish())
}

/// Shared libraries of a program, by their absolute paths; none for a static one or no program at all.
fn needed(program: &Path) -> Vec<String> {
    let Ok(listed) = proc::stdout_of(Command::new("ldd").arg(program)) else { return Vec::new() };
    listed
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(str::to_owned)
        .collect()
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
