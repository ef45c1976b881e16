//! What the script draws from, as JSON in the page.
//!
//! Times are microseconds since the start of the session. Of a counter there are four lists of one length, in which each number but
//! the first is a difference: `t` to the time before, `v` to the value before; `lo` and `hi` tell by how much the lowest
//! and the highest value differ from `v`. They are left out if all are 0.
use maud::PreEscaped;
use serde_json::{Value, json};

use super::{
    super::model::{CounterTimeline, FsTimeline, Report},
    lanes::{Kind, Pool},
};

/// The data of the timelines that the page draws. `lanes`: those of each filesystem that is shown.
pub(super) fn json_of(report: &Report, shown: &[&FsTimeline], lanes: &[Vec<Pool>]) -> PreEscaped<String> {
    let filesystems: Vec<Value> = lanes
        .iter()
        .zip(shown)
        .map(|(pools, fs)| {
            let lanes = pools.iter().flat_map(|pool| &pool.lanes).map(|lane| {
                json!({
                    "stack": lane.kind == Kind::Stack,
                    "counters": lane.counters.iter().map(counter).collect::<Vec<_>>(),
                })
            });
            json!({ "to": fs.to_ns / 1000, "lanes": lanes.collect::<Vec<_>>() })
        })
        .collect();
    let data = json!({ "duration": duration_us(report), "filesystems": filesystems });
    PreEscaped(for_script(&data.to_string()))
}

/// Length of the pictures, microseconds.
pub(super) fn duration_us(report: &Report) -> u64 {
    (report.duration_ns / 1000).max(1)
}

/// JSON that can stand in a `<script>`: nothing in it ends the element, begins a comment, or is a line end to an old script engine.
pub(super) fn for_script(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            c => safe.push(c),
        }
    }
    safe
}

fn counter(counter: &CounterTimeline) -> Value {
    let points = &counter.points;
    let differences = |value: fn(&super::super::model::TimePoint) -> i64| -> Vec<i64> {
        let mut before = 0;
        let difference = |point| {
            let value = value(point);
            let difference = value.wrapping_sub(before);
            before = value;
            difference
        };
        points.iter().map(difference).collect()
    };
    let mut data = json!({
        "name": counter.name,
        "t": differences(|point| i64::try_from(point.time_ns / 1000).unwrap_or(i64::MAX)),
        "v": differences(|point| point.last),
    });
    let lows: Vec<i64> = points.iter().map(|point| point.last.wrapping_sub(point.low)).collect();
    let highs: Vec<i64> = points.iter().map(|point| point.high.wrapping_sub(point.last)).collect();
    for (name, list) in [("lo", lows), ("hi", highs)] {
        if list.iter().any(|number| *number != 0) {
            data[name] = json!(list);
        }
    }
    data
}
