//! Tests of a test suite, the ones that are not clean first.
use super::{
    super::{
        escape::escape,
        format,
        model::{Report, Test},
    },
    Detail,
    paper::Paper,
    table::{self, left, right},
};
use crate::ledger::summary::Verdict;

/// All of them with `-v`.
pub(super) fn render(paper: &mut Paper, report: &Report, detail: Detail) {
    if report.tests.is_empty() {
        return;
    }
    paper.heading("Tests");
    let (clean, other): (Vec<&Test>, Vec<&Test>) =
        report.tests.iter().partition(|test| test.verdict.0 == Verdict::Clean);
    if !clean.is_empty() {
        paper.paragraph("  ", &format!("{} of {} tests are clean.", clean.len(), report.tests.len()));
    }
    let rows = if detail == Detail::Full { report.tests.iter().collect() } else { other };
    if rows.is_empty() {
        return;
    }
    let columns = [
        left("test"),
        left("verdict"),
        left("result"),
        right("time"),
        right("records"),
        right("lost"),
        left("findings"),
    ];
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|test| {
            let findings: Vec<String> = test.finding_ids.iter().map(|id| format!("#{id}")).collect();
            vec![
                escape(&test.name),
                test.verdict.name().to_owned(),
                escape(test.result.as_deref().unwrap_or("-")),
                format::duration(test.duration_ns),
                format::count(test.records),
                format::count(test.lost),
                findings.join(" "),
            ]
        })
        .collect();
    table::render(paper, &columns, &rows);
}
