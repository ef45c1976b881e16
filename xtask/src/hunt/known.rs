//! Bugs of the kernel as the hunt knows them: by what it made fail. `tests/hunt/known` has them.
//!
//! The findings of some show far from the bug, so that the catalogue of the tool cannot know them by their stacks. Of others the
//! stack is that of a right call too: the catalogue's word counts only where something failed that makes it that bug.
use anyhow::{Context as _, Result, bail};

/// One bug.
#[derive(Clone, Debug, Default)]
pub struct Bug {
    /// Name of its page in `docs/hunt` or `docs/known`.
    name: String,
    /// Calls that must fail for it: `FUNCTION@CALLER`, or all calls of a `CALLER`.
    fails: Vec<String>,
    /// The only kernel that has it; none if all have it.
    kernel: Option<String>,
    /// Kind and account of each finding that follows and that the catalogue does not know; none if it knows all.
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
            Some(("fails", value)) => bug.fails.extend(value.split(' ').map(str::to_owned)),
            Some(("kernel", value)) => bug.kernel = Some(value.to_owned()),
            Some(("finds", value)) => bug.finds = value.split(", ").map(str::to_owned).collect(),
            _ => bail!("{}: what is {line}?", bug.name),
        }
    }
    match bugs.iter().find(|bug| bug.fails.is_empty()) {
        Some(bug) => bail!("{} lacks a line", bug.name),
        None => Ok(bugs),
    }
}

/// The name in the source.
fn plain(symbol: &str) -> &str {
    symbol.split(['+', '.']).next().unwrap_or(symbol)
}

impl Bug {
    /// Whether this kernel can have it.
    pub fn is_of(&self, release: &str) -> bool {
        self.kernel.as_deref().is_none_or(|kernel| kernel == release)
    }

    /// Whether one of the failed calls, a function and its call site each, makes this bug.
    fn made(&self, failed: &[(&str, &str)]) -> bool {
        failed.iter().any(|(function, site)| {
            let (function, caller) = (plain(function), plain(site));
            self.fails.iter().any(|known| match known.split_once('@') {
                Some(pair) => pair == (function, caller),
                None => known == caller,
            })
        })
    }
}

/// The bug that explains all findings (as `verdict.rs` writes them) of an injection that failed so.
pub fn of<'a>(bugs: &'a [Bug], failed: &[(&str, &str)], findings: &[String]) -> Option<&'a str> {
    let explains = |bug: &&Bug| {
        bug.made(failed)
            && findings.iter().all(|finding| {
                let words: Vec<&str> = finding.split(' ').skip(1).take(2).collect();
                bug.finds.contains(&words.join(" "))
            })
    };
    bugs.iter().find(explains).map(|bug| bug.name.as_str())
}

/// The finding, of those that the catalogue knows, whose bug was not made: something else failed. Where nothing was made to fail at a
/// call, the catalogue is believed.
pub fn misnamed<'a>(bugs: &[Bug], failed: &[(&str, &str)], findings: &'a [String]) -> Option<&'a String> {
    let wrong = |finding: &&String| {
        let name = finding.rsplit_once('[').and_then(|(_, name)| name.strip_suffix(']'));
        bugs.iter().any(|bug| Some(bug.name.as_str()) == name && !bug.made(failed))
    };
    findings.iter().find(wrong).filter(|_| !failed.is_empty())
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
        let bugs = parse("[b]\nfails: f c@g\nfinds: leak a.b, underflow c.d\n").unwrap();
        let of = |call, findings: &[&str]| {
            let findings: Vec<String> = findings.iter().map(|text| (*text).to_owned()).collect();
            of(&bugs, &[call, ("x", "other+0x1")], &findings).map(str::to_owned)
        };
        let leak = "0123 leak a.b 4096 < x";
        assert_eq!(of(("x", "f.isra.0+0x1"), &[leak, "4567 underflow c.d 1 < y"]), Some("b".to_owned()));
        assert_eq!(of(("x", "h+0x1"), &[leak]), None);
        assert_eq!(of(("c.isra.0", "g+0x1"), &[leak]), Some("b".to_owned()));
        assert_eq!(of(("d", "g+0x1"), &[leak]), None);
        assert_eq!(of(("c", "g+0x1"), &[leak, "4567 over-release a.b 1 < y"]), None);
        let one = parse("[b]\nfails: f\nkernel: 7.x\n").unwrap();
        assert!(one[0].is_of("7.x") && !one[0].is_of("6.12") && bugs[0].is_of("6.12"));
        assert!(parse("[b]\nfinds: leak a\n").is_err() && parse("[b]\nx: y\n").is_err());
    }

    #[test]
    fn a_stack_of_the_catalogue_is_not_enough_if_another_call_failed() {
        let bugs = parse("[b]\nfails: c@g\n").unwrap();
        let findings = ["1 leak a 1 < x [other]".to_owned(), "2 underflow a 1 < x [b]".to_owned()];
        assert_eq!(misnamed(&bugs, &[("c", "g+0x1")], &findings), None);
        assert_eq!(misnamed(&bugs, &[("d", "g+0x1")], &findings), Some(&findings[1]));
        assert_eq!(misnamed(&bugs, &[], &findings), None);
        assert_eq!(misnamed(&bugs, &[("d", "g+0x1")], &findings[..1]), None);
    }
}
