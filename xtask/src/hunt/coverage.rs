//! Which call sites of the steps' functions exist, were reached and were made to fail; kept in `target/hunt/KERNEL`, so that
//! a run goes on where the last one ended.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    act::Act,
    plan::Injection,
    sites::Sites,
    steps::Step,
    unreached::{self, Reasons},
    verdict::{Reached, Verdict},
};

/// Results and call sites of one kernel.
pub struct Coverage {
    folder: PathBuf,
    /// Of a function and a load: its call sites, and the most calls of one injection.
    pub reached: BTreeMap<(String, String), BTreeMap<String, u64>>,
    /// Of a function and an error: where it failed.
    pub failed: BTreeMap<(String, Act), BTreeSet<String>>,
    /// Of a function, an error and a load: what came of an injection without a site.
    pub tried: BTreeSet<(String, Act, String)>,
    /// Of a function and a site: a failure there ends the guest.
    pub deadly: BTreeSet<(String, String)>,
    /// Steps and sites that failed together when a guest died.
    suspects: BTreeSet<(String, String)>,
    /// Of a function and a site: how often it was not reached although a load had reached it before.
    pub missed: BTreeMap<(String, String), u64>,
    /// Of a function that calls steps: how often the filesystem was not aborted when one of them failed there, and how often it was.
    aborts: BTreeMap<String, (u64, u64)>,
    /// Each load is run once without a failure, to see what it calls.
    pub census: bool,
}

