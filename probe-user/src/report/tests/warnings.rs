//! What the kernel's own checks do to the verdict.
use std::collections::BTreeSet;

use probe_ledger::{Account, Finding, FindingKind, KernelWarn, Spans, Verdict, Violation};

use super::data::{START, facts, leak, over_release, summary};
use crate::report::{
    build::{self, Explanations, Policy, ReportInput, StackResolver, failed_checks, unexplained_warnings},
    model::{Frame, Report},
};

const SECOND: u64 = 1_000_000_000;
const CHECK: u64 = 0x1000;
const QGROUPS: u64 = 0x2000;
const UNMOUNT: u64 = 0x2800;
const ELSEWHERE: u64 = 0x3000;
const NAMELESS: u64 = 0x4000;

/// With or without the kernel's symbols.
struct Names(bool);

impl StackResolver for Names {
    fn frames(&self, _: u64) -> Vec<Frame> {
        Vec::new()
    }

    fn knows_names(&self) -> bool {
        self.0
    }

    fn symbolize(&self, address: u64) -> Frame {
        let symbol = match address {
            CHECK => Some("btrfs_destroy_inode.cold"),
            QGROUPS => Some("btrfs_qgroup_check_reserved_leak"),
            UNMOUNT => Some("btrfs_free_block_groups"),
            ELSEWHERE => Some("a_driver"),
            _ => None,
        };
        let symbol = symbol.filter(|_| self.0).map(str::to_owned);
        Frame { address: format!("{address:#x}"), symbol, offset: Some(7), module: None }
    }
}

/// WARNs at some times.
fn warned(address: u64, times: &[u64]) -> KernelWarn {
    let mut seen = Spans::default();
    times.iter().for_each(|time| seen.add(*time));
    KernelWarn { address, detector: 2, count: times.len() as u64, stack: 0, seen }
}

/// A finding of one moment.
fn found(finding: Finding, account: Account, time: u64) -> Finding {
    Finding::new(finding.id, Violation { account, time, ..finding.violation })
}

/// A report on a filesystem that went at `ended`.
fn report(
    verdict: Verdict,
    warning: KernelWarn,
    findings: &[Finding],
    policy: &Policy,
    (ended, aborted): (u64, bool),
) -> Report {
    let mut summary = summary(verdict, &["what the ledger says."]);
    summary.warnings = vec![warning];
    let fs = &mut summary.filesystems[0];
    (fs.ended, fs.aborted, fs.span.1) = (true, aborted, ended);
    build::build(&ReportInput { summary: &summary, findings, stacks: &Names(true), facts: &facts(), policy })
}

fn verdict_of(warning: KernelWarn) -> (Verdict, Vec<String>) {
    let report = report(Verdict::Clean, warning, &[], &Policy::default(), (START, false));
    assert_eq!(report.kernel_warnings.len(), 1);
    (report.verdict.0, report.verdict_reasons)
}

#[test]
fn a_check_that_failed_without_a_finding_is_a_doubt() {
    let (verdict, reasons) = verdict_of(warned(CHECK, &[START + SECOND, START + 5 * SECOND]));
    assert_eq!(verdict, Verdict::Inconclusive);
    let reason =
        "The kernel warned 2 times in btrfs_destroy_inode, and no finding says why: read the kernel's log.";
    assert!(reasons.iter().any(|said| said == reason), "{reasons:?}");
}

#[test]
fn a_warn_of_something_else_is_none() {
    assert_eq!(verdict_of(warned(ELSEWHERE, &[START])).0, Verdict::Clean);
    // Of a module that was loaded since: btrfs was there when the symbols were read.
    assert_eq!(verdict_of(warned(NAMELESS, &[START])).0, Verdict::Clean);
}

