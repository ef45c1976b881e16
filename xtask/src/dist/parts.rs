//! The crates that are in the program: those of the tool and those of its kernel side, from cargo's own metadata.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{proc, workspace::Workspace};

/// A crate of a certain version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// Name on crates.io, or ours.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Licence as its manifest says, in SPDX's words.
    pub licence: String,
    /// SHA-256 of its archive on crates.io; none of our own crates.
    pub checksum: Option<String>,
    /// The folder with its source.
    pub folder: PathBuf,
    /// What it takes into the program: indices of parts.
    pub uses: BTreeSet<usize>,
}

/// All parts; the first is `probe-user`, the second `probe-ebpf`.
///
/// # Errors
/// If cargo cannot read a manifest.
pub fn of(workspace: &Workspace) -> Result<Vec<Part>> {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut parts = Vec::new();
    for (folder, root) in [("probe-user", "probe-user"), ("probe-ebpf", "probe-ebpf")] {
        let folder = workspace.root.join(folder);
        let mut command = workspace.cargo();
        command.current_dir(&folder).args(["metadata", "--format-version", "1", "--locked"]);
        command.args(["--filter-platform", &target]);
        let metadata: Value = serde_json::from_str(&proc::stdout_of(&mut command)?)?;
        let sums = checksums(&metadata)?;
        collect(&metadata, root, &sums, &mut parts)?;
    }
    Ok(parts)
}

/// SHA-256 of each crate and version, from the lock file of the metadata's workspace.
fn checksums(metadata: &Value) -> Result<BTreeMap<(String, String), String>> {
    let root = metadata["workspace_root"].as_str().context("cargo names no workspace")?;
    let lock = fs::read_to_string(Path::new(root).join("Cargo.lock")).context("cannot read Cargo.lock")?;
    Ok(lock
        .split("[[package]]")
        .filter_map(|package| {
            let field = |name: &str| {
                let start = format!("{name} = \"");
                package.lines().find_map(|line| line.strip_prefix(start.as_str())?.strip_suffix('"'))
            };
            Some(((field("name")?.to_owned(), field("version")?.to_owned()), field("checksum")?.to_owned()))
        })
        .collect())
}

/// Adds what `root` takes into the program: no tests, no build scripts, no macros.
fn collect(
    metadata: &Value,
    root: &str,
    sums: &BTreeMap<(String, String), String>,
    parts: &mut Vec<Part>,
) -> Result<()> {
    let packages: BTreeMap<&str, &Value> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|node| Some((node["id"].as_str()?, node)))
        .collect();
    let first = packages.iter().find(|(_, package)| package["name"] == root).map(|(id, _)| *id);
    let mut index: BTreeMap<&str, usize> = BTreeMap::new();
    let mut open = vec![first.with_context(|| format!("cargo knows no {root}"))?];
    let mut found: Vec<(&str, usize)> = Vec::new();
    while let Some(id) = open.pop() {
        if index.contains_key(id) {
            continue;
        }
        let package = packages.get(id).context("cargo's graph names a crate that it does not list")?;
        let text = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
        let (name, version) = (text("name"), text("version"));
        let part = Part {
            licence: text("license"),
            checksum: sums.get(&(name.clone(), version.clone())).cloned(),
            folder: Path::new(&text("manifest_path")).parent().map(Path::to_owned).unwrap_or_default(),
            uses: BTreeSet::new(),
            name,
            version,
        };
        // Both sides share some.
        let at = parts.iter().position(|known| known.name == part.name && known.version == part.version);
        let at = at.unwrap_or_else(|| {
            parts.push(part);
            parts.len() - 1
        });
        index.insert(id, at);
        found.push((id, at));
        open.extend(used(nodes.get(id), &packages));
    }
    for (id, at) in found {
        let uses: Vec<usize> =
            used(nodes.get(id), &packages).filter_map(|used| index.get(used).copied()).collect();
        if let Some(part) = parts.get_mut(at) {
            part.uses.extend(uses);
        }
    }
    Ok(())
}

/// Ids of the crates that a crate takes into the program.
fn used<'m>(
    node: Option<&&'m Value>,
    packages: &BTreeMap<&'m str, &'m Value>,
) -> impl Iterator<Item = &'m str> {
    node.and_then(|node| node["deps"].as_array())
        .into_iter()
        .flatten()
        .filter(|dep| dep["dep_kinds"].as_array().into_iter().flatten().any(|kind| kind["kind"].is_null()))
        .filter_map(|dep| dep["pkg"].as_str())
        .filter(|id| {
            let targets = packages.get(id).and_then(|package| package["targets"].as_array());
            !targets.into_iter().flatten().any(|target| target["kind"][0] == "proc-macro")
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_ends_up_in_the_program_is_a_part() {
        let package = |name: &str, kind: &str| {
            json!({"id": name, "name": name, "version": "1.0.0", "license": "MIT",
                "manifest_path": format!("/src/{name}/Cargo.toml"), "targets": [{"kind": [kind]}]})
        };
        let dep = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [package("tool", "bin"), package("used", "lib"), package("macro", "proc-macro"),
                package("tested", "lib"), package("built", "lib")],
            "resolve": {"nodes": [
                {"id": "tool", "deps": [dep("used", Value::Null), dep("macro", Value::Null),
                    dep("tested", json!("dev")), dep("built", json!("build"))]},
                {"id": "used", "deps": [dep("tool", json!("dev"))]},
            ]},
        });
        let sums = BTreeMap::from([(("used".to_owned(), "1.0.0".to_owned()), "abc".to_owned())]);
        let mut parts = Vec::new();
        collect(&metadata, "tool", &sums, &mut parts).unwrap();
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["tool", "used"]);
        assert_eq!(parts[0].uses, BTreeSet::from([1]));
        assert_eq!(parts[1].checksum.as_deref(), Some("abc"));
    }
}
