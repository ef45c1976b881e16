//! What runs in guests: the tool, the live tests and the examples, all with their libc inside.
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::{artifacts, kernel_side, user};
use crate::{build::Profile, workspace::Workspace};

/// Programs by name.
pub struct GuestPrograms {
    /// `btrfs-probe`
    pub tool: PathBuf,
    /// Integration tests of `probe-user`.
    pub tests: Vec<(String, PathBuf)>,
    /// Examples of `probe-user`.
    pub examples: Vec<(String, PathBuf)>,
}

/// Builds them, optimised: what emulated processors run has to be quick.
///
/// # Errors
/// Something does not build.
pub fn build(workspace: &Workspace) -> Result<GuestPrograms> {
    let object = kernel_side(workspace)?;
    let tool = user::build(workspace, &object, Profile::Release)?;
    let mut examples = user::static_cargo(workspace, &object, Profile::Release, "build")?;
    examples.args(["--quiet", "--examples"]);
    let examples = artifacts::build(&mut examples, "an example")?;
    let mut tests = user::static_cargo(workspace, &object, Profile::Release, "test")?;
    tests.args(["--quiet", "--no-run", "--test", "*"]);
    let tests = artifacts::build(&mut tests, "a test")?;
    let pairs = |programs: Vec<artifacts::Program>| {
        programs.into_iter().map(|program| (program.name, program.path)).collect::<Vec<_>>()
    };
    let tests: Vec<_> = pairs(tests).into_iter().filter(|(_, path)| *path != tool).collect();
    tests.first().context("cargo built no test")?;
    Ok(GuestPrograms { tool, tests, examples: pairs(examples) })
}
