//! The bugs, as `tests/broken/bugs` has them.
use anyhow::{Context as _, Result, bail};

/// How a bug makes an account wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It keeps what it should give back.
    Leak,
    /// It gives back what it does not hold.
    Over,
    /// The sum is right, the owner is not.
    Owner,
    /// Two steps in the wrong order.
    Order,
    /// A counter says something else than what it counts.
    Mismatch,
}

/// One bug and the load that reaches it.
#[derive(Clone, Debug)]
pub struct Bug {
    pub name: String,
    pub does: String,
    /// The fix before which btrfs had it.
    pub real: Option<String>,
    load: String,
    every: u32,
    at_most: u32,
    quota: bool,
    size: u32,
    pub accounts: Vec<String>,
    pub wrong: Wrong,
    /// The wrong step is one of a commit.
    pub commits: bool,
}

impl Bug {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            does: String::new(),
            real: None,
            load: String::new(),
            every: 1,
            at_most: 0,
            quota: true,
            size: 700,
            accounts: Vec::new(),
            wrong: Wrong::Leak,
            commits: false,
        }
    }

    /// Every load, and no bug.
    pub fn none() -> Self {
        Self { does: "nothing: all loads".to_owned(), load: "all".to_owned(), ..Self::named("none") }
    }

    /// For `guest.sh`.
    pub fn line(&self) -> String {
        let quota = if self.quota { "q" } else { "-" };
        let Self { name, every, at_most, load, size, .. } = self;
        format!("{name} {every} {at_most} {quota} {load} {size}\n")
    }
}

/// Reads blocks of `key: value` below `[name]`.
///
/// # Errors
/// A line that is neither, a key that is not known, or a bug that lacks one.
pub fn parse(text: &str) -> Result<Vec<Bug>> {
    let mut bugs: Vec<Bug> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            bugs.push(Bug::named(name));
            continue;
        }
        let bug = bugs.last_mut().with_context(|| format!("before the first bug: {line}"))?;
        let (key, value) = line.split_once(": ").with_context(|| format!("no key: {line}"))?;
        let number = || value.parse().with_context(|| format!("no number: {line}"));
        match key {
            "does" => value.clone_into(&mut bug.does),
            "real" => bug.real = Some(value.to_owned()),
            "load" => value.clone_into(&mut bug.load),
            "every" => bug.every = number()?,
            "at most" => bug.at_most = number()?,
            "quota" => bug.quota = value != "no",
            "step of" => bug.commits = value == "a commit",
            "size" => bug.size = number()?,
            "accounts" => bug.accounts = value.split(' ').map(str::to_owned).collect(),
            "wrong" => {
                bug.wrong = match value {
                    "leak" => Wrong::Leak,
                    "over" => Wrong::Over,
                    "owner" => Wrong::Owner,
                    "order" => Wrong::Order,
                    "mismatch" => Wrong::Mismatch,
                    _ => bail!("{}: what is {value}?", bug.name),
                }
            }
            _ => bail!("{}: what is {key}?", bug.name),
        }
    }
    match bugs.iter().find(|bug| bug.does.is_empty() || bug.load.is_empty() || bug.accounts.is_empty()) {
        Some(bug) => bail!("{} lacks a line", bug.name),
        None => Ok(bugs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_of_the_repository_is_read() {
        let bugs = parse(include_str!("../../../tests/broken/bugs")).unwrap();
        assert!(bugs.len() >= 40, "{}", bugs.len());
        assert!(bugs.iter().filter(|bug| bug.real.is_some()).count() >= 12);
        let loads = include_str!("../../../tests/loads/loads.sh");
        let without: Vec<_> =
            bugs.iter().filter(|bug| !loads.contains(&format!("\nload_{}()", bug.load))).collect();
        assert!(without.is_empty(), "{without:?}");
    }

    #[test]
    fn every_bug_is_in_one_patch() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/broken/patches");
        let patches: String = std::fs::read_dir(folder)
            .unwrap()
            .flatten()
            .map(|entry| std::fs::read_to_string(entry.path()).unwrap())
            .collect();
        for bug in parse(include_str!("../../../tests/broken/bugs")).unwrap() {
            let calls = [format!("BROKEN({},", bug.name), format!("BROKEN_INODE({},", bug.name)];
            assert!(calls.iter().any(|call| patches.contains(call)), "no patch makes {}", bug.name);
        }
    }

    #[test]
    fn a_line_for_the_guest_has_six_words() {
        let bugs =
            parse("[a]\ndoes: x\nload: write\nat most: 2\nquota: no\naccounts: b\nwrong: over\n").unwrap();
        assert_eq!(bugs[0].line(), "a 1 2 - write 700\n");
        assert_eq!(bugs[0].wrong, Wrong::Over);
        assert!(parse("[a]\nload: write\n").is_err());
        assert!(parse("[a]\nlod: write\n").is_err());
    }
}
