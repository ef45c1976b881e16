//! A btrfs module with our bugs in it, from Debian's source of the kernel that a guest boots.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{Release, headers, kernel::Kernel, source};
use crate::{proc, setup, workspace::Workspace};

/// Builds btrfs of `release` with the patches of `tests/broken`, and returns the module's path. `names` are the bugs: each
/// becomes a value of the module's parameter `broken`.
///
/// # Errors
/// The source or the headers cannot be had, a patch does not apply, or the module does not build.
pub fn module(workspace: &Workspace, release: Release, names: &[&str]) -> Result<PathBuf> {
    let kernel = Kernel::ensure(workspace, release)?;
    let headers = headers::ensure(workspace, &kernel)?;
    // Without types in the module, the tool finds no offsets.
    setup::program("pahole", "dwarves")?;
    let make = setup::program("make", "make")?;
    let folder = workspace.target.join("vm").join(release.name()).join("broken");
    let plain = source::unpacked(workspace, &kernel, &folder, "fs/btrfs")?;
    let build = folder.join("btrfs");
    let _ = fs::remove_dir_all(&build);
    proc::quietly(Command::new("cp").arg("-r").arg(&plain).arg(&build))?;
    let ours = workspace.root.join("tests/broken");
    for patch in listed(&ours.join("patches"))? {
        proc::quietly(Command::new("patch").args(["-p1", "-s", "-i"]).arg(&patch).current_dir(&build))
            .with_context(|| format!("{} does not apply to Linux {}", patch.display(), kernel.uname))?;
    }
    for file in ["broken.c", "broken.h"] {
        fs::copy(ours.join(file), build.join(file)).with_context(|| format!("cannot copy {file}"))?;
    }
    let list: String = names.iter().map(|name| format!("BROKEN_NAME({name})\n")).collect();
    fs::write(build.join("broken-list.h"), list).context("cannot write the list of bugs")?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    println!("vm: building btrfs of Linux {}", kernel.uname);
    proc::quietly(
        Command::new(make)
            .arg(format!("-j{jobs}"))
            .arg("-C")
            .arg(&headers)
            .arg(format!("M={}", build.display()))
            .arg("modules"),
    )
    .with_context(|| format!("the broken btrfs does not build for Linux {}", kernel.uname))?;
    let module = build.join("btrfs.ko");
    // 30 MB of line numbers that no guest needs.
    proc::quietly(Command::new("strip").arg("-g").arg(&module))?;
    Ok(module)
}

/// The files of a folder, by name.
fn listed(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}
