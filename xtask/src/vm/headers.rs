//! The fault module, built against a kernel's headers, which are unpacked beside the kernel and not installed.
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{apt::Apt, kernel::Kernel};
use crate::{proc, setup, workspace::Workspace};

/// Name of the module.
pub const MODULE: &str = "btrfs_probe_fault";

/// Builds `tests/fault/` for a kernel and returns the module's path.
///
/// # Errors
/// The headers cannot be had, or the module does not build.
pub fn fault_module(workspace: &Workspace, kernel: &Kernel) -> Result<PathBuf> {
    let headers = ensure(workspace, kernel)?;
    let source = workspace.root.join("tests/fault");
    // Built in a copy: the kernel's build writes beside the source.
    let build = workspace.target.join("vm").join(kernel.release.name()).join("fault");
    fs::create_dir_all(&build).with_context(|| format!("cannot make {}", build.display()))?;
    for entry in fs::read_dir(&source).with_context(|| format!("cannot read {}", source.display()))?.flatten()
    {
        let to = build.join(entry.file_name());
        let (new, old) = (fs::read(entry.path()), fs::read(&to).ok());
        let Ok(new) = new else { continue };
        // Untouched where equal, so that make has nothing to do.
        if old.as_ref() != Some(&new) {
            fs::write(&to, new).with_context(|| format!("cannot write {}", to.display()))?;
        }
    }
    let make = setup::program("make", "make")?;
    proc::quietly(
        Command::new(make)
            .arg("-C")
            .arg(&headers)
            .arg(format!("M={}", build.display()))
            // Types of the module itself would need pahole, and nobody reads them.
            .arg("CONFIG_DEBUG_INFO_BTF_MODULES=")
            .arg("modules"),
    )
    .with_context(|| format!("the fault module does not build for Linux {}", kernel.uname))?;
    let module = build.join(format!("{MODULE}.ko"));
    if !module.is_file() {
        bail!("{} built no {MODULE}.ko", source.display());
    }
    Ok(module)
}

/// The folder to give to `make -C`.
pub(super) fn ensure(workspace: &Workspace, kernel: &Kernel) -> Result<PathBuf> {
    let vm = workspace.target.join("vm");
    let folder = vm.join(kernel.release.name());
    let root = folder.join("headers");
    let top = root.join(format!("usr/src/linux-headers-{}", kernel.uname));
    let stamp = folder.join("headers-ready");
    if stamp.is_file() {
        return Ok(top);
    }
    let apt = Apt::open(&vm)?;
    let package = format!("linux-headers-{}", kernel.uname);
    let mut packages = apt.needs(&package)?;
    packages.push(package);
    apt.unpack(&packages, &folder.join("packages"), &root)?;
    setup::program("gcc-12", "gcc-12")?;
    relocate(&root.join("usr/src"), &root)?;
    relocate(&root.join("usr/lib"), &root)?;
    fs::write(&stamp, "").with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(top)
}

/// The packages expect to lie at `/`: absolute links and includes between them are turned to where they lie.
fn relocate(folder: &Path, root: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            let to = fs::read_link(&path)?;
            if let Ok(inside) = to.strip_prefix("/usr") {
                fs::remove_file(&path)?;
                symlink(root.join("usr").join(inside), &path)?;
            }
        } else if kind.is_dir() {
            relocate(&path, root)?;
        } else if path.file_name().is_some_and(|name| name == "Makefile" || name == ".kernelvariables") {
            let text = fs::read_to_string(&path)?;
            let moved = text
                .replace("/usr/src/linux-headers-", &format!("{}/usr/src/linux-headers-", root.display()));
            if moved != text {
                fs::write(&path, moved)?;
            }
        }
    }
    Ok(())
}
