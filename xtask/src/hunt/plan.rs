//! Which injections come next: first what no run has tried, then call sites that were seen and have not failed yet, then the
//! same again at other calls, with a racing task and without, with quotas and without.
use std::fmt;

use super::{act::Act, coverage::Coverage, steps::Step};

/// One injection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Also the end of its filesystem's UUID.
    pub id: u32,
    /// Name of the step.
    pub step: String,
    /// What is done to it.
    pub act: Act,
    /// Load.
    pub load: String,
    /// The only call site.
    pub site: Option<String>,
    /// Which call, from 1.
    pub nth: u64,
    /// Quotas are on.
    pub quota: bool,
    /// A second task does other things.
    pub race: bool,
    /// Of the tool.
    pub tier: &'static str,
    /// More that fails in the same load.
    pub also: Vec<Also>,
}

/// A further step of an injection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Also {
    /// Name of the step.
    pub step: String,
    /// What is done to it.
    pub act: Act,
    /// Its call site.
    pub site: String,
    /// Which call from there, from 1.
    pub nth: u64,
}

impl Injection {
    /// Quotas and race, for the lists.
    pub fn ways(&self) -> &'static str {
        match (self.quota, self.race) {
            (true, true) => "quota,race",
            (true, false) => "quota",
            (false, true) => "race",
            (false, false) => "plain",
        }
    }
}

impl fmt::Display for Injection {
    /// As `--only` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let site = self.site.as_deref().unwrap_or("-");
        write!(f, "{}:{}:{}:{site}:{}:{}", self.step, self.act, self.load, self.nth, self.ways())?;
        self.also.iter().try_for_each(|Also { step, act, site, nth }| write!(f, "/{step}:{act}:{site}:{nth}"))
    }
}

/// A part of an injection that `--only` names: `FUNCTION[:ACT[:LOAD[:SITE[:NTH[:WAYS[/FUNCTION:ACT:SITE:NTH...]]]]]]`.
#[derive(Clone, Debug)]
pub struct Only {
    words: Vec<String>,
    also: Vec<Also>,
}

impl Only {
    /// Never fails: what it does not fit is left out.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.split('/').map(|part| part.split(':').map(str::to_owned).collect::<Vec<_>>());
        let words = parts.next().unwrap_or_default();
        let also = |words: Vec<String>| {
            let [step, act, site, nth] = <[String; 4]>::try_from(words).ok()?;
            Some(Also { step, act: act.parse().ok()?, site, nth: nth.parse().ok()? })
        };
        Self { words, also: parts.filter_map(also).collect() }
    }

    fn word(&self, at: usize) -> Option<&str> {
        self.words.get(at).map(String::as_str).filter(|word| !word.is_empty() && *word != "-")
    }

    fn fits(&self, step: &str, act: Act, load: &str) -> bool {
        let act = act.to_string();
        let is = |at, value: &str| self.word(at).is_none_or(|word| word == value);
        is(0, step) && is(1, &act) && is(2, load)
    }

    /// Whether it names one injection and not a set of them.
    fn exact(&self) -> bool {
        self.words.len() > 3
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    /// Below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (value ^ (value >> 31)) % end.max(1)
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(0);
            all.swap(last, other);
        }
    }
}

