//! What a report says of reservations that failed.
use serde_json::Value;

use super::probe::{list, number};

/// The failures of this kind.
pub fn failures<'a>(report: &'a Value, kind: &str) -> Vec<&'a Value> {
    list(&report["failures"]).iter().filter(|failure| failure["kind"] == kind).collect()
}

/// Every figure that was said adds up.
pub fn assert_adds_up(report: &Value) {
    let instances = list(&report["failures"]).iter().flat_map(|failure| {
        list(&failure["instances"]).iter().map(move |instance| (failure, &instance["why"]))
    });
    for (failure, why) in instances.filter(|(_, why)| !why.is_null()) {
        assert_eq!(list(&why["impossible"]), [] as [Value; 0], "{why}");
        for space in list(&why["space_infos"]) {
            let terms = ["used", "pinned", "reserved", "may_use", "readonly", "zone_unusable", "free"];
            let sum: i64 = terms.iter().map(|term| number(&space[*term])).sum();
            assert_eq!(sum, number(&space["total"]), "{space}");
            let held: i64 = list(&why["block_rsvs"])
                .iter()
                .filter(|rsv| rsv["space_info"] == space["kind"])
                .map(|rsv| number(&rsv["reserved"]))
                .sum();
            // What fits is not called too much.
            let request = why["request"].as_i64().unwrap_or(i64::MAX);
            if space["kind"] == failure["space_info"] && request <= number(&space["free"]) {
                assert!(!text(why, "sentence").contains("does not fit"), "{why}");
            }
            if !space["may_use_other"].is_null() {
                assert_eq!(held + number(&space["may_use_other"]), number(&space["may_use"]), "{why}");
            }
        }
    }
}

/// A text of an object; empty if it has none of that name.
pub fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_default()
}
