//! Bugs of the kernel whose findings show far from them, so that the catalogue of the tool cannot know them by their stacks: the
//! hunt knows where it made something fail. `tests/hunt/known` has them.
use anyhow::{Context as _, Result, bail};

/// One bug.
#[derive(Clone, Debug, Default)]
pub struct Bug {
    /// Name of its page in `docs/hunt`.
    name: String,
    /// Functions that must not fail where they call something.
    callers: Vec<String>,
    /// Kind and account of each finding that follows.
    finds: Vec<String>,
}

/// Reads blocks of `key: value` below `[name]`.
///
/// # Errors
/// A line that is neither, a key that is not known, or a bug that lacks one.
pub fn parse(text: &str) -> Result<Vec<Bug>> {
    let mut bugs: Vec<Bug> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            bugs.push(Bug { name: name.to_owned(), ..Bug::default() });
            continue;
        }
        let bug = bugs.last_mut().with_context(|| format!("before the first bug: {line}"))?;
        match line.split_once(": ") {
            Some(("callers", value)) => bug.callers = value.split(' ').map(str::to_owned).collect(),
            Some(("finds", value)) => bug.finds = value.split(", ").map(str::to_owned).collect(),
            _ => bail!("{}: what is {line}?", bug.name),
        }
    }
    match bugs.iter().find(|bug| bug.callers.is_empty() || bug.finds.is_empty()) {
        Some(bug) => bail!("{} lacks a line", bug.name),
        None => Ok(bugs),
    }
}

/// The bug that explains all findings (as `verdict.rs` writes them) of an injection that failed at `sites`.
pub fn of<'a>(bugs: &'a [Bug], sites: &[&str], findings: &[String]) -> Option<&'a str> {
    let callers: Vec<&str> = sites.iter().filter_map(|site| site.split(['+', '.']).next()).collect();
    let explains = |bug: &&Bug| {
        bug.callers.iter().any(|known| callers.contains(&known.as_str()))
            && findings.iter().all(|finding| {
                let words: Vec<&str> = finding.split(' ').skip(1).take(2).collect();
                bug.finds.contains(&words.join(" "))
            })
    };
    bugs.iter().find(explains).map(|bug| bug.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_of_the_repository_has_its_page() {
        for bug in parse(include_str!("../../../tests/hunt/known")).unwrap() {
            let page =
                |folder: &str| format!("{}/../docs/{folder}/{}.md", env!("CARGO_MANIFEST_DIR"), bug.name);
            let pages = ["hunt", "known"].map(page);
            assert!(pages.iter().any(|page| std::path::Path::new(page).is_file()), "{pages:?}");
        }
    }

    #[test]
    fn a_finding_is_explained_by_where_it_was_made_and_by_what_it_is() {
        let bugs = parse("[b]\ncallers: f g\nfinds: leak a.b, underflow c.d\n").unwrap();
        let of = |site: &str, findings: &[&str]| {
            let findings: Vec<String> = findings.iter().map(|text| (*text).to_owned()).collect();
            of(&bugs, &[site, "other+0x1"], &findings).map(str::to_owned)
        };
        let leak = "0123 leak a.b 4096 < x";
        assert_eq!(of("f.isra.0+0x1", &[leak, "4567 underflow c.d 1 < y"]), Some("b".to_owned()));
        assert_eq!(of("h+0x1", &[leak]), None);
        assert_eq!(of("g+0x1", &[leak, "4567 over-release a.b 1 < y"]), None);
        assert!(parse("[b]\ncallers: f\n").is_err() && parse("[b]\nx: y\n").is_err());
    }
}
