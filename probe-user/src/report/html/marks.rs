//! What happened, as marks on the timeline. Shape and row tell what a mark is, colour only repeats it.
use std::{fmt::Display, str::FromStr as _};

use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    super::{failed, model::Report, text},
    data::duration_us,
    failures, filesystems, findings, suite,
    words::{filesystem_of, shown},
};
use crate::format;

/// Most marks of a kind. Of more, those are left out that lie nearest to others.
const MOST: usize = 150;

/// What a mark is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Test,
    Finding,
    Failure,
    Stall,
    Loss,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::Test, Self::Finding, Self::Failure, Self::Stall, Self::Loss];

    pub(super) const fn class(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Finding => "finding",
            Self::Failure => "failure",
            Self::Stall => "stall",
            Self::Loss => "loss",
        }
    }

    /// Name of its row.
    pub(super) const fn row(self) -> &'static str {
        match self {
            Self::Test => "tests",
            Self::Finding => "findings",
            Self::Failure => "failed reservations",
            Self::Stall => "stalls",
            Self::Loss => "lost records",
        }
    }

    /// The picture of a moment, around 0, 0.
    pub(super) const fn shape(self) -> &'static str {
        match self {
            Self::Finding => "M0 -8L7 0L0 8L-7 0Z",
            Self::Failure => "M-6 -4L-4 -6L0 -2L4 -6L6 -4L2 0L6 4L4 6L0 2L-4 6L-6 4L-2 0Z",
            Self::Loss => "M0 7L-7 -5H7Z",
            Self::Test | Self::Stall => "M-2 -7H2V7H-2Z",
        }
    }
}

/// A mark. Times are ns since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub kind: Kind,
    pub from: u64,
    /// The same as `from` for a moment.
    pub to: u64,
    /// What a reader sees when pointing at it; escaped.
    pub text: String,
    /// Where it leads to on the page.
    pub target: String,
    /// Uuid of the filesystem; `None` if it is of all.
    pub filesystem: Option<String>,
}

/// All marks, by kind and time. What is beyond [`MOST`] of a kind is counted.
pub(super) fn of(report: &Report) -> (Vec<Mark>, Vec<(Kind, usize)>) {
    let mut marks = Vec::new();
    tests(report, &mut marks);
    findings(report, &mut marks);
    failures(report, &mut marks);
    stalls(report, &mut marks);
    for (time, count) in &report.timeline.lost {
        marks.push(Mark {
            kind: Kind::Loss,
            from: *time,
            to: *time,
            text: format!("{} lost by {}", format::counted(*count, "record"), format::coarse_moment(*time)),
            target: "health".to_owned(),
            filesystem: None,
        });
    }
    marks.sort_by_key(|mark| (mark.kind, mark.from));
    let mut left_out = Vec::new();
    for kind in Kind::ALL {
        let count = marks.iter().filter(|mark| mark.kind == kind).count();
        if count > MOST {
            // Tests are spans side by side, and each has its row in the table.
            thin_out(&mut marks, kind, count);
            let kept = marks.iter().filter(|mark| mark.kind == kind).count();
            left_out.push((kind, count - kept));
        }
    }
    (marks, left_out)
}

/// Keeps the first of each of [`MOST`] equal lengths of time.
fn thin_out(marks: &mut Vec<Mark>, kind: Kind, count: usize) {
    let mut times: Vec<u64> = marks.iter().filter(|mark| mark.kind == kind).map(|mark| mark.from).collect();
    times.sort_unstable();
    let (first, last) = (times[0], times[count - 1]);
    let length = u128::from(last - first) + 1;
    let mut before = None;
    marks.retain(|mark| {
        if mark.kind != kind {
            return true;
        }
        let place = u128::from(mark.from - first) * MOST as u128 / length;
        before.replace(place) != Some(place)
    });
}

/// Where a mark leads to: if the page does not have all of them, to the section.
fn place(section: &str, what: &str, number: impl Display, has_all: bool) -> String {
    if has_all { format!("{what}-{number}") } else { section.to_owned() }
}

fn tests(report: &Report, marks: &mut Vec<Mark>) {
    let Ok(start) = Timestamp::from_str(&report.started_at) else { return };
    for (number, test) in report.tests.iter().enumerate() {
        let Ok(began) = Timestamp::from_str(&test.started_at) else { continue };
        let from = u64::try_from(began.as_nanosecond() - start.as_nanosecond()).unwrap_or(0);
        let result = test.result.as_deref().map(|result| format!(", {}", shown(result))).unwrap_or_default();
        marks.push(Mark {
            kind: Kind::Test,
            from,
            to: from.saturating_add(test.duration_ns),
            text: format!("{}: {}{result}", shown(&test.name), test.verdict.name()),
            target: place("tests", "test", number, report.tests.len() <= suite::MOST),
            filesystem: None,
        });
    }
}

