//! `cargo test`, read along while it runs.
use std::{
    io::{self, BufRead as _, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::tally::Tally;
use crate::{proc, workspace::Workspace};

/// Integration tests with this prefix need root and a kernel to disturb.
const LIVE: &str = "live";
/// Integration tests with this prefix run in guests only.
const GUEST: &str = "vm";

/// All tests but the live ones and those of guests.
///
/// # Errors
/// If one fails or a binary does not build.
pub fn fast(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    examples(workspace)?;
    let targets = Targets::of(workspace)?;
    let mut command = workspace.cargo();
    command.args(["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--examples"]);
    for name in targets.tests.iter().filter(|name| !name.starts_with(LIVE) && !name.starts_with(GUEST)) {
        command.args(["--test", name]);
    }
    let result = read_along(&mut command, tally);
    // Examples in the docs are a kind of their own to cargo.
    let mut command = workspace.cargo();
    command.args(["test", "--no-fail-fast", "--doc"]);
    for package in &targets.libraries {
        command.args(["--package", package]);
    }
    result.and(read_along(&mut command, tally))
}

/// The live tests, one after the other: they share the kernel, and each watches all of it.
///
/// # Errors
/// If one fails or a binary does not build.
pub fn live(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    examples(workspace)?;
    let mut command = workspace.cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    let mut any = false;
    for name in Targets::of(workspace)?.tests.iter().filter(|name| name.starts_with(LIVE)) {
        command.args(["--test", name]);
        any = true;
    }
    if !any {
        bail!("there is no live test: probe-user/tests/live*.rs is missing");
    }
    // Not captured, or the reason of a test that skips itself would not be seen.
    command.args(["--", "--test-threads=1", "--nocapture"]);
    read_along(&mut command, tally)
}

/// Builds the examples as programs: live tests run one beside the tool, and `cargo test` builds them as tests only.
fn examples(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo();
    command.args(["build", "--quiet", "--package", "probe-user", "--examples"]);
    let status = command.status().context("cannot run cargo")?;
    if status.success() { Ok(()) } else { bail!("the examples do not build") }
}

/// Test targets of the workspace.
struct Targets {
    /// Names of integration tests.
    tests: Vec<String>,
    /// Packages with a library.
    libraries: Vec<String>,
}

impl Targets {
    fn of(workspace: &Workspace) -> Result<Self> {
        let mut command = workspace.cargo();
        command.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&proc::stdout_of(&mut command)?)?;
        let mut targets = Self { tests: Vec::new(), libraries: Vec::new() };
        for package in metadata["packages"].as_array().into_iter().flatten() {
            for target in package["targets"].as_array().into_iter().flatten() {
                let Some(name) = target["name"].as_str() else { continue };
                match target["kind"][0].as_str() {
                    Some("test") => targets.tests.push(name.to_owned()),
                    Some("lib") => targets.libraries.extend(package["name"].as_str().map(str::to_owned)),
                    _ => {}
                }
            }
        }
        Ok(targets)
    }
}

/// Runs a command, shows its output as it comes, and counts the tests in it.
fn read_along(command: &mut Command, tally: &mut Tally) -> Result<()> {
    let (output, input) = io::pipe().context("cannot make a pipe")?;
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    let mut child = command.spawn().context("cannot run cargo")?;
    // Our ends of the pipe live in the command; they have to go, or the pipe never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut found = Tally::default();
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).context("cannot read what the tests print")? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        found.line(text.trim_end_matches('\n'));
        line.clear();
    }
    let status = child.wait().context("cannot wait for cargo")?;
    if !status.success() && found.failed == 0 {
        // A binary that died or did not build printed no result.
        found.failed = 1;
    }
    tally.add(&found);
    if !status.success() {
        bail!("tests failed ({status})");
    }
    Ok(())
}
