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
    plan::Injection,
    sites::Sites,
    steps::Step,
    verdict::{Reached, Verdict},
};

/// Results and call sites of one kernel.
pub struct Coverage {
    folder: PathBuf,
    /// Of a function and a load: its call sites, and the most calls of one injection.
    pub reached: BTreeMap<(String, String), BTreeMap<String, u64>>,
    /// Of a function and an error: where it failed.
    pub failed: BTreeMap<(String, i64), BTreeSet<String>>,
    /// Of a function, an error and a load: what came of an injection without a site.
    pub tried: BTreeSet<(String, i64, String)>,
    /// Of a function and a site: a failure there ends the guest.
    pub deadly: BTreeSet<(String, String)>,
    /// Steps and sites that failed together when a guest died.
    suspects: BTreeSet<(String, String)>,
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
                let error = error.parse().unwrap_or_default();
                coverage.count(verdict, function, error, load, site);
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

    fn count(&mut self, verdict: &str, function: &str, error: i64, load: &str, site: &str) {
        self.tried.insert((function.to_owned(), error, load.to_owned()));
        if site != "-" && verdict == "kernel died" {
            self.deadly.insert((function.to_owned(), site.to_owned()));
        }
        if site != "-" && verdict != "not reached" {
            self.failed.entry((function.to_owned(), error)).or_default().insert(site.to_owned());
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
        let also = |site: &str| injection.also.iter().any(|also| also.site == site);
        let acted = reached.iter().find(|reached| reached.acted > 0 && !also(&reached.site));
        let acted = acted.map(|reached| reached.site.as_str());
        let site = acted.or(injection.site.as_deref()).unwrap_or("-");
        self.count(verdict.name(), function, injection.fails, &injection.load, site);
        append(&self.folder.join("sites"), &new)?;
        let line = format!(
            "{}\t{function}\t{}\t{}\t{}\t{}\t{site}\t{}\t{}\t{note}\n",
            verdict.name(),
            injection.fails,
            injection.load,
            injection.nth,
            injection.ways(),
            injection.tier,
            verdict.text().replace(['\t', '\n'], " "),
        );
        append(&self.folder.join("results"), &line)?;
        // What failed with it has the same verdict.
        for also in &injection.also {
            let acted = |reached: &&Reached| reached.acted > 0 && reached.site == also.site;
            if reached.iter().any(|reached| acted(&reached)) {
                self.count(verdict.name(), &also.step, also.fails, &injection.load, &also.site);
                let line = format!(
                    "{}\t{}\t{}\t{}\t1\t{}\t{}\t{}\t{}\twith {function} at {site}\n",
                    verdict.name(),
                    also.step,
                    also.fails,
                    injection.load,
                    injection.ways(),
                    also.site,
                    injection.tier,
                    verdict.text().replace(['\t', '\n'], " "),
                );
                append(&self.folder.join("results"), &line)?;
            }
        }
        Ok(())
    }

    /// A guest died of one of several: each is tried alone.
    fn suspected(&mut self, injection: &Injection, verdict: &Verdict) -> Result<()> {
        let first = injection.site.iter().map(|site| (injection.step.clone(), site.clone()));
        let also = injection.also.iter().map(|also| (also.step.clone(), also.site.clone()));
        self.suspects.extend(first.chain(also));
        let Injection { step, fails, load, nth, tier, .. } = injection;
        let text = verdict.text().replace(['\t', '\n'], " ");
        let line = format!(
            "{}\t{step}\t{fails}\t{load}\t{nth}\t{}\t-\t{tier}\t{text}\tone of {injection}\n",
            verdict.name(),
            injection.ways()
        );
        append(&self.folder.join("results"), &line)
    }

    /// Whether a guest may have died of it.
    pub fn suspect(&self, step: &str, site: &str) -> bool {
        self.suspects.contains(&(step.to_owned(), site.to_owned()))
    }

    /// The table, as Markdown: a row for each function, and below it the sites that were never reached.
    pub fn table(&self, steps: &[Step], sites: &Sites) -> (String, String) {
        let mut rows = String::new();
        let mut never = String::new();
        let (mut all, mut seen, mut made) = (0, 0, 0);
        for step in steps.iter().filter(|step| step.is_function()) {
            let Some(exist) = sites.symbol(&step.name).and_then(|symbol| sites.of(symbol)) else { continue };
            let reached: BTreeSet<&String> = self
                .reached
                .iter()
                .filter(|((function, _), _)| *function == step.name)
                .flat_map(|(_, sites)| sites.keys())
                .collect();
            let failed: BTreeSet<&String> = self
                .failed
                .iter()
                .filter(|((function, _), _)| *function == step.name)
                .flat_map(|(_, sites)| sites)
                .collect();
            let reached: Vec<&String> = exist.iter().filter(|site| reached.contains(site)).collect();
            let failed = exist.iter().filter(|site| failed.contains(site)).count();
            all += exist.len();
            seen += reached.len();
            made += failed;
            let _ = writeln!(rows, "| {} | {} | {} | {failed} |", step.name, exist.len(), reached.len());
            let left: Vec<&str> =
                exist.iter().filter(|site| !reached.contains(site)).map(String::as_str).collect();
            if !left.is_empty() {
                let _ = writeln!(never, "- {}: {}", step.name, left.join(" "));
            }
        }
        let sums = format!("{all} call sites, {seen} reached, {made} made to fail");
        let text = format!(
            "# Call sites\n\n{sums}\n\n| function | call sites | reached | made to fail |\n|---|---|---|---|\n{rows}\n\
             ## Never reached\n\n{never}"
        );
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

    fn injection() -> Injection {
        Injection {
            id: 1,
            step: "f".to_owned(),
            fails: -5,
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
        assert!(second.tried.contains(&("f".to_owned(), -5, "data".to_owned())));
        assert_eq!(second.classes().get("kernel died"), Some(&1));
    }
}
