//! Licences of everything that is linked or run at build time: those we have agreed to, and no others.
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{proc, workspace::Workspace};

/// Licences without a condition that reaches our own code.
const AGREED: [&str; 11] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
/// Packages with a condition that we meet, and how.
const EXCEPTIONS: [(&str, &str); 2] = [
    // Copyleft of the library: whoever has the binary can get this source and link it with another version.
    ("btf-rs", "LGPL-2.1-or-later"),
    ("btf-rs-derive", "LGPL-2.1-or-later"),
];
/// The two dependency trees.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "probe-ebpf/Cargo.toml"];

pub fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for manifest in MANIFESTS {
        complaints.extend(check_tree(workspace, &workspace.root.join(manifest))?);
    }
    complaints.sort();
    complaints.dedup();
    Ok(complaints)
}

fn check_tree(workspace: &Workspace, manifest: &Path) -> Result<Vec<String>> {
    let mut command = workspace.cargo();
    // Locked: a check must not write, and a lock file that is out of date is checked by nobody.
    command.args(["metadata", "--locked", "--format-version", "1", "--manifest-path"]).arg(manifest);
    let metadata: Value = serde_json::from_str(&proc::stdout_of(&mut command)?)?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    // Our own packages have no source; their licence is ours to choose.
    let foreign = packages.iter().filter(|package| !package["source"].is_null());
    Ok(foreign.filter_map(complaint).collect())
}

fn complaint(package: &Value) -> Option<String> {
    let name = package["name"].as_str()?;
    let Some(licence) = package["license"].as_str() else {
        return Some(format!("dependency {name}: it states no licence"));
    };
    let agreed = |one: &str| AGREED.contains(&one) || EXCEPTIONS.contains(&(name, one));
    (!holds(licence, &agreed)).then(|| format!("dependency {name}: its licence {licence} is not agreed to"))
}

/// Evaluates an SPDX expression; `AND` binds closer than `OR`, and `/` is an old way to write `OR`.
fn holds(expression: &str, agreed: &dyn Fn(&str) -> bool) -> bool {
    let expression = expression.trim();
    if let Some((left, right)) = split(expression, " OR ").or_else(|| split(expression, "/")) {
        return holds(left, agreed) || holds(right, agreed);
    }
    if let Some((left, right)) = split(expression, " AND ") {
        return holds(left, agreed) && holds(right, agreed);
    }
    match expression.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => holds(inner, agreed),
        None => agreed(expression),
    }
}

/// Splits at the first operator that stands in no parentheses.
fn split<'e>(expression: &'e str, operator: &str) -> Option<(&'e str, &'e str)> {
    let at = expression.match_indices(operator).map(|(at, _)| at).find(|at| {
        let before = &expression[..*at];
        before.matches('(').count() == before.matches(')').count()
    })?;
    Some((&expression[..at], &expression[at + operator.len()..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_mean_what_they_say() {
        let agreed = |one: &str| AGREED.contains(&one);
        for expression in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0 OR MIT",
            "MIT/Apache-2.0",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ] {
            assert!(holds(expression, &agreed), "{expression}");
        }
        for expression in
            ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND CDDL-1.0", "CDDL-1.0 OR GPL-2.0 AND MIT", ""]
        {
            assert!(!holds(expression, &agreed), "{expression}");
        }
    }

    #[test]
    fn an_exception_is_for_one_package() {
        let package =
            |name: &str| json!({"name": name, "license": "LGPL-2.1-or-later", "source": "registry"});
        assert_eq!(complaint(&package("btf-rs")), None);
        assert!(complaint(&package("other")).is_some());
        assert!(complaint(&json!({"name": "silent", "license": null})).is_some());
    }
}
