//! The loads of `tests/loads` for a guest.
use std::{path::Path, process::Command};

use anyhow::Result;

use super::Item;
use crate::{proc, setup, workspace::Workspace};

/// `/loads.sh`, and `/bin/io`, which is built into `folder`.
///
/// # Errors
/// There is no C compiler, or the helper does not build.
pub fn items(workspace: &Workspace, folder: &Path) -> Result<Vec<Item>> {
    let ours = workspace.root.join("tests/loads");
    let gcc = setup::program("gcc", "gcc")?;
    let io = folder.join("io");
    // Static: the guest has no libraries but those of its programs.
    proc::quietly(Command::new(gcc).args(["-O", "-static", "-o"]).arg(&io).arg(ours.join("io.c")))?;
    Ok(vec![Item::program(io, "/bin/io"), Item::program(ours.join("loads.sh"), "/loads.sh")])
}
