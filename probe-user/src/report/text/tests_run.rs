//! Tests of a test suite: those that are not clean, and those that still ran at the end.
use probe_ledger::Verdict;

use super::{
    super::model::{Report, Test},
    Detail,
    paper::Paper,
    table::{self, left, right},
};
use crate::format::{self, escape::escape};

/// All of them with `-v`.
pub(super) fn render(paper: &mut Paper, report: &Report, detail: Detail) {
    if report.tests.is_empty() {
        return;
    }
    paper.heading("Tests");
    let clean = |test: &&Test| test.verdict.0 == Verdict::Clean;
    let count = report.tests.iter().filter(clean).count();
    if count > 0 {
        paper.paragraph("  ", &format!("{count} of {} tests are clean.", report.tests.len()));
    }
    let rows: Vec<&Test> =
        report.tests.iter().filter(|test| detail >= Detail::Full || !clean(test) || !test.ended).collect();
    if rows.is_empty() {
        return;
    }
    let sections = rows.iter().any(|test| test.section.is_some());
    let mut columns = vec![
        left("test"),
        left("verdict"),
        left("result"),
        right("time"),
        right("records"),
        right("lost"),
        left("findings"),
    ];
    if sections {
        columns.insert(0, left("section"));
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|test| {
            let findings: Vec<String> = test.finding_ids.iter().map(|id| format!("#{id}")).collect();
            let result = test.result.as_deref().unwrap_or(if test.ended { "-" } else { "runs" });
            let mut row = vec![
                escape(&test.name),
                test.verdict.name().to_owned(),
                escape(result),
                format::duration(test.duration_ns),
                format::count(test.records),
                format::count(test.lost),
                findings.join(" "),
            ];
            if sections {
                row.insert(0, escape(test.section.as_deref().unwrap_or("-")));
            }
            row
        })
        .collect();
    table::render(paper, &columns, &rows);
}
