//! `cargo test`, with its output read while it runs.
use std::{env, path::PathBuf};

use anyhow::Result;
use serde_json::Value;

use super::{along, live_test::LIVE, shells, tally::Tally};
use crate::{
    build::{self, Profile},
    proc,
    workspace::Workspace,
};

/// Integration tests with this prefix run in guests only.
const GUEST: &str = "vm";
/// The integration test that needs a browser.
const BROWSER: &str = "browser";
/// Names under which a browser is installed.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// All tests but the live ones, those of guests, and the one in a browser.
///
/// # Errors
/// If one fails or a binary does not build.
pub fn fast(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    let targets = Targets::of(workspace)?;
    let mut command = build::cargo(workspace, Profile::Debug, "test")?;
    command.args(["--workspace", "--no-fail-fast", "--lib", "--bins", "--examples"]);
    let elsewhere = [LIVE, GUEST, BROWSER, shells::TEST];
    for name in targets.tests.iter().filter(|name| !elsewhere.iter().any(|prefix| name.starts_with(prefix))) {
        command.args(["--test", name]);
    }
    let result = along::read(&mut command, tally);
    // Examples in the docs are a kind of their own to cargo.
    let mut command = build::cargo(workspace, Profile::Debug, "test")?;
    command.args(["--no-fail-fast", "--doc"]);
    for package in &targets.libraries {
        command.args(["--package", package]);
    }
    result.and(along::read(&mut command, tally))
}

/// The HTML report in a browser. Returns what cannot be checked here, and why.
///
/// # Errors
/// If a test fails or does not build.
pub fn browser(workspace: &Workspace, tally: &mut Tally) -> Result<Option<String>> {
    let folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    let installed = |name: &str| folders.iter().any(|folder| folder.join(name).is_file());
    if env::var_os("BTRFS_PROBE_CHROMIUM").is_none() && !BROWSERS.iter().any(|name| installed(name)) {
        return Ok(Some("the HTML report in a browser: no Chromium (apt-get install chromium)".to_owned()));
    }
    let mut command = build::cargo(workspace, Profile::Debug, "test")?;
    command.args([
        "--package",
        "probe-user",
        "--test",
        BROWSER,
        "--",
        "--include-ignored",
        "--test-threads=1",
    ]);
    along::read(&mut command, tally).map(|()| None)
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
