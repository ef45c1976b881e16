//! A kernel: its image and its modules, from Debian's packages, unpacked below `target/vm`, or of our own build.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{Release, apt::Apt, built};
use crate::workspace::Workspace;

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Which line it is of.
    pub release: Release,
    /// `uname -r`
    pub uname: String,
    /// Compressed image.
    pub image: PathBuf,
    /// Folder below which the modules lie.
    pub modules: PathBuf,
}

impl Kernel {
    /// The newest kernel of the line, or the one that was fetched before.
    ///
    /// # Errors
    /// It cannot be fetched or does not build, or the packages do not hold what they should.
    pub fn ensure(workspace: &Workspace, release: Release) -> Result<Self> {
        if let Some(built) = release.built() {
            return built::ensure(workspace, release, built);
        }
        let vm = workspace.target.join("vm");
        let folder = vm.join(release.name());
        let stamp = folder.join("uname");
        let root = folder.join("root");
        let uname = match fs::read_to_string(&stamp) {
            Ok(uname) => uname,
            Err(_) => {
                let apt = Apt::of(&vm, release.machine())?;
                let uname = apt.newest(release.image())?;
                apt.unpack(&release.packages(&uname), &folder.join("packages"), &root)?;
                fs::write(&stamp, &uname).with_context(|| format!("cannot write {}", stamp.display()))?;
                uname
            }
        };
        let image = first(&[
            root.join(format!("boot/vmlinuz-{uname}")),
            root.join(format!("usr/lib/modules/{uname}/vmlinuz")),
        ]);
        let modules = first(&[
            root.join(format!("lib/modules/{uname}")),
            root.join(format!("usr/lib/modules/{uname}")),
        ]);
        let told = || {
            format!(
                "the packages of Linux {uname} hold no kernel where it should be: remove {} and try again",
                folder.display()
            )
        };
        Ok(Self { release, image: image.with_context(told)?, modules: modules.with_context(told)?, uname })
    }
}

fn first(candidates: &[PathBuf]) -> Option<PathBuf> {
    candidates.iter().find(|path: &&PathBuf| Path::exists(path)).cloned()
}
