//! `report --from --to --test`: findings of a part of a recording.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
use std::process::Command;

use serde_json::Value;

const BROKEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/broken.rsv");

/// Exit code, the JSON report (null without one) and what was said.
fn report(arguments: &[&str]) -> (i32, Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_btrfs-probe"))
        .args(["report", BROKEN, "--format", "json"])
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

fn kinds(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["kind"].as_str().unwrap()).collect()
}

#[test]
fn only_what_fell_into_the_time_is_reported() {
    let (code, whole, _) = report(&[]);
    assert_eq!((code, kinds(&whole).len()), (3, 4));
    assert!(whole.get("part").is_none());
    // The findings are at 2.1, 3.2, 4.3 and 5.5 s, the failure at 4.3 s.
    let (code, part, _) = report(&["--from", "3s", "--to", "5s"]);
    assert_eq!(code, 3);
    assert_eq!(kinds(&part), ["leak", "error-path-leak"]);
    assert_eq!(part["part"]["from_ns"], 3_000_000_000_u64);
    assert_eq!(part["part"]["to_ns"], 5_000_000_000_u64);
    assert_eq!(part["failures"].as_array().unwrap().len(), 1);
    for (one, other) in [(0, 1), (1, 2)] {
        assert_eq!(part["findings"][one], whole["findings"][other], "as in the report of the whole session");
    }
    // The books and all other figures are those of the whole session.
    assert_eq!(part["statistics"], whole["statistics"]);
}

#[test]
fn a_part_without_a_finding_is_clean_though_the_session_is_not() {
    let (code, part, _) = report(&["--to", "1500ms"]);
    assert_eq!(code, 0, "{}", part["verdict_reasons"]);
    assert_eq!(part["verdict"], "clean");
    assert!(kinds(&part).is_empty());
    assert!(part["failures"].as_array().unwrap().is_empty());
    assert!(part["kernel_warnings"].as_array().unwrap().is_empty(), "they are at the unmount");
}

#[test]
fn a_part_that_is_none_is_refused() {
    for (arguments, sentence) in [
        (vec!["--from", "1h"], "--from is behind the end of the session"),
        (vec!["--from", "5s", "--to", "3s"], "--to is before --from"),
        (vec!["--test", "generic/269"], "no test generic/269 is in this recording; it has no tests"),
    ] {
        let (code, _, said) = report(&arguments);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(sentence), "{said}");
    }
}
