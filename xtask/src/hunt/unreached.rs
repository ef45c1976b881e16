//! Why a call site is not reached, as `tests/hunt/unreached` has it.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};

/// Reasons, by caller.
#[derive(Debug, Default)]
pub struct Reasons {
    /// What a caller is called, or what it begins with, and why it does not call.
    rules: Vec<(String, String)>,
}

/// Of a site that is called from a part that the compiler put aside: that part is for errors.
const COLD: &str = "a part of its caller for errors and other rare cases";
const RUNS: &str = "its caller runs, but does not come by there";
const RESTS: &str = "its caller was not seen to run";

impl Reasons {
    /// Reads `REASON: CALLER...`, one in each line.
    ///
    /// # Errors
    /// A line that is none.
    pub fn parse(text: &str) -> Result<Self> {
        let mut rules = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (why, callers) = line.split_once(": ").with_context(|| format!("what is {line}?"))?;
            rules.extend(callers.split(' ').map(|caller| (caller.to_owned(), why.to_owned())));
        }
        Ok(Self { rules })
    }

    /// Why `site` was not reached. `running` are callers at some of whose sites something was called.
    fn of(&self, site: &str, running: &BTreeSet<&str>) -> &str {
        let whole = site.split('+').next().unwrap_or(site);
        let caller = caller(site);
        let known = self.rules.iter().find(|(rule, _)| match rule.strip_suffix('*') {
            Some(begin) => caller.starts_with(begin),
            None => caller == rule,
        });
        match known {
            Some((_, why)) => why,
            None if whole.contains(".cold") => COLD,
            None if running.contains(caller) => RUNS,
            None => RESTS,
        }
    }

    /// Sites of functions, put together by reason: a line for each function, and how many they are.
    pub fn list<'a>(
        &self,
        sites: &[(&'a str, &'a str)],
        running: &BTreeSet<&str>,
    ) -> BTreeMap<&str, (usize, BTreeMap<&'a str, Vec<&'a str>>)> {
        let mut list: BTreeMap<&str, (usize, BTreeMap<&str, Vec<&str>>)> = BTreeMap::new();
        for (function, site) in sites {
            let (count, functions) = list.entry(self.of(site, running)).or_default();
            *count += 1;
            functions.entry(function).or_default().push(site);
        }
        list
    }
}

/// The function of a site, by its name in the source.
pub fn caller(site: &str) -> &str {
    site.split(['+', '.']).next().unwrap_or(site)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_has_the_reason_of_its_caller_or_that_of_its_place() {
        let reasons = Reasons::parse("# x\nno RAID: raid_* rmw\n").unwrap();
        let running = BTreeSet::from(["f"]);
        let of = |site| reasons.of(site, &running);
        assert_eq!([of("raid_x.isra.0+0x1"), of("rmw+0x2"), of("rmw_x+0x2")], ["no RAID", "no RAID", RESTS]);
        assert_eq!([of("f.cold+0x1"), of("f+0x1"), of("g+0x1")], [COLD, RUNS, RESTS]);
        assert_eq!(reasons.list(&[("a", "f+0x1"), ("a", "f+0x2")], &running)[RUNS].0, 2);
        assert!(Reasons::parse("x\n").is_err());
    }

    #[test]
    fn every_reason_of_the_repository_is_read() {
        let reasons = Reasons::parse(include_str!("../../../tests/hunt/unreached")).unwrap();
        assert!(reasons.rules.len() > 50, "{}", reasons.rules.len());
    }
}