#[test]
fn where_the_kernel_hides_its_symbols_any_warn_may_be_a_check() {
    let checks = |detector| {
        let explanations = Explanations { findings: Vec::new(), filesystems: &[], stacks: &Names(false) };
        failed_checks(&[KernelWarn { detector, ..warned(CHECK, &[START]) }], &explanations)
    };
    assert_eq!(checks(2), ["The kernel warned in 0x1000, and no finding says why: read the kernel's log."]);
    // KASAN and KFENCE tell the address of the memory.
    assert!(checks(1).is_empty());
}

/// The leak that somebody knows and ignores warns too.
#[test]
fn a_finding_explains_the_warns_of_its_own_account_while_its_filesystem_lives() {
    let fail_on =
        Policy { fail_on: BTreeSet::from([FindingKind::PublishBeforeReserve]), ..Policy::default() };
    let at = START + 600 * SECOND;
    let verdict = |account, time, ended| {
        let finding = found(leak(), account, time);
        report(Verdict::Findings, warned(CHECK, &[at]), &[finding], &fail_on, (ended, false)).verdict.0
    };
    assert_eq!(verdict(Account::InodeCsumBytes, at - 300 * SECOND, at), Verdict::Clean);
    // Out of the same call of the kernel, whose console is slow.
    assert_eq!(verdict(Account::InodeCsumBytes, at + 3 * SECOND, at + 4 * SECOND), Verdict::Clean);
    assert_eq!(verdict(Account::InodeCsumBytes, at + 20 * SECOND, at + 30 * SECOND), Verdict::Inconclusive);
    assert_eq!(verdict(Account::InodeCsumBytes, at - 300 * SECOND, at - 200 * SECOND), Verdict::Inconclusive);
    assert_eq!(verdict(Account::InodeQgroupData, at, at), Verdict::Inconclusive);
}

/// What an inode has lost is still there when its filesystem goes; what an aborted one leaves is no bug.
#[test]
fn what_is_left_at_unmount_is_explained_by_the_filesystem_that_went() {
    let fail_on =
        Policy { fail_on: BTreeSet::from([FindingKind::PublishBeforeReserve]), ..Policy::default() };
    let at = START + 600 * SECOND;
    let verdict = |findings: &[Finding], ended, aborted| {
        let ledger = if findings.is_empty() { Verdict::Clean } else { Verdict::Findings };
        report(ledger, warned(UNMOUNT, &[at]), findings, &fail_on, (ended, aborted)).verdict.0
    };
    let lost = [found(leak(), Account::InodeMetaRsv, START + SECOND)];
    assert_eq!(verdict(&lost, at - SECOND, false), Verdict::Clean);
    assert_eq!(verdict(&lost, at - 60 * SECOND, false), Verdict::Inconclusive);
    assert_eq!(verdict(&lost, at + 60 * SECOND, false), Verdict::Inconclusive);
    assert_eq!(verdict(&[], at, false), Verdict::Inconclusive);
    assert_eq!(verdict(&[], at, true), Verdict::Clean);
    assert_eq!(verdict(&[], at - 60 * SECOND, true), Verdict::Inconclusive);
}

#[test]
fn only_warns_that_no_finding_explains_are_counted() {
    let warnings = [warned(QGROUPS, &[START, START + 50 * SECOND, START + 100 * SECOND])];
    let finding = found(over_release(), Account::InodeQgroupData, START + 99 * SECOND);
    let explanations = Explanations { findings: vec![&finding], filesystems: &[], stacks: &Names(true) };
    let clauses = |from, to| unexplained_warnings(&warnings, &explanations, (from, to));
    assert_eq!(
        clauses(0, u64::MAX),
        ["the kernel warned 2 times in btrfs_qgroup_check_reserved_leak, and no finding says why"]
    );
    // The windows of tests.
    assert_eq!(clauses(START, START + SECOND).len(), 1);
    assert!(clauses(START + SECOND, START + 49 * SECOND).is_empty());
    assert!(clauses(START + 98 * SECOND, START + 101 * SECOND).is_empty());
}
