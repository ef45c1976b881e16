//! Each link from a document to another file has a target.
use std::path::Path;

pub fn check(root: &Path, path: &str, text: &str) -> Vec<String> {
    let folder = root.join(path);
    let Some(folder) = folder.parent() else { return Vec::new() };
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for link in local_links(line) {
            if !folder.join(link).exists() {
                complaints.push(format!("{path}:{}: the link to {link} leads nowhere", number + 1));
            }
        }
    }
    complaints
}

/// Targets of `[text](target)` that are files; without what follows a `#`.
fn local_links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', '#', ' ']).next()?;
        (!target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")).then_some(target)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn only_links_to_files_are_followed_and_from_their_own_folder() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("docs")).unwrap();
        std::fs::write(root.path().join("docs/guide.md"), "").unwrap();
        let text =
            "See [guide](guide.md#top), [site](https://example.org/x), [here](#here) and [gone](gone.md).";
        assert_eq!(
            check(root.path(), "docs/index.md", text),
            ["docs/index.md:1: the link to gone.md leads nowhere"]
        );
        assert_eq!(check(root.path(), "README.md", "[guide](docs/guide.md)"), Vec::<String>::new());
    }
}
