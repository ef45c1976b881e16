//! The oldest compiler that our manifests promise (`rust-version`).
//!
//! Only that compiler shows whether it builds the code. Clippy's `incompatible_msrv`, which every run denies, knows only
//! since when functions of std exist. So the step uses a toolchain of that version if rustup has one; it never downloads
//! one.
use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{proc, setup, workspace::Workspace};

/// Builds with it. Returns what could not be checked here, and why.
///
/// # Errors
/// It does not build, or what we depend on promises less than we do.
pub fn run(workspace: &Workspace) -> Result<Option<String>> {
    let mut command = workspace.cargo();
    command.args(["metadata", "--locked", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&proc::stdout_of(&mut command)?)?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    let promised = promised(packages)?;
    let younger = younger(packages, promised);
    if !younger.is_empty() {
        bail!("{}: ask for an older version, or raise rust-version", younger.join(", "));
    }
    let name = format!("{}.{}", promised.0, promised.1);
    let toolchains = setup::toolchains();
    let Some((_, folder)) = toolchains.iter().find(|(toolchain, _)| is_of(toolchain, &name)) else {
        let install = format!("rustup toolchain install {name} --profile minimal");
        return Ok(Some(format!("a build with Rust {name}: run `{install}`")));
    };
    let folder = folder.join("bin");
    if !proc::aloud(&mut build(workspace, &folder))?.success() {
        bail!("this is no code of Rust {name}, which rust-version promises");
    }
    Ok(None)
}

fn build(workspace: &Workspace, folder: &Path) -> Command {
    let mut command = Command::new(folder.join("cargo"));
    proc::forget_outer_package(&mut command);
    command.current_dir(&workspace.root).env("RUSTC", folder.join("rustc"));
    command.args(["check", "--quiet", "--locked", "--workspace", "--target-dir"]);
    command.arg(workspace.target.join("msrv"));
    command
}

/// Whether a toolchain of rustup is a release of this version: `1.88-x86_64-…` and `1.88.0-x86_64-…` are of 1.88.
fn is_of(toolchain: &str, version: &str) -> bool {
    toolchain.strip_prefix(version).is_some_and(|rest| rest.starts_with(['.', '-']))
}

/// The version that all our packages promise.
fn promised(packages: &[Value]) -> Result<(u32, u32)> {
    let ours = packages.iter().filter(|package| package["source"].is_null());
    let mut versions: Vec<_> = ours.map(|package| version(package).unwrap_or_default()).collect();
    versions.sort_unstable();
    versions.dedup();
    match versions[..] {
        [one] if one > (0, 0) => Ok(one),
        _ => bail!("our packages promise different versions of Rust, or none: take that of the workspace"),
    }
}

/// Packages that need a compiler that is younger than this version.
fn younger(packages: &[Value], promised: (u32, u32)) -> Vec<String> {
    let younger = packages.iter().filter(|package| version(package).is_some_and(|needs| needs > promised));
    let said = |package: &Value| {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        format!("{} {} needs Rust {}", text("name"), text("version"), text("rust_version"))
    };
    younger.map(said).collect()
}

fn version(package: &Value) -> Option<(u32, u32)> {
    let mut parts = package["rust_version"].as_str()?.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, source: Option<&str>, version: Option<&str>) -> Value {
        json!({"name": name, "version": "1.0.0", "source": source, "rust_version": version})
    }

    #[test]
    fn a_dependency_may_not_need_a_younger_compiler() {
        let packages = [
            package("ours", None, Some("1.88")),
            package("old", Some("registry"), Some("1.88.0")),
            package("silent", Some("registry"), None),
            package("young", Some("registry"), Some("1.100.1")),
        ];
        assert_eq!(promised(&packages).ok(), Some((1, 88)));
        assert_eq!(younger(&packages, (1, 88)), ["young 1.0.0 needs Rust 1.100.1"]);
    }

    #[test]
    fn our_packages_promise_one_version() {
        assert!(promised(&[package("a", None, Some("1.88")), package("b", None, Some("1.90"))]).is_err());
        assert!(promised(&[package("a", None, Some("1.88")), package("b", None, None)]).is_err());
    }

    #[test]
    fn releases_of_a_version_are_known_by_their_names() {
        assert!(is_of("1.88.0-x86_64-unknown-linux-gnu", "1.88"));
        assert!(is_of("1.88-x86_64-unknown-linux-gnu", "1.88"));
        assert!(!is_of("1.880-x86_64-unknown-linux-gnu", "1.88"));
        assert!(!is_of("nightly-2026-05-20-x86_64-unknown-linux-gnu", "1.88"));
    }
}
