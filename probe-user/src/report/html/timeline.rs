//! The pools of each filesystem over time, and what happened.
use maud::{Markup, html};

use super::{
    super::model::{CounterTimeline, FsTimeline, Report},
    Section, chart, data,
    lanes::{self, Kind, Lane, PARTS, Pool},
    marks::{self, Mark},
    sample::Length,
    words::{exact, filesystem_of},
};
use crate::format;

/// Filesystems that are drawn; a test suite has thousands.
const MOST: usize = 16;
/// Points in the whole page, so that it stays a few MB.
const POINTS: usize = 40_000;
/// Columns of a picture of the first filesystem, and of the others, which are closed.
const COLUMNS: (usize, usize) = (chart::WIDTH, 250);
/// Marks of time on the axis.
const TICKS: u64 = 4;

pub(super) fn section(report: &Report) -> Option<Section> {
    let shown = chosen(report);
    if shown.is_empty() {
        return None;
    }
    let counters: usize = shown.iter().flat_map(|fs| &fs.pools).map(|pool| pool.counters.len()).sum();
    let most = (POINTS / counters.max(1)).clamp(100, 2000);
    let lanes: Vec<Vec<Pool>> = shown.iter().map(|fs| lanes::of(fs, most)).collect();
    let (marks, left_out) = marks::of(report);
    let all = report.timeline.filesystems.len() as u64 + report.timeline.forgotten;
    let hidden = all - shown.len() as u64;
    let body = html! {
        p {
            "What each pool held, each counter on a scale of its own. The line is the level that was last known; the band below it goes "
            "up to the highest until the next. " code { "bytes_may_use" } " and " code { "bytes_pinned" } " are known between commits too, the "
            "others at commits, audits and failures. Metadata may be promised beyond " code { "total_bytes" } ": that is overcommit. "
            span.script-only {
                "Point at a picture, or use " kbd { "←" } " " kbd { "→" } ", for the values of a moment. "
                kbd { "+" } " " kbd { "-" } " or the wheel zooms once the timeline is clicked, dragging zooms to a part, "
                kbd { "Shift" } " and " kbd { "←" } " " kbd { "→" } " moves, " kbd { "0" } " shows all, "
                kbd { "Tab" } " goes to the marks."
            }
        }
        (legend(&marks))
        @for (kind, count) in &left_out {
            p.note { (format::count(*count as u64)) " more marks of " (kind.row()) " lie near those that are shown." }
        }
        .timelines {
            @for (number, (fs, pools)) in shown.iter().zip(&lanes).enumerate() {
                details.timeline data-fs=(number) open[number == 0] {
                    summary { (filesystem_of(report, &fs.uuid)) " " span.faint { (fs.uuid) (life(report, fs)) } }
                    (draw(report, fs, pools, &marks, if number == 0 { COLUMNS.0 } else { COLUMNS.1 }))
                    (table(fs))
                }
            }
        }
        @if hidden > 0 {
            p.note { (format::counted(hidden, "more filesystem")) " came and went and are not drawn." }
        }
        script #timeline-data type="application/json" { (data::json_of(report, &shown, &lanes)) }
    };
    Some(Section { id: "timeline", title: "Pools over time".to_owned(), short: "Timeline".to_owned(), body })
}

/// Those with a finding or a failure first, then the newest; in the order in which they were met.
fn chosen(report: &Report) -> Vec<&FsTimeline> {
    let matters = |fs: &FsTimeline| {
        let is = |uuid: &Option<String>| uuid.as_deref() == Some(&fs.uuid);
        report.findings.iter().any(|finding| is(&finding.filesystem))
            || report.failures.iter().any(|failure| is(&failure.filesystem))
    };
    let mut drawn: Vec<(usize, bool, &FsTimeline)> = report
        .timeline
        .filesystems
        .iter()
        .enumerate()
        .filter(|(_, fs)| fs.pools.iter().any(|pool| !pool.counters.is_empty()))
        .map(|(number, fs)| (number, matters(fs), fs))
        .collect();
    drawn.sort_by_key(|(number, matters, _)| (!matters, std::cmp::Reverse(*number)));
    drawn.truncate(MOST);
    drawn.sort_by_key(|(number, matters, _)| (!matters, *number));
    drawn.into_iter().map(|(_, _, fs)| fs).collect()
}

fn life(report: &Report, fs: &FsTimeline) -> String {
    let whole = fs.from_ns == 0 && fs.to_ns >= report.duration_ns;
    if whole {
        return String::new();
    }
    format!(", from {} to {}", format::coarse_moment(fs.from_ns), format::coarse_moment(fs.to_ns))
}

fn legend(marks: &[Mark]) -> Markup {
    html! {
        ul.legend {
            @for (name, class) in PARTS {
                li { svg.swatch width="14" height="14" { rect class={ "area " (class) } width="14" height="14" {} } (name) }
            }
            li { svg.swatch width="14" height="14" { path.total d="M0 7H14" {} } "total_bytes" }
            @for kind in marks::Kind::ALL {
                @if let Some(mark) = marks.iter().find(|mark| mark.kind == kind) {
                    li { (swatch(mark)) (kind.row()) }
                }
            }
        }
    }
}

