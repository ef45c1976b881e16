//! The fault module, built against a kernel's headers, which are unpacked beside the kernel and not installed.
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::{Release, apt::Apt, kernel::Kernel};
use crate::{proc, setup, workspace::Workspace};

/// Name of the module.
pub const MODULE: &str = "btrfs_probe_fault";

/// The compiler of Debian's 6.1 and 6.12.
const OLD_COMPILER: &str = "gcc-12";
/// The compiler of Debian's 7.x.
const NEW_COMPILER: &str = "x86_64-linux-gnu-gcc-14";
/// What the older compiler lacks of the newer one.
const OLDER: [&str; 2] = ["CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=", "CONFIG_GCC_VERSION=120200"];

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
    let mut command = Command::new(make);
    command.arg("-C").arg(&headers).arg(format!("M={}", build.display()));
    if kernel.release == Release::V7 && proc::which(NEW_COMPILER).is_none() {
        command.arg(format!("CC={OLD_COMPILER}")).args(OLDER);
    }
    // Types of the module itself would need pahole, and nobody reads them.
    command.args(["CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"]);
    proc::quietly(&mut command)
        .with_context(|| format!("the fault module does not build for Linux {}", kernel.uname))?;
    let module = build.join(format!("{MODULE}.ko"));
    if !module.is_file() {
        bail!("{} built no {MODULE}.ko", source.display());
    }
    Ok(module)
}

/// The folder to give to `make -C`.
pub(super) fn ensure(workspace: &Workspace, kernel: &Kernel) -> Result<PathBuf> {
    if kernel.release.built().is_some() {
        return Ok(kernel.modules.clone());
    }
    let vm = workspace.target.join("vm");
    let folder = vm.join(kernel.release.name());
    let root = folder.join("headers");
    let top = root.join(format!("usr/src/linux-headers-{}", kernel.uname));
    let stamp = folder.join("headers-ready");
    if stamp.is_file() {
        return Ok(top);
    }
    let machine = kernel.release.machine();
    let apt = Apt::of(&vm, machine)?;
    let package = format!("linux-headers-{}", kernel.uname);
    // These run here, whatever they build for.
    let (tools, mut packages): (Vec<_>, Vec<_>) =
        apt.needs(&package)?.into_iter().partition(|name| name.starts_with("linux-kbuild-"));
    packages.push(package);
    apt.unpack(&packages, &folder.join("packages"), &root)?;
    Apt::open(&vm)?.unpack(&tools, &folder.join("packages"), &root)?;
    if machine.is_here() {
        setup::program(OLD_COMPILER, OLD_COMPILER)?;
    } else {
        let triple = format!("{}-linux-gnu", machine.name());
        setup::program(&format!("{triple}-{OLD_COMPILER}"), &format!("{OLD_COMPILER}-{triple}"))?;
    }
    relocate(&root.join("usr/src"), &root)?;
    relocate(&root.join("usr/lib"), &root)?;
    if kernel.release == Release::V7 {
        let libc = folder.join("libc");
        let mut old = Vec::new();
        needing_newer(&root.join("usr/lib"), &mut old)?;
        if !old.is_empty() {
            Apt::trixie(&vm)?.unpack(&["libc6".to_owned()], &folder.join("packages"), &libc)?;
        }
        old.iter().try_for_each(|program| with_libc(program, &libc.join("usr")))?;
    }
    fs::write(&stamp, "").with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(top)
}

/// Programs that this machine's C library is too old for.
fn needing_newer(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            needing_newer(&path, found)?;
        } else if kind.is_file() && fs::read(&path)?.starts_with(b"\x7fELF") {
            // A library or an object does not start at all, which is no matter.
            let said = Command::new(&path).stdin(Stdio::null()).output();
            if said.is_ok_and(|said| String::from_utf8_lossy(&said.stderr).contains("version `GLIBC_")) {
                found.push(path);
            }
        }
    }
    Ok(())
}

/// Makes a program start with the C library below `libc`.
fn with_libc(program: &Path, libc: &Path) -> Result<()> {
    let real = PathBuf::from(format!("{}.linked", program.display()));
    let libc = libc.display();
    fs::rename(program, &real).with_context(|| format!("cannot rename {}", program.display()))?;
    let text = format!(
        "#!/bin/sh\nexec {libc}/lib64/ld-linux-x86-64.so.2 \
         --library-path {libc}/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu {} \"$@\"\n",
        real.display()
    );
    fs::write(program, text).with_context(|| format!("cannot write {}", program.display()))?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).context("cannot make it a program")
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
