//! What the tool said against what it has to say.
use std::collections::BTreeMap;

use serde_json::Value;

use super::scenario::{Amount, Bug, Sight};
use crate::support::probe::{Done, list, number};

/// The root of the filesystem tree: all scenarios work there.
const FS_TREE: i64 = 5;

/// Holds a session to what a tier must see of the filesystem `uuid`.
pub fn check(sight: &Sight, done: &Done, uuid: &str, notes: &BTreeMap<String, u64>) {
    assert!(!notes.is_empty(), "the work failed: {}\n{}", done.stdout, done.stderr);
    match sight {
        Sight::Exact(bug) => {
            let instance = found(bug, done, uuid, notes);
            assert_eq!(instance["confidence"], "exact", "{instance}");
        }
        Sight::Bounded { bug, .. } => drop(found(bug, done, uuid, notes)),
        Sight::NotVisible(_) => {
            acted(notes);
            silent(done, uuid);
        }
        Sight::Silent(allowed) => {
            silent(done, uuid);
            assert!(done.code == 0 || done.code == 4 && allowed.is_some(), "{}", reasons(done));
        }
    }
}

/// What the inode of the bug, or the first owner, has of the finding, when everything else that was found is allowed beside it.
fn found<'a>(bug: &Bug, done: &'a Done, uuid: &str, notes: &BTreeMap<String, u64>) -> &'a Value {
    acted(notes);
    let all = of(done.report(), uuid);
    let is =
        |finding: &Value, kind: &str, account: &str| finding["kind"] == kind && finding["account"] == account;
    let of_bug = |instance: &Value| bug.inode.is_none_or(|inode| instance["inode"] == inode);
    let (finding, instance) = all
        .iter()
        .filter(|finding| is(finding, bug.kind, bug.account))
        .find_map(|finding| Some((*finding, list(&finding["instances"]).iter().find(|one| of_bug(one))?)))
        .unwrap_or_else(|| panic!("no {} of {}: {}\n{}", bug.kind, bug.account, brief(&all), reasons(done)));
    if bug.inode.is_some() || (bug.kind, bug.account) == ("leak", "inode.qgroup_data") {
        assert_eq!(instance["root"], FS_TREE, "{finding}");
    }
    let amount = number(&instance["amount"]);
    match bug.amount {
        Amount::Is(wanted) => assert_eq!(amount, wanted, "{finding}"),
        Amount::Noted(name) => assert_eq!(amount as u64, notes[name], "{finding}"),
        Amount::Some => assert!(amount > 0, "{finding}"),
    }
    let names = |stack: &Value| {
        list(stack).iter().filter_map(|frame| frame["symbol"].as_str()).map(str::to_owned).collect::<Vec<_>>()
    };
    let stack = names(&finding["stack"]);
    assert!(
        bug.stack.is_empty() || bug.stack.split('|').any(|wanted| stack.iter().any(|name| name == wanted)),
        "no {} in {stack:?}",
        bug.stack
    );
    if bug.origins {
        let origins = list(&finding["origins"]);
        assert!(
            origins.iter().any(|origin| !names(&origin["stack"]).is_empty()),
            "nobody reserved: {finding}"
        );
    }
    for other in &all {
        let known = is(other, bug.kind, bug.account)
            || bug.also.iter().any(|(kind, account)| is(other, kind, account));
        assert!(known, "not of this bug: {}", brief(&all));
    }
    // What the kernel says of the same bug is explained by it.
    for line in lines_of(done, uuid) {
        assert_eq!(line["unexplained"], 0, "{line}");
    }
    assert_eq!(done.code, 3, "{}", done.stderr);
    instance
}

fn acted(notes: &BTreeMap<String, u64>) {
    assert!(notes.get("acted").is_some_and(|times| *times > 0), "no fault acted: {notes:?}");
}

fn silent(done: &Done, uuid: &str) {
    let all = of(done.report(), uuid);
    assert!(all.is_empty(), "{}\n{}", brief(&all), reasons(done));
}

/// Complaints of the kernel about one filesystem.
fn lines_of<'a>(done: &'a Done, uuid: &str) -> Vec<&'a Value> {
    let of = |line: &&Value| list(&line["filesystems"]).iter().any(|fs| fs == uuid);
    list(&done.report()["kernel_lines"]).iter().filter(of).collect()
}

fn reasons(done: &Done) -> String {
    format!("status {}, {}", done.code, done.report()["verdict_reasons"])
}

/// Findings on one filesystem.
fn of<'a>(report: &'a Value, uuid: &str) -> Vec<&'a Value> {
    list(&report["findings"]).iter().filter(|finding| finding["filesystem"] == uuid).collect()
}

/// A line for each finding.
fn brief(findings: &[&Value]) -> String {
    let mut text = String::new();
    for finding in findings {
        let names = |stack: &Value| {
            let names: Vec<_> =
                list(stack).iter().filter_map(|frame| frame["symbol"].as_str()).take(9).collect();
            names.join(" < ")
        };
        text += &format!(
            "\n  - {} {} {}:{} (instances: {}) amount {} count {} ({}): {}\n      stack {}",
            finding["kind"].as_str().unwrap_or("?"),
            finding["account"].as_str().unwrap_or("?"),
            finding["root"],
            finding["inode"],
            list(&finding["instances"]).len() as u64 + number(&finding["instances_left_out"]) as u64,
            finding["amount"],
            finding["count"],
            finding["confidence"].as_str().unwrap_or("?"),
            finding["explanation"].as_str().unwrap_or("?"),
            names(&finding["stack"]),
        );
        for origin in list(&finding["origins"]) {
            text += &format!("\n      origin {} {}", origin["bytes"], names(&origin["stack"]));
        }
    }
    text
}

/// Prints all of it instead of judging.
pub fn show(name: &str, done: &Done, uuid: &str, notes: &BTreeMap<String, u64>) {
    if notes.is_empty() {
        println!("## {name}: THE WORK FAILED {} {}", done.stdout, done.stderr);
    }
    let Some(report) = &done.report else {
        println!("## {name}: NO REPORT {} {}", done.code, done.stderr);
        return;
    };
    println!(
        "## {name}: status {} notes {notes:?} lines {:?} failed {} reasons {}{}",
        done.code,
        lines_of(done, uuid),
        report["failed_reservations"],
        report["verdict_reasons"],
        brief(&of(report, uuid))
    );
}