impl Coverage {
    /// What earlier runs left in `folder`; nothing of it if `fresh`.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: PathBuf, fresh: bool) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut coverage = Self {
            folder,
            reached: BTreeMap::new(),
            failed: BTreeMap::new(),
            tried: BTreeSet::new(),
            deadly: BTreeSet::new(),
            suspects: BTreeSet::new(),
            missed: BTreeMap::new(),
            aborts: BTreeMap::new(),
            census: !fresh,
        };
        if fresh {
            return Ok(coverage);
        }
        for line in coverage.lines("sites") {
            if let [function, load, site, calls] = &words(&line)[..] {
                let calls = calls.parse().unwrap_or(1);
                coverage.saw(function, load, site, calls);
            }
        }
        for line in coverage.lines("results") {
            if let [verdict, function, error, load, .., site] = &words(&line)[..7.min(words(&line).len())] {
                let Ok(act) = error.parse() else { continue };
                coverage.count(verdict, function, act, load, site);
            }
        }
        Ok(coverage)
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn saw(&mut self, function: &str, load: &str, site: &str, calls: u64) -> bool {
        let sites = self.reached.entry((function.to_owned(), load.to_owned())).or_default();
        let new = !sites.contains_key(site);
        let most = sites.entry(site.to_owned()).or_default();
        *most = calls.max(*most);
        new
    }

    fn count(&mut self, verdict: &str, function: &str, act: Act, load: &str, site: &str) {
        self.tried.insert((function.to_owned(), act, load.to_owned()));
        if site != "-" && verdict == "kernel died" {
            self.deadly.insert((function.to_owned(), site.to_owned()));
        }
        if site != "-" && verdict == "not reached" {
            *self.missed.entry((function.to_owned(), site.to_owned())).or_default() += 1;
        } else if site != "-" {
            let (not, aborts) = self.aborts.entry(unreached::caller(site).to_owned()).or_default();
            *if verdict == "clean, aborted" { aborts } else { not } += 1;
            self.failed.entry((function.to_owned(), act)).or_default().insert(site.to_owned());
        }
    }

    /// One injection more, and all that the module counted meanwhile.
    ///
    /// # Errors
    /// The lists cannot be written.
    pub fn add(
        &mut self,
        injection: &Injection,
        reached: &[Reached],
        verdict: &Verdict,
        note: &str,
    ) -> Result<()> {
        let function = &injection.step;
        let mut new = String::new();
        for Reached { function: symbol, site, matched, .. } in reached {
            // Copies of a function count as it.
            let called = symbol.split('.').next().unwrap_or(symbol);
            if self.saw(called, &injection.load, site, *matched) {
                let _ = writeln!(new, "{called}\t{}\t{site}\t{matched}", injection.load);
            }
        }
        if matches!(verdict, Verdict::Died(_)) && !injection.also.is_empty() {
            return self.suspected(injection, verdict);
        }
        append(&self.folder.join("sites"), &new)?;
        let acted = |site: &str| reached.iter().any(|reached| reached.acted > 0 && reached.site == site);
        let mut sites: Vec<String> = match &injection.site {
            Some(site) => vec![site.clone()],
            None if function.starts_with('@') => Vec::new(),
            // Wherever it was called from, but for what failed with it.
            None => reached
                .iter()
                .filter(|reached| {
                    reached.acted > 0 && !injection.also.iter().any(|also| also.site == reached.site)
                })
                .map(|reached| reached.site.clone())
                .collect(),
        };
        if sites.is_empty() {
            sites.push("-".to_owned());
        }
        let mut lines = String::new();
        let first = sites.first().cloned().unwrap_or_default();
        let all =
            sites.into_iter().map(|site| (function, injection.act, injection.nth, site, note.to_owned()));
        // What failed with it has the same verdict.
        let with = format!("with {function} at {first}");
        let also = injection.also.iter();
        let also = also.map(|also| (&also.step, also.act, also.nth, also.site.clone(), with.clone()));
        for (step, act, nth, site, note) in all.chain(also) {
            // A guest that died was not asked what it has reached.
            let missed = !injection.also.is_empty() && site != "-" && !acted(&site);
            let (name, text) = if missed && !matches!(verdict, Verdict::Died(_)) {
                (Verdict::NotReached.name(), String::new())
            } else {
                (verdict.name(), verdict.text().replace(['\t', '\n'], " "))
            };
            self.count(name, step, act, &injection.load, &site);
            let _ = writeln!(
                lines,
                "{name}\t{step}\t{act}\t{}\t{nth}\t{}\t{site}\t{}\t{text}\t{note}",
                injection.load,
                injection.ways(),
                injection.tier,
            );
        }
        append(&self.folder.join("results"), &lines)
    }

    /// A guest died of one of several: each is tried alone.
    fn suspected(&mut self, injection: &Injection, verdict: &Verdict) -> Result<()> {
        let first = injection.site.iter().map(|site| (injection.step.clone(), site.clone()));
        let also = injection.also.iter().map(|also| (also.step.clone(), also.site.clone()));
        self.suspects.extend(first.chain(also));
        let Injection { step, act, load, nth, tier, .. } = injection;
        let text = verdict.text().replace(['\t', '\n'], " ");
        let line = format!(
            "{}\t{step}\t{act}\t{load}\t{nth}\t{}\t-\t{tier}\t{text}\tone of {injection}\n",
            verdict.name(),
            injection.ways()
        );
        append(&self.folder.join("results"), &line)
    }

    /// Whether a failure there seems to abort the filesystem, and so to end the load.
    pub fn aborts(&self, site: &str) -> bool {
        self.aborts.get(unreached::caller(site)).is_some_and(|(not, aborts)| aborts > not)
    }

    /// Whether a guest may have died of it, or what fails with it may keep the load from it.
    pub fn alone(&self, step: &str, site: &str) -> bool {
        let key = (step.to_owned(), site.to_owned());
        self.suspects.contains(&key) || self.missed.get(&key).is_some_and(|missed| *missed > 1)
    }

    /// The table, as Markdown: a row for each function, and below it the sites that did not fail or were not reached, and why.
    pub fn table(&self, steps: &[Step], sites: &Sites, reasons: &Reasons) -> (String, String) {
        let mut rows = String::new();
        let (mut never, mut spared, mut deadly) = (Vec::new(), Vec::new(), Vec::new());
        let mut impossible = Vec::new();
        let (mut all, mut seen, mut made) = (0, 0, 0);
        let reached: BTreeSet<(&str, &str)> = self
            .reached
            .iter()
            .flat_map(|((function, _), sites)| {
                sites.keys().map(move |site| (function.as_str(), site.as_str()))
            })
            .collect();
        let failed: BTreeSet<(&str, &str)> = self
            .failed
            .iter()
            .flat_map(|((function, _), sites)| {
                sites.iter().map(move |site| (function.as_str(), site.as_str()))
            })
            .collect();
        for step in steps.iter().filter(|step| step.is_function()) {
            let Some(exist) = sites.symbol(&step.name).and_then(|symbol| sites.of(symbol)) else { continue };
            let here: Vec<(&str, &str)> =
                exist.iter().map(|site| (step.name.as_str(), site.as_str())).collect();
            let (here, cannot): (Vec<_>, Vec<_>) =
                here.into_iter().partition(|(_, site)| step.can_fail_at(Some(site)));
            impossible.extend(cannot);
            let (met, missed): (Vec<_>, Vec<_>) = here.iter().partition(|site| reached.contains(*site));
            let (fails, fails_not): (Vec<_>, Vec<_>) = met.iter().partition(|site| failed.contains(*site));
            all += here.len();
            seen += met.len();
            made += fails.len();
            let _ = writeln!(rows, "| {} | {} | {} | {} |", step.name, here.len(), met.len(), fails.len());
            never.extend(missed);
            spared.extend(fails_not);
            deadly.extend(fails.into_iter().filter(|(function, site)| {
                self.deadly.contains(&((*function).to_owned(), (*site).to_owned()))
            }));
        }
        let sums = format!("{all} call sites, {seen} reached, {made} made to fail");
        let mut text = format!(
            "# Call sites\n\n{sums}\n\n| function | call sites | reached | made to fail |\n|---|---|---|---|\n{rows}"
        );
        let running: BTreeSet<&str> = reached.iter().map(|(_, site)| unreached::caller(site)).collect();
        let mut part = |title: &str, sites: &BTreeMap<&str, Vec<&str>>| {
            let _ = writeln!(text, "\n## {title}\n");
            for (function, sites) in sites {
                let _ = writeln!(text, "- {function}: {}", sites.join(" "));
            }
        };
        for (why, (count, functions)) in reasons.list(&never, &running) {
            part(&format!("Never reached: {why} ({count})"), &functions);
        }
        part(&format!("Reached, and not made to fail yet ({})", spared.len()), &grouped(&spared));
        part(&format!("Cannot fail there, and not counted ({})", impossible.len()), &grouped(&impossible));
        part(&format!("A failure there ends the guest ({})", deadly.len()), &grouped(&deadly));
        (sums, text)
    }

    /// How many results of each class there are.
    pub fn classes(&self) -> BTreeMap<String, u64> {
        let mut classes = BTreeMap::new();
        for line in self.lines("results") {
            if let Some(verdict) = line.split('\t').next() {
                *classes.entry(verdict.to_owned()).or_default() += 1;
            }
        }
        classes
    }
}

