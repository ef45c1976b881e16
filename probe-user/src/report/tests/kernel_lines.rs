//! What the kernel's complaints become in a report.
use probe_ledger::Verdict;

use super::data::{facts, leak, line, over_release, report_of, summary};
use crate::report::{build::Policy, model::KernelLine};

#[test]
fn a_complaint_stands_in_the_report_with_its_filesystem() {
    let mut summary = summary(Verdict::Inconclusive, &["what the ledger says."]);
    summary.lines = vec![line(&[])];
    let report = report_of(&summary, &[], &facts(), &Policy::default());
    let wanted = KernelLine {
        text: "qgroup 0/257 has unreleased space, type 0 rsv 4096\x1b[2J".to_owned(),
        device: Some("vdb".to_owned()),
        filesystems: vec!["2a6f7e80-ab5e-4c01-0203-0405060708ff".to_owned()],
        count: 2,
        first_seen_ns: 5_000,
        last_seen_ns: 6_000,
        after_error: false,
        finding_ids: Vec::new(),
        unexplained: 2,
    };
    assert_eq!(report.kernel_lines, [wanted]);
}

#[test]
fn a_complaint_is_evidence_of_the_finding_that_explains_it() {
    let mut summary = summary(Verdict::Findings, &["what the ledger says."]);
    summary.lines = vec![line(&[0])];
    let report = report_of(&summary, &[over_release(), leak()], &facts(), &Policy::default());
    let said = |at: usize| {
        let evidence = report.findings[at].evidence.iter();
        evidence
            .filter(|line| line.text.starts_with("the kernel said"))
            .map(|line| line.tid)
            .collect::<Vec<_>>()
    };
    assert_eq!((said(0), said(1)), (vec![77], Vec::new()));
    assert!(
        report.findings[0].evidence.is_sorted_by_key(|line| line.time_ns),
        "{:?}",
        report.findings[0].evidence
    );
    assert_eq!(
        (report.kernel_lines[0].finding_ids.as_slice(), report.kernel_lines[0].unexplained),
        ([0].as_slice(), 0)
    );
}
