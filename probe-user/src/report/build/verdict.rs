//! The verdict after `--ignore`, `--strict` and `--fail-on`.
//!
//! An ignored finding stays in the report and does not count. Ignoring never turns doubt into `clean`: when no finding
//! counts, a doubt that could hide one still makes the verdict `inconclusive`.
use std::{collections::BTreeSet, sync::Arc};

use probe_ledger::{FindingKind, Judged, Verdict};

use super::groups::Group;
use crate::report::{
    baseline::Baseline,
    model::{Finding, IgnoredBy, Test},
};

/// Which findings count. The default counts all but those of known kernel bugs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Only these kinds count; all if empty.
    pub fail_on: BTreeSet<FindingKind>,
    /// Fingerprints that do not count.
    pub ignore: BTreeSet<String>,
    /// Those of known kernel bugs count too.
    pub strict: bool,
    /// A wait of at least this length is a stall, ns. Stalls do not count for the verdict.
    pub stall_ns: u64,
    /// What this report has too does not count.
    pub against: Option<Arc<Baseline>>,
}

/// [`Policy::stall_ns`] unless told otherwise.
pub const STALL_NS: u64 = 5_000_000_000;

impl Default for Policy {
    fn default() -> Self {
        Self {
            fail_on: BTreeSet::new(),
            ignore: BTreeSet::new(),
            strict: false,
            stall_ns: STALL_NS,
            against: None,
        }
    }
}

impl Policy {
    /// Why a finding of this kind does not count, if so.
    #[must_use]
    pub fn ignores(&self, kind: FindingKind, group: &Group) -> Option<IgnoredBy> {
        let known = group.known.map(|bug| bug.id);
        if self.ignore.contains(&*group.fingerprint) {
            Some(IgnoredBy::IgnoreFile)
        } else if group.known.is_some() && !self.strict {
            Some(IgnoredBy::Known)
        } else if self.against.as_ref().is_some_and(|other| other.has(&group.fingerprint, known)) {
            Some(IgnoredBy::Against)
        } else if !self.fail_on.is_empty() && !self.fail_on.contains(&kind) {
            Some(IgnoredBy::FailOn)
        } else {
            None
        }
    }
}

/// Numbers of findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that count, without those that follow from another.
    pub counted: usize,
    /// Those that the file of known findings names.
    pub in_file: usize,
    /// Those of known kernel bugs.
    pub known: usize,
    /// Those of a kind that `--fail-on` does not name.
    pub of_other_kind: usize,
    /// Those that the report given with `--against` has too.
    pub before: usize,
}

impl Tally {
    /// Counts them.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let number = |ignored| findings.iter().filter(|finding| finding.ignored == ignored).count();
        Self {
            counted: number(None) - findings.iter().filter(|finding| finding.cause.is_some()).count(),
            in_file: number(Some(IgnoredBy::IgnoreFile)),
            known: number(Some(IgnoredBy::Known)),
            of_other_kind: number(Some(IgnoredBy::FailOn)),
            before: number(Some(IgnoredBy::Against)),
        }
    }
}

/// The verdict and its reasons: from what the books say, and from doubts that the books do not know.
#[must_use]
pub fn decide(judged: Judged, found: Tally, doubts: &[String], policy: &Policy) -> (Verdict, Vec<String>) {
    let Tally { counted, in_file, known, of_other_kind, before } = found;
    let (verdict, mut reasons) = if found == Tally::default() {
        (judged.verdict, judged.reasons)
    } else if counted > 0 {
        // The ledger counts owners, the report what is wrong.
        let mut reasons = vec![match counted {
            1 => "1 rule was broken: see the finding.".to_owned(),
            count => format!("{count} rules were broken: see the findings."),
        }];
        reasons.extend(judged.doubts);
        (judged.verdict, reasons)
    } else {
        // The ledger said `findings`, and none of them counts: what else it said is left.
        let verdict = if judged.doubts.is_empty() { Verdict::Clean } else { Verdict::Inconclusive };
        (verdict, judged.doubts)
    };
    let verdict = if verdict == Verdict::Clean && !doubts.is_empty() {
        // The reasons so far say what was checked; they do not explain `inconclusive`.
        reasons.clear();
        Verdict::Inconclusive
    } else {
        verdict
    };
    for doubt in doubts {
        if !reasons.contains(doubt) {
            reasons.push(doubt.clone());
        }
    }
    reasons.extend(ignored_sentence(in_file, "named in the --ignore file"));
    let bugs = match known {
        1 => "of a known kernel bug (--strict counts it)",
        _ => "of known kernel bugs (--strict counts them)",
    };
    reasons.extend(ignored_sentence(known, bugs));
    let kinds: Vec<&str> = policy.fail_on.iter().map(|kind| kind.name()).collect();
    let others = format!("of another kind than --fail-on names ({})", kinds.join(", "));
    reasons.extend(ignored_sentence(of_other_kind, &others));
    reasons.extend(match before {
        0 => None,
        1 => Some("1 finding does not count: the report of --against has it too.".to_owned()),
        count => Some(format!("{count} findings do not count: the report of --against has them too.")),
    });
    (verdict, reasons)
}

/// A test whose findings are all ignored is judged by what was missed in its window.
pub(super) fn of_test(test: &Test, findings: &[Finding]) -> Test {
    let counts = |finding: &Finding| finding.ignored.is_none() && test.finding_ids.contains(&finding.id);
    let verdict = match test.verdict.0 {
        Verdict::Findings => of_window(findings.iter().any(counts), !test.verdict_reasons.is_empty()),
        other => other,
    };
    Test { verdict: verdict.into(), ..test.clone() }
}

/// The verdict of a window: whether a finding in it counts, and whether something was missed in it.
#[must_use]
pub const fn of_window(counts: bool, missed: bool) -> Verdict {
    match (counts, missed) {
        (true, _) => Verdict::Findings,
        (false, true) => Verdict::Inconclusive,
        (false, false) => Verdict::Clean,
    }
}

fn ignored_sentence(count: usize, why: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 finding does not count: it is {why}.")),
        count => Some(format!("{count} findings do not count: they are {why}.")),
    }
}
