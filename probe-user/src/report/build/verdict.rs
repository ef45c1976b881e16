//! The verdict after `--ignore` and `--fail-on`.
//!
//! An ignored finding stays in the report and does not count. Ignoring never turns doubt into `clean`: when no finding
//! counts, a doubt that could hide one still makes the verdict `inconclusive`.
use std::collections::BTreeSet;

use probe_ledger::{FindingKind, Judged, Verdict};

use crate::report::model::{Finding, IgnoredBy, Test};

/// Which findings count. The default counts all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Only these kinds count; all if empty.
    pub fail_on: BTreeSet<FindingKind>,
    /// Fingerprints that do not count.
    pub ignore: BTreeSet<String>,
}

impl Policy {
    /// Why a finding does not count, if so.
    #[must_use]
    pub fn ignores(&self, kind: FindingKind, fingerprint: &str) -> Option<IgnoredBy> {
        if self.ignore.contains(fingerprint) {
            Some(IgnoredBy::IgnoreFile)
        } else if !self.fail_on.is_empty() && !self.fail_on.contains(&kind) {
            Some(IgnoredBy::FailOn)
        } else {
            None
        }
    }
}

/// The verdict and its reasons: from what the books say, and from doubts that the books do not know.
#[must_use]
pub fn decide(
    judged: Judged,
    findings: &[Finding],
    doubts: &[String],
    policy: &Policy,
) -> (Verdict, Vec<String>) {
    let counted = findings.iter().any(|finding| finding.ignored.is_none());
    let (verdict, mut reasons) = if counted || findings.is_empty() {
        (judged.verdict, judged.reasons)
    } else {
        // The ledger said `findings`, and none of them counts: what else it said is left.
        let verdict = if judged.doubts.is_empty() { Verdict::Clean } else { Verdict::Inconclusive };
        (verdict, judged.doubts)
    };
    let verdict = if verdict == Verdict::Clean && !doubts.is_empty() {
        // What was checked is no reason for that.
        reasons.clear();
        Verdict::Inconclusive
    } else {
        verdict
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
    reasons.extend(ignored_sentence(findings, IgnoredBy::IgnoreFile, "named in the --ignore file"));
    let kinds: Vec<&str> = policy.fail_on.iter().map(|kind| kind.name()).collect();
    let others = format!("of another kind than --fail-on names ({})", kinds.join(", "));
    reasons.extend(ignored_sentence(findings, IgnoredBy::FailOn, &others));
    (verdict, reasons)
}

/// A test whose findings are all ignored is judged by what was missed in its window.
pub(super) fn of_test(test: &Test, findings: &[Finding]) -> Test {
    let counts = |finding: &Finding| finding.ignored.is_none() && test.finding_ids.contains(&finding.id);
    let verdict = match test.verdict.0 {
        Verdict::Findings if findings.iter().any(counts) => Verdict::Findings,
        Verdict::Findings if !test.verdict_reasons.is_empty() => Verdict::Inconclusive,
        Verdict::Findings => Verdict::Clean,
        other => other,
    };
    Test { verdict: verdict.into(), ..test.clone() }
}

fn ignored_sentence(findings: &[Finding], by: IgnoredBy, why: &str) -> Option<String> {
    match findings.iter().filter(|finding| finding.ignored == Some(by)).count() {
        0 => None,
        1 => Some(format!("1 finding does not count: it is {why}.")),
        count => Some(format!("{count} findings do not count: they are {why}.")),
    }
}
