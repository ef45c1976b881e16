//! Builds the report from the ledger's plain data and the facts of the session.
//!
//! Pure: no file, no clock. The caller passes in the symbols, the wall clock and the mount table, so a live run and its
//! replay can pass the same and get the same report.
mod causes;
mod draws;
mod facts;
mod failures;
mod filesystems;
mod findings;
mod groups;
mod holders;
mod inodes;
mod instances;
mod part;
mod reserving;
mod timeline;
mod verdict;
mod waits;
mod warnings;

use std::collections::BTreeMap;

pub use causes::name_causes;
pub use draws::build as build_draws;
pub use facts::{FsPlaces, ReportInput, SessionFacts, StackResolver, Unresolved};
pub use failures::{cause, errno, one as build_failure};
pub use findings::{part as findings_of, whole as build_finding};
pub use groups::{Group, Groups};
pub use holders::holders;
pub use instances::of_test as finding_of_test;
pub use part::Part;
use probe_common::loss::LossClass;
use probe_ledger::{self, FailedReservations, Spans, Statistics};
pub use timeline::timeline;
pub use verdict::{Policy, STALL_NS, Tally, decide, of_window};
pub use waits::WaitNames;
pub use warnings::{Explanations, checks_of, failed_checks, unexplained as unexplained_warnings};

use super::model::{
    FailedReservationTotals, KernelLine, KernelWarning, Loss, PeakRates, Report, SCHEMA_VERSION,
    StatisticTotals, Tool,
};

/// Builds the report.
#[must_use]
pub fn build(input: &ReportInput<'_>) -> Report {
    let ReportInput { summary, findings, stacks, facts, policy } = input;
    let mut doubts = facts.doubts.clone();
    let explanations = Explanations {
        findings: findings.iter().collect(),
        filesystems: &summary.filesystems,
        stacks: *stacks,
    };
    doubts.extend(failed_checks(&summary.warnings, &explanations));
    let groups = input.groups();
    let mut judged = summary.judged();
    let findings = match &facts.part {
        None => findings::build(input, &groups),
        Some(part) => {
            judged = part.judged(judged);
            if part.doubts.is_some() {
                doubts.clear();
            }
            findings::chosen(input, &groups, &part.instances)
        }
    };
    let (verdict, verdict_reasons) = decide(judged, Tally::of(&findings), &doubts, policy);
    let against = policy.against.as_ref().map(|other| other.compare(&findings, facts.tier, verdict));
    let in_part = |seen: &Spans| facts.part.as_ref().is_none_or(|part| seen.touch(part.from, part.to));
    let mut report = Report {
        schema_version: SCHEMA_VERSION,
        tool: Tool { name: "btrfs-probe".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        kernel: facts.kernel.clone(),
        tier: facts.tier,
        tier_reason: facts.tier_reason.clone(),
        hooks: facts.hooks.clone(),
        started_at: facts.started_at.to_string(),
        ended_at: facts.ended_at.to_string(),
        started_monotonic_ns: facts.started_monotonic_ns.to_string(),
        duration_ns: facts.duration_ns,
        command: facts.command.clone(),
        verdict: verdict.into(),
        verdict_reasons,
        loss: loss(&summary.loss),
        filesystems: filesystems::build(input),
        failed_reservations: failed(summary.failed),
        tests: facts.tests.iter().map(|test| verdict::of_test(test, &findings)).collect(),
        outside_tests: facts.outside_tests.clone(),
        findings,
        failures: failures::build(input),
        failures_left_out: summary.shortages.1,
        inodes: inodes::build(summary),
        reserving: reserving::build(input),
        kernel_warnings: summary
            .warnings
            .iter()
            .filter(|warning| in_part(&warning.seen))
            .map(|warning| KernelWarning {
                at: stacks.symbolize(warning.address),
                count: warning.count,
                stack: findings::frames(*stacks, warning.stack),
            })
            .collect(),
        kernel_lines: summary.lines.iter().map(|line| kernel_line(input, &groups, line)).collect(),
        statistics: statistics(&summary.statistics),
        timeline: facts.timeline.clone(),
        against,
        part: None,
    };
    if let Some(part) = &facts.part {
        part.narrow(&mut report, |time| input.since_start(time));
    }
    report
}

/// Loss by class. All classes are listed, so that a script need not tell "none" from "not known".
#[must_use]
pub fn loss(by_class: &BTreeMap<LossClass, u64>) -> Loss {
    let of = |class: LossClass| by_class.get(&class).copied().unwrap_or(0);
    Loss {
        records: of(LossClass::BooksRecord)
            .saturating_add(of(LossClass::ChainRecord))
            .saturating_add(of(LossClass::Descriptive)),
        stacks: of(LossClass::Stack),
        by_class: LossClass::ALL.into_iter().map(|class| (class.name().to_owned(), of(class))).collect(),
    }
}

/// Failed reservations.
#[must_use]
pub const fn failed(failed: FailedReservations) -> FailedReservationTotals {
    let FailedReservations { total, raced, not_raced, balanced, undecided } = failed;
    FailedReservationTotals { total, raced, not_raced, balanced, undecided }
}

fn kernel_line(input: &ReportInput<'_>, groups: &Groups, line: &probe_ledger::KernelLine) -> KernelLine {
    // Destructured, so that a new field of the ledger cannot be forgotten here.
    let probe_ledger::KernelLine {
        text,
        device,
        fs,
        place: _,
        tid: _,
        first_seen,
        last_seen,
        count,
        after_error,
        findings,
        open,
    } = line;
    KernelLine {
        text: text.clone(),
        device: device.clone(),
        filesystems: fs.iter().filter_map(|fs| input.uuid(*fs)).collect(),
        count: *count,
        first_seen_ns: input.since_start(*first_seen),
        last_seen_ns: input.since_start(*last_seen),
        after_error: *after_error,
        finding_ids: groups.ids(findings),
        unexplained: open.iter().fold(0, |sum, span| sum.saturating_add(span.count)),
    }
}

fn statistics(statistics: &Statistics) -> StatisticTotals {
    let Statistics {
        records_by_hook,
        records,
        links,
        order_checked,
        order_unknown,
        inodes_closed,
        overlapping,
        peak_records_per_second,
    } = statistics;
    StatisticTotals {
        records: *records,
        by_hook: records_by_hook.iter().map(|(hook, count)| (hook.name().to_owned(), *count)).collect(),
        peak_rates: PeakRates { records_per_second: *peak_records_per_second },
        links: *links,
        order_checked: *order_checked,
        order_unknown: *order_unknown,
        inodes_closed: *inodes_closed,
        overlapping: *overlapping,
    }
}
