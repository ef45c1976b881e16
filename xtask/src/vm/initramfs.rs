//! The contents of a guest's initramfs.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{cpio::Archive, modules::Module, userland::Userland};

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

/// Packs everything into one archive.
///
/// # Errors
/// A program or file is missing.
pub fn pack(
    userland: &Userland,
    modules: &[Module],
    items: &[Item],
    init: &str,
    script: &str,
) -> Result<Vec<u8>> {
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
    archive.file("/bin/busybox", &read(&userland.busybox()?)?, true);
    let mut order = String::new();
    for module in modules {
        archive.file(&format!("/modules/{}.ko", module.name), &module.bytes, false);
        if module.at_start {
            order.push_str(&module.name);
            order.push('\n');
        }
    }
    archive.file("/modules/order", order.as_bytes(), false);
    let mut libraries = BTreeMap::new();
    for (name, program) in userland.programs()? {
        archive.file(&format!("/usr/bin/{name}"), &read(&program)?, true);
        libraries.extend(userland.libraries(&program));
    }
    let mut places = BTreeSet::new();
    for Item { host, guest } in items {
        let place = if guest.starts_with('/') { guest.clone() } else { format!("/{guest}") };
        // The later of two files for one place would only be unpacked over the first.
        if places.insert(place.clone()) {
            archive.file(&place, &read(host)?, true);
            libraries.extend(userland.libraries(host));
        }
    }
    for (place, library) in libraries {
        archive.file(&place, &read(&library)?, true);
    }
    Ok(archive.finish())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
