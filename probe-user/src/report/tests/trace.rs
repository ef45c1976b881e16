//! What a trace takes from the report: tests and findings. The rest has its tests where it is collected.
use probe_ledger::Verdict;
use serde_json::Value;

use super::data::{test, with_findings};
use crate::report::{
    model::Report,
    trace::{self, Counter, Timeline},
};

fn trace_of(report: &Report, timeline: &Timeline) -> Value {
    let mut bytes = Vec::new();
    trace::write(report, timeline, &mut bytes).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn events(trace: &Value, phase: &str) -> Vec<Value> {
    trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == phase).cloned().collect()
}

#[test]
fn tests_are_slices_of_a_track_of_their_own_and_findings_are_marks() {
    let mut report = with_findings();
    report.tests =
        vec![test("generic/001", Verdict::Clean, &[], 0), test("generic/269", Verdict::Findings, &[0], 2)];
    report.tests[1].run = Some(77);
    let trace = trace_of(&report, &Timeline::default());
    let slices = events(&trace, "X");
    assert_eq!(slices.len(), 2);
    assert_ne!(slices[0]["tid"], slices[1]["tid"], "runs side by side are two tracks");
    assert_eq!(slices[1]["name"], "generic/269");
    assert_eq!(slices[1]["args"]["verdict"], "findings");
    assert_eq!(slices[1]["dur"].as_f64(), Some(report.tests[1].duration_ns as f64 / 1e3));
    let marks = events(&trace, "i");
    assert_eq!(marks.len(), 2);
    assert_eq!(marks[0]["ts"].as_f64(), Some(report.findings[0].first_seen_ns as f64 / 1e3));
    assert_eq!(marks[0]["args"]["fingerprint"], report.findings[0].fingerprint.as_str());
}

#[test]
fn names_can_hold_anything_and_counters_keep_their_sign() {
    let timeline = Timeline {
        filesystems: vec!["\u{2028}</script>\"\\\n".to_owned()],
        counters: vec![Counter {
            filesystem: 0,
            of: "metadata".to_owned(),
            name: "bytes_may_use",
            points: vec![(1_500, -4096), (2_000, i64::MAX)],
        }],
        ..Timeline::default()
    };
    let trace = trace_of(&with_findings(), &timeline);
    let counters = events(&trace, "C");
    assert_eq!(counters[0]["args"]["bytes"], -4096);
    assert_eq!(counters[0]["ts"].as_f64(), Some(1.5));
    let processes = events(&trace, "M");
    assert!(processes.iter().any(|event| event["args"]["name"] == timeline.filesystems[0].as_str()));
}
