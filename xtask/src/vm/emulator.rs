//! The QEMU that runs the guests.
//!
//! Before 8.1 a virtual CPU could translate an instruction while another one was changing it, and go on with what it had read.
//! A Linux guest changes its own code whenever a tracepoint goes on or off, so it dies of `int3` on a place that holds
//! none any more: 7.2 within seconds under load, one virtual CPU thread a time instead is too slow to wait for. A machine with
//! an older QEMU gets Debian's backport below `target/vm/qemu`; it is not installed, and takes its libraries from the
//! machine.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::apt::Apt;
use crate::{proc, setup, workspace::Workspace};

const NAME: &str = "qemu-system-x86_64";
/// The first that locks a page of code before it translates it.
const SOUND: (u32, u32) = (8, 1);
/// Packages of the backport: the program, its option ROMs, the BIOS.
const BACKPORT: &[&str] = &[
    "qemu-system-x86/bookworm-backports",
    "qemu-system-data/bookworm-backports",
    "seabios/bookworm-backports",
];

/// A QEMU that can be started.
#[derive(Clone, Debug)]
pub struct Emulator {
    program: PathBuf,
    /// Folders of its firmware, where it cannot find them itself.
    firmware: Vec<PathBuf>,
}

impl Emulator {
    /// The machine's QEMU, or a newer one below `target/vm` where the machine's is too old.
    ///
    /// # Errors
    /// There is none and none can be had.
    pub fn ensure(workspace: &Workspace) -> Result<Self> {
        let system = Self { program: setup::program(NAME, "qemu-system-x86")?, firmware: Vec::new() };
        let version = system.version()?;
        if version >= SOUND {
            return Ok(system);
        }
        let root = workspace.target.join("vm/qemu");
        let share = root.join("usr/share");
        let backport = Self {
            program: root.join("usr/bin").join(NAME),
            firmware: vec![share.join("qemu"), share.join("seabios")],
        };
        if !root.join("ready").is_file() {
            let (major, minor) = version;
            backport.fetch(workspace, &root).with_context(|| {
                format!(
                    "QEMU {major}.{minor} loses guests that change their own code, and no newer one can be had: install QEMU \
                     {}.{} or later",
                    SOUND.0, SOUND.1
                )
            })?;
        }
        Ok(backport)
    }

    fn fetch(&self, workspace: &Workspace, root: &Path) -> Result<()> {
        let vm = workspace.target.join("vm");
        let packages: Vec<String> = BACKPORT.iter().map(|name| (*name).to_owned()).collect();
        Apt::open(&vm)?.unpack(&packages, &vm.join("qemu-packages"), root)?;
        // Says so if a library of the machine is missing or too old.
        if self.version()? < SOUND {
            bail!("Debian's backport is as old");
        }
        fs::write(root.join("ready"), "").context("cannot write below target/vm")
    }

    fn version(&self) -> Result<(u32, u32)> {
        let said = proc::stdout_of(Command::new(&self.program).arg("--version"))?;
        version_in(&said).with_context(|| format!("`{} --version` names no version", self.program.display()))
    }

    /// What comes before all other arguments: the program, and no device but those asked for. The default ones would
    /// load the machine's plugins, which fit the machine's QEMU only.
    pub fn words(&self) -> Vec<PathBuf> {
        let mut words = vec![self.program.clone(), "-nodefaults".into()];
        for folder in &self.firmware {
            words.extend(["-L".into(), folder.clone()]);
        }
        words
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
