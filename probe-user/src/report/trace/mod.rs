//! The session as a trace, in the JSON form of Chrome's trace events: `ui.perfetto.dev` and `chrome://tracing` open it.
//!
//! Each filesystem is a process: a counter for each figure of each space_info and block_rsv, and a track of its transactions. Each
//! process that waited, flushed, committed or failed is itself, with its threads. The process `btrfs-probe` has the tracks of tests,
//! findings and losses.
//!
//! Times count from the start of the session, in us. What is here is bounded by who collects it ([`timeline`]); what was left out is
//! counted in `otherData`.
mod events;
pub mod timeline;

use std::io::{self, Write};

pub use timeline::{Counter, Instant, InstantKind, Slice, SliceKind, Timeline, Track};

use self::events::{Events, Place};
use super::model::{Finding, Report, Test};
use super::subject;
use crate::format;

/// Writes the trace.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report, timeline: &Timeline, writer: impl Write) -> io::Result<()> {
    let mut events = Events::begin(writer, &about(report, timeline))?;
    names(&mut events, report, timeline)?;
    for counter in &timeline.counters {
        events.counter(counter)?;
    }
    for track in by_track(&timeline.slices) {
        for slice in nested(track) {
            events.slice(timeline, &slice)?;
        }
    }
    for instant in &timeline.instants {
        events.instant(timeline, instant)?;
    }
    for (test, from) in report.tests.iter().filter_map(|test| Some((test, since(report, test)?))) {
        events.test(test, from)?;
    }
    for finding in &report.findings {
        events.finding(finding, &subject::heading(finding), &marks(finding))?;
    }
    events.end()
}

/// What a reader of the file should know before it believes that nothing is missing.
fn about(report: &Report, timeline: &Timeline) -> serde_json::Value {
    serde_json::json!({
        "tool": format!("{} {}", report.tool.name, report.tool.version),
        "kernel": report.kernel.release,
        "started_at": report.started_at,
        "verdict": report.verdict.name(),
        "counters_put_together_over_ns": timeline.coalesced_ns,
        "counters_left_out": timeline.counters_left_out,
        "slices_left_out": timeline.slices_left_out.0,
        "longest_slice_left_out_ns": timeline.slices_left_out.1,
        "instants_left_out": timeline.instants_left_out,
    })
}

/// Names of all processes and threads that have something on their tracks.
fn names<W: Write>(events: &mut Events<W>, report: &Report, timeline: &Timeline) -> io::Result<()> {
    events.process(events::SESSION, "btrfs-probe")?;
    for (at, name) in timeline.filesystems.iter().enumerate() {
        events.process(events::filesystem(at), name)?;
    }
    let tracks = timeline.slices.iter().map(|slice| slice.track);
    let mut tracks: Vec<Track> =
        tracks.chain(timeline.instants.iter().map(|instant| instant.track)).collect();
    tracks.sort_unstable();
    tracks.dedup();
    for track in tracks {
        let place = Place::of(timeline, track);
        match track {
            Track::Thread(tid) => {
                let (pid, comm) = timeline.tasks.get(&tid).cloned().unwrap_or_default();
                let leader = timeline.tasks.get(&pid).map_or(comm.as_str(), |(_, comm)| comm);
                events.process(place.pid, leader)?;
                events.thread(place, &comm)?;
            }
            Track::Transactions(_) => events.thread(place, "transactions")?,
            Track::Losses => events.thread(place, "losses")?,
        }
    }
    if !report.findings.is_empty() {
        events.thread(events::FINDINGS, "findings")?;
    }
    for test in &report.tests {
        events.thread(events::of_test(test), "tests")?;
    }
    Ok(())
}

/// ns from the start of the session to that of a test.
fn since(report: &Report, test: &Test) -> Option<u64> {
    let (start, begin): (jiff::Timestamp, jiff::Timestamp) =
        (report.started_at.parse().ok()?, test.started_at.parse().ok()?);
    u64::try_from(begin.as_nanosecond() - start.as_nanosecond()).ok()
}

/// When the listed instances of a finding were found, and what each is about.
fn marks(finding: &Finding) -> Vec<(u64, String)> {
    let of = |instance: &super::model::Instance| {
        let name = super::owners::name(instance).unwrap_or_default();
        (instance.first_seen_ns, format!("{name} {}", format::amount(instance.amount, &finding.unit)))
    };
    finding.instances.iter().map(of).collect()
}

fn by_track(slices: &[Slice]) -> Vec<Vec<Slice>> {
    let mut sorted = slices.to_vec();
    // A longer one that begins at the same time is around the other.
    sorted.sort_by_key(|slice| (slice.track, slice.from, std::cmp::Reverse(slice.to)));
    sorted.chunk_by(|one, next| one.track == next.track).map(<[Slice]>::to_vec).collect()
}

/// Slices of one track must lie in each other or beside each other. A flush begins where the step before it ended, which may be a
/// little before the wait that it is for: it is cut at the end of what is around it.
fn nested(slices: Vec<Slice>) -> Vec<Slice> {
    let mut around: Vec<u64> = Vec::new();
    let mut nested = Vec::with_capacity(slices.len());
    for mut slice in slices {
        while around.last().is_some_and(|end| *end <= slice.from) {
            around.pop();
        }
        if let Some(end) = around.last() {
            slice.to = slice.to.min(*end);
        }
        around.push(slice.to);
        nested.push(slice);
    }
    nested
}
