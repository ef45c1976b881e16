//! JUnit, for CI systems: one case per test of a test suite. Names are those of xfstests' own `result.xml` (`-R xunit`:
//! class `xfstests.<section>`, name `generic/269`), so that the two files can be merged by name. Without tests, the session
//! is the only case; with tests it is one more case if a finding belongs to no test or the session is inconclusive.
//!
//! A finding is a failure. An inconclusive test is skipped, since nothing can be said about it. The suite's own result is a
//! property of the case, and never a failure of ours.
use std::{io, time::Duration};

use probe_ledger::Verdict;
use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::{
    model::{Finding, Report, Test, TestFinding},
    text,
};

/// Writes the document.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report, writer: impl io::Write) -> io::Result<()> {
    let mut suite = TestSuite::new("btrfs-probe");
    suite.set_time(Duration::from_nanos(report.duration_ns));
    suite.add_property(("kernel", report.kernel.release.as_str()));
    suite.add_property(("tier", report.tier.name()));
    suite.add_property(("verdict", report.verdict.name()));
    for test in &report.tests {
        suite.add_test_case(case(test, report));
    }
    let outside: Vec<Finding> = if report.tests.is_empty() {
        counted(report).cloned().collect()
    } else {
        parts(report, &report.outside_tests)
    };
    // What a session lacks may be in its tests or between them.
    let doubted = report.verdict.0 == Verdict::Inconclusive;
    if report.tests.is_empty() || !outside.is_empty() || doubted {
        suite.add_test_case(session(report, &outside));
    }
    let mut document = Document::new("btrfs-probe");
    document.add_test_suite(suite);
    document.serialize(writer).map_err(io::Error::other)
}

fn counted(report: &Report) -> impl Iterator<Item = &Finding> {
    report.findings.iter().filter(|finding| finding.ignored.is_none())
}

/// These parts of the findings that count.
fn parts(report: &Report, parts: &[TestFinding]) -> Vec<Finding> {
    let of = |part: &TestFinding| counted(report).find(|finding| finding.id == part.id)?.part(part);
    parts.iter().filter_map(of).collect()
}

fn case(test: &Test, report: &Report) -> TestCase {
    let own = parts(report, &test.findings);
    let mut case = TestCase::new(test.name.as_str(), status(test.verdict.0, &own, &test.verdict_reasons));
    case.set_classname(format!("xfstests.{}", test.section.as_deref().unwrap_or("global")));
    case.set_time(Duration::from_nanos(test.duration_ns));
    if let Some(result) = &test.result {
        case.add_property(("xfstests.result", result.as_str()));
    }
    case.add_property(("btrfs-probe.verdict", test.verdict.name()));
    case
}

/// All that is in no test.
fn session(report: &Report, findings: &[Finding]) -> TestCase {
    let verdict = match (findings.is_empty(), report.verdict.0) {
        (false, _) => Verdict::Findings,
        // Findings of tests are told there.
        (true, Verdict::Findings) => Verdict::Clean,
        (true, other) => other,
    };
    let mut case = TestCase::new("session", status(verdict, findings, &report.verdict_reasons));
    case.set_classname("btrfs-probe");
    case.set_time(Duration::from_nanos(report.duration_ns));
    case
}

fn status(verdict: Verdict, findings: &[Finding], reasons: &[String]) -> TestCaseStatus {
    match verdict {
        Verdict::Clean => TestCaseStatus::success(),
        Verdict::Inconclusive => {
            let mut status = TestCaseStatus::skipped();
            // Of a test they are clauses, of a session sentences.
            let reasons = reasons.join("; ").replace(".; ", ". ");
            status.set_message(format!("inconclusive: {reasons}"));
            status
        }
        Verdict::Findings => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let mut kinds: Vec<&str> = findings.iter().map(|finding| finding.kind.name()).collect();
            kinds.dedup();
            status.set_type(kinds.join(","));
            status.set_message(match findings {
                [one] => format!("{} of {} on {}", one.kind.name(), one.amount, one.account.name()),
                many => format!("{} findings", many.len()),
            });
            let look = text::look_for(text::ColorChoice::Never, true);
            let all: String = findings.iter().map(|finding| text::render_finding(finding, look)).collect();
            status.set_description(XmlString::new(all));
            status
        }
    }
}
