//! Reservations that failed for lack of space: why, with the figures of that moment, and what helps.
use maud::{Markup, html};

use super::{
    super::{
        failed,
        model::{Failure, FailureInstance, FailureKind, Report},
    },
    Section, frames, holders,
    words::{exact, explain, fact, filesystem_of, shown},
};
use crate::{
    explain::model::{BlockRsv, Filesystem as Explanation, SpaceInfo},
    format,
    report::model::{QgroupLimit, StackSource},
};

/// Failures in full.
pub(super) const MOST: usize = 40;
/// Failures that are open when the page is.
const OPEN: usize = 3;

pub(super) fn section(report: &Report) -> Option<Section> {
    if report.failures.is_empty() {
        return None;
    }
    // Those that may not wait have another way: they come last.
    let mut failures: Vec<(usize, &Failure)> = report.failures.iter().enumerate().collect();
    failures.sort_by_key(|(number, failure)| (failure.kind == FailureKind::NoWait, *number));
    let body = html! {
        p { "No findings: the books balance. Each says what was asked for, why it did not fit, and what helps." }
        @for (place, (number, failure)) in failures.iter().take(MOST).enumerate() {
            (one(report, *number, failure, place < OPEN && failure.kind != FailureKind::NoWait))
        }
        @if failures.len() > MOST { p.note { (failures.len() - MOST) " more kinds of failures are in the JSON report only." } }
        @if report.failures_left_out > 0 { p.note { (report.failures_left_out) " more failures were only counted." } }
    };
    let short = format!("Failed reservations ({})", report.failures.len());
    Some(Section { id: "failures", title: "Reservations that failed".to_owned(), short, body })
}

fn one(report: &Report, number: usize, failure: &Failure, open: bool) -> Markup {
    let device = failure.filesystem.as_deref().map(|uuid| filesystem_of(report, uuid)).unwrap_or_default();
    let best = failed::best(failure);
    html! {
        details.failure #{ "failure-" (number) } open[open] {
            summary {
                strong { (failed::title(failure, &device)) } " "
                span.faint { (format::counted(failure.count, "time")) }
                @if let Ok(causes) = failed::cause(failure) { " " span.tag { (causes.join(", ")) } }
            }
            @if let Some(best) = best { (instance(failure, best)) }
            @if failure.count > 1 { p.note { "Happened " (failed::happened(failure)) "." } }
            @let others: Vec<&FailureInstance> =
                failure.instances.iter().filter(|instance| best != Some(instance)).collect();
            @if !others.is_empty() {
                details.more {
                    summary { (format::counted(others.len() as u64, "other instance")) }
                    @for other in others { (instance(failure, other)) }
                }
            }
        }
    }
}

fn instance(failure: &Failure, instance: &FailureInstance) -> Markup {
    let path = instance.path.as_deref().map(shown).unwrap_or_default();
    html! {
        p.explanation { (failed::sentence(failure, instance)) }
        dl.facts {
            (fact("which", &failed::which(failure, instance)))
            (fact("when", &format::coarse_moment(instance.time_ns)))
            @if let Some(bytes) = instance.bytes { (fact("asked for", &format::amount(super::words::signed(bytes), "bytes"))) }
            (fact("flush", instance.flush.as_deref().unwrap_or_default()))
            (fact("path", &path))
            (fact("held by", &failed::held_by(instance).unwrap_or_default()))
            (fact("aborted at", &instance.aborted_at.as_deref().map(shown).unwrap_or_default()))
        }
        @if let Some(why) = &instance.why { (because(failure, instance, why)) }
        @if let Some(limit) = &instance.limit { (limit_table(limit)) }
        @if let (Some(space), Some(name)) = (&instance.holders, &failure.space_info) {
            details.more {
                summary { "Who held " (name) " then" }
                (holders::space(name, space, super::super::model::DirtyData::NotRead))
            }
        }
        @if !instance.stack.is_empty() {
            details.more {
                summary { "Stack" }
                (frames::stack("asked", StackSource::Exact, &instance.stack))
            }
        }
    }
}

fn because(failure: &Failure, instance: &FailureInstance, why: &Explanation) -> Markup {
    html! {
        @if !why.help.is_empty() {
            h4 { "What helps" }
            ul { @for help in &why.help { li { (shown(help)) } } }
        }
        @if let Some(cause) = why.causes.first() { p { "What it means: " (explain(cause)) } }
        @for impossible in &why.impossible { p.warn { "Impossible: " (shown(impossible)) } }
        @for unproven in &why.not_proven { p.note { "Not proven: " (shown(unproven)) } }
        @if !why.space_infos.is_empty() {
            h4 { "The space_infos at that moment" }
            @let asked = instance.bytes.and_then(|bytes| i64::try_from(bytes).ok());
            @for space in &why.space_infos {
                @let here = failure.space_info.as_deref() == Some(space.kind.as_str());
                (bar(space, asked.filter(|_| here)))
            }
            (figures(&why.space_infos))
        }
        @if !why.block_rsvs.is_empty() { (reserves(&why.block_rsvs)) }
    }
}

