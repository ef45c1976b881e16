//! Filesystems at the end: space_infos, pools, waits, flushes, draws.
use maud::{Markup, html};

use super::{
    super::{
        model::{Draws, Filesystem, Flushes, Report, Waits},
        text,
    },
    Section,
    words::{exact, fact, filesystem, shown, signed, task},
};
use crate::format;

/// Filesystems in full, those that live first.
pub(super) const MOST: usize = 60;

pub(super) fn section(report: &Report) -> Option<Section> {
    if report.filesystems.is_empty() {
        return None;
    }
    let mut all: Vec<(usize, &Filesystem)> = report.filesystems.iter().enumerate().collect();
    all.sort_by_key(|(number, fs)| (fs.ended, *number));
    let body = html! {
        @for (place, (number, fs)) in all.iter().take(MOST).enumerate() { (one(*number, fs, place == 0)) }
        @if all.len() > MOST { p.note { (all.len() - MOST) " more came and went; the JSON report has them." } }
    };
    let short = format!("Filesystems ({})", all.len());
    Some(Section { id: "filesystems", title: "Filesystems at the end".to_owned(), short, body })
}

fn one(number: usize, fs: &Filesystem, open: bool) -> Markup {
    let join = |names: &[String]| names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ");
    let from = if fs.born { "from its mount" } else { "from the attach on (it was mounted before)" };
    let to = if fs.ended { "to its unmount" } else { "to the end of the session" };
    let audit = match fs.audit.compared {
        0 => String::new(),
        compared => format!(
            "{} of {} comparisons with sysfs agree",
            format::count(fs.audit.equal),
            format::count(compared)
        ),
    };
    html! {
        details.filesystem #{ "fs-" (number) } open[open] {
            summary { (filesystem(fs)) " " span.faint { (fs.uuid) } @if fs.aborted { " " span.tag { "aborted" } } }
            dl.facts {
                (fact("device", &join(&fs.devices)))
                (fact("mounted at", &join(&fs.mounts)))
                (fact("watched", &format!("{from} {to}")))
                (fact("inodes", &format!("{} live in the books, {} checked when destroyed", format::count(fs.inodes), format::count(fs.inodes_closed))))
                (fact("tickets", &format!("{} granted, {} failed; {}", format::count(fs.tickets.granted), format::count(fs.tickets.failed), format::counted(fs.enospc, "ENOSPC event"))))
                (fact("audit", &audit))
            }
            (space(fs))
            (accounts(fs))
            (waits(&fs.waits))
            (flushes(&fs.flushes))
            @if let Some(draws) = &fs.draws { (global(draws)) }
        }
    }
}

fn space(fs: &Filesystem) -> Markup {
    html! {
        @if !fs.space.is_empty() {
            .scroll { table {
                thead { tr { th { "space_info" } th.num { "total" } th.num { "used" } th.num { "may_use" } th.num { "reserved" } th.num { "pinned" } } }
                tbody {
                    @for (name, state) in &fs.space {
                        tr {
                            th scope="row" { (name) }
                            td.num { (exact(state.total)) }
                            td.num { (exact(state.used)) }
                            td.num { (exact(state.bytes_may_use)) }
                            td.num { (exact(state.bytes_reserved)) }
                            td.num { (exact(state.bytes_pinned)) }
                        }
                    }
                }
            } }
        }
    }
}