/// The next `count` injections of a tier, numbered from `first`; fewer if nothing is left to try.
pub fn next(
    steps: &[Step],
    only: &[Only],
    coverage: &Coverage,
    dice: &mut Dice,
    (first, count): (u32, usize),
    tier: &'static str,
) -> Vec<Injection> {
    let mut untried = Vec::new();
    let mut unfailed = Vec::new();
    let mut again = Vec::new();
    let fits = |step: &Step, act, load: &str| {
        only.is_empty() || only.iter().any(|only| !only.exact() && only.fits(&step.name, act, load))
    };
    for step in steps {
        for &act in &step.acts {
            let none = std::collections::BTreeSet::new();
            let failed = coverage.failed.get(&(step.name.clone(), act)).unwrap_or(&none);
            for load in step.loads.iter().filter(|load| fits(step, act, load)) {
                let one = |site: Option<&String>, nth| Injection {
                    id: 0,
                    step: step.name.clone(),
                    act,
                    load: load.clone(),
                    site: site.cloned(),
                    nth,
                    quota: false,
                    race: false,
                    tier,
                    also: Vec::new(),
                };
                if step.can_fail_at(None) && !coverage.tried.contains(&(step.name.clone(), act, load.clone()))
                {
                    untried.push(one(None, 1));
                }
                let reached = coverage.reached.get(&(step.name.clone(), load.clone()));
                for (site, calls) in reached.into_iter().flatten() {
                    let deadly = coverage.deadly.contains(&(step.name.clone(), site.clone()));
                    if deadly || !step.can_fail_at(Some(site)) {
                        continue;
                    }
                    match act {
                        Act::Late(_) if !failed.contains(site) => {
                            unfailed.push(one(Some(site), 1 + dice.below((*calls).min(8))));
                        }
                        Act::Fails(_) if !failed.contains(site) => unfailed.push(one(Some(site), 1)),
                        // The first call has failed; a later one meets other states.
                        _ => again.push(one(Some(site), 1 + dice.below(*calls))),
                    }
                }
                if !step.is_function() {
                    again.push(one(None, 1));
                }
            }
        }
    }
    if coverage.census {
        // The census has told what can be reached: no need to try in the dark.
        untried.retain(|injection: &Injection| {
            injection.step.starts_with('@')
                || steps.iter().any(|step| step.name == injection.step && step.is_below())
        });
    }
    dice.shuffle(&mut untried);
    dice.shuffle(&mut unfailed);
    dice.shuffle(&mut again);
    // One load is enough to see a site fail.
    let mut once = std::collections::BTreeSet::new();
    unfailed.retain(|injection| once.insert((injection.step.clone(), injection.act, injection.site.clone())));
    // And one error first.
    let mut once = std::collections::BTreeSet::new();
    let failed_so_or_so = |injection: &Injection| {
        coverage.failed.iter().any(|((step, _), sites)| {
            *step == injection.step && injection.site.as_ref().is_some_and(|site| sites.contains(site))
        })
    };
    unfailed.sort_by_cached_key(|injection| {
        let site = (injection.step.clone(), injection.site.clone().unwrap_or_default());
        // What was missed again and again waits for the rest.
        let missed = coverage.missed.get(&site).map_or(0, |missed| missed / 2);
        (missed, failed_so_or_so(injection) || !once.insert((injection.step.clone(), injection.site.clone())))
    });
    // Both kinds of news in each batch: what was not tried shows sites, and these are tried. A census has shown them already.
    let unfailed = together(unfailed, coverage);
    let share = if coverage.census { count - count / 4 } else { count / 2 };
    let half = unfailed.len().min(share).max(count.saturating_sub(untried.len()).min(unfailed.len()));
    let mut chosen: Vec<Injection> = exact(only, steps, tier);
    if coverage.census && only.is_empty() {
        chosen.extend(census(steps, coverage, tier));
    }
    let named = chosen.len();
    chosen.extend(unfailed.into_iter().take(half));
    chosen.extend(untried);
    // They do not bring news of sites; enough to fill the batch.
    again.truncate(count * TOGETHER);
    chosen.extend(together(again, coverage));
    chosen.truncate(count);
    for (number, (injection, id)) in chosen.iter_mut().zip(first..).enumerate() {
        injection.id = id;
        if number >= named {
            injection.quota = dice.below(2) == 1;
            injection.race = dice.below(4) == 0;
        }
    }
    chosen
}

/// How many steps fail in one load: most failures leave the load enough to do for the next one.
const TOGETHER: usize = 8;

/// Puts injections of one load together, but for sites that have to fail alone. Of those that abort the filesystem one is enough.
fn together(all: Vec<Injection>, coverage: &Coverage) -> Vec<Injection> {
    let mut grouped: Vec<Injection> = Vec::new();
    for one in all {
        let Some(site) = one.site.clone().filter(|site| !coverage.alone(&one.step, site)) else {
            grouped.push(one);
            continue;
        };
        let open = grouped.iter_mut().find(|group| {
            let alone = group.site.as_ref().is_none_or(|site| coverage.alone(&group.step, site));
            let mut sites = group.site.iter().chain(group.also.iter().map(|also| &also.site));
            let ends = coverage.aborts(&site) && sites.any(|site| coverage.aborts(site));
            group.load == one.load && !alone && !ends && group.also.len() + 1 < TOGETHER
        });
        match open {
            Some(group) => group.also.push(Also { step: one.step, act: one.act, site, nth: one.nth }),
            None => grouped.push(one),
        }
    }
    grouped
}

/// Functions that the module counts at a time.
pub const COUNTED: usize = 38;
/// Name of the step that fails nothing.
pub const CENSUS: &str = "@census";

/// For each load, who calls what: it is a load without a failure too, so its books have to balance.
fn census(steps: &[Step], coverage: &Coverage, tier: &'static str) -> Vec<Injection> {
    let mut loads: Vec<&String> =
        steps.iter().filter(|step| step.is_function()).flat_map(|step| &step.loads).collect();
    loads.sort();
    loads.dedup();
    let parts = steps.iter().filter(|step| step.is_function()).count().div_ceil(COUNTED);
    let mut all = Vec::new();
    for load in loads {
        for act in (0..).take(parts).map(Act::Fails) {
            if !coverage.tried.contains(&(CENSUS.to_owned(), act, load.clone())) {
                let (step, load) = (CENSUS.to_owned(), load.clone());
                all.push(Injection {
                    id: 0,
                    step,
                    act,
                    load,
                    site: None,
                    nth: 1,
                    quota: true,
                    race: false,
                    tier,
                    also: Vec::new(),
                });
            }
        }
    }
    all
}

