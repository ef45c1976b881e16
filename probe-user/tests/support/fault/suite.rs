//! A bug in the middle of a test suite, from the kernel to what is left beside the suite's results.
use std::path::Path;

use serde_json::Value;

use super::module;
use super::run::Tier;
use crate::support::load;
use crate::support::probe::{self, Done, list};
use crate::support::suite::Suite;

/// A test without a bug.
const RIGHT: &str = "dd if=/dev/zero of=$TEST_DIR/right bs=64k count=4 conv=fsync; rm $TEST_DIR/right";
/// A write that keeps an outstanding extent, of an inode that goes away.
const WRONG: &str = "cd /sys/module/btrfs_probe_fault/parameters
echo func=btrfs_delalloc_release_extents action=skip nth=1 > arm
dd if=/dev/zero of=$TEST_DIR/wrong bs=64k count=1
echo 1 > disarm
rm $TEST_DIR/wrong; sync";

/// Where btrfs looks at an inode that goes.
const CHECK: &str = "btrfs_destroy_inode";

pub fn run() {
    module::load();
    module::disarm();
    let fs = load::filesystem(256);
    let mut suite = Suite::new();
    suite.test("generic/001", RIGHT).test("btrfs/002", WRONG).test("generic/003", RIGHT);
    let command = suite.command(&fs, &[]);
    let junit = suite.results("junit.xml");

    let found = session(&command, &[&format!("--format=junit={}", junit.display())]);
    assert_eq!(found.code, 3, "{}", found.stderr);
    assert_eq!(verdicts(&found), ["clean", "findings", "clean"], "{}", found.report()["findings"]);
    assert_eq!(list(&found.report()["tests"])[1]["result"], "pass", "the suite itself saw nothing");
    let file = std::fs::read_to_string(suite.results("btrfs/002.rsv")).expect("a file beside the results");
    assert!(file.contains("leak of inode.outstanding_extents"), "{file}");
    for other in ["generic/001.rsv", "generic/003.rsv"] {
        assert!(!suite.results(other).exists(), "{other}");
    }
    failed_case(&junit, "btrfs/002");
    for finding in list(&found.report()["findings"]) {
        assert_eq!(finding["test"], "btrfs/002", "{finding}");
    }

    // The same bug again, known by its fingerprints; the file of the session before goes.
    let known = suite.results("known");
    let fingerprints: Vec<&str> = list(&found.report()["findings"])
        .iter()
        .map(|finding| finding["fingerprint"].as_str().expect("a fingerprint"))
        .collect();
    std::fs::write(&known, fingerprints.join("\n")).expect("a file");
    let ignored = session(&command, &["--ignore", known.to_str().expect("a path")]);
    assert_eq!(ignored.code, 0, "{}\n{}", ignored.stderr, ignored.report()["findings"]);
    assert_eq!(verdicts(&ignored), ["clean", "clean", "clean"]);
    assert!(!list(&ignored.report()["findings"]).is_empty(), "ignored, not hidden");
    assert!(!suite.results("btrfs/002.rsv").exists(), "it is of the session before");

    // The same where nobody looks: the kernel's own check of the inode is all that is left of it.
    assert!(!checks(&found).is_empty(), "{}", found.report()["kernel_warnings"]);
    let other = load::filesystem(256);
    let unseen = session(&command, &["--fs", &other.fsid().to_string()]);
    assert!(list(&unseen.report()["findings"]).is_empty(), "{}", unseen.report()["findings"]);
    assert_eq!(unseen.code, 4, "{}\n{}", unseen.stderr, unseen.report()["kernel_warnings"]);
    assert_eq!(verdicts(&unseen), ["clean", "inconclusive", "clean"], "{}", unseen.report()["tests"]);
    let reasons = list(&unseen.report()["verdict_reasons"]);
    assert!(
        reasons.iter().any(|reason| reason.as_str().is_some_and(|text| text.contains(CHECK))),
        "{reasons:?}"
    );

    // Enough after the first: the test behind it would never end.
    let mut endless = Suite::new();
    endless.test("btrfs/002", WRONG).test("generic/003", "exec sleep 600");
    let enough = session(&endless.command(&fs, &[]), &["--until-findings", "1"]);
    assert_eq!(enough.code, 3, "{}", enough.stderr);
    assert_eq!(verdicts(&enough)[0], "findings");
}

fn session(command: &[String], more: &[&str]) -> Done {
    let mut arguments = vec!["run", "--fstests"];
    arguments.extend(Tier::Tracepoints.arguments());
    arguments.extend(more);
    arguments.push("--");
    arguments.extend(command.iter().map(String::as_str));
    let done = probe::run(&arguments);
    module::disarm();
    done
}

/// WARNs of the kernel's own check.
fn checks(done: &Done) -> Vec<&Value> {
    let is_check = |warning: &&Value| {
        warning["at"]["symbol"].as_str().is_some_and(|name| name.split('.').next() == Some(CHECK))
    };
    list(&done.report()["kernel_warnings"]).iter().filter(is_check).collect()
}

fn verdicts(done: &Done) -> Vec<&Value> {
    list(&done.report()["tests"]).iter().map(|test| &test["verdict"]).collect()
}

/// The case of `name`, and no other, is a failure.
fn failed_case(junit: &Path, name: &str) {
    let xml = std::fs::read_to_string(junit).expect("a JUnit file");
    let cases: Vec<&str> = xml.split("<testcase ").skip(1).collect();
    let failed: Vec<&&str> = cases.iter().filter(|case| case.contains("<failure")).collect();
    assert_eq!((cases.len(), failed.len()), (3, 1), "{xml}");
    assert!(failed[0].starts_with(&format!("name=\"{name}\" classname=\"xfstests.global\"")), "{xml}");
}
