//! Builds what live tests need, on the machine itself and in guests: the tool, the tests and the examples, all linked
//! statically.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{Profile, artifacts, cross, kernel_side, user};
use crate::{machine::Machine, proc, workspace::Workspace};

/// Integration tests of `probe-user` that need a kernel: on the machine itself and in guests, and in guests alone.
const WANTED: [&str; 2] = ["live*", "vm*"];

/// Programs by name.
pub struct TestedPrograms {
    /// The machine that they run on.
    pub machine: Machine,
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
pub fn build(workspace: &Workspace, machine: Machine) -> Result<TestedPrograms> {
    kernel_side(workspace)?;
    // In one command: so the tool shares with its tests what both lean on, with all that the tests ask of it.
    let mut command = user::cargo_for(workspace, Profile::Tests, "build", machine)?;
    command.args(["--package", "probe-user", "--quiet", "--bin", "btrfs-probe", "--examples"]);
    for test in WANTED {
        command.args(["--test", test]);
    }
    let programs = artifacts::build(&mut command, "the tool, a test or an example")?;
    let of = |kind: &str| {
        let programs = programs.iter().filter(|program| program.kind == kind);
        programs.map(|program| (program.name.clone(), program.path.clone())).collect::<Vec<_>>()
    };
    let (_, tool) = of("bin").into_iter().next().context("cargo built no btrfs-probe")?;
    user::check_static(&tool)?;
    let tests = of("test");
    tests.first().context("cargo built no test")?;
    Ok(TestedPrograms { machine, tool, tests, examples: of("example") })
}

impl TestedPrograms {
    /// Copies of them without what only a debugger reads, below `folder`: a guest keeps its programs in memory.
    ///
    /// # Errors
    /// There is no `strip`, or the disk is full.
    pub fn stripped(&self, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let strip = cross::tool(self.machine, "strip")?;
        let one = |name: &str, path: &Path| -> Result<PathBuf> {
            let to = folder.join(name);
            proc::quietly(Command::new(&strip).arg("--strip-debug").arg("-o").arg(&to).arg(path))?;
            Ok(to)
        };
        let all = |programs: &[(String, PathBuf)]| -> Result<Vec<_>> {
            programs.iter().map(|(name, path)| Ok((name.clone(), one(name, path)?))).collect()
        };
        Ok(Self {
            machine: self.machine,
            tool: one("btrfs-probe", &self.tool)?,
            tests: all(&self.tests)?,
            examples: all(&self.examples)?,
        })
    }
}