fn findings(report: &Report, marks: &mut Vec<Mark>) {
    for finding in &report.findings {
        let mut times: Vec<u64> = finding.instances.iter().map(|instance| instance.first_seen_ns).collect();
        times.push(finding.first_seen_ns);
        times.sort_unstable();
        times.dedup();
        let ignored = if finding.ignored.is_some() { ", does not count" } else { "" };
        for time in times {
            marks.push(Mark {
                kind: Kind::Finding,
                from: time,
                to: time,
                text: format!(
                    "#{} {} of {}{ignored}, {}",
                    finding.id,
                    finding.kind.name(),
                    finding.account.name(),
                    format::moment(time)
                ),
                target: place("findings", "finding", finding.id, report.findings.len() <= findings::ROWS),
                filesystem: finding.filesystem.clone(),
            });
        }
    }
}

/// Tickets that failed, as often as they are known to; the instances of others.
fn failures(report: &Report, marks: &mut Vec<Mark>) {
    for (number, failure) in report.failures.iter().enumerate() {
        let device =
            failure.filesystem.as_deref().map(|uuid| filesystem_of(report, uuid)).unwrap_or_default();
        for instance in &failure.instances {
            marks.push(Mark {
                kind: Kind::Failure,
                from: instance.time_ns,
                to: instance.time_ns,
                text: format!(
                    "{}, {}",
                    failed::title(failure, &device),
                    format::coarse_moment(instance.time_ns)
                ),
                target: place("failures", "failure", number, report.failures.len() <= failures::MOST),
                filesystem: failure.filesystem.clone(),
            });
        }
    }
    for fs in &report.timeline.filesystems {
        for (time, count) in &fs.failed {
            let shown = |mark: &Mark| mark.kind == Kind::Failure && mark.from.abs_diff(*time) < 1_000_000;
            if marks.iter().any(shown) {
                continue;
            }
            marks.push(Mark {
                kind: Kind::Failure,
                from: *time,
                to: *time,
                text: format!(
                    "{} failed, {}",
                    format::counted(*count, "ticket"),
                    format::coarse_moment(*time)
                ),
                target: if report.failures.is_empty() { "filesystems" } else { "failures" }.to_owned(),
                filesystem: Some(fs.uuid.clone()),
            });
        }
    }
}

fn stalls(report: &Report, marks: &mut Vec<Mark>) {
    for (number, fs) in report.filesystems.iter().enumerate() {
        let target = place("filesystems", "fs", number, report.filesystems.len() <= filesystems::MOST);
        for stall in &fs.waits.stalls {
            marks.push(Mark {
                kind: Kind::Stall,
                from: stall.ended_ns.saturating_sub(stall.waited_ns),
                to: stall.ended_ns,
                text: text::stalled(stall),
                target: target.clone(),
                filesystem: Some(fs.uuid.clone()),
            });
        }
        for waits in &fs.waits.waiting {
            let to = report.duration_ns;
            marks.push(Mark {
                kind: Kind::Stall,
                from: waits.first_seen_ns.unwrap_or_else(|| to.saturating_sub(waits.waited_at_least_ns)),
                to,
                text: text::waits_still(waits),
                target: target.clone(),
                filesystem: Some(fs.uuid.clone()),
            });
        }
    }
}

/// Share of the session in percent, to a hundredth.
fn percent(us: u64, duration: u64) -> String {
    let hundredths = u128::from(us.min(duration)) * 10_000 / u128::from(duration.max(1));
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// A row of marks.
pub(super) fn draw(report: &Report, marks: &[&Mark]) -> Markup {
    let duration = duration_us(report);
    html! {
        svg.marks width="100%" height="20" {
            @for mark in marks {
                @let (from, to) = (mark.from / 1000, mark.to / 1000);
                @let is_span = matches!(mark.kind, Kind::Test | Kind::Stall);
                a class={ "mark " (mark.kind.class()) } href={ "#" (mark.target) } aria-label=(mark.text)
                    data-from=(from) data-to=(to) {
                    title { (mark.text) }
                    @if is_span {
                        @let width = percent(to.min(duration).saturating_sub(from), duration);
                        svg.span x=(percent(from, duration)) y="0" width=(width) height="20" {
                            rect x="0" y="3" width="100%" height="14" {}
                            @if mark.kind == Kind::Test {
                                text x="3" y="14" { (mark.text.split(':').next().unwrap_or_default()) }
                            }
                        }
                    } @else {
                        svg.moment x=(percent(from, duration)) y="10" {
                            path d=(mark.kind.shape()) {}
                        }
                    }
                }
            }
        }
    }
}
