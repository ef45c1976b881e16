//! The QEMU that runs the guests.
//!
//! Before 8.1, a virtual CPU could translate an instruction while another one was changing it, and then run the old one. A
//! Linux guest changes its own code whenever a tracepoint is switched on or off, so it dies of an `int3` at an address that
//! has none any more. 7.2 does so within seconds under load, and running one virtual CPU thread at a time is too slow. A
//! machine without QEMU, or with an older one, gets Debian's backport below `target/vm/qemu`, with the libraries that the
//! machine lacks. It is not installed: its packages can conflict with those of another QEMU version on the machine.
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::apt::Apt;
use crate::{machine::Machine, proc, setup, workspace::Workspace};

/// The first that locks a page of code before it translates it.
const SOUND: (u32, u32) = (8, 1);
/// Where Debian has a newer one that runs on 12 and later.
const SUITE: &str = "bookworm-backports";
/// Where packages of Debian put libraries.
const LIBRARIES: &[&str] = &["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];

/// A QEMU that can be started.
#[derive(Clone, Debug)]
pub struct Emulator {
    /// Of the guests.
    pub machine: Machine,
    program: PathBuf,
    /// Folder below which its firmware and its libraries lie, where it cannot find them itself.
    root: Option<PathBuf>,
}

impl Emulator {
    /// The machine's QEMU, or a newer one below `target/vm` where the machine has none or its own is too old.
    ///
    /// # Errors
    /// There is none and none can be had.
    pub fn ensure(workspace: &Workspace, machine: Machine) -> Result<Self> {
        let (name, _, folder) = names(machine);
        if let Some(program) = proc::which(name) {
            let system = Self { machine, program, root: None };
            if system.version()? >= SOUND {
                return Ok(system);
            }
        }
        let root = workspace.target.join("vm").join(folder);
        let backport = Self { machine, program: root.join("usr/bin").join(name), root: Some(root.clone()) };
        if root.join("ready").is_file() {
            return Ok(backport);
        }
        match backport.fetch(workspace, &root) {
            Ok(()) => Ok(backport),
            Err(error) => Self::installed(machine, &error),
        }
    }

    /// Another system has its own packages.
    fn installed(machine: Machine, no_backport: &anyhow::Error) -> Result<Self> {
        let told = || {
            format!(
                "guests need QEMU {}.{} or later, since older ones lose guests that change their own code: install it \
                 (and Debian's backport cannot be had: {no_backport:#})",
                SOUND.0, SOUND.1
            )
        };
        let (name, package, _) = names(machine);
        let system = Self { machine, program: setup::program(name, package).with_context(told)?, root: None };
        if system.version()? < SOUND {
            bail!(told());
        }
        Ok(system)
    }

    fn fetch(&self, workspace: &Workspace, root: &Path) -> Result<()> {
        Apt::open(&workspace.target.join("vm"))?.unpack_with_needs(SUITE, names(self.machine).1, root)?;
        // Says so if a library is missing or too old.
        if self.version()? < SOUND {
            bail!("Debian's backport is as old");
        }
        fs::write(root.join("ready"), "").context("cannot write below target/vm")
    }

    fn version(&self) -> Result<(u32, u32)> {
        let mut command = Command::new(&self.program);
        if let Some((key, value)) = self.environment() {
            command.env(key, value);
        }
        let said = proc::stdout_of(command.arg("--version"))?;
        version_in(&said).with_context(|| format!("`{} --version` names no version", self.program.display()))
    }

    /// What has to stand in its environment.
    pub fn environment(&self) -> Option<(&'static str, OsString)> {
        let root = self.root.as_ref()?;
        let paths = env::join_paths(LIBRARIES.iter().map(|folder| root.join(folder))).ok()?;
        Some(("LD_LIBRARY_PATH", paths))
    }

    /// What comes before all other arguments: the program, and no device but those asked for. The default ones would
    /// load the machine's plugins, which fit the machine's QEMU only.
    pub fn words(&self) -> Vec<PathBuf> {
        let mut words = vec![self.program.clone(), "-nodefaults".into()];
        if let Some(root) = &self.root {
            for firmware in ["usr/share/qemu", "usr/share/seabios"] {
                words.extend(["-L".into(), root.join(firmware)]);
            }
        }
        words
    }
}

/// The program that runs guests of a machine, its Debian package, and the backport's folder in `target/vm`.
const fn names(machine: Machine) -> (&'static str, &'static str, &'static str) {
    match machine {
        Machine::X86_64 => ("qemu-system-x86_64", "qemu-system-x86", "qemu"),
        Machine::Aarch64 => ("qemu-system-aarch64", "qemu-system-arm", "qemu-arm64"),
    }
}

/// Reads `QEMU emulator version 7.2.22 (Debian ...)`.
fn version_in(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.split_once("version ")?.1.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn versions_are_read_as_qemu_prints_them() {
        assert_eq!(version_in("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright"), Some((7, 2)));
        assert_eq!(version_in("QEMU emulator version 11.1.50\n"), Some((11, 1)));
        assert_eq!(version_in("something else"), None);
    }
}
