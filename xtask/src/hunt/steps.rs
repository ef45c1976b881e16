//! The steps that can fail, as `tests/hunt/steps` has them.
use std::fmt;

use anyhow::{Context as _, Result, bail};

use super::{act::Act, unreached};
use crate::vm::Release;

/// What causes a failure in a kernel that nobody tampers with.
const CAUSES: [&str; 5] = ["memory", "space", "io", "signal", "quota"];

/// A function, or something that is none, and how it fails.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// The function; `@NAME` is no function.
    pub name: String,
    /// What is done to it.
    pub acts: Vec<Act>,
    /// One of [`CAUSES`].
    pub real: String,
    /// Loads that reach it.
    pub loads: Vec<String>,
    /// Why it can fail with nothing done.
    why: String,
    /// More words for the fault module.
    with: String,
    /// Callers in which it cannot fail.
    never: Vec<String>,
    /// The only kernel where its failure looks so.
    kernel: Option<String>,
}

impl Step {
    /// One that is delayed.
    pub fn late(name: &str, acts: &[Act], loads: &[String]) -> Self {
        Self { name: name.to_owned(), acts: acts.to_vec(), loads: loads.to_vec(), ..Self::default() }
    }

    /// Whether it is a call that the fault module fails.
    pub fn is_function(&self) -> bool {
        !self.name.starts_with('@')
    }

    /// Whether btrfs does not call it itself, so that no census sees it.
    pub fn is_below(&self) -> bool {
        self.name == "bio_iov_iter_get_pages"
    }

    /// Whether it fails so on this kernel.
    pub fn fits(&self, release: Release) -> bool {
        self.kernel.as_ref().is_none_or(|kernel| kernel == release.line())
    }

    /// Whether a kernel can meet its failure there. Without a `site`: wherever a load calls it first.
    pub fn can_fail_at(&self, site: Option<&str>) -> bool {
        match site {
            Some(site) => !self.never.iter().any(|never| never == unreached::caller(site)),
            None => self.never.is_empty(),
        }
    }

    /// Which calls the census counts: the function, and behind a comma each other condition.
    pub fn counted(&self, symbol: &str) -> String {
        let conditions = self.with.split_whitespace().filter(|word| word.contains(':'));
        [symbol].into_iter().chain(conditions).collect::<Vec<_>>().join(",")
    }

    /// The line for the fault module: `symbol` is what the compiler called the function, `site` the only call site.
    pub fn fault(&self, symbol: &str, act: Act, site: Option<&str>, nth: u64) -> String {
        let action = match act {
            Act::Late(_) => " action=stall",
            Act::Fails(_) if self.with.contains("action=") => "",
            Act::Fails(_) => " action=skip",
        };
        let site = site.map_or_else(String::new, |site| format!(" site={site}"));
        let with = if self.with.is_empty() { String::new() } else { format!(" {}", self.with) };
        format!("func={symbol}{action} {}{site}{with}", act.words(nth))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name, self.real, self.why)
    }
}

/// Reads blocks of `key: value` below `[name]`.
///
/// # Errors
/// A line that is neither, a key that is not known, or a step that lacks one.
pub fn parse(text: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            steps.push(Step { name: name.to_owned(), ..Step::default() });
            continue;
        }
        let step = steps.last_mut().with_context(|| format!("before the first step: {line}"))?;
        let (key, value) = line.split_once(": ").with_context(|| format!("no key: {line}"))?;
        match key {
            "fails" => {
                let numbers: Result<_, _> = value.split(' ').map(str::parse).collect();
                step.acts = numbers.with_context(|| format!("{}: no numbers: {value}", step.name))?;
            }
            "real" if CAUSES.contains(&value) => value.clone_into(&mut step.real),
            "loads" => step.loads = value.split(' ').map(str::to_owned).collect(),
            "never" => step.never = value.split(' ').map(str::to_owned).collect(),
            "why" => value.clone_into(&mut step.why),
            "with" => value.clone_into(&mut step.with),
            "kernel" => step.kernel = Some(value.to_owned()),
            _ => bail!("{}: what is {line}?", step.name),
        }
    }
    let lacks = |step: &&Step| {
        step.acts.is_empty() || step.real.is_empty() || step.loads.is_empty() || step.why.is_empty()
    };
    match steps.iter().find(lacks) {
        Some(step) => bail!("{} lacks a line", step.name),
        None => Ok(steps),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_the_repository_is_read_and_has_its_loads() {
        let steps = parse(include_str!("../../../tests/hunt/steps")).unwrap();
        let ways: usize = steps.iter().map(|step| step.acts.len()).sum();
        assert!(ways >= 60, "{ways}");
        let loads = include_str!("../../../tests/hunt/loads.sh");
        for step in &steps {
            for load in &step.loads {
                assert!(loads.contains(&format!("\nload_{load}()")), "{}: {load}", step.name);
            }
            if let Some(name) = step.name.strip_prefix('@') {
                assert!(loads.contains(&format!("\narm_{name}()")), "{name}");
                assert!(loads.contains(&format!("\ndisarm_{name}()")), "{name}");
            }
        }
        let mut names: Vec<_> = steps.iter().map(|step| &step.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), steps.len());
    }

    #[test]
    fn a_step_becomes_a_line_for_the_fault_module() {
        let text = "[f]\nfails: -5 -12\nreal: io\nloads: a b\nwhy: x\nwith: btrfs\nkernel: 6.12\n";
        let step = &parse(text).unwrap()[0];
        assert_eq!(
            step.fault("f.isra.0", Act::Fails(-5), Some("g+0x1c"), 2),
            "func=f.isra.0 action=skip ret=-5 nth=2 site=g+0x1c btrfs"
        );
        let never = parse(&text.replace("with: btrfs", "never: g h")).unwrap();
        assert!(never[0].can_fail_at(Some("gg+0x1")) && step.can_fail_at(None));
        assert!(!never[0].can_fail_at(Some("h.isra.0+0x1")) && !never[0].can_fail_at(None));
        assert!(step.is_function() && step.fits(Release::V6_12) && !step.fits(Release::V6_1));
        let after = parse(&text.replace("btrfs", "action=fail")).unwrap();
        assert_eq!(step.counted("f.isra.0"), "f.isra.0");
        let only = parse(&text.replace("btrfs", "btrfs set=2:4")).unwrap();
        assert_eq!(only[0].counted("f"), "f,set=2:4");
        assert_eq!(after[0].fault("f", Act::Fails(-5), None, 1), "func=f ret=-5 nth=1 action=fail");
        assert_eq!(
            only[0].fault("f", Act::Late(20), Some("g+0x1"), 2),
            "func=f action=stall us=20000 first=2 every=3 times=8 site=g+0x1 btrfs set=2:4"
        );
    }

    #[test]
    fn a_step_without_a_cause_or_with_another_one_is_refused() {
        assert!(parse("[f]\nfails: -5\nloads: a\nwhy: x\n").is_err());
        assert!(parse("[f]\nfails: -5\nreal: luck\nloads: a\nwhy: x\n").is_err());
        assert!(parse("[f]\nfails: x\nreal: io\nloads: a\nwhy: x\n").is_err());
    }
}
