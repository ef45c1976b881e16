//! The programs of a guest that are not ours: this machine's, or those of another machine from Debian's packages.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::apt::Apt;
use crate::{build, machine::Machine, proc, setup, workspace::Workspace};

/// Programs besides busybox, and their package.
const PROGRAMS: [&str; 2] = ["mkfs.btrfs", "btrfs"];
const PACKAGE: &str = "btrfs-progs";
const BUSYBOX: &str = "busybox-static";
/// Of Debian's, for another machine.
const SUITE: &str = "bookworm";

/// Where the programs are.
pub struct Userland {
    /// Folder below which those of another machine lie, and that machine.
    foreign: Option<(PathBuf, Machine)>,
}

impl Userland {
    /// Fetches what another machine needs, once.
    ///
    /// # Errors
    /// It cannot be fetched.
    pub fn ensure(workspace: &Workspace, machine: Machine) -> Result<Self> {
        if machine.is_here() {
            return Ok(Self { foreign: None });
        }
        let vm = workspace.target.join("vm");
        let root = vm.join(format!("userland-{}", machine.debian()));
        if !root.join("ready").is_file() {
            let apt = Apt::of(&vm, machine)?;
            for package in [BUSYBOX, PACKAGE] {
                apt.unpack_with_needs(SUITE, package, &root)?;
            }
            fs::write(root.join("ready"), "").context("cannot write below target/vm")?;
        }
        Ok(Self { foreign: Some((root, machine)) })
    }

    /// A static busybox.
    ///
    /// # Errors
    /// It is missing and cannot be installed.
    pub fn busybox(&self) -> Result<PathBuf> {
        self.program("busybox", BUSYBOX)
    }

    /// Names and files of the other programs.
    ///
    /// # Errors
    /// One is missing and cannot be installed.
    pub fn programs(&self) -> Result<Vec<(&'static str, PathBuf)>> {
        PROGRAMS.iter().map(|name| Ok((*name, self.program(name, PACKAGE)?))).collect()
    }

    fn program(&self, name: &str, package: &str) -> Result<PathBuf> {
        let Some((root, _)) = &self.foreign else { return setup::program(name, package) };
        let places = ["bin", "sbin", "usr/bin", "usr/sbin"].map(|folder| root.join(folder).join(name));
        let found = places.into_iter().find(|path| path.is_file());
        found.with_context(|| format!("the package {package} has no {name}: remove {}", root.display()))
    }

    /// Shared libraries of a program: their places in the guest and their files. None for a static one or no program at all.
    pub fn libraries(&self, program: &Path) -> BTreeMap<String, PathBuf> {
        let mut found = BTreeMap::new();
        match &self.foreign {
            None => {
                let listed = proc::stdout_of(Command::new("ldd").arg(program)).unwrap_or_default();
                let paths = listed
                    .lines()
                    .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
                found.extend(paths.map(|path| (path.to_owned(), PathBuf::from(path))));
            }
            Some((root, machine)) => needed(root, *machine, program, &mut found),
        }
        found
    }
}

/// What a program of another machine asks for, and what that asks for: nothing here can start its dynamic linker.
fn needed(root: &Path, machine: Machine, program: &Path, found: &mut BTreeMap<String, PathBuf>) {
    let Ok(readelf) = build::tool(machine, "readelf") else { return };
    let Ok(said) = proc::stdout_of(Command::new(readelf).args(["-W", "-l", "-d"]).arg(program)) else {
        return;
    };
    let folders = ["lib", "usr/lib"].map(|lib| format!("{lib}/{}-linux-gnu", machine.name()));
    for name in names(&said) {
        let candidates = if name.starts_with('/') {
            vec![name.trim_start_matches('/').to_owned()]
        } else {
            folders.iter().map(|folder| format!("{folder}/{name}")).collect()
        };
        let Some(place) = candidates.into_iter().find(|place| root.join(place).is_file()) else { continue };
        let file = root.join(&place);
        if found.insert(format!("/{place}"), file.clone()).is_none() {
            needed(root, machine, &file, found);
        }
    }
}

/// The dynamic linker and the libraries that `readelf -l -d` shows.
fn names(said: &str) -> Vec<String> {
    let within = |line: &str, before: &str| {
        let name = line.split_once(before)?.1.split_once(']')?.0;
        Some(name.to_owned())
    };
    said.lines()
        .filter_map(|line| {
            within(line, "program interpreter: ")
                .or_else(|| line.contains("(NEEDED)").then(|| within(line, "Shared library: [")).flatten())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn the_linker_and_the_libraries_are_read() {
        let said = "      [Requesting program interpreter: /lib/ld-linux-aarch64.so.1]\n                     0x0000000000000001 (NEEDED)             Shared library: [libuuid.so.1]\n                     0x000000000000000e (SONAME)             Library soname: [libblkid.so.1]\n";
        assert_eq!(names(said), ["/lib/ld-linux-aarch64.so.1", "libuuid.so.1"]);
        assert!(names("There is no dynamic section in this file.\n").is_empty());
    }
}
