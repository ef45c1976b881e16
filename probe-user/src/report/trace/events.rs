//! The events, one object a line. The format is that of the "Trace Event Format" document of Chrome, JSON object form.
use std::io::{self, Write};

use probe_common::loss::LossClass;
use serde_json::{Value, json};

use super::{
    super::model::{Finding, Test},
    Counter, Instant, InstantKind, Slice, SliceKind, Timeline, Track,
};
use crate::format;

/// Processes of our own have ids that no process of the machine has: Linux has at most 2^22.
pub(super) const SESSION: u64 = 1 << 23;
const FILESYSTEMS: u64 = SESSION + 1;

/// The track of findings.
pub(super) const FINDINGS: Place = Place { pid: SESSION, tid: 1 };
const LOSSES: Place = Place { pid: SESSION, tid: 2 };
/// The first track of tests; runs of a suite side by side have one each.
const TESTS: u64 = 16;
/// The track of transactions in a filesystem.
const TRANSACTIONS: u64 = 1;

/// A process and a thread of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) pid: u64,
    pub(super) tid: u64,
}

impl Place {
    pub(super) fn of(timeline: &Timeline, track: Track) -> Self {
        match track {
            Track::Thread(tid) => {
                let pid = timeline.tasks.get(&tid).map_or(tid, |(pid, _)| *pid);
                Self { pid: u64::from(if pid == 0 { tid } else { pid }), tid: u64::from(tid) }
            }
            Track::Transactions(at) => Self { pid: filesystem(at), tid: TRANSACTIONS },
            Track::Losses => LOSSES,
        }
    }
}

/// The process of a filesystem.
pub(super) const fn filesystem(at: usize) -> u64 {
    FILESYSTEMS + at as u64
}

/// The track of a test.
pub(super) fn of_test(test: &Test) -> Place {
    Place { pid: SESSION, tid: TESTS + u64::from(test.run.unwrap_or(0)) }
}

/// The file under construction.
pub(super) struct Events<W> {
    writer: W,
    first: bool,
}

impl<W: Write> Events<W> {
    pub(super) fn begin(mut writer: W, about: &Value) -> io::Result<Self> {
        write!(writer, "{{\"displayTimeUnit\":\"ms\",\"otherData\":{about},\"traceEvents\":[")?;
        Ok(Self { writer, first: true })
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        self.writer.write_all(b"\n]}\n")?;
        self.writer.flush()
    }

    fn event(&mut self, event: &Value) -> io::Result<()> {
        let lead = if std::mem::take(&mut self.first) { "\n" } else { ",\n" };
        write!(self.writer, "{lead}{event}")
    }

