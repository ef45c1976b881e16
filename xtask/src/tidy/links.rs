//! Each link from a document to another file has a target, and each link to a part of a page has its heading.
use std::{fs, path::Path};

pub fn check(root: &Path, path: &str, text: &str) -> Vec<String> {
    let folder = root.join(path);
    let Some(folder) = folder.parent() else { return Vec::new() };
    let mut complaints = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        fenced ^= line.starts_with("```");
        if fenced {
            continue;
        }
        for link in local_links(line) {
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let target = folder.join(file);
            if !file.is_empty() && !target.exists() {
                complaints.push(format!("{path}:{}: the link to {file} leads nowhere", number + 1));
                continue;
            }
            let page = match file {
                "" => Some(text.to_owned()),
                page if page.ends_with(".md") => fs::read_to_string(&target).ok(),
                _ => None,
            };
            if !part.is_empty() && page.is_some_and(|page| !anchors(&page).any(|anchor| anchor == part)) {
                complaints.push(format!("{path}:{}: {link} names no heading of that page", number + 1));
            }
        }
    }
    complaints
}

/// Targets of `[text](target)` in this repository.
fn local_links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', ' ']).next()?;
        (!target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")).then_some(target)
    })
}

/// What a `#` can name on a page: its headings, as forges write them.
fn anchors(page: &str) -> impl Iterator<Item = String> {
    let mut fenced = false;
    page.lines().filter_map(move |line| {
        fenced ^= line.starts_with("```");
        let title =
            line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#') && !fenced)?;
        let kept = title.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        Some(kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase())
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
        std::fs::write(root.path().join("docs/guide.md"), "# Top\n").unwrap();
        let text = "See [guide](guide.md#top), [site](https://example.org/x), [mail](mailto:a@b) and [gone](gone.md).";
        assert_eq!(
            check(root.path(), "docs/index.md", text),
            ["docs/index.md:1: the link to gone.md leads nowhere"]
        );
        assert_eq!(check(root.path(), "README.md", "[guide](docs/guide.md)"), Vec::<String>::new());
    }

    #[test]
    fn a_link_to_a_part_needs_its_heading() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(
            root.path().join("a.md"),
            "## Known findings: `--ignore FILE`\n```\n# no heading\n```\n",
        )
        .unwrap();
        let text = "# Here it is\n[a](a.md#known-findings---ignore-file) [b](a.md#no-heading) [c](#here-it-is) [d](#there)";
        assert_eq!(
            check(root.path(), "b.md", text),
            [
                "b.md:2: a.md#no-heading names no heading of that page",
                "b.md:2: #there names no heading of that page"
            ]
        );
    }
}
