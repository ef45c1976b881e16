//! How well the session could see.
use maud::{Markup, html};

use super::{
    super::{
        model::{HookState, Report},
        text::frame_text,
    },
    Section,
    words::{fact, shown},
};
use crate::format;

pub(super) fn section(report: &Report) -> Section {
    let numbers = &report.statistics;
    let attached = report.hooks.iter().filter(|hook| hook.state == HookState::Attached).count();
    let missed = report.hooks.iter().map(|hook| hook.missed).sum::<u64>();
    let body = html! {
        dl.facts {
            (fact("records", &format!("{}, {} a second at the peak", format::count(numbers.records), format::count(numbers.peak_rates.records_per_second))))
            (fact("checked", &format!("{} of counters, the order of {}, the end of {}", format::counted(numbers.links, "change"), format::counted(numbers.order_checked, "reservation"), format::counted(numbers.inodes_closed, "inode"))))
            (fact("failed", &format!("of delalloc reservations: {}", report.failed_reservations.text())))
            (fact("lost", &lost(report)))
            (fact("hooks", &format!("{attached} of {} attached, {} skipped by the kernel", report.hooks.len(), format::counted(missed, "hit"))))
        }
        (warnings(report))
        (hooks(report))
    };
    Section { id: "health", title: "What was seen".to_owned(), short: "Health".to_owned(), body }
}

fn lost(report: &Report) -> String {
    let classes = report.loss.by_class.iter().filter(|(_, count)| **count > 0);
    let list: Vec<String> =
        classes.map(|(class, count)| format!("{class} {}", format::count(*count))).collect();
    if list.is_empty() { "nothing".to_owned() } else { list.join(", ") }
}

fn warnings(report: &Report) -> Markup {
    html! {
        @if !report.kernel_warnings.is_empty() || !report.kernel_lines.is_empty() {
            h3 { "What the kernel said" }
            ul {
                @for warning in &report.kernel_warnings {
                    li { "WARN at " code { (frame_text(&warning.at)) } ", " (format::counted(warning.count, "time")) }
                }
                @for line in &report.kernel_lines {
                    li {
                        (shown(&line.text)) " " span.faint {
                            (shown(line.device.as_deref().unwrap_or("no device"))) ", " (format::counted(line.count, "time")) ", "
                            (format::coarse_moment(line.first_seen_ns))
                        }
                        @for id in &line.finding_ids { " " a href={ "#finding-" (id) } { "#" (id) } }
                    }
                }
            }
        }
    }
}

fn hooks(report: &Report) -> Markup {
    html! {
        details.more {
            summary { (format::counted(report.hooks.len() as u64, "hook")) }
            .scroll { table {
                thead { tr { th { "hook" } th { "kind" } th { "state" } th.num { "hits" } th.num { "missed" } th { "why" } } }
                tbody {
                    @for hook in &report.hooks {
                        tr {
                            td { (shown(&hook.id)) }
                            td { (shown(&hook.kind)) }
                            td { (hook.state.name()) }
                            td.num { (format::count(hook.hits)) }
                            td.num { (format::count(hook.missed)) }
                            td { (hook.reason.as_deref().map(shown).unwrap_or_default()) }
                        }
                    }
                }
            } }
        }
    }
}
