//! Tests of a test suite.
use maud::html;
use probe_ledger::Verdict;

use super::{super::model::Report, Section, words::shown};
use crate::format;

/// Tests that are listed; those that are not clean come first.
pub(super) const MOST: usize = 3000;

pub(super) fn section(report: &Report) -> Option<Section> {
    if report.tests.is_empty() {
        return None;
    }
    let mut tests: Vec<_> = report.tests.iter().enumerate().collect();
    tests.sort_by_key(|(number, test)| (test.verdict.0 == Verdict::Clean, *number));
    let body = html! {
        .scroll { table {
            thead { tr {
                th { "test" } th { "verdict" } th { "result" } th { "findings" } th.num { "length" } th.num { "records" } th.num { "lost" } th { "why" }
            } }
            tbody {
                @for (number, test) in tests.iter().take(MOST) {
                    tr #{ "test-" (number) } class=(test.verdict.name()) {
                        td { (shown(&test.name)) @if let Some(section) = &test.section { " " span.faint { (shown(section)) } } }
                        td.verdict-word { (test.verdict.name()) }
                        td {
                            @match (&test.result, test.ended) {
                                (Some(result), _) => (shown(result)),
                                (None, false) => "runs",
                                (None, true) => "",
                            }
                        }
                        td { @for id in &test.finding_ids { a href={ "#finding-" (id) } { "#" (id) } " " } }
                        td.num { (format::duration(test.duration_ns)) }
                        td.num { (format::count(test.records)) }
                        td.num { (format::count(test.lost)) }
                        td {
                            (test.verdict_reasons.iter().map(|reason| shown(reason)).collect::<Vec<_>>().join(" "))
                            @if let Some(reason) = &test.result_reason { " " span.faint { (shown(reason)) } }
                        }
                    }
                }
            }
        } }
        @if tests.len() > MOST { p.note { (tests.len() - MOST) " more clean tests are in the JSON report only." } }
    };
    Some(Section { id: "tests", title: "Tests".to_owned(), short: format!("Tests ({})", tests.len()), body })
}
