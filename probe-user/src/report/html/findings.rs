//! Findings: which rule was broken, where, by whom, and the evidence.
use std::collections::BTreeMap;

use maud::{Markup, html};
use probe_ledger::FindingKind;

use super::{
    super::{
        known,
        model::{Finding, IgnoredBy, Report, StackSource},
        owners,
        text::{REPRESENTATIVE, frame_text, shown_frames},
    },
    Section, frames,
    words::{explain, fact, filesystem_of, shown, task},
};
use crate::format;

/// Findings in full; of others there are rows.
const MOST: usize = 60;
/// Findings that are open when the page is.
const OPEN: usize = 3;
/// Rows of findings in one table. So many findings have each a place on the page.
pub(super) const ROWS: usize = 1000;
/// Frames of a line of evidence.
const EVIDENCE_FRAMES: usize = 3;

pub(super) fn section(report: &Report) -> Option<Section> {
    if report.findings.is_empty() {
        return None;
    }
    // What counts comes first. Of those that differ by the filesystem only, one is shown in full.
    let (counted, ignored): (Vec<&Finding>, Vec<&Finding>) =
        report.findings.iter().partition(|finding| finding.ignored.is_none());
    let mut alike: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    let mut firsts = Vec::new();
    for finding in counted.iter().chain(&ignored).copied() {
        let same = alike.entry(&finding.fingerprint).or_default();
        same.push(finding);
        if same.len() == 1 {
            firsts.push(finding);
        }
    }
    let (full, rest) = firsts.split_at(firsts.len().min(MOST));
    let rest: Vec<&Finding> = rest
        .iter()
        .flat_map(|first| alike.get(first.fingerprint.as_str()).into_iter().flatten().copied())
        .collect();
    let representative = full.iter().any(|finding| {
        let origins = finding.origins.iter().map(|origin| origin.stack_source);
        origins.chain([finding.stack_source]).any(|source| source == StackSource::Representative)
    });
    let body = html! {
        @for (number, finding) in full.iter().enumerate() {
            (one(report, finding, number < OPEN))
            (others(report, finding, alike.get(finding.fingerprint.as_str()).map_or(&[][..], |all| &all[1..])))
        }
        @if !rest.is_empty() {
            h3 { (format::counted(rest.len() as u64, "more finding")) ", in short" }
            (rows(report, &rest))
        }
        @if representative { p.note { (REPRESENTATIVE) } }
    };
    let title = match (counted.len(), ignored.len()) {
        (0, _) => "Findings that do not count".to_owned(),
        (_, 0) => "Findings".to_owned(),
        (_, 1) => "Findings (1 does not count)".to_owned(),
        (_, ignored) => format!("Findings ({ignored} do not count)"),
    };
    let short = format!("Findings ({})", report.findings.len());
    Some(Section { id: "findings", title, short, body })
}

/// Those with the fingerprint of one that is shown.
fn others(report: &Report, first: &Finding, others: &[&Finding]) -> Markup {
    html! {
        @if !others.is_empty() {
            details.more {
                summary { "As #" (first.id) ", on " (format::counted(others.len() as u64, "other filesystem")) }
                (rows(report, others))
            }
        }
    }
}

fn rows(report: &Report, findings: &[&Finding]) -> Markup {
    html! {
        .scroll { table {
            thead { tr { th { "finding" } th { "kind" } th { "account" } th { "filesystem" } th.num { "amount" } th.num { "times" } th { "first" } } }
            tbody {
                @for finding in findings.iter().take(ROWS) {
                    tr #{ "finding-" (finding.id) } {
                        td { "#" (finding.id) }
                        td { (finding.kind.name()) }
                        td { (finding.account.name()) }
                        td { (finding.filesystem.as_deref().map(|uuid| filesystem_of(report, uuid)).unwrap_or_default()) }
                        td.num { (format::exact(finding.amount)) }
                        td.num { (format::count(finding.count)) }
                        td { (format::moment(finding.first_seen_ns)) }
                    }
                }
            }
        } }
        @if findings.len() > ROWS { p.note { (findings.len() - ROWS) " more are in the JSON report only." } }
    }
}

/// What is wrong, in a line.
pub(super) fn title(finding: &Finding) -> Markup {
    let times = match finding.count {
        0 | 1 => String::new(),
        count => format!(" in {}", format::counted(count, "violation")),
    };
    html! {
        span.number { "#" (finding.id) } " "
        strong { (finding.kind.name()) } " of " code { (finding.account.name()) } ": "
        (format::amount(finding.amount, &finding.unit)) (times)
        @if finding.ignored.is_some() { " " span.tag { "does not count" } }
    }
}

fn one(report: &Report, finding: &Finding, open: bool) -> Markup {
    let ignored = finding.ignored.is_some();
    html! {
        details.finding.ignored[ignored] #{ "finding-" (finding.id) } open[open] {
            summary { (title(finding)) }
            p.explanation { (shown(&owners::explanation(finding))) }
            dl.facts { (about(report, finding)) }
            p { "What it means: " (explain(finding.kind.name())) }
            (stacks(finding))
            (evidence(finding))
            (instances(finding))
        }
    }
}

