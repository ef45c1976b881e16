//! The one static binary: kernel side first, then the tool with the kernel side inside.
//!
//! Each step leaves what it made untouched when nothing changed, so a second build only asks cargo twice.
mod artifacts;
mod ebpf;
mod elf;
mod user;

use std::path::PathBuf;

use anyhow::Result;

pub use self::user::Profile;
use crate::{setup, workspace::Workspace};

/// Sets up, builds both sides, and returns the path of `btrfs-probe`.
///
/// # Errors
/// If a part cannot be set up or built, or if the result would need a shared library.
pub fn run(workspace: &Workspace, profile: Profile) -> Result<PathBuf> {
    let tools = setup::run(workspace)?;
    let object = ebpf::build(workspace, &tools)?;
    user::build(workspace, &object, profile)
}