fn accounts(fs: &Filesystem) -> Markup {
    let known =
        |number: Option<i64>| html! { @match number { Some(number) => (exact(number)), None => "–" } };
    html! {
        @if !fs.accounts.is_empty() {
            details.more {
                summary { (format::counted(fs.accounts.len() as u64, "account")) }
                .scroll { table {
                    thead { tr { th { "account" } th.num { "books" } th.num { "reserved" } th.num { "size" } th { "at its end" } } }
                    tbody {
                        @for (name, state) in &fs.accounts {
                            tr {
                                th scope="row" { (name) }
                                td.num { (known(state.balance)) }
                                td.num { (known(state.reserved)) }
                                td.num { (known(state.size)) }
                                td { @match &state.not_judged { Some(why) => { "not judged: " (shown(why)) }, None => "" } }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn waits(waits: &Waits) -> Markup {
    let times = &waits.times;
    html! {
        @if times.count > 0 || waits.waiting_count > 0 || !waits.stalls.is_empty() {
            h4 { "Waits for space" }
            @if times.count > 0 {
                p {
                    (format::counted(times.count, "wait")) ": half took at most " (format::length(times.p50_ns))
                    ", 90% " (format::length(times.p90_ns)) ", 99% " (format::length(times.p99_ns))
                    "; the longest " (format::length(times.max_ns)) "; " (format::length(times.total_ns)) " in all."
                }
            }
            @if !waits.waiting.is_empty() {
                p.warn { (format::counted(waits.waiting_count, "task")) " waited when the session ended:" }
                ul { @for ticket in &waits.waiting { li { (text::waits_still(ticket)) } } }
                ul { @for worker in &waits.workers { li { (text::works(worker)) } } }
            }
            @if !waits.stalls.is_empty() {
                p { "Stalls, of " (format::length(waits.stall_threshold_ns)) " or more:" }
                ul { @for stall in &waits.stalls { li { (format::coarse_moment(stall.ended_ns)) " " (text::stalled(stall)) } } }
            }
            @if !waits.tasks.is_empty() {
                .scroll { table {
                    thead { tr { th.num { "waited" } th.num { "longest" } th.num { "tickets" } th.num { "failed" } th { "task that waited most" } } }
                    tbody {
                        @for of in &waits.tasks {
                            tr {
                                td.num { (format::length(of.total_ns)) }
                                td.num { (format::length(of.longest_ns)) }
                                td.num { (format::count(of.count)) }
                                td.num { (format::count(of.failed)) }
                                td { (task(&of.task)) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn flushes(flushes: &Flushes) -> Markup {
    html! {
        @if !flushes.states.is_empty() {
            details.more {
                summary { "Flushes: " (format::counted(flushes.states.iter().map(|state| state.calls).sum(), "call")) ", " (format::counted(flushes.commits, "transaction commit")) }
                .scroll { table {
                    thead { tr { th { "flush state" } th { "space" } th.num { "calls" } th.num { "errors" } th.num { "asked" } th.num { "won ≥" } th.num { "time" } th.num { "longest" } } }
                    tbody {
                        @for state in &flushes.states {
                            tr {
                                td { (state.state) @if state.preemptive { " (preemptive)" } }
                                td { (state.space) }
                                td.num { (format::count(state.calls)) }
                                td.num { (format::count(state.errors)) @if let Some(errno) = state.last_errno { " (" (errno) ")" } }
                                td.num { @if state.asked_all > 0 { "all" } @else { (format::bytes(signed(state.asked_bytes), "iB")) } }
                                td.num { @match state.won_bytes { Some(won) => (format::bytes(signed(won), "iB")), None => "–" } }
                                td.num { @if state.timed > 0 { (format::length(state.time_ns)) } @else { "–" } }
                                td.num { @if state.timed > 0 { (format::length(state.longest_ns)) } @else { "–" } }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// Who drew on the global reserve.
fn global(draws: &Draws) -> Markup {
    html! {
        @if !draws.global.is_empty() {
            details.more {
                summary {
                    "Draws on the global reserve"
                    @if let Some(lowest) = draws.global_lowest {
                        ": at its lowest it held " (format::bytes(signed(lowest.reserved), "iB")) " of " (format::bytes(signed(lowest.size), "iB"))
                    }
                }
                .scroll { table {
                    thead { tr { th.num { "bytes" } th.num { "draws" } th { "how" } th { "tree" } th { "tasks" } th { "in" } } }
                    tbody {
                        @for draw in &draws.global {
                            tr {
                                td.num { (exact(signed(draw.bytes))) }
                                td.num { (format::count(draw.count)) }
                                td { (draw.kind) }
                                td { @if let Some(root) = draw.root { (format::root(root)) } }
                                td { @for of in draw.tasks.iter().take(3) { (task(&of.task)) br; } }
                                td.frames { @for frame in text::shown_frames(&draw.stack).take(4) { code { (text::frame_text(frame)) } br; } }
                            }
                        }
                    }
                } }
            }
        }
    }
}
