//! Traces of the bundled recordings, held against the rules of the format: those of the published "Trace Event Format", and of what
//! `ui.perfetto.dev` makes of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
use std::{collections::BTreeMap, path::Path};

use probe_record::stream::Source as _;
use serde_json::Value;

use super::{Tracer, Tracing};
use crate::{
    report::{build::Policy, model::Report, trace},
    session::{consume, facts, plan::FilterPlan, selected::Recording},
};

fn traced(name: &str) -> (Report, Value) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let mut source = Recording::new(&file, &FilterPlan::default()).unwrap().open().unwrap();
    let mut tracer = Tracer::new(source.header());
    let onlooker = Tracing { tracer: Some(&mut tracer), other: consume::Nobody };
    let books = consume::into_books(&mut source, onlooker);
    let report =
        facts::report(source.header(), source.end(), books.all_doubts(&source), &books, &Policy::default());
    let mut bytes = Vec::new();
    trace::write(&report, &tracer.into_timeline(), &mut bytes).unwrap();
    (report, serde_json::from_slice(&bytes).unwrap())
}

fn events(trace: &Value) -> &[Value] {
    trace["traceEvents"].as_array().unwrap()
}

fn of<'a>(trace: &'a Value, phase: &'a str, name: &'a str) -> Vec<&'a Value> {
    let fits =
        |event: &&Value| event["ph"] == phase && event["name"].as_str().is_some_and(|of| of.contains(name));
    events(trace).iter().filter(fits).collect()
}

type Place = (u64, u64);

/// The rules that a reader depends on.
fn check(trace: &Value, duration_ns: u64) {
    let mut named: Vec<Place> = Vec::new();
    let mut slices: BTreeMap<Place, Vec<(f64, f64)>> = BTreeMap::new();
    let mut counters: BTreeMap<(u64, &str), f64> = BTreeMap::new();
    for event in events(trace) {
        let phase = event["ph"].as_str().unwrap();
        let name = event["name"].as_str().unwrap();
        let place = (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap());
        let time = event["ts"].as_f64().unwrap();
        assert!(time.is_finite() && time >= 0.0 && !name.is_empty(), "{event}");
        assert!(event["args"].is_object(), "{event}");
        match phase {
            "M" => {
                assert!(matches!(name, "process_name" | "thread_name"), "{event}");
                assert!(event["args"]["name"].is_string(), "{event}");
                named.push(place);
            }
            "C" => {
                assert!(event["args"].as_object().unwrap().values().all(Value::is_number), "{event}");
                let last = counters.insert((place.0, name), time).unwrap_or(0.0);
                assert!(last <= time, "the points of a counter are in the order of time: {event}");
            }
            "X" => {
                let length = event["dur"].as_f64().unwrap();
                assert!(length.is_finite() && length >= 0.0, "{event}");
                slices.entry(place).or_default().push((time, time + length));
            }
            "i" => assert!(matches!(event["s"].as_str(), Some("t" | "p" | "g")), "{event}"),
            other => panic!("phase {other}"),
        }
        if phase != "M" && phase != "C" {
            assert!(named.contains(&place), "a track without a name: {event}");
        }
        // A second of slack: a record has the time of a jiffy, and the end that of the last.
        assert!(time <= duration_ns as f64 / 1e3 + 1e6, "{event}");
    }
    for (place, track) in slices {
        for (at, (from, to)) in track.iter().enumerate() {
            for (other, end) in &track[at + 1..] {
                // Half a ns: times are doubles in us.
                let apart = *other >= to - 5e-4 || *end <= from + 5e-4;
                let inside = *other >= from - 5e-4 && *end <= to + 5e-4;
                let around = *from >= other - 5e-4 && *to <= end + 5e-4;
                assert!(apart || inside || around, "{place:?}: {from}..{to} and {other}..{end}");
            }
        }
    }
}

#[test]
fn the_traces_of_all_recordings_are_well_formed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/recordings");
    let mut names = vec!["assets/demo.rsv".to_owned()];
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".rsv") {
            names.push(format!("testdata/recordings/{name}"));
        }
    }
    assert!(names.len() > 5);
    for name in names {
        let (report, trace) = traced(&name);
        check(&trace, report.duration_ns);
        assert!(!of(&trace, "C", "metadata bytes_may_use").is_empty(), "{name}");
        assert_eq!(trace["otherData"]["slices_left_out"], 0, "{name}");
    }
}

#[test]
fn waits_flushes_failures_and_transactions_are_on_their_tracks() {
    let (report, trace) = traced("testdata/recordings/enospc.rsv");
    assert!(!of(&trace, "X", "waits for").is_empty());
    let calls: u64 =
        report.filesystems.iter().flat_map(|fs| &fs.flushes.states).map(|state| state.calls).sum();
    assert_eq!(of(&trace, "X", "flush_space ").len() as u64, calls);
    assert!(!of(&trace, "i", "ENOSPC: reservation of ").is_empty());
    assert!(!of(&trace, "X", "transaction ").is_empty());
    assert!(!of(&trace, "i", "committed transaction ").is_empty());
    let (_, trace) = traced("testdata/recordings/failures.rsv");
    assert!(!of(&trace, "i", "EDQUOT: qgroup 0/").is_empty());
}

#[test]
fn losses_are_instants_and_add_up() {
    let (report, trace) = traced("testdata/recordings/lossy.rsv");
    for (class, count) in &report.loss.by_class {
        let name = format!("lost: {class}");
        let lost = of(&trace, "i", &name).into_iter().filter(|event| event["name"] == name.as_str());
        let sum: u64 = lost.map(|event| event["args"]["count"].as_u64().unwrap()).sum();
        // What is lost in reading or booking is no sample.
        assert!(sum == *count || matches!(class.as_str(), "file_read" | "ledger_bound"), "{class}");
    }
}
