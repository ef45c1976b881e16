//! One report of many sessions: what is wrong in which of them.
pub mod model;
mod text;

use std::{collections::BTreeMap, io};

use probe_ledger::Verdict;

pub use model::Merged;
use model::{InFile, MergedFile, MergedFinding};
pub use text::render;

use super::{
    build::Tally,
    model::{Finding, Loss, Report, SCHEMA_VERSION, Tool},
    subject,
};
use crate::format;

/// Merges the reports of these sessions, each with the name of its file, in their order.
#[must_use]
pub fn merge(reports: &[(String, Report)]) -> Merged {
    let verdict = reports
        .iter()
        .map(|(_, report)| report.verdict.0)
        .max_by_key(|verdict| badness(*verdict))
        .unwrap_or(Verdict::Inconclusive);
    Merged {
        schema_version: SCHEMA_VERSION,
        tool: Tool { name: "btrfs-probe".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        verdict: verdict.into(),
        verdict_reasons: reasons(reports),
        loss: loss(reports),
        files: reports.iter().map(|(name, report)| file(name, report)).collect(),
        findings: findings(reports),
    }
}

/// Writes the JSON form.
///
/// # Errors
/// Those of the writer.
pub fn write_json(merged: &Merged, mut writer: impl io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut writer, merged)?;
    writer.write_all(b"\n")
}

const fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Clean => 0,
        Verdict::Inconclusive => 1,
        Verdict::Findings => 2,
    }
}

/// How many sessions have which verdict, the worst first.
fn reasons(reports: &[(String, Report)]) -> Vec<String> {
    let all = reports.len();
    [Verdict::Findings, Verdict::Inconclusive, Verdict::Clean]
        .into_iter()
        .filter_map(|verdict| {
            let number = reports.iter().filter(|(_, report)| report.verdict.0 == verdict).count();
            let what = match (verdict, number) {
                (Verdict::Findings, 1) => "has findings",
                (Verdict::Findings, _) => "have findings",
                (Verdict::Inconclusive, 1) => "is inconclusive",
                (Verdict::Inconclusive, _) => "are inconclusive",
                (Verdict::Clean, 1) => "is clean",
                (Verdict::Clean, _) => "are clean",
            };
            (number > 0).then(|| format!("{number} of {} {what}.", format::counted(all as u64, "session")))
        })
        .collect()
}

fn loss(reports: &[(String, Report)]) -> Loss {
    let mut by_class: BTreeMap<String, u64> = BTreeMap::new();
    for (class, count) in reports.iter().flat_map(|(_, report)| &report.loss.by_class) {
        let sum = by_class.entry(class.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
    let total = |of: fn(&Loss) -> u64| {
        reports.iter().fold(0, |sum: u64, (_, report)| sum.saturating_add(of(&report.loss)))
    };
    Loss { records: total(|loss| loss.records), stacks: total(|loss| loss.stacks), by_class }
}

fn file(name: &str, report: &Report) -> MergedFile {
    MergedFile {
        file: name.to_owned(),
        kernel: report.kernel.release.clone(),
        tier: report.tier,
        started_at: report.started_at.clone(),
        duration_ns: report.duration_ns,
        command: report.command.clone(),
        verdict: report.verdict,
        verdict_reasons: report.verdict_reasons.clone(),
        counted: Tally::of(&report.findings).counted as u64,
        findings: report.findings.len() as u64,
        tests: report.tests.len() as u64,
        records: report.statistics.records,
        lost: report.loss.records,
    }
}

/// Findings with one fingerprint, of one known kernel bug or none, that count in the same way; those that count come first.
fn findings(reports: &[(String, Report)]) -> Vec<MergedFinding> {
    let mut merged: Vec<MergedFinding> = Vec::new();
    for (name, report) in reports {
        for finding in &report.findings {
            let same = |of: &&mut MergedFinding| {
                of.fingerprint == finding.fingerprint
                    && of.ignored == finding.ignored
                    && of.first.known == finding.known
            };
            match merged.iter_mut().find(same) {
                Some(of) => add(of, name, finding),
                None => {
                    let mut of = MergedFinding {
                        fingerprint: finding.fingerprint.clone(),
                        kind: finding.kind,
                        account: finding.account,
                        amount: 0,
                        unit: finding.unit.clone(),
                        count: 0,
                        confidence: finding.confidence,
                        ignored: finding.ignored,
                        heading: subject::heading(finding),
                        files: Vec::new(),
                        first: finding.clone(),
                    };
                    add(&mut of, name, finding);
                    merged.push(of);
                }
            }
        }
    }
    merged.sort_by_key(|finding| finding.ignored.is_some());
    merged
}

fn add(merged: &mut MergedFinding, file: &str, finding: &Finding) {
    merged.amount = merged.amount.saturating_add(finding.amount);
    merged.count = merged.count.saturating_add(finding.count);
    merged.confidence = merged.confidence.max(finding.confidence);
    match merged.files.iter_mut().find(|of| of.file == file) {
        // On another filesystem of the same session.
        Some(of) => {
            of.ids.push(finding.id);
            of.count = of.count.saturating_add(finding.count);
            of.amount = of.amount.saturating_add(finding.amount);
        }
        None => merged.files.push(InFile {
            file: file.to_owned(),
            ids: vec![finding.id],
            count: finding.count,
            amount: finding.amount,
        }),
    }
}
