//! A report held against another, and many reports in one.
use std::sync::Arc;

use probe_ledger::{Finding, Verdict};

use super::data::{clean, facts, inconclusive, leak, over_release, report_of, summary};
use crate::report::{
    baseline::Baseline,
    build::Policy,
    merge::{self, Merged},
    model::{IgnoredBy, KnownBug, Report, Tier},
    text::{self, Detail, Look},
};

fn of(findings: &[Finding], policy: &Policy) -> Report {
    report_of(&summary(Verdict::Findings, &[]), findings, &facts(), policy)
}

fn against(other: &Report) -> Policy {
    let baseline = Baseline::new("base.json".to_owned(), other);
    Policy { against: Some(Arc::new(baseline)), ..Policy::default() }
}

fn second() -> Finding {
    Finding { id: 1, ..leak() }
}

#[test]
fn only_what_is_new_counts() {
    let before = of(&[over_release()], &Policy::default());
    let report = of(&[over_release(), second()], &against(&before));
    assert_eq!(report.verdict.0, Verdict::Findings);
    assert_eq!(report.findings[0].ignored, Some(IgnoredBy::Against));
    assert_eq!(report.findings[1].ignored, None);
    let compared = report.against.clone().unwrap();
    assert_eq!(compared.new, [1]);
    assert_eq!((compared.same.len(), compared.same[0].ids.clone()), (1, vec![0]));
    assert!(compared.gone.is_empty() && compared.notes.is_empty());
    let text = text::render(&report, Look::PLAIN, Detail::Brief);
    assert!(text.contains("FINDINGS: 1 broken rule (1 more finding does not count)"), "{text}");
    assert!(
        text.contains("-- Against base.json --") && text.contains("new          1 finding: #1"),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<Report>(&serde_json::to_string(&report).unwrap()).unwrap(), report);
}

#[test]
fn nothing_new_is_clean_and_what_is_gone_is_named() {
    let before = of(&[over_release(), second()], &Policy::default());
    let report = of(&[over_release()], &against(&before));
    assert_eq!(report.verdict.0, Verdict::Clean, "{:?}", report.verdict_reasons);
    let reason = "1 finding does not count: the report of --against has it too.";
    assert!(report.verdict_reasons.iter().any(|text| text == reason), "{:?}", report.verdict_reasons);
    let compared = report.against.unwrap();
    assert_eq!(compared.gone.len(), 1);
    assert_eq!(compared.gone[0].fingerprint, before.findings[1].fingerprint);
    assert!(compared.gone[0].heading.starts_with("leak of inode.outstanding_extents"), "{compared:?}");
}

/// A doubt stays one when the findings are known: a new one may have been missed.
#[test]
fn a_doubt_is_not_clean_because_nothing_is_new() {
    let before = of(&[over_release()], &Policy::default());
    let mut facts = facts();
    facts.doubts = vec!["Half of the records were lost.".to_owned()];
    let report = report_of(&summary(Verdict::Findings, &[]), &[over_release()], &facts, &against(&before));
    assert_eq!(report.verdict.0, Verdict::Inconclusive);
}

#[test]
fn a_known_bug_with_the_same_fingerprint_is_another_fault() {
    let mut before = of(&[over_release()], &Policy::default());
    before.findings[0].known = Some(KnownBug {
        id: "some-bug".to_owned(),
        title: String::new(),
        versions: String::new(),
        doc: String::new(),
    });
    let report = of(&[over_release()], &against(&before));
    assert_eq!(report.findings[0].ignored, None);
    let compared = report.against.unwrap();
    assert_eq!((compared.new.len(), compared.gone.len()), (1, 1));
}

#[test]
fn another_tier_is_said() {
    let mut before = of(&[over_release()], &Policy::default());
    before.tier = Tier::Functions;
    let compared = of(&[over_release()], &against(&before)).against.unwrap();
    assert!(
        compared.notes[0].starts_with("The tiers differ (functions there, tracepoints here)"),
        "{compared:?}"
    );
}

fn merged(reports: &[(&str, Report)]) -> Merged {
    let named: Vec<(String, Report)> =
        reports.iter().map(|(name, report)| ((*name).to_owned(), report.clone())).collect();
    merge::merge(&named)
}

#[test]
fn findings_of_many_sessions_are_one_by_their_fingerprint() {
    let default = Policy::default();
    let two = of(&[over_release(), second()], &default);
    let merged = merged(&[("a", of(&[over_release()], &default)), ("b", clean()), ("c", two.clone())]);
    assert_eq!(merged.verdict.0, Verdict::Findings);
    assert_eq!(merged.verdict_reasons, ["2 of 3 sessions have findings.", "1 of 3 sessions is clean."]);
    let files: Vec<Vec<&str>> = merged
        .findings
        .iter()
        .map(|finding| finding.files.iter().map(|of| of.file.as_str()).collect())
        .collect();
    assert_eq!(files, [vec!["a", "c"], vec!["c"]]);
    assert_eq!(merged.findings[0].amount, 2 * two.findings[0].amount);
    assert_eq!(merged.findings[0].count, 2 * two.findings[0].count);
    let text = merge::render(&merged, Look::PLAIN);
    for line in text.lines() {
        assert!(crate::format::escape::width(line) <= 80, "{line}");
    }
    insta::assert_snapshot!(text);
    assert_eq!(serde_json::from_str::<Merged>(&serde_json::to_string(&merged).unwrap()).unwrap(), merged);
}

#[test]
fn the_worst_verdict_is_that_of_all_and_losses_add_up() {
    let one = merged(&[("a", clean()), ("b", inconclusive()), ("c", inconclusive())]);
    assert_eq!(one.verdict.0, Verdict::Inconclusive);
    let lost = inconclusive().loss;
    assert_eq!(one.loss.records, 2 * lost.records);
    assert!(lost.by_class.values().any(|count| *count > 0));
    for (class, count) in &lost.by_class {
        assert_eq!(one.loss.by_class[class], 2 * count, "{class}");
    }
    assert_eq!(merged(&[("a", clean())]).verdict.0, Verdict::Clean);
}
