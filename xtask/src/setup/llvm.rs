//! LLVM: the compiler writes bitcode, the linker reads it, and both must mean the same version.
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::toolchain::Toolchain;
use crate::{proc, workspace::Workspace};

/// The libLLVM that a compiler loads, from what the dynamic linker says.
///
/// # Errors
/// If the compiler carries its LLVM inside and has no library that a linker could load.
pub fn library_of(rustc: &Path) -> Result<PathBuf> {
    let listing = proc::stdout_of(Command::new("ldd").arg(rustc))?;
    match library_in(&listing) {
        Some(path) => path.canonicalize().with_context(|| format!("cannot find {}", path.display())),
        None => bail!("it has LLVM built in, so bpf-linker has no libLLVM to load"),
    }
}

fn library_in(listing: &str) -> Option<PathBuf> {
    let line = listing.lines().find(|line| line.trim_start().starts_with("libLLVM"))?;
    let path = line.split_once("=> ")?.1.split(" (").next()?;
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// A folder with the compiler's libLLVM and no other.
///
/// `bpf-linker` loads the first `libLLVM*` it meets on `LD_LIBRARY_PATH`; a system folder may hold several
/// versions, and the wrong one fails late and in the dark.
///
/// # Errors
/// If the folder cannot be made.
pub fn folder(workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
    let folder = workspace.tools().join(format!("llvm-{}-rustc-{}", toolchain.llvm, toolchain.release));
    if folder.is_dir() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot renew {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let name = toolchain.llvm_library.file_name().context("libLLVM has no file name")?;
    symlink(&toolchain.llvm_library, folder.join(name))
        .with_context(|| format!("cannot link libLLVM into {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_among_others() {
        let debian =
            "\tlibc.so.6 => /lib/libc.so.6 (0x1)\n\tlibLLVM.so.22.1 => /lib/x/libLLVM.so.22.1 (0x7f86)\n";
        assert_eq!(library_in(debian), Some(PathBuf::from("/lib/x/libLLVM.so.22.1")));
        assert_eq!(library_in("\tlibLLVM.so.22.1 => not found\n"), None);
        assert_eq!(library_in("\tstatically linked\n"), None);
    }
}
