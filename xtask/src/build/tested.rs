//! What live tests are made of, on the machine itself and in guests: the tool, the tests and the examples, all with
//! their libc inside.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{Profile, artifacts, kernel_side, user};
use crate::{proc, setup, workspace::Workspace};

/// Integration tests of `probe-user` that need a kernel: on the machine itself and in guests, and in guests alone.
const WANTED: [&str; 2] = ["live*", "vm*"];

/// Programs by name.
pub struct TestedPrograms {
    /// `btrfs-probe`
    pub tool: PathBuf,
    /// Integration tests of `probe-user`.
    pub tests: Vec<(String, PathBuf)>,
    /// Examples of `probe-user`.
    pub examples: Vec<(String, PathBuf)>,
}

/// Builds one example of `probe-user` as the tool is shipped, and returns its path.
///
/// # Errors
/// It does not build.
pub fn example(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    kernel_side(workspace)?;
    let mut command = user::cargo(workspace, Profile::Release, "build")?;
    command.args(["--package", "probe-user", "--quiet", "--example", name]);
    let program = artifacts::build(&mut command, name)?.into_iter().next();
    Ok(program.with_context(|| format!("cargo built no {name}"))?.path)
}

/// Builds them.
///
/// # Errors
/// Something does not build.
pub fn build(workspace: &Workspace) -> Result<TestedPrograms> {
    kernel_side(workspace)?;
    let tool = user::build(workspace, Profile::Tests)?;
    let mut examples = user::cargo(workspace, Profile::Tests, "build")?;
    examples.args(["--package", "probe-user", "--quiet", "--examples"]);
    let examples = artifacts::build(&mut examples, "an example")?;
    let mut tests = user::cargo(workspace, Profile::Tests, "test")?;
    tests.args(["--package", "probe-user", "--quiet", "--no-run"]);
    for test in WANTED {
        tests.args(["--test", test]);
    }
    let tests = artifacts::build(&mut tests, "a test")?;
    let pairs = |programs: Vec<artifacts::Program>| {
        programs.into_iter().map(|program| (program.name, program.path)).collect::<Vec<_>>()
    };
    let tests: Vec<_> = pairs(tests).into_iter().filter(|(_, path)| *path != tool).collect();
    tests.first().context("cargo built no test")?;
    Ok(TestedPrograms { tool, tests, examples: pairs(examples) })
}

impl TestedPrograms {
    /// Copies of them without what only a debugger reads, below `folder`: a guest keeps its programs in memory.
    ///
    /// # Errors
    /// There is no `strip`, or the disk is full.
    pub fn stripped(&self, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let strip = setup::program("strip", "binutils")?;
        let one = |name: &str, path: &Path| -> Result<PathBuf> {
            let to = folder.join(name);
            proc::quietly(Command::new(&strip).arg("--strip-debug").arg("-o").arg(&to).arg(path))?;
            Ok(to)
        };
        let all = |programs: &[(String, PathBuf)]| -> Result<Vec<_>> {
            programs.iter().map(|(name, path)| Ok((name.clone(), one(name, path)?))).collect()
        };
        Ok(Self {
            tool: one("btrfs-probe", &self.tool)?,
            tests: all(&self.tests)?,
            examples: all(&self.examples)?,
        })
    }
}
