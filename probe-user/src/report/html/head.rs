//! The head of the page: the verdict and why, what was watched, and what the page has.
use maud::{Markup, html};
use probe_ledger::Verdict;

use super::{
    super::{
        build::Tally,
        failed,
        model::{BtrfsKind, FailureKind, Report},
        text,
    },
    Section, findings,
    words::{fact, filesystem_of, shown},
};
use crate::format;

/// Findings, and kinds of failures, that are named at the top.
const NAMED: usize = 4;

/// Title of the window.
pub(super) fn title(report: &Report) -> String {
    format!("{} – btrfs-probe, {}", report.verdict.name(), report.started_at)
}

pub(super) fn render(report: &Report, sections: &[Section]) -> Markup {
    let (headline, ignored) = text::headline(report);
    let class = report.verdict.name();
    // A sign besides the colour.
    let sign = match report.verdict.0 {
        Verdict::Clean => "✓",
        Verdict::Findings => "✗",
        Verdict::Inconclusive => "?",
    };
    html! {
        header {
            .title { span.tool { "btrfs-probe" } " report" span #theme-place {} }
            div class={ "verdict " (class) } {
                h1 { span.sign aria-hidden="true" { (sign) } (headline) span.ignored { (ignored) } }
                ul { @for reason in &report.verdict_reasons { li { (shown(reason)) } } }
            }
            (what_is_wrong(report))
            (tiles(report))
            dl.facts {
                (fact("kernel", &kernel(report)))
                (fact("tier", &tier(report)))
                (fact("session", &format!("{} for {}", report.started_at, format::duration(report.duration_ns))))
                @if let Some(command) = &report.command { (fact("command", &text::command_line(command))) }
                (fact("records", &format::count(report.statistics.records)))
            }
            nav aria-label="Parts of the report" {
                @for section in sections { a href={ "#" (section.id) } { (section.short) } }
            }
        }
    }
}

/// The findings and failures in a line each, as links: what a reader came for.
fn what_is_wrong(report: &Report) -> Markup {
    let mut findings: Vec<_> = report.findings.iter().collect();
    findings.sort_by_key(|finding| finding.ignored.is_some());
    let failures: Vec<_> = report
        .failures
        .iter()
        .enumerate()
        .filter(|(_, failure)| failure.kind != FailureKind::NoWait)
        .collect();
    html! {
        @if !findings.is_empty() || !failures.is_empty() {
            ul.wrong {
                @for finding in findings.iter().take(NAMED) {
                    li.finding.ignored[finding.ignored.is_some()] { a href={ "#finding-" (finding.id) } { (findings::title(finding)) } }
                }
                @if findings.len() > NAMED {
                    li { a href="#findings" { (format::counted((findings.len() - NAMED) as u64, "more finding")) } }
                }
                @for (number, failure) in failures.iter().take(NAMED) {
                    @let device = failure.filesystem.as_deref().map(|uuid| filesystem_of(report, uuid)).unwrap_or_default();
                    li.failure {
                        a href={ "#failure-" (number) } { (failed::title(failure, &device)) }
                        " " span.faint { (format::counted(failure.count, "time")) }
                        @if let Some(best) = failed::best(failure) { span.why { (failed::why(failure, best)) } }
                    }
                }
                @if failures.len() > NAMED {
                    li { a href="#failures" { (format::counted((failures.len() - NAMED) as u64, "more kind")) " of failures" } }
                }
            }
        }
    }
}

fn kernel(report: &Report) -> String {
    let btrfs = match report.kernel.btrfs {
        BtrfsKind::Builtin => "built in",
        BtrfsKind::Module => "a module",
    };
    format!("{} {}, btrfs {btrfs}", shown(&report.kernel.release), shown(&report.kernel.machine))
}

fn tier(report: &Report) -> String {
    match &report.tier_reason {
        None => report.tier.name().to_owned(),
        Some(reason) => format!("{} ({})", report.tier.name(), shown(reason)),
    }
}

/// The numbers that a reader looks for first.
fn tiles(report: &Report) -> Markup {
    let Tally { counted, .. } = Tally::of(&report.findings);
    let failed: u64 = report
        .failures
        .iter()
        .filter(|failure| failure.kind != FailureKind::NoWait)
        .fold(0, |sum, failure| sum.saturating_add(failure.count));
    let stalls: usize =
        report.filesystems.iter().map(|fs| fs.waits.stalls.len() + fs.waits.waiting.len()).sum();
    let lost = report.loss.records;
    let inodes: u64 = report.filesystems.iter().map(|fs| fs.inodes_closed).sum();
    let mut tiles = vec![
        (counted as u64, "finding", "that count", "#findings", counted > 0),
        (failed, "failed reservation", "for lack of space", "#failures", false),
        (stalls as u64, "stall", "long waits for space", "#filesystems", false),
        (lost, "lost record", "not seen", "#health", lost > 0),
        (report.statistics.links, "change", "of counters checked", "#health", false),
        (inodes, "inode", "checked at their end", "#filesystems", false),
    ];
    if !report.tests.is_empty() {
        tiles.push((report.tests.len() as u64, "test", "of a test suite", "#tests", false));
    }
    html! {
        ul.tiles {
            @for (number, what, more, target, bad) in tiles {
                li.bad[bad] {
                    a href=[(number > 0).then_some(target)] {
                        strong { (format::count(number)) } " "
                        (what) @if number != 1 { "s" } " " span.faint { (more) }
                    }
                }
            }
        }
    }
}