/// The parts of a space_info, as its kernel fields have them, and their classes.
fn parts(space: &SpaceInfo) -> [(&'static str, i64, &'static str); 7] {
    [
        ("used", space.used, "used"),
        ("reserved", space.reserved, "reserved"),
        ("pinned", space.pinned, "pinned"),
        ("may_use", space.may_use, "may-use"),
        ("read-only", space.readonly, "readonly"),
        ("zone_unusable", space.zone_unusable, "readonly"),
        ("free", space.free, "free"),
    ]
}

/// A space_info as one bar, with what was asked for below it on the same scale.
fn bar(space: &SpaceInfo, asked: Option<i64>) -> Markup {
    let promised: i128 = parts(space).iter().map(|(_, bytes, _)| i128::from((*bytes).max(0))).sum();
    let whole = promised.max(i128::from(space.total)).max(i128::from(asked.unwrap_or(0))).max(1);
    let percent = |bytes: i128| {
        let hundredths = bytes.max(0) * 10_000 / whole;
        format!("{}.{:02}%", hundredths / 100, hundredths % 100)
    };
    let mut left = 0_i128;
    let mut placed = Vec::new();
    for (name, bytes, class) in parts(space) {
        let width = i128::from(bytes.max(0));
        if width > 0 {
            placed.push((name, bytes, class, left, width));
        }
        left += width;
    }
    // What is asked for must go where free begins.
    let free = i128::from(space.free.max(0));
    let begins = (left - free).min(whole - i128::from(asked.unwrap_or(0))).max(0);
    html! {
        .bar {
            .bar-name { (space.kind) " " span.faint { (format::bytes(space.total, "iB")) } }
            svg width="100%" height=(if asked.is_some() { "40" } else { "22" }) role="img" aria-label={ "parts of " (space.kind) } {
                @for (name, bytes, class, left, width) in &placed {
                    svg x=(percent(*left)) y="0" width=(percent(*width)) height="22" {
                        title { (name) " " (format::amount(*bytes, "bytes")) }
                        rect class={ "area " (class) } width="100%" height="22" {}
                        text x="4" y="15" { (name) " " (format::bytes(*bytes, "iB")) }
                    }
                }
                @if let Some(asked) = asked {
                    svg x=(percent(begins)) y="24" width=(percent(i128::from(asked))) height="16" overflow="visible" {
                        title { "asked for " (format::amount(asked, "bytes")) }
                        rect.asked width="100%" height="5" {}
                    }
                    @let end = begins * 2 > whole;
                    text.asked-text x=(percent(if end { begins + i128::from(asked) } else { begins })) y="39" text-anchor=(if end { "end" } else { "start" }) {
                        "asked for " (format::bytes(asked, "iB"))
                    }
                }
            }
        }
    }
}

fn figures(spaces: &[SpaceInfo]) -> Markup {
    html! {
        .scroll { table.figures {
            thead { tr {
                th { "bytes" }
                @for (name, ..) in parts(&spaces[0]) { th.num { (name) } }
                th.num { "= total" }
                th { "last try for a chunk" }
            } }
            tbody {
                @for space in spaces {
                    tr {
                        th scope="row" { (space.kind) @if space.subgroup != 0 { " #" (space.subgroup) } }
                        @for (_, bytes, _) in parts(space) { td.num { (exact(bytes)) } }
                        td.num { (exact(space.total)) }
                        td {
                            @match space.full {
                                Some(true) => "refused",
                                Some(false) | None => "–",
                            }
                        }
                    }
                }
            }
        } }
    }
}

fn reserves(reserves: &[BlockRsv]) -> Markup {
    html! {
        details.more {
            summary { "The block_rsvs at that moment" }
            .scroll { table {
                thead { tr { th { "block_rsv" } th.num { "reserved" } th.num { "size" } th { "part of may_use of" } } }
                tbody {
                    @for rsv in reserves {
                        tr {
                            td { (rsv.name) }
                            td.num { (exact(rsv.reserved)) }
                            td.num { (exact(rsv.size)) }
                            td { (rsv.space_info.as_deref().unwrap_or_default()) }
                        }
                    }
                }
            } }
        }
    }
}

fn limit_table(limit: &QgroupLimit) -> Markup {
    let of = |limit: Option<u64>| {
        limit.map_or_else(|| "none".to_owned(), |bytes| format::exact(super::words::signed(bytes)))
    };
    let row = |name: &str, bytes: u64| html! { tr { th scope="row" { (name) } td.num { (exact(super::words::signed(bytes))) } } };
    html! {
        h4 { "Qgroup " (limit.qgroup) " at that moment" }
        .scroll { table { tbody {
            tr { th scope="row" { "limit of referenced bytes" } td.num { (of(limit.max_rfer)) } }
            tr { th scope="row" { "limit of exclusive bytes" } td.num { (of(limit.max_excl)) } }
            (row("referenced", limit.rfer))
            (row("exclusive", limit.excl))
            (row("reserved for data", limit.reserved_data))
            (row("reserved for metadata of the running transaction", limit.reserved_meta_pertrans))
            (row("reserved for metadata in advance", limit.reserved_meta_prealloc))
        } } }
    }
}
