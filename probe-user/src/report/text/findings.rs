//! Findings: which rule was broken, where, by which task, and the evidence.
use std::collections::BTreeMap;

use super::{
    super::{
        fingerprint::is_tracing,
        known,
        model::{Finding, Frame, IgnoredBy, OriginOf, Report, StackSource},
        owners, subject,
    },
    Detail, instances,
    paper::{Paper, Tone},
};
use crate::format::{self, escape::escape};

/// Frames shown of the stack of one line of evidence, unless all is asked for; the finding's own stack is shown whole.
const EVIDENCE_FRAMES: usize = 3;

/// Stacks that reserved which are shown, unless all is asked for.
const ORIGINS: usize = 4;
/// Inodes that are named of a finding that is about many.
const NAMED: usize = 3;
/// Findings shown in short, of those with the fingerprint of another.
const ALIKE: usize = 4;

/// What kinds of stacks there are.
pub const REPRESENTATIVE: &str = "An exact stack was taken at the very event. A representative stack was taken at an earlier \
                              event of the same context: hook, task group, syscall or worker, subvolume. `--stacks \
                              all` makes every stack exact.";

/// A finding that differs from one before by its filesystem only is shown in short, unless all details are asked for.
pub(super) fn render(paper: &mut Paper, report: &Report, detail: Detail) {
    if report.findings.is_empty() {
        return;
    }
    paper.heading("Findings");
    // What counts comes first.
    let (counted, ignored): (Vec<_>, Vec<_>) =
        report.findings.iter().partition(|finding| finding.ignored.is_none());
    let mut alike: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    let all = || counted.iter().chain(&ignored).copied();
    for finding in all() {
        alike.entry(&finding.fingerprint).or_default().push(finding);
    }
    for finding in all() {
        if detail >= Detail::Full {
            one(paper, finding, detail);
        } else if let Some(of_fingerprint) = alike.remove(finding.fingerprint.as_str()) {
            one(paper, finding, detail);
            others(paper, finding, of_fingerprint.get(1..).unwrap_or_default());
        }
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

/// The findings with the fingerprint of `first` on other filesystems.
fn others(paper: &mut Paper, first: &Finding, others: &[&Finding]) {
    let (shown, rest) = others.split_at(others.len().min(ALIKE));
    for finding in shown {
        title(paper, finding);
        paper.paragraph("   ", &format!("As #{}, on another filesystem.", first.id));
        about(paper, finding);
    }
    if rest.is_empty() {
        return;
    }
    let count = rest.iter().fold(0_u64, |sum, finding| sum.saturating_add(finding.count));
    let text = format!(
        "As #{}, on {}, in {}: -v shows them, and so does the JSON report.",
        first.id,
        format::counted(rest.len() as u64, "more filesystem"),
        format::counted(count, "violation"),
    );
    paper.blank();
    paper.paragraph("   ", &text);
}

fn title(paper: &mut Paper, finding: &Finding) {
    paper.blank();
    let tone = if finding.ignored.is_some() { Tone::Faint } else { Tone::Bad };
    paper.toned(tone, &format!("#{} ", finding.id), &subject::heading(finding));
}

/// A finding in full.
pub(super) fn one(paper: &mut Paper, finding: &Finding, detail: Detail) {
    title(paper, finding);
    body(paper, finding, detail);
}

/// A finding without its heading.
pub(super) fn body(paper: &mut Paper, finding: &Finding, detail: Detail) {
    let all = detail >= Detail::All;
    paper.paragraph("   ", &escape(&owners::explanation(finding)));
    paper.blank();
    about(paper, finding);
    let shows = owners::verb(finding);
    stack(paper, shows, finding.stack_source, &finding.stack);
    exit(paper, finding);
    let origins = finding.origins.len().min(if all { usize::MAX } else { ORIGINS });
    for origin in finding.origins.iter().take(origins) {
        origin_stack(paper, origin);
    }
    other_origins(paper, finding, origins);
    if all {
        instances::render(paper, finding);
    }
    evidence(paper, finding, if all { usize::MAX } else { EVIDENCE_FRAMES });
}

/// Who and where.
fn about(paper: &mut Paper, finding: &Finding) {
    if let Some(uuid) = &finding.filesystem {
        paper.field("filesystem", uuid);
    }
    let several = owners::largest(finding, NAMED);
    if let Some((what, text)) = &several {
        paper.field(what, text);
    }
    let of = |label: &str| if several.is_some() { format!("first {label}") } else { label.to_owned() };
    if let Some(first) = owners::first(finding) {
        paper.field("first", &first);
    }
    if several.is_none() {
        if let Some(root) = finding.root {
            paper.field("subvolume", &format::root(root));
        }
        if let Some(inode) = finding.inode {
            let generation = finding.generation.map(|of| format!(", generation {of}")).unwrap_or_default();
            paper.field("inode", &format!("{inode}{generation}"));
        }
    }
    if let Some(path) = &finding.path {
        paper.field(&of("path"), &escape(path));
    }
    if let Some(balance) = finding.balance_before {
        let label = if several.is_some() { "first held" } else { "held before" };
        paper.field(label, &format::amount(balance, &finding.unit));
    }
    if let Some(task) = &finding.task {
        let pid = task.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
        paper.field(&of("task"), &format!("{}{pid}, tid {}", escape(&task.comm), task.tid));
    }
    if let Some(test) = &finding.test {
        paper.field("test", &escape(test));
    }
    if let Some(cause) = finding.cause {
        paper.field("follows from", &format!("#{cause}, so it is not counted"));
    }
    paper.field("seen", &owners::seen(finding));
    paper.field("confidence", finding.confidence.name());
    if let Some(text) = known::words(finding) {
        paper.field("known", &text);
    }
    let ignored = match finding.ignored {
        // The line `known` says so.
        None | Some(IgnoredBy::Known) => "",
        Some(IgnoredBy::IgnoreFile) => " (in the --ignore file: does not count)",
        Some(IgnoredBy::Against) => " (not new, see Against: does not count)",
        Some(IgnoredBy::FailOn) => " (kind not named by --fail-on: does not count)",
    };
    paper.field("fingerprint", &format!("{}{ignored}", finding.fingerprint));
    paper.field("read", &owners::pages(finding));
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

/// The path that was taken.
fn exit(paper: &mut Paper, finding: &Finding) {
    if let Some(frame) = &finding.exit {
        paper.blank();
        let what = paper.tone(Tone::Strong, "left after");
        paper.line(&format!("   {what} the call that returned to {}", frame_text(frame)));
    }
}

fn origin_stack(paper: &mut Paper, origin: &OriginOf) {
    // Also where the account is a count: what is reserved for it are bytes.
    let amount = format::amount(i64::try_from(origin.bytes).unwrap_or(i64::MAX), "bytes");
    let what = format!("reserved {amount} in {}", format::counted(origin.count, "reservation"));
    stack(paper, &what, origin.stack_source, &origin.stack);
}

/// Stacks that are not shown.
fn other_origins(paper: &mut Paper, finding: &Finding, shown: usize) {
    let more = finding.origins.get(shown..).unwrap_or_default();
    let stacks = (more.len() as u64).saturating_add(finding.origins_left_out);
    if stacks == 0 {
        return;
    }
    let bytes =
        more.iter().fold(finding.origins_left_out_bytes, |sum, origin| sum.saturating_add(origin.bytes));
    let amount = format::amount(i64::try_from(bytes).unwrap_or(i64::MAX), "bytes");
    paper.blank();
    paper.line(&format!("   reserved {amount} from {}", format::counted(stacks, "more stack")));
}

fn evidence(paper: &mut Paper, finding: &Finding, frames: usize) {
    if finding.evidence.is_empty() {
        return;
    }
    paper.blank();
    let several = owners::counted(finding).is_some();
    let title = if several { "evidence of the first, oldest first" } else { "evidence, oldest first" };
    let title = paper.tone(Tone::Strong, title);
    paper.line(&format!("   {title}"));
    for line in &finding.evidence {
        let tid = if line.tid == 0 { String::new() } else { format!("tid {} ", line.tid) };
        paper.paragraph(
            &format!("     {} ", format::moment(line.time_ns)),
            &format!("{tid}{}", escape(&line.text)),
        );
        for frame in shown(&line.stack).take(frames) {
            let text = format!("         in {}", frame_text(frame));
            let text = paper.tone(Tone::Faint, &text);
            paper.line(&text);
        }
    }
}

/// Frames without those of our own hook at the inner end: they say nothing about btrfs.
pub fn shown(frames: &[Frame]) -> impl Iterator<Item = &Frame> {
    frames.iter().skip_while(|frame| frame.symbol.as_deref().is_some_and(is_tracing))
}

/// `symbol+0x1c [module]`, or the bare address.
pub fn frame_text(frame: &Frame) -> String {
    let module = frame.module.as_deref().map(|module| format!(" [{}]", escape(module))).unwrap_or_default();
    match &frame.symbol {
        Some(symbol) => format!("{}+{:#x}{module}", escape(symbol), frame.offset.unwrap_or(0)),
        None => format!("{}{module}", escape(&frame.address)),
    }
}
