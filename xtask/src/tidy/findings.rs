//! Each kind of finding has its page under `docs/findings`, and each page its kind.
use std::{collections::BTreeSet, fs, path::Path};

const KINDS: &str = "probe-user/ledger/src/vocabulary/finding.rs";
const PAGES: &str = "docs/findings";
/// An overview is not the page of a kind.
const OVERVIEW: [&str; 2] = ["README", "index"];

pub fn check(root: &Path) -> Vec<String> {
    // Read and not linked: xtask has to build in seconds, before anything else does.
    let kinds = kinds_in(&fs::read_to_string(root.join(KINDS)).unwrap_or_default());
    if kinds.is_empty() {
        return vec![format!("{KINDS}: no `name` of FindingKind was found, so its pages cannot be checked")];
    }
    let pages: BTreeSet<String> = fs::read_dir(root.join(PAGES))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".md").map(str::to_owned))
        .filter(|page| !OVERVIEW.contains(&page.as_str()))
        .collect();
    let missing = kinds
        .difference(&pages)
        .map(|kind| format!("{PAGES}/{kind}.md: write the page of this kind of finding"));
    let foreign =
        pages.difference(&kinds).map(|page| format!("{PAGES}/{page}.md: there is no such kind of finding"));
    missing.chain(foreign).collect()
}

/// The names that `FindingKind::name` returns.
fn kinds_in(source: &str) -> BTreeSet<String> {
    let Some((_, implementation)) = source.split_once("impl FindingKind {") else { return BTreeSet::new() };
    let implementation = implementation.split("\n}").next().unwrap_or("");
    implementation
        .lines()
        .filter_map(|line| line.split_once("=> \"")?.1.split_once('"').map(|(name, _)| name.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    const SOURCE: &str = "impl FindingKind {\n    fn name() {\n        Self::Leak => \"leak\",\n        \
                          Self::Underflow => \"underflow\",\n    }\n}\nimpl Account {\n    X => \"inode.meta_rsv\",\n}\n";

    #[test]
    fn names_of_other_types_are_no_kinds() {
        assert_eq!(kinds_in(SOURCE), BTreeSet::from(["leak".to_owned(), "underflow".to_owned()]));
    }

    #[test]
    fn a_missing_and_a_foreign_page_are_named() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("probe-user/ledger/src/vocabulary")).unwrap();
        fs::create_dir_all(root.path().join(PAGES)).unwrap();
        fs::write(root.path().join(KINDS), SOURCE).unwrap();
        for page in ["leak", "README", "old-kind"] {
            fs::write(root.path().join(PAGES).join(format!("{page}.md")), "").unwrap();
        }
        assert_eq!(
            check(root.path()),
            [
                "docs/findings/underflow.md: write the page of this kind of finding",
                "docs/findings/old-kind.md: there is no such kind of finding"
            ]
        );
    }
}