/// Sites by function.
fn grouped<'a>(sites: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (function, site) in sites {
        all.entry(function).or_default().push(site);
    }
    all
}

fn words(line: &str) -> Vec<String> {
    line.split('\t').map(str::to_owned).collect()
}

fn append(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.as_mut().map_err(|error| anyhow::anyhow!("{error}"));
    file.and_then(|file| Ok(file.write_all(text.as_bytes())?))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::plan::Also;

    fn injection() -> Injection {
        Injection {
            id: 1,
            step: "f".to_owned(),
            act: Act::Fails(-5),
            load: "data".to_owned(),
            site: None,
            nth: 1,
            quota: true,
            race: false,
            tier: "functions",
            also: Vec::new(),
        }
    }

    #[test]
    fn what_one_run_wrote_the_next_one_reads() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Coverage::open(folder.path().to_owned(), true).unwrap();
        let reached = [
            Reached { function: "f".to_owned(), site: "g+0x1".to_owned(), matched: 7, acted: 1 },
            Reached { function: "f.isra.0".to_owned(), site: "h+0x2".to_owned(), matched: 1, acted: 0 },
        ];
        first.add(&injection(), &reached, &Verdict::Died("x".to_owned()), "").unwrap();
        let second = Coverage::open(folder.path().to_owned(), false).unwrap();
        assert_eq!(second.reached, first.reached);
        assert_eq!(second.failed, first.failed);
        assert_eq!(second.deadly.iter().next(), Some(&("f".to_owned(), "g+0x1".to_owned())));
        assert!(second.tried.contains(&("f".to_owned(), Act::Fails(-5), "data".to_owned())));
        assert_eq!(second.classes().get("kernel died"), Some(&1));
    }

    #[test]
    fn of_failures_that_were_to_come_together_only_those_that_came_count() {
        let folder = tempfile::tempdir().unwrap();
        let mut coverage = Coverage::open(folder.path().to_owned(), true).unwrap();
        let also =
            |site: &str| Also { step: "g".to_owned(), act: Act::Fails(-5), site: site.to_owned(), nth: 1 };
        let injection = Injection {
            site: Some("h+0x1".to_owned()),
            also: vec![also("h+0x2"), also("h+0x3")],
            ..injection()
        };
        let reached = |site: &str, acted| Reached {
            function: "g".to_owned(),
            site: site.to_owned(),
            matched: 1,
            acted,
        };
        coverage.add(&injection, &[reached("h+0x2", 1), reached("h+0x3", 0)], &Verdict::Clean, "").unwrap();
        let failed: Vec<_> = coverage.failed.iter().collect();
        let one = BTreeSet::from(["h+0x2".to_owned()]);
        assert_eq!(failed, [(&("g".to_owned(), Act::Fails(-5)), &one)]);
        assert_eq!(coverage.missed.len(), 2);
        assert!(!coverage.alone("g", "h+0x3"));
        coverage.add(&injection, &[], &Verdict::NotReached, "").unwrap();
        assert!(coverage.alone("g", "h+0x3") && !coverage.alone("g", "h+0x2"));
    }
}