/// The injections that `only` names fully.
fn exact(only: &[Only], steps: &[Step], tier: &'static str) -> Vec<Injection> {
    let mut all = Vec::new();
    for only in only.iter().filter(|only| only.exact()) {
        let Some(step) = steps.iter().find(|step| Some(step.name.as_str()) == only.word(0)) else { continue };
        let ways = only.word(5).unwrap_or("quota");
        all.push(Injection {
            id: 0,
            step: step.name.clone(),
            act: only
                .word(1)
                .and_then(|word| word.parse().ok())
                .or_else(|| step.acts.first().copied())
                .unwrap_or(Act::Fails(-5)),
            load: only.word(2).unwrap_or("data").to_owned(),
            site: only.word(3).map(str::to_owned),
            nth: only.word(4).and_then(|word| word.parse().ok()).unwrap_or(1),
            quota: ways.contains("quota"),
            race: ways.contains("race"),
            tier,
            also: only.also.clone(),
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::steps;

    fn steps() -> Vec<Step> {
        steps::parse(
            "[f]\nfails: -5 -12\nreal: io\nloads: a b\nwhy: x\n\n[g]\nfails: 0\nreal: io\nloads: a\nwhy: x\n",
        )
        .unwrap()
    }

    fn coverage() -> (tempfile::TempDir, Coverage) {
        let folder = tempfile::tempdir().unwrap();
        let coverage = Coverage::open(folder.path().to_owned(), true).unwrap();
        (folder, coverage)
    }

    #[test]
    fn the_same_seed_makes_the_same_plan_and_another_one_another() {
        let (_folder, coverage) = coverage();
        let plan = |seed| next(&steps(), &[], &coverage, &mut Dice(seed), (1, 9), "functions");
        assert_eq!(plan(1), plan(1));
        assert!((2..9).any(|seed| plan(seed) != plan(1)));
        assert_eq!(plan(1).len(), 5);
        assert_eq!(plan(1).iter().map(|one| one.id).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_site_that_was_seen_fails_once_with_each_error_before_anything_is_repeated() {
        let (_folder, mut coverage) = coverage();
        for (step, fails, load) in
            [("f", -5, "a"), ("f", -5, "b"), ("f", -12, "a"), ("f", -12, "b"), ("g", 0, "a")]
        {
            coverage.tried.insert((step.to_owned(), Act::Fails(fails), load.to_owned()));
        }
        for load in ["a", "b"] {
            let sites = coverage.reached.entry(("f".to_owned(), load.to_owned())).or_default();
            sites.insert("h+0x1".to_owned(), 3);
        }
        let plan = next(&steps(), &[], &coverage, &mut Dice(1), (1, 2), "functions");
        let mut errors: Vec<Act> = plan
            .iter()
            .flat_map(|one| [one.act].into_iter().chain(one.also.iter().map(|also| also.act)))
            .collect();
        errors.sort_unstable();
        assert_eq!(errors, [Act::Fails(-12), Act::Fails(-5)]);
        assert!(plan.iter().all(|one| one.site.as_deref() == Some("h+0x1")));
        coverage.deadly.insert(("f".to_owned(), "h+0x1".to_owned()));
        assert!(next(&steps(), &[], &coverage, &mut Dice(1), (1, 2), "functions").is_empty());
    }

    #[test]
    fn what_a_line_of_the_results_names_is_repeated_alone() {
        let (_folder, coverage) = coverage();
        let only = [Only::parse("f:-12:b:h+0x1:3:quota,race")];
        let plan = next(&steps(), &only, &coverage, &mut Dice(1), (7, 9), "functions");
        assert_eq!(plan.len(), 1);
        assert_eq!(plan[0].to_string(), "f:-12:b:h+0x1:3:quota,race");
        let text = "f:-12:b:h+0x1:3:quota,race/g:0:i+0x2:4";
        let plan = next(&steps(), &[Only::parse(text)], &coverage, &mut Dice(1), (7, 9), "functions");
        assert_eq!((plan.len(), plan[0].to_string().as_str(), plan[0].also.len()), (1, text, 1));
        let only = [Only::parse("f:-12")];
        let plan = next(&steps(), &only, &coverage, &mut Dice(1), (7, 9), "functions");
        assert_eq!(plan.len(), 2);
        assert!(plan.iter().all(|one| one.act == Act::Fails(-12)));
    }
}
