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

/// Builds one example of `probe-user`, optimised, and returns its path.
///
/// # Errors
/// It does not build.
pub fn example(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let object = kernel_side(workspace)?;
    let mut command = user::static_cargo(workspace, &object, Profile::Release, "build")?;
    command.args(["--quiet", "--example", name]);
    let program = artifacts::build(&mut command, name)?.into_iter().next();
    Ok(program.with_context(|| format!("cargo built no {name}"))?.path)
}

/// Builds them, optimised: what emulated processors run has to be quick. `wanted`: names of the tests.
///
/// # Errors
/// Something does not build.
pub fn build(workspace: &Workspace, wanted: &[&str]) -> Result<GuestPrograms> {
    let object = kernel_side(workspace)?;
    let tool = user::build(workspace, &object, Profile::Release)?;
    let mut examples = user::static_cargo(workspace, &object, Profile::Release, "build")?;
    examples.args(["--quiet", "--examples"]);
    let examples = artifacts::build(&mut examples, "an example")?;
    let mut tests = user::static_cargo(workspace, &object, Profile::Release, "test")?;
    tests.args(["--quiet", "--no-run"]);
    for test in wanted {
        tests.args(["--test", test]);
    }
    let tests = artifacts::build(&mut tests, "a test")?;
    let pairs = |programs: Vec<artifacts::Program>| {
        programs.into_iter().map(|program| (program.name, program.path)).collect::<Vec<_>>()
    };
    let tests: Vec<_> = pairs(tests).into_iter().filter(|(_, path)| *path != tool).collect();
    tests.first().context("cargo built no test")?;
    Ok(GuestPrograms { tool, tests, examples: pairs(examples) })
}
