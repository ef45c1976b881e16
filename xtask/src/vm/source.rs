//! Debian's source of a kernel.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{apt::Apt, kernel::Kernel};
use crate::{proc, workspace::Workspace};

/// Unpacks below `folder` what the source of Debian's `kernel` has in its folder `part`, all of it where `part` is empty, and returns
/// where that lies.
///
/// # Errors
/// The package cannot be had, or does not contain it.
pub fn unpacked(workspace: &Workspace, kernel: &Kernel, folder: &Path, part: &str) -> Result<PathBuf> {
    let name = format!("linux-source-{}", kernel.release.line());
    let top = folder.join(&name).join(part);
    let stamp = folder.join("source-ready");
    if fs::read_to_string(&stamp).is_ok_and(|uname| uname == kernel.uname) {
        return Ok(top);
    }
    let _ = fs::remove_dir_all(folder.join(&name));
    let apt = Apt::open(&workspace.target.join("vm"))?;
    let version = apt.version(&format!("linux-image-{}", kernel.uname))?;
    let root = folder.join("package");
    apt.unpack(&[format!("{name}={version}")], &folder.join("packages"), &root)?;
    let archive = root.join(format!("usr/src/{name}.tar.xz"));
    let mut tar = Command::new("tar");
    tar.arg("-xJf").arg(&archive).arg("-C").arg(folder);
    if !part.is_empty() {
        tar.arg("--wildcards").arg(format!("*/{part}/*"));
    }
    proc::quietly(&mut tar).context("the kernel's source cannot be unpacked")?;
    // Large, and not needed any more.
    let _ = fs::remove_dir_all(&root);
    if !top.is_dir() {
        bail!("the source of Linux {} has no {part}", kernel.uname);
    }
    fs::write(&stamp, &kernel.uname).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(top)
}
