//! A report of many sessions for a person.
use probe_ledger::Verdict;

use super::{
    super::{
        model::{Finding, IgnoredBy},
        subject,
        text::{Look, Paper, Tone, finding_body, left, render_table, right},
    },
    model::{Merged, MergedFile, MergedFinding},
};
use crate::format::{self, escape::escape};

/// Columns of a file's name in the table.
const NAME: usize = 30;

/// The report as text.
#[must_use]
pub fn render(merged: &Merged, look: Look) -> String {
    let mut paper = Paper::new(look);
    head(&mut paper, merged);
    sessions(&mut paper, &merged.files);
    if !merged.findings.is_empty() {
        paper.heading("Findings");
        for finding in &merged.findings {
            one(&mut paper, finding, merged.files.len());
        }
    }
    paper.into_text()
}

fn head(paper: &mut Paper, merged: &Merged) {
    let counted = merged.findings.iter().filter(|finding| finding.ignored.is_none());
    let counted = counted.filter(|finding| finding.first.cause.is_none()).count() as u64;
    let (tone, text) = match merged.verdict.0 {
        Verdict::Clean => (
            Tone::Good,
            "CLEAN: no finding counts in any session, and nothing that matters was missed".to_owned(),
        ),
        Verdict::Findings => (Tone::Bad, format!("FINDINGS: {}", format::counted(counted, "broken rule"))),
        Verdict::Inconclusive => {
            (Tone::Doubt, "INCONCLUSIVE: no finding counts, but one may have been missed".to_owned())
        }
    };
    let text = paper.tone(tone, &text);
    paper.line(&text);
    for reason in &merged.verdict_reasons {
        paper.item(reason);
    }
    let lost: Vec<String> = merged
        .loss
        .by_class
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(class, count)| format!("{class} {}", format::count(*count)))
        .collect();
    let lost = if lost.is_empty() { "nothing".to_owned() } else { lost.join(", ") };
    paper.blank();
    paper.field("lost", &lost);
    paper.field("tool", &format!("{} {}", merged.tool.name, merged.tool.version));
}

fn sessions(paper: &mut Paper, files: &[MergedFile]) {
    paper.heading("Sessions");
    let columns =
        [left("file"), left("verdict"), right("findings"), right("time"), right("records"), right("lost")];
    let rows: Vec<Vec<String>> = files
        .iter()
        .map(|file| {
            vec![
                format::escape::keep_end(&escape(&file.file), NAME),
                file.verdict.name().to_owned(),
                format::count(file.counted),
                format::duration(file.duration_ns),
                format::count(file.records),
                format::count(file.lost),
            ]
        })
        .collect();
    render_table(paper, &columns, &rows);
    let mut kernels: Vec<String> =
        files.iter().map(|file| format!("{}, {} tier", escape(&file.kernel), file.tier.name())).collect();
    kernels.sort_unstable();
    kernels.dedup();
    paper.field("kernel", &kernels.join("; "));
    let doubted = files.iter().filter(|file| file.verdict.0 == Verdict::Inconclusive);
    for file in doubted {
        paper.item(&format!("{}: {}", escape(&file.file), escape(&file.verdict_reasons.join(" "))));
    }
}

fn one(paper: &mut Paper, finding: &MergedFinding, all: usize) {
    let why = match finding.ignored {
        None => "",
        Some(IgnoredBy::Known) => "; a known kernel bug, does not count",
        Some(IgnoredBy::IgnoreFile) => "; in the --ignore file, does not count",
        Some(IgnoredBy::Against) => "; not new, does not count",
        Some(IgnoredBy::FailOn) => "; kind not named by --fail-on, does not count",
    };
    let total = Finding { amount: finding.amount, count: finding.count, ..finding.first.clone() };
    let heading = format!(
        "{}, in {} of {}{why}",
        subject::heading(&total),
        finding.files.len(),
        format::counted(all as u64, "session")
    );
    paper.blank();
    paper.toned(if finding.ignored.is_some() { Tone::Faint } else { Tone::Bad }, "", &heading);
    for of in &finding.files {
        let ids: Vec<String> = of.ids.iter().map(|id| format!("#{id}")).collect();
        paper.paragraph(
            "   ",
            &format!(
                "{} {}: {}, {}",
                escape(&of.file),
                ids.join(" "),
                format::counted(of.count, "violation"),
                format::amount(of.amount, &finding.unit)
            ),
        );
    }
    if let Some(file) = finding.files.first() {
        paper.blank();
        let title = paper.tone(Tone::Strong, &format!("   as in {}", escape(&file.file)));
        paper.line(&title);
    }
    finding_body(paper, &finding.first);
}
