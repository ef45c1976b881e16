//! Causes of ENOSPC that a correct kernel on an ordinary device removes before anybody sees them, made in guests of `cargo xtask vm`: the
//! report names each, with the kernel's figures.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use probe_user::format::bytes;
use serde_json::Value;
use support::{
    failures::{assert_adds_up, text},
    fault::{
        self,
        shortages::{self, State},
    },
    probe::{assert_clean, list, number},
};

/// As a sentence has it.
fn size(number: i64) -> String {
    bytes(number, "iB")
}

/// What the report says of the reservations of a filesystem that failed so: who, and why.
fn explained<'a>(report: &'a Value, state: &State, kind: &str, space_info: &str) -> Vec<&'a Value> {
    let of = |failure: &&Value| {
        failure["filesystem"] == state.uuid.as_str()
            && failure["kind"] == kind
            && failure["space_info"] == space_info
    };
    let instances =
        list(&report["failures"]).iter().filter(of).flat_map(|failure| list(&failure["instances"]));
    instances.filter(|instance| !instance["why"].is_null()).collect()
}

/// A line for each failure that the report has.
fn brief(report: &Value) -> String {
    let failures = list(&report["failures"]).iter();
    let line = |failure: &Value, instance: &Value| {
        let (who, causes) = (text(instance, "who"), &instance["why"]["causes"]);
        format!("  {} {}: {who} {causes}\n", failure["filesystem"], failure["kind"])
    };
    failures
        .flat_map(|failure| list(&failure["instances"]).iter().map(move |instance| line(failure, instance)))
        .collect()
}

/// A state whose failures have this cause first: the last of them, with the state. It is no bug of the accounting.
fn caused(cause: &str, kind: &str, space_info: &str, comm: &str) -> (&'static Value, &'static State) {
    let session = shortages::session();
    let state = session.state(cause);
    assert_clean(&session.done);
    let report = session.done.report();
    assert_adds_up(report);
    let all = explained(report, state, kind, space_info);
    let of_comm = |instance: &&&Value| text(instance, "who").starts_with(&format!("{comm} (thread "));
    let Some(instance) = all.iter().rev().find(of_comm) else {
        panic!("none of {comm} on {}:\n{}", state.uuid, brief(report))
    };
    let why = &instance["why"];
    assert_eq!(list(&why["causes"])[0], cause, "{why}");
    assert!(list(&why["help"])[0].as_str().is_some_and(|help| !help.is_empty()), "{why}");
    if kind == "ticket" {
        assert_eq!(number(&instance["bytes"]), number(&why["request"]), "{instance}");
    }
    (why, state)
}

fn space<'a>(why: &'a Value, kind: &str) -> &'a Value {
    list(&why["space_infos"]).iter().find(|space| space["kind"] == kind).unwrap()
}

/// What a block_rsv should hold, and holds.
fn rsv(why: &Value, name: &str) -> (i64, i64) {
    let rsv = list(&why["block_rsvs"]).iter().find(|rsv| rsv["name"] == name).unwrap();
    (number(&rsv["size"]), number(&rsv["reserved"]))
}

/// The sentence begins with what did not fit, and ends with the reason.
fn assert_says(why: &Value, kind: &str, begin: &str, end: &str) {
    let sentence = text(why, "sentence");
    let space = space(why, kind);
    let fits = format!(
        "{begin}: a reservation of {} does not fit into the {} that are free of {} (",
        size(number(&why["request"])),
        size(number(&space["free"])),
        size(number(&space["total"]))
    );
    assert!(sentence.starts_with(&fits), "not `{fits}`: {sentence}");
    assert!(sentence.contains(&format!("({} used, ", size(number(&space["used"])))), "{sentence}");
    assert!(sentence.contains(end), "not `{end}`: {sentence}");
}

#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn what_is_pinned_until_the_commit_is_named() {
    if !fault::guest() {
        return;
    }
    let (why, state) = caused("pinned-until-commit", "ticket", "metadata", "mkdir");
    let pinned = number(&space(why, "metadata")["pinned"]);
    assert_eq!(pinned, state.level("metadata/bytes_pinned"), "{why}");
    let end = format!(
        "), and the {} that are pinned were freed in the running transaction and can be used only after its commit.",
        size(pinned)
    );
    assert_says(why, "metadata", "Metadata is full", &end);
}

#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn what_references_hold_is_named() {
    if !fault::guest() {
        return;
    }
    let (why, state) = caused("delayed-refs-reserve", "ticket", "metadata", "mkdir");
    let (_, held) = rsv(why, "delayed_refs_rsv");
    assert!(held > number(&why["request"]) && held < state.level("metadata/bytes_may_use"), "{why}");
    let end = format!(
        "{} of it by the delayed refs reserve), and {} of it wait in the delayed refs reserve until the references are written.",
        size(held),
        size(held)
    );
    assert_says(why, "metadata", "Metadata is full", &end);
}

#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn a_drained_global_reserve_is_named() {
    if !fault::guest() {
        return;
    }
    let (why, state) = caused("global-reserve-drained", "ticket", "metadata", "rm");
    let (whole, left) = rsv(why, "global_block_rsv");
    assert_eq!(whole, state.level("global_rsv_size"), "{why}");
    assert!(left < whole / 2 && state.level("global_rsv_reserved") < whole / 2, "{why}");
    let end = format!(
        "), and the global reserve, the last resort, has {} of its {} left.",
        size(left),
        size(whole)
    );
    assert_says(why, "metadata", "Metadata is full", &end);
}

#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn a_refused_overcommit_is_named() {
    if !fault::guest() {
        return;
    }
    let (why, state) = caused("overcommit-refused", "ticket", "metadata", "mv");
    let space = space(why, "metadata");
    assert_eq!(number(&space["total"]), state.level("metadata/total_bytes"), "{why}");
    assert_eq!(space["full"], false, "{why}");
    let unallocated = number(&why["usage"]["unallocated"]);
    assert!(unallocated > 2 << 20, "room for a chunk: {why}");
    let end = format!(
        "and although the last try for a chunk did not fail, the kernel promises no more against unallocated space ({} are \
         unallocated): at most half of it, and an eighth to a task that can wait.",
        size(unallocated)
    );
    assert_says(why, "metadata", "Metadata has too little room", &end);
}

#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn who_cannot_pass_those_that_wait_is_told_so() {
    if !fault::guest() {
        return;
    }
    let (why, _) = caused("waiting-reservations", "no-wait", "metadata", "chmod");
    let free = number(&space(why, "metadata")["free"]);
    assert!(number(&why["request"]) <= free, "{why}");
    let begin = format!("Metadata has {} free, but reservations of ", size(free));
    let sentence = text(why, "sentence");
    assert!(sentence.starts_with(&begin), "not `{begin}`: {sentence}");
    assert!(
        sentence.ends_with(" wait for space already, and one that may not wait cannot pass them."),
        "{sentence}"
    );
}

#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn what_zones_do_not_give_back_is_named() {
    if !fault::guest() {
        return;
    }
    let (why, state) = caused("zone-unusable", "ticket", "data", "dd");
    let unusable = number(&space(why, "data")["zone_unusable"]);
    assert_eq!(unusable, state.level("data/bytes_zone_unusable"), "{why}");
    let end = format!(
        "{0} unusable in zones), and {0} behind the write pointers of zones come back only when these zones are reset.",
        size(unusable)
    );
    assert_says(why, "data", "Data is full", &end);
}
