//! The version that is made, and whether the changelog knows it.
use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

/// Version of the workspace.
///
/// # Errors
/// If the manifest names none.
pub fn version(root: &Path) -> Result<String> {
    let manifest = fs::read_to_string(root.join("Cargo.toml")).context("cannot read Cargo.toml")?;
    let package = manifest.split_once("[workspace.package]").map_or("", |(_, rest)| rest);
    let line = package.lines().find_map(|line| line.strip_prefix("version = \""));
    line.and_then(|rest| rest.strip_suffix('"'))
        .map(str::to_owned)
        .context("Cargo.toml names no version of the workspace")
}

/// The changelog has a part for the version, with something in it.
///
/// # Errors
/// One sentence that says what to write.
pub fn check(root: &Path, version: &str) -> Result<()> {
    let text = fs::read_to_string(root.join("CHANGELOG.md")).context("cannot read CHANGELOG.md")?;
    changelog(&text, version)
}

fn changelog(text: &str, version: &str) -> Result<()> {
    let first = text.lines().find_map(|line| line.strip_prefix("## ")).unwrap_or_default();
    if first.split(' ').next() != Some(version) {
        bail!("CHANGELOG.md begins with \"{first}\": its first part has to be that of {version}");
    }
    let part = text.split("\n## ").nth(1).unwrap_or_default();
    if part.lines().skip(1).all(|line| line.trim().is_empty()) {
        bail!("CHANGELOG.md says nothing of {version}");
    }
    let dated = first.split_once('(').is_some_and(|(_, rest)| {
        rest == "unreleased)" || rest.len() == 11 && rest.chars().filter(|c| c.is_ascii_digit()).count() == 8
    });
    if !dated {
        bail!("CHANGELOG.md: write \"## {version} (YYYY-MM-DD)\", or (unreleased), not \"{first}\"");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn the_changelog_has_to_begin_with_the_version() {
        let of = |text: &str| changelog(text, "0.2.0").map_err(|error| error.to_string());
        assert_eq!(of("# Changelog\n\n## 0.2.0 (2026-12-01)\n\n- New.\n\n## 0.1.0 (2026-11-01)\n"), Ok(()));
        assert_eq!(of("# Changelog\n\n## 0.2.0 (unreleased)\n\nNew.\n"), Ok(()));
        assert!(
            of("# Changelog\n\n## 0.1.0 (2026-11-01)\n\n- Old.\n").unwrap_err().contains("has to be that")
        );
        assert!(
            of("# Changelog\n\n## 0.2.0 (2026-12-01)\n\n## 0.1.0\n\n- Old.\n")
                .unwrap_err()
                .contains("nothing")
        );
        assert!(of("# Changelog\n\n## 0.2.0 (soon)\n\n- New.\n").unwrap_err().contains("YYYY"));
    }

    #[test]
    fn this_repository_has_a_version_and_a_changelog_of_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        check(root, &version(root).unwrap()).unwrap();
    }
}
