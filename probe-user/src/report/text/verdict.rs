//! The head of the report: the verdict, its reasons, and the session.
use probe_ledger::Verdict;

use super::{
    super::{
        build::Tally,
        model::{BtrfsKind, Report},
    },
    Detail,
    paper::{Paper, Tone},
};
use crate::format::{self, escape::escape};

pub(super) fn render(paper: &mut Paper, report: &Report, detail: Detail) {
    let tone = match report.verdict.0 {
        Verdict::Clean => Tone::Good,
        Verdict::Findings => Tone::Bad,
        Verdict::Inconclusive => Tone::Doubt,
    };
    let (headline, ignored) = headline(report);
    let headline = paper.tone(tone, &headline);
    paper.line(&format!("{headline}{ignored}"));
    if detail == Detail::Brief {
        return;
    }
    for reason in &report.verdict_reasons {
        paper.item(&escape(reason));
    }
    paper.blank();
    session(paper, report);
}

/// The verdict in one line, and how many findings do not count.
#[must_use]
pub fn headline(report: &Report) -> (String, String) {
    let Tally { counted, in_file, known, of_other_kind, before } = Tally::of(&report.findings);
    let ignored = in_file + known + of_other_kind + before;
    let what = if ignored == 0 { "no rule was broken" } else { "no finding counts" };
    let headline = match report.verdict.0 {
        Verdict::Clean => format!("CLEAN: {what}, and nothing that matters was missed"),
        Verdict::Findings => format!("FINDINGS: {}", format::counted(counted as u64, "broken rule")),
        Verdict::Inconclusive => format!("INCONCLUSIVE: {what}, but a finding may have been missed"),
    };
    let more = if counted > 0 { " more" } else { "" };
    let ignored = match ignored {
        0 => String::new(),
        1 => format!(" (1{more} finding does not count)"),
        count => format!(" ({count}{more} findings do not count)"),
    };
    (headline, ignored)
}

fn session(paper: &mut Paper, report: &Report) {
    let btrfs = match report.kernel.btrfs {
        BtrfsKind::Builtin => "built in",
        BtrfsKind::Module => "a module",
    };
    paper.field(
        "kernel",
        &format!("{} {}, btrfs {btrfs}", escape(&report.kernel.release), escape(&report.kernel.machine)),
    );
    let tier = match &report.tier_reason {
        None => report.tier.name().to_owned(),
        Some(reason) => format!("{} ({})", report.tier.name(), escape(reason)),
    };
    paper.field("tier", &tier);
    paper.field("session", &format!("{} for {}", report.started_at, format::duration(report.duration_ns)));
    if let Some(part) = &report.part {
        let test = part.test.as_deref().map(|test| format!("{}, ", escape(test))).unwrap_or_default();
        let (from, to) = (format::coarse_moment(part.from_ns), format::coarse_moment(part.to_ns));
        let text = format!(
            "{test}{from} to {to}: findings, failures, stalls, tests and WARNs are of this part, all other figures of the whole \
             session"
        );
        paper.field("part", &text);
    }
    if let Some(command) = &report.command {
        paper.field("command", &command_line(command));
    }
    paper.field("tool", &format!("{} {}", report.tool.name, report.tool.version));
}

/// A command as one would type it.
#[must_use]
pub fn command_line(command: &[String]) -> String {
    command.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
}

/// A word of a command as one would type it.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", escape(word).replace('\'', "'\\''"))
    }
}
