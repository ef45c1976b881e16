//! The text of a mail.
use super::{
    super::{
        fingerprint::is_tracing,
        known,
        model::{BtrfsKind, Finding, Frame, OriginOf, Report, StackSource},
        owners,
        text::{Look, Paper, command_line},
    },
    COLUMNS, consequence,
};
use crate::format::{self, escape::escape};

/// Stacks that reserved which are shown.
const ORIGINS: usize = 2;
/// Owners that are named.
const NAMED: usize = 3;
/// Columns of the labels.
const LABEL: usize = 13;

pub(super) fn text(finding: &Finding, report: &Report) -> String {
    let mut paper = Paper::new(Look { width: COLUMNS, unicode: true, ..Look::PLAIN });
    session(&mut paper, report);
    paper.blank();
    paper.paragraph("", &what_happened(finding, report));
    stacks(&mut paper, finding);
    timeline(&mut paper, finding);
    trust(&mut paper, finding, report);
    paper.into_text()
}

fn field(paper: &mut Paper, label: &str, text: &str) {
    paper.paragraph(&format!("{label:<LABEL$}"), text);
}

fn session(paper: &mut Paper, report: &Report) {
    let btrfs = match report.kernel.btrfs {
        BtrfsKind::Builtin => "built in",
        BtrfsKind::Module => "a module",
    };
    let kernel =
        format!("{} {}, btrfs {btrfs}", escape(&report.kernel.release), escape(&report.kernel.machine));
    field(paper, "Kernel:", &kernel);
    field(
        paper,
        "Seen by:",
        &format!("{} {}, {} tier", report.tool.name, report.tool.version, report.tier.name()),
    );
    if let Some(command) = &report.command {
        field(paper, "Reproducer:", &command_line(command));
    }
}

/// One paragraph: the violation, its owner, and what follows.
fn what_happened(finding: &Finding, report: &Report) -> String {
    format!("{}: {} {}", owner(finding), with_names(&finding.explanation), consequence::of(finding, report))
}

/// Errors by their names too.
fn with_names(text: &str) -> String {
    const NAMES: [(&str, &str); 4] =
        [("-28", "ENOSPC"), ("-122", "EDQUOT"), ("-12", "ENOMEM"), ("-5", "EIO")];
    let text = escape(text);
    let named = NAMES.iter().find_map(|(number, name)| {
        let error = format!("error {number}");
        let (before, behind) = text.split_once(&error)?;
        let whole = !behind.starts_with(|c: char| c.is_ascii_digit());
        whole.then(|| format!("{before}{error} ({name}){behind}"))
    });
    named.unwrap_or(text)
}

/// On whom and where: what comes before a colon.
fn owner(finding: &Finding) -> String {
    let mut words = Vec::new();
    match owners::largest(finding, NAMED) {
        Some((what, text)) => {
            words.push(format!(
                "On {what}: {text}; the first is {}",
                of(finding, "the filesystem as a whole")
            ));
        }
        None => words.push(format!("On {}", of(finding, "the filesystem as a whole"))),
    }
    if let Some(path) = &finding.path {
        words.push(format!("path {}", escape(path)));
    }
    if let Some(task) = &finding.task {
        words.push(format!("in task {}", escape(&task.comm)));
    }
    if let Some(test) = &finding.test {
        words.push(format!("during {}", escape(test)));
    }
    if finding.count > 1 {
        words.push(format::counted(finding.count, "time"));
    }
    words.join(", ")
}

/// The inode or subvolume.
fn of(finding: &Finding, otherwise: &str) -> String {
    match (finding.inode, finding.root.map(format::root)) {
        (Some(inode), Some(root)) => format!("inode {inode} of subvolume {root}"),
        (Some(inode), None) => format!("inode {inode}"),
        (None, Some(root)) => format!("subvolume {root}"),
        (None, None) => otherwise.to_owned(),
    }
}

fn stacks(paper: &mut Paper, finding: &Finding) {
    let verb = match owners::verb(finding) {
        "freed" => "Freed",
        "published" => "Published",
        _ => "Showed",
    };
    stack(paper, &format!("{verb} at{}:", source(finding.stack_source)), &finding.stack);
    if let Some(frame) = &finding.exit {
        paper.blank();
        paper.line(&format!("Left after the call that returned to {}", frame_text(frame)));
    }
    for origin in finding.origins.iter().take(ORIGINS) {
        let OriginOf { bytes, count, stack: frames, stack_source } = origin;
        let reservations = format::counted(*count, "reservation");
        let title = format!("Reserved at, {bytes} bytes in {reservations}{}:", source(*stack_source));
        stack(paper, &title, frames);
    }
    let more = finding.origins.len().saturating_sub(ORIGINS) as u64 + finding.origins_left_out;
    if more > 0 {
        paper.blank();
        paper.line(&format!("Reserved from {}, not shown.", format::counted(more, "other stack")));
    }
}

const fn source(source: StackSource) -> &'static str {
    match source {
        StackSource::Exact => "",
        StackSource::Representative => " (stack of an earlier event of the same kind)",
        StackSource::None => " (no stack was taken)",
    }
}

fn stack(paper: &mut Paper, title: &str, frames: &[Frame]) {
    paper.blank();
    paper.paragraph("", title);
    let own = |frame: &&Frame| frame.symbol.as_deref().is_some_and(is_tracing);
    for frame in frames.iter().skip_while(own) {
        paper.line(&format!("  {}", frame_text(frame)));
    }
}

/// `symbol+0x1c [module]`. An address without a symbol is not shown.
fn frame_text(frame: &Frame) -> String {
    let module = frame.module.as_deref().map(|module| format!(" [{}]", escape(module))).unwrap_or_default();
    match &frame.symbol {
        Some(symbol) => format!("{}+{:#x}{module}", escape(symbol), frame.offset.unwrap_or(0)),
        None => format!("?{module}"),
    }
}

/// The records of this owner alone.
fn timeline(paper: &mut Paper, finding: &Finding) {
    if finding.evidence.is_empty() {
        return;
    }
    let of = of(finding, "the account");
    let first = if finding.all_instances() > 1 { ", the first of them" } else { "" };
    paper.blank();
    paper.paragraph("", &format!("What happened to {of}{first} (seconds, thread):"));
    for line in &finding.evidence {
        let seconds = format!("{}.{:06}", line.time_ns / 1_000_000_000, line.time_ns / 1000 % 1_000_000);
        let lead = format!("  {seconds:>12} {:>6}  ", line.tid);
        paper.paragraph(&lead, &escape(&line.text));
    }
}

fn trust(paper: &mut Paper, finding: &Finding, report: &Report) {
    paper.blank();
    let lost: Vec<String> = report
        .loss
        .by_class
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(class, count)| format!("{count} {class}"))
        .collect();
    let lost = if lost.is_empty() { "nothing".to_owned() } else { lost.join(", ") };
    field(paper, "Lost:", &lost);
    let confidence = match finding.confidence.name() {
        "exact" => "exact: the rule has no exceptions, and no loss could explain it",
        other => other,
    };
    field(paper, "Confidence:", confidence);
    field(paper, "Fingerprint:", &finding.fingerprint);
    let bug =
        known::description(finding).unwrap_or_else(|| "none in the catalogue of this version".to_owned());
    field(paper, "Known bug:", &bug);
}