    pub(super) fn process(&mut self, pid: u64, name: &str) -> io::Result<()> {
        self.event(&json!({"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "ts": 0, "args": {"name": name}}))
    }

    pub(super) fn thread(&mut self, place: Place, name: &str) -> io::Result<()> {
        let Place { pid, tid } = place;
        self.event(&json!({"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "ts": 0, "args": {"name": name}}))
    }

    pub(super) fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        let name = format!("{} {}", counter.of, counter.name);
        let pid = filesystem(counter.filesystem);
        for (at, value) in &counter.points {
            self.event(&json!({
                "ph": "C", "cat": "pool", "name": name, "pid": pid, "tid": 0, "ts": us(*at), "args": {"bytes": value},
            }))?;
        }
        Ok(())
    }

    fn complete(&mut self, place: Place, (from, to): (u64, u64), name: &str, args: &Value) -> io::Result<()> {
        let Place { pid, tid } = place;
        let dur = us(to.saturating_sub(from));
        self.event(&json!({
            "ph": "X", "cat": "btrfs", "name": name, "pid": pid, "tid": tid, "ts": us(from), "dur": dur, "args": args,
        }))
    }

    fn moment(&mut self, place: Place, at: u64, name: &str, args: &Value) -> io::Result<()> {
        let Place { pid, tid } = place;
        self.event(&json!({
            "ph": "i", "s": "t", "cat": "btrfs", "name": name, "pid": pid, "tid": tid, "ts": us(at), "args": args,
        }))
    }

    pub(super) fn slice(&mut self, timeline: &Timeline, slice: &Slice) -> io::Result<()> {
        let on = name_of(timeline, slice.filesystem);
        let (name, args) = match slice.what {
            SliceKind::Wait { space_flags, bytes, flush, error } => {
                let space = format::space_type(space_flags);
                let outcome = match error {
                    0 => "granted".to_owned(),
                    error => format!("failed with errno {}", error.saturating_neg()),
                };
                let flush = format::reserve_flush(flush);
                let args = json!({
                    "space": space, "bytes": bytes, "flush": flush, "outcome": outcome, "filesystem": on,
                });
                (format!("waits for {space} space"), args)
            }
            SliceKind::Flush { space_flags, bytes, state, ret, preemptive } => {
                let state = timeline
                    .flush_states
                    .get(&state)
                    .cloned()
                    .unwrap_or_else(|| format!("flush state {state}"));
                let asked = if bytes == u64::MAX { json!("all") } else { json!(bytes) };
                let args = json!({
                    "space": format::space_type(space_flags), "bytes": asked, "returned": ret,
                    "preemptive": preemptive, "filesystem": on,
                });
                (format!("flush_space {state}"), args)
            }
            SliceKind::Transaction { transid } => {
                (format!("transaction {transid}"), json!({"generation": transid, "filesystem": on}))
            }
        };
        self.complete(Place::of(timeline, slice.track), (slice.from, slice.to), &name, &args)
    }

    pub(super) fn instant(&mut self, timeline: &Timeline, instant: &Instant) -> io::Result<()> {
        let on = name_of(timeline, instant.filesystem);
        let (name, args) = match instant.what {
            InstantKind::Failed { space_flags, bytes, error } => {
                let space = format::space_type(space_flags);
                let args = json!({"space": space, "bytes": bytes, "errno": error, "filesystem": on});
                let name = if error == 28 { "ENOSPC".to_owned() } else { format!("errno {error}") };
                (format!("{name}: reservation of {space}"), args)
            }
            InstantKind::Refused { qgroup, bytes } => {
                let qgroup = format::qgroup(qgroup);
                (
                    format!("EDQUOT: qgroup {qgroup}"),
                    json!({"qgroup": qgroup, "bytes": bytes, "filesystem": on}),
                )
            }
            InstantKind::Committed { transid } => {
                (format!("committed transaction {transid}"), json!({"generation": transid, "filesystem": on}))
            }
            InstantKind::Warned => ("kernel WARN".to_owned(), json!({})),
            InstantKind::Lost { class, count } => {
                let class = LossClass::ALL.get(class as usize).map_or("unknown", |class| class.name());
                (format!("lost: {class}"), json!({"class": class, "count": count}))
            }
        };
        self.moment(Place::of(timeline, instant.track), instant.at, &name, &args)
    }

    pub(super) fn test(&mut self, test: &Test, from: u64) -> io::Result<()> {
        let args = json!({
            "verdict": test.verdict.name(), "result": test.result, "section": test.section,
            "records": test.records, "lost": test.lost, "findings": test.finding_ids,
        });
        self.complete(of_test(test), (from, from.saturating_add(test.duration_ns)), &test.name, &args)
    }

    pub(super) fn finding(
        &mut self,
        finding: &Finding,
        name: &str,
        marks: &[(u64, String)],
    ) -> io::Result<()> {
        for (at, of) in marks {
            let args = json!({
                "finding": finding.id, "of": of, "fingerprint": finding.fingerprint,
                "explanation": finding.explanation, "counts": finding.ignored.is_none(),
                "task": finding.task.as_ref().map(|task| task.comm.as_str()),
            });
            self.moment(FINDINGS, *at, name, &args)?;
        }
        Ok(())
    }
}

fn name_of(timeline: &Timeline, at: Option<usize>) -> Option<&str> {
    timeline.filesystems.get(at?).map(String::as_str)
}

/// us, to the ns.
fn us(ns: u64) -> Value {
    // A number with three places behind the point, exactly: a double has 53 bits, which are three months of ns.
    json!(ns as f64 / 1000.0)
}
