//! What `--ignore` and `--fail-on` do to the verdict.
use std::collections::{BTreeMap, BTreeSet};

use probe_common::loss::LossClass;
use probe_ledger::{FindingKind, Verdict};

use super::data::{facts, leak, over_release, report_of, summary, test, with_findings};
use crate::report::{
    build::Policy,
    model::{IgnoredBy, Report},
};

const REASON: &str = "bytes were freed that were never reserved.";

fn with(policy: &Policy, lost: &[(LossClass, u64)], doubts: &[&str]) -> Report {
    let mut summary = summary(Verdict::Findings, &[REASON]);
    summary.loss = lost.iter().copied().collect();
    // As the ledger has it: a loss that touches the books is a doubt.
    let touching = lost.iter().filter(|(class, _)| class.touches_books());
    summary.doubts =
        touching.map(|(class, count)| format!("{count} records ({}) were lost.", class.name())).collect();
    let mut facts = facts();
    facts.doubts = doubts.iter().map(|doubt| (*doubt).to_owned()).collect();
    report_of(&summary, &[over_release(), leak()], &facts, policy)
}

fn ignoring_all() -> Policy {
    let ignore = with_findings().findings.into_iter().map(|finding| finding.fingerprint).collect();
    Policy { ignore, ..Policy::default() }
}

#[test]
fn ignored_findings_stay_listed_and_do_not_count() {
    let report = with(&ignoring_all(), &[], &[]);
    assert_eq!(report.verdict.0, Verdict::Clean);
    assert_eq!(report.findings.len(), 2);
    assert!(report.findings.iter().all(|finding| finding.ignored == Some(IgnoredBy::IgnoreFile)));
    assert_eq!(report.verdict_reasons, ["2 findings do not count: they are named in the --ignore file."]);
}

#[test]
fn one_that_counts_is_enough() {
    let mut policy = ignoring_all();
    let kept = policy.ignore.pop_first().unwrap();
    let report = with(&policy, &[], &[]);
    assert_eq!(report.verdict.0, Verdict::Findings);
    assert_eq!(report.verdict_reasons[0], "1 rule was broken: see the finding.");
    let counting: Vec<_> = report.findings.iter().filter(|finding| finding.ignored.is_none()).collect();
    assert_eq!(counting.len(), 1);
    assert_eq!(counting[0].fingerprint, kept);
}

#[test]
fn fail_on_counts_only_the_kinds_it_names() {
    let only = |kind| Policy { fail_on: BTreeSet::from([kind]), ..Policy::default() };
    let report = with(&only(FindingKind::Leak), &[], &[]);
    assert_eq!(report.verdict.0, Verdict::Findings);
    assert_eq!(report.findings[0].ignored, Some(IgnoredBy::FailOn));
    assert_eq!(report.findings[1].ignored, None);
    assert_eq!(with(&only(FindingKind::Underflow), &[], &[]).verdict.0, Verdict::Clean);
}

#[test]
fn ignoring_never_turns_doubt_into_clean() {
    let lossy = with(&ignoring_all(), &[(LossClass::BooksRecord, 2)], &[]);
    assert_eq!(lossy.verdict.0, Verdict::Inconclusive);
    let harmless = with(&ignoring_all(), &[(LossClass::Stack, 2)], &[]);
    assert_eq!(harmless.verdict.0, Verdict::Clean);
    let doubtful = with(&ignoring_all(), &[], &["update_bytes_pinned did not attach."]);
    assert_eq!(doubtful.verdict.0, Verdict::Inconclusive);
    assert_eq!(doubtful.verdict_reasons[0], "update_bytes_pinned did not attach.");
}

#[test]
fn a_doubt_of_the_session_makes_a_clean_ledger_inconclusive_and_findings_stay() {
    let mut facts = facts();
    facts.doubts = vec!["update_bytes_pinned did not attach.".to_owned()];
    let clean = summary(Verdict::Clean, &["all was checked."]);
    let report = report_of(&clean, &[], &facts, &Policy::default());
    assert_eq!(report.verdict.0, Verdict::Inconclusive);
    // What was checked is no reason for it.
    assert_eq!(report.verdict_reasons, ["update_bytes_pinned did not attach."]);
    let found = with(&Policy::default(), &[], &["update_bytes_pinned did not attach."]);
    assert_eq!(found.verdict.0, Verdict::Findings);
}

#[test]
fn every_class_of_loss_is_in_the_report() {
    let report = with(&Policy::default(), &[(LossClass::BooksRecord, 5), (LossClass::ChainRecord, 2)], &[]);
    let by_class: &BTreeMap<String, u64> = &report.loss.by_class;
    assert_eq!(by_class.len(), LossClass::ALL.len());
    assert_eq!((report.loss.records, by_class["chain_record"], by_class["file_write"]), (7, 2, 0));
}

#[test]
fn a_test_whose_findings_are_ignored_is_judged_by_what_it_missed() {
    let mut facts = facts();
    let tests = [("a", &[0_u32][..], 0), ("b", &[1], 0), ("c", &[1], 4), ("d", &[0, 1], 0)];
    facts.tests = tests.map(|(name, ids, lost)| test(name, Verdict::Findings, ids, lost)).into();
    // No record is lost when quotas are switched.
    let mut switched = test("e", Verdict::Findings, &[1], 0);
    switched.verdict_reasons = vec!["21 changes of qgroup counters without their event".to_owned()];
    facts.tests.push(switched);
    let policy = Policy { fail_on: BTreeSet::from([FindingKind::OverRelease]), ..Policy::default() };
    let report =
        report_of(&summary(Verdict::Findings, &[REASON]), &[over_release(), leak()], &facts, &policy);
    let verdicts: Vec<Verdict> = report.tests.iter().map(|test| test.verdict.0).collect();
    assert_eq!(
        verdicts,
        [Verdict::Findings, Verdict::Clean, Verdict::Inconclusive, Verdict::Findings, Verdict::Inconclusive]
    );
}