fn swatch(mark: &Mark) -> Markup {
    html! {
        svg.swatch width="16" height="16" {
            g class={ "mark " (mark.kind.class()) } {
                @match mark.kind {
                    marks::Kind::Test | marks::Kind::Stall => { rect x="0" y="2" width="16" height="12" {} }
                    _ => { g transform="translate(8 8)" { path d=(mark.kind.shape()) {} } }
                }
            }
        }
    }
}

fn draw(report: &Report, fs: &FsTimeline, pools: &[Pool], marks: &[Mark], columns: usize) -> Markup {
    let of_fs = |mark: &&Mark| mark.filesystem.as_deref().is_none_or(|uuid| uuid == fs.uuid);
    // Numbered through all pools, as in the data.
    let mut number = 0;
    let length = Length { from: 0, to: report.duration_ns.max(1), known_to: fs.to_ns };
    html! {
        .chart tabindex="0" role="group" aria-label="Timeline of the pools; arrow keys move through time" {
            .lane.axis-lane {
                .lane-name { "time" }
                .lane-plot { (axis(report.duration_ns)) }
                .lane-value { "at the end" }
            }
            @for kind in marks::Kind::ALL {
                @let row: Vec<&Mark> = marks.iter().filter(of_fs).filter(|mark| mark.kind == kind).collect();
                @if !row.is_empty() {
                    .lane.marks-lane {
                        .lane-name { (kind.row()) }
                        .lane-plot { (marks::draw(report, &row)) }
                        .lane-value {}
                    }
                }
            }
            @for pool in pools {
                .pool-name { (pool.name) }
                @for lane in &pool.lanes {
                    (draw_lane(lane, { number += 1; number - 1 }, length, columns))
                }
                @if !pool.zero.is_empty() {
                    p.zero { "0 all the time: " (pool.zero.join(", ")) }
                }
            }
        }
    }
}

fn draw_lane(lane: &Lane, number: usize, length: Length, columns: usize) -> Markup {
    let high = lane.counters.last().map_or(0, |counter| counter.high());
    html! {
        div class={ "lane " (lane.class) } data-lane=(number) {
            .lane-name {
                (lane.name) " "
                span.lane-top { @if lane.kind == Kind::Line { "up to " } (format::bytes(high, "iB")) }
            }
            .lane-plot { (chart::draw(lane, length, columns)) }
            .lane-value {
                @let (value, more) = value(lane);
                (value) @if let Some(more) = more { " " span.more-high { (more) } }
            }
        }
    }
}

/// What a lane shows at the end.
fn value(lane: &Lane) -> (String, Option<String>) {
    let last = |counter: &CounterTimeline| counter.points.last().map_or(0, |point| point.last);
    match (lane.kind, lane.counters.split_last()) {
        (Kind::Line, Some((counter, _))) => (format::bytes(last(counter), "iB"), None),
        (Kind::Stack, Some((total, parts))) => {
            let taken: i128 = parts.iter().map(|part| i128::from(last(part))).sum();
            let used = parts.first().map_or(0, last);
            let share = taken * 100 / i128::from(last(total)).max(1);
            (format!("used {}", format::bytes(used, "iB")), Some(format!("{share}% taken")))
        }
        (_, None) => (String::new(), None),
    }
}

fn axis(duration: u64) -> Markup {
    html! {
        svg.axis width="100%" height="18" aria-hidden="true" {
            @for tick in 0..=TICKS {
                @let anchor = match tick { 0 => "start", TICKS => "end", _ => "middle" };
                text x={ (tick * 100 / TICKS) "%" } y="13" text-anchor=(anchor) { (clock(duration / TICKS * tick, duration)) }
            }
        }
    }
}

/// A time of the session, with the digits that matter in a picture that is `length` long; ns.
fn clock(time: u64, length: u64) -> String {
    let seconds = time / 1_000_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match length / 1_000_000_000 {
        0..120 => format::coarse_moment(time),
        120..3600 => format!("+{minutes}:{:02}", seconds % 60),
        _ => format!("+{hours}:{minutes:02}:{:02}", seconds % 60),
    }
}

/// The same in numbers.
fn table(fs: &FsTimeline) -> Markup {
    html! {
        details.numbers {
            summary { "As a table" }
            .scroll { table {
                thead { tr {
                    th { "pool" } th { "counter" } th.num { "first" } th.num { "lowest" } th.num { "highest" }
                    th { "highest at" } th.num { "last" }
                } }
                tbody {
                    @for pool in &fs.pools {
                        @for counter in &pool.counters {
                            @let high = counter.high();
                            @let at = counter.points.iter().find(|point| point.high == high);
                            tr {
                                td { (pool.name) }
                                td { (counter.name) }
                                td.num { (exact(counter.points.first().map_or(0, |point| point.last))) }
                                td.num { (exact(counter.low())) }
                                td.num { (exact(high)) }
                                td { @if let Some(at) = at { (format::coarse_moment(at.time_ns)) } }
                                td.num { (exact(counter.points.last().map_or(0, |point| point.last))) }
                            }
                        }
                    }
                }
            } }
            p.note { "Bytes. A time is exact to " (format::length(exact_to(fs))) "." }
        }
    }
}

/// The longest span that a point stands for, ns.
fn exact_to(fs: &FsTimeline) -> u64 {
    fs.pools.iter().flat_map(|pool| &pool.counters).map(|counter| counter.exact_to_ns).max().unwrap_or(0)
}
