//! The one static binary: kernel side first, then the tool with the kernel side inside.
//!
//! A step does not touch its result when nothing changed, so a second build only calls cargo twice.
mod artifacts;
mod crate_names;
mod cross;
mod ebpf;
mod elf;
mod remap;
mod tested;
mod user;

use std::path::PathBuf;

use anyhow::Result;

pub use self::{
    crate_names::called_as_compiler,
    cross::tool,
    tested::{TestedPrograms, build as for_tests, example},
    user::{Profile, cargo},
};
use crate::{machine::Machine, setup, workspace::Workspace};

/// Sets up, builds both sides, and returns the path of `btrfs-probe`.
///
/// # Errors
/// If a part cannot be set up or built, or if the result would need a shared library.
pub fn run(workspace: &Workspace, profile: Profile) -> Result<PathBuf> {
    run_for(workspace, profile, Machine::here()?)
}

/// As [`run`], for that machine.
///
/// # Errors
/// As [`run`].
pub fn run_for(workspace: &Workspace, profile: Profile, machine: Machine) -> Result<PathBuf> {
    kernel_side(workspace)?;
    user::build(workspace, profile, machine)
}

/// Sets up, builds the kernel side alone, and returns the path of its object.
///
/// # Errors
/// If it cannot be set up or built.
pub fn kernel_side(workspace: &Workspace) -> Result<PathBuf> {
    ebpf::build(workspace, &setup::run(workspace)?)
}
