//! Findings: which rule was broken, where, by which task, and the evidence.
use probe_ledger::FindingKind;

use super::{
    super::{
        fingerprint::is_tracing,
        model::{Finding, Frame, IgnoredBy, OriginOf, Report, StackSource},
    },
    paper::{Paper, Tone},
};
use crate::format::{self, escape::escape};

/// Frames shown of the stack of one line of evidence; the finding's own stack is shown whole.
const EVIDENCE_FRAMES: usize = 3;

const REPRESENTATIVE: &str = "An exact stack was taken at the very event. A representative stack was taken at an earlier \
                              event of the same context: hook, task group, syscall or worker, subvolume. `--stacks \
                              all` makes every stack exact.";

pub(super) fn render(paper: &mut Paper, report: &Report) {
    if report.findings.is_empty() {
        return;
    }
    paper.heading("Findings");
    // What counts comes first.
    let (counted, ignored): (Vec<_>, Vec<_>) =
        report.findings.iter().partition(|finding| finding.ignored.is_none());
    for finding in counted.into_iter().chain(ignored) {
        one(paper, finding);
    }
    let sources = |finding: &Finding| {
        let origins = finding.origins.iter().map(|origin| origin.stack_source);
        origins.chain([finding.stack_source]).any(|source| source == StackSource::Representative)
    };
    if report.findings.iter().any(sources) {
        paper.blank();
        paper.paragraph("   ", REPRESENTATIVE);
    }
}

pub(super) fn one(paper: &mut Paper, finding: &Finding) {
    let times = match finding.count {
        0 | 1 => String::new(),
        count => format!(" in {}", format::counted(count, "violation")),
    };
    let title = format!(
        "#{} {} of {}: {}{times}",
        finding.id,
        finding.kind.name(),
        finding.account.name(),
        format::amount(finding.amount, &finding.unit),
    );
    paper.blank();
    let tone = if finding.ignored.is_some() { Tone::Faint } else { Tone::Bad };
    let title = paper.tone(tone, &title);
    paper.line(&title);
    paper.paragraph("   ", &escape(&finding.explanation));
    paper.blank();
    place(paper, finding);
    let shows = match finding.kind.0 {
        FindingKind::OverRelease | FindingKind::ErrorPathOverRelease | FindingKind::WrongOwner => "freed",
        FindingKind::PublishBeforeReserve => "published",
        FindingKind::Leak
        | FindingKind::ErrorPathLeak
        | FindingKind::Underflow
        | FindingKind::CounterMismatch => "showed",
    };
    stack(paper, shows, finding.stack_source, &finding.stack);
    for origin in &finding.origins {
        origin_stack(paper, finding, origin);
    }
    evidence(paper, finding);
}

/// Who and where.
fn place(paper: &mut Paper, finding: &Finding) {
    if let Some(uuid) = &finding.filesystem {
        paper.field("filesystem", uuid);
    }
    if let Some(root) = finding.root {
        paper.field("subvolume", &format::root(root));
    }
    if let Some(inode) = finding.inode {
        let generation = finding.generation.map(|of| format!(", generation {of}")).unwrap_or_default();
        paper.field("inode", &format!("{inode}{generation}"));
    }
    if let Some(path) = &finding.path {
        paper.field("path", &escape(path));
    }
    if let Some(balance) = finding.balance_before {
        paper.field("held before", &format::amount(balance, &finding.unit));
    }
    if let Some(task) = &finding.task {
        let pid = task.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
        paper.field("task", &format!("{}{pid}, tid {}", escape(&task.comm), task.tid));
    }
    if let Some(test) = &finding.test {
        paper.field("test", &escape(test));
    }
    let seen = if finding.count == 1 {
        format::moment(finding.first_seen_ns)
    } else {
        format!(
            "{} first, {} last",
            format::moment(finding.first_seen_ns),
            format::moment(finding.last_seen_ns)
        )
    };
    paper.field("seen", &seen);
    paper.field("confidence", finding.confidence.name());
    let ignored = match finding.ignored {
        None => "",
        Some(IgnoredBy::IgnoreFile) => " (in the --ignore file: does not count)",
        Some(IgnoredBy::FailOn) => " (kind not named by --fail-on: does not count)",
    };
    paper.field("fingerprint", &format!("{}{ignored}", finding.fingerprint));
    paper.field("read", &finding.doc);
}

fn stack(paper: &mut Paper, what: &str, source: StackSource, frames: &[Frame]) {
    let source = match source {
        StackSource::Exact => "exact stack",
        StackSource::Representative => "representative stack",
        StackSource::None => "no stack was taken",
    };
    paper.blank();
    let what = paper.tone(Tone::Strong, what);
    paper.line(&format!("   {what} ({source})"));
    for frame in shown(frames) {
        let text = frame_text(frame);
        paper.line(&format!("     {text}"));
    }
}

fn origin_stack(paper: &mut Paper, finding: &Finding, origin: &OriginOf) {
    let amount = format::amount(i64::try_from(origin.bytes).unwrap_or(i64::MAX), &finding.unit);
    let what = format!("reserved {amount} in {}", format::counted(origin.count, "reservation"));
    stack(paper, &what, origin.stack_source, &origin.stack);
}

fn evidence(paper: &mut Paper, finding: &Finding) {
    if finding.evidence.is_empty() {
        return;
    }
    paper.blank();
    let title = paper.tone(Tone::Strong, "evidence, oldest first");
    paper.line(&format!("   {title}"));
    for line in &finding.evidence {
        let tid = if line.tid == 0 { String::new() } else { format!("tid {} ", line.tid) };
        paper.paragraph(
            &format!("     {} ", format::moment(line.time_ns)),
            &format!("{tid}{}", escape(&line.text)),
        );
        for frame in shown(&line.stack).take(EVIDENCE_FRAMES) {
            let text = format!("         in {}", frame_text(frame));
            let text = paper.tone(Tone::Faint, &text);
            paper.line(&text);
        }
    }
}

/// Frames without those of our own hook at the inner end: they say nothing about btrfs.
fn shown(frames: &[Frame]) -> impl Iterator<Item = &Frame> {
    frames.iter().skip_while(|frame| frame.symbol.as_deref().is_some_and(is_tracing))
}

/// `symbol+0x1c [module]`, or the bare address.
pub(super) fn frame_text(frame: &Frame) -> String {
    let module = frame.module.as_deref().map(|module| format!(" [{}]", escape(module))).unwrap_or_default();
    match &frame.symbol {
        Some(symbol) => format!("{}+{:#x}{module}", escape(symbol), frame.offset.unwrap_or(0)),
        None => format!("{}{module}", escape(&frame.address)),
    }
}