fn about(report: &Report, finding: &Finding) -> Markup {
    let several = owners::largest(finding, 5);
    let of = |label: &str| if several.is_some() { format!("first {label}") } else { label.to_owned() };
    let filesystem = finding.filesystem.as_deref().map(|uuid| match filesystem_of(report, uuid) {
        name if name == uuid => name,
        name => format!("{name} ({uuid})"),
    });
    let generation = finding.generation.map(|of| format!(", generation {of}")).unwrap_or_default();
    let seen = owners::seen(finding);
    let ignored = match finding.ignored {
        None | Some(IgnoredBy::Known) => "",
        Some(IgnoredBy::IgnoreFile) => " (in the --ignore file: does not count)",
        Some(IgnoredBy::Against) => " (not new: does not count)",
        Some(IgnoredBy::FailOn) => " (kind not named by --fail-on: does not count)",
    };
    html! {
        (fact("filesystem", &filesystem.unwrap_or_default()))
        @if let Some((what, text)) = &several { (fact(what, text)) }
        @if let Some(first) = owners::first(finding) { (fact("first", &first)) }
        @if several.is_none() {
            @if let Some(root) = finding.root { (fact("subvolume", &format::root(root))) }
            @if let Some(inode) = finding.inode { (fact("inode", &format!("{inode}{generation}"))) }
        }
        (fact(&of("path"), &finding.path.as_deref().map(shown).unwrap_or_default()))
        @if let Some(balance) = finding.balance_before {
            (fact(if several.is_some() { "first held" } else { "held before" }, &format::amount(balance, &finding.unit)))
        }
        @if let Some(of_task) = &finding.task { (fact(&of("task"), &task(of_task))) }
        (fact("test", &finding.test.as_deref().map(shown).unwrap_or_default()))
        @if let Some(cause) = finding.cause { (fact("follows from", &format!("#{cause}, so it is not counted"))) }
        (fact("seen", &seen))
        (fact("confidence", finding.confidence.name()))
        (fact("known", &known::words(finding).unwrap_or_default()))
        (fact("fingerprint", &format!("{}{ignored}", finding.fingerprint)))
    }
}

fn stacks(finding: &Finding) -> Markup {
    let shows = match finding.kind.0 {
        FindingKind::OverRelease | FindingKind::ErrorPathOverRelease | FindingKind::WrongOwner => "freed",
        FindingKind::PublishBeforeReserve => "published",
        FindingKind::Leak
        | FindingKind::ErrorPathLeak
        | FindingKind::Underflow
        | FindingKind::CounterMismatch => "showed",
    };
    let amount = |bytes: u64| format::amount(super::words::signed(bytes), &finding.unit);
    html! {
        .stacks {
            (frames::stack(shows, finding.stack_source, &finding.stack))
            @for origin in &finding.origins {
                @let title = format!("reserved {} in {}", amount(origin.bytes), format::counted(origin.count, "reservation"));
                (frames::stack(&title, origin.stack_source, &origin.stack))
            }
        }
        @if let Some(exit) = &finding.exit {
            p { "Left after the call that returned to " code { (frame_text(exit)) } "." }
        }
        @if finding.origins_left_out > 0 {
            p.note {
                "Reserved " (amount(finding.origins_left_out_bytes)) " from "
                (format::counted(finding.origins_left_out, "more stack")) "."
            }
        }
    }
}

fn evidence(finding: &Finding) -> Markup {
    let title = if owners::counted(finding).is_some() {
        "Evidence of the first, oldest first"
    } else {
        "Evidence, oldest first"
    };
    html! {
        @if !finding.evidence.is_empty() {
            h4 { (title) }
            .scroll { table.evidence {
                thead { tr { th { "time" } th { "thread" } th { "record" } th { "in" } } }
                tbody {
                    @for line in &finding.evidence {
                        tr {
                            td { (format::moment(line.time_ns)) }
                            td { @if line.tid != 0 { (line.tid) } }
                            td { (shown(&line.text)) }
                            td.frames {
                                @for frame in shown_frames(&line.stack).take(EVIDENCE_FRAMES) { code { (frame_text(frame)) } br; }
                            }
                        }
                    }
                }
            } }
        }
    }
}

fn instances(finding: &Finding) -> Markup {
    html! {
        @if finding.all_instances() > 1 {
            details.more {
                summary { (format::counted(finding.all_instances(), "instance")) }
                .scroll { table {
                    thead { tr { th { "inode or subvolume" } th { "path" } th.num { "amount" } th.num { "times" } th { "first" } th { "last" } } }
                    tbody {
                        @for instance in &finding.instances {
                            tr {
                                td { (owners::name(instance).unwrap_or_default()) }
                                td { (instance.path.as_deref().map(shown).unwrap_or_default()) }
                                td.num { (format::exact(instance.amount)) }
                                td.num { (format::count(instance.count)) }
                                td { (format::moment(instance.first_seen_ns)) }
                                td { (format::moment(instance.last_seen_ns)) }
                            }
                        }
                    }
                } }
                @if finding.instances_left_out > 0 {
                    p.note { (format::counted(finding.instances_left_out, "more instance")) " only in the sums." }
                }
            }
        }
    }
}
