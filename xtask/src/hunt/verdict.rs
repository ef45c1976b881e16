//! What came of an injection: the guest's words, the module's counts, and the tool's report of the boot.
use std::{collections::BTreeMap, fmt};

use serde_json::Value;

/// The classes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It was made to fail, and the books balanced.
    Clean,
    /// As `Clean`, but the filesystem was aborted, after which the books of the whole filesystem are not judged.
    Aborted,
    /// The tool found something: its findings, in a line each.
    Finding(Vec<String>),
    /// As `Finding`, and all are of the catalogue of known kernel bugs.
    Known(Vec<String>),
    /// Something was not seen, and why.
    Inconclusive(String),
    /// The guest died or hung, and its words.
    Died(String),
    /// The load did not call it there so often.
    NotReached,
}

impl Verdict {
    /// In the list of results.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Aborted => "clean, aborted",
            Self::Finding(_) => "finding",
            Self::Known(_) => "known",
            Self::Inconclusive(_) => "inconclusive",
            Self::Died(_) => "kernel died",
            Self::NotReached => "not reached",
        }
    }

    /// What else is to be said, in a line.
    pub fn text(&self) -> String {
        match self {
            Self::Finding(lines) | Self::Known(lines) => lines.join("; "),
            Self::Inconclusive(why) | Self::Died(why) => why.clone(),
            Self::Clean | Self::Aborted | Self::NotReached => String::new(),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            text if text.is_empty() => f.write_str(self.name()),
            text => write!(f, "{}: {text}", self.name()),
        }
    }
}

/// A call site as the fault module tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// What is called, as the compiler named it.
    pub function: String,
    /// `SYMBOL+0xOFFSET`
    pub site: String,
    /// Calls.
    pub matched: u64,
    /// How many of them failed.
    pub acted: u64,
}

/// Reads the module's `sites`: `FUNCTION SITE MATCHED ACTED` in each line.
pub fn reached(text: &str) -> Vec<Reached> {
    let one = |line: &str| {
        let mut words = line.split_whitespace();
        let function = words.next()?.to_owned();
        let site = words.next()?.to_owned();
        Some(Reached {
            function,
            site,
            matched: words.next()?.parse().ok()?,
            acted: words.next()?.parse().ok()?,
        })
    };
    // A probe on the return hid the caller from the module.
    let hidden =
        |site: &str| site.starts_with("arch_rethook_trampoline") || site.starts_with("return_to_handler");
    text.lines().filter_map(one).filter(|reached| !hidden(&reached.site)).collect()
}

/// What the guest said: `hunt: begin ID` and `hunt: end ID WORDS`.
pub fn ends(said: &str) -> BTreeMap<u32, Option<String>> {
    let mut ends = BTreeMap::new();
    for line in said.lines().filter_map(|line| line.trim().strip_prefix("hunt: ")) {
        let mut words = line.splitn(3, ' ');
        let (what, id) = (words.next(), words.next().and_then(|id| id.parse().ok()));
        match (what, id) {
            (Some("begin"), Some(id)) => drop(ends.insert(id, None)),
            (Some("end"), Some(id)) => drop(ends.insert(id, words.next().map(str::to_owned))),
            _ => {}
        }
    }
    ends
}

/// The kernel's own complaints in its log of an injection: where it warned, each once.
pub fn warned(log: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in log.lines() {
        let at =
            line.split_once("WARNING: ").or_else(|| line.split_once("kernel BUG ")).map(|(_, rest)| rest);
        let place =
            at.and_then(|rest| rest.split_once(" at ")).map_or_else(|| at.unwrap_or_default(), |(_, at)| at);
        if !place.is_empty() && !found.iter().any(|other| other == place) {
            found.push(place.to_owned());
        }
    }
    found
}

/// What `btrfs check` says of a filesystem that it finds wrong: a few lines, without those that say what it does.
pub fn check(text: &str) -> Vec<String> {
    let works =
        ["Opening", "Checking", "UUID", "[", "found ", "total ", "btree space", "file data", " referenced"];
    // What a qgroup counts of extents is not reserved, and a rescan that the unmount has cut short leaves it wrong.
    let counts = ["Counts for qgroup", "our:", "disk:", "diff:", "Qgroup", "Rescan"];
    let dull = |line: &str| works.iter().chain(&counts).any(|begin| line.starts_with(begin));
    let lines = text.lines().filter(|line| !line.is_empty() && !dull(line));
    lines.take(4).map(str::to_owned).collect()
}

/// The UUID of an injection's filesystem.
fn uuid(id: u32) -> String {
    format!("00000000-0000-4000-8000-{id:012}")
}

/// Judges injection `id` by the report of its boot. `end` is what the guest said at its end.
pub fn judge(id: u32, end: &str, acted: bool, report: &Value) -> Verdict {
    let uuid = uuid(id);
    let of_it = |value: &&Value| value["filesystem"] == uuid.as_str();
    let findings: Vec<&Value> = report["findings"].as_array().into_iter().flatten().filter(of_it).collect();
    let (known, new): (Vec<&Value>, Vec<&Value>) =
        findings.into_iter().partition(|finding| !finding["known"].is_null());
    if !new.is_empty() {
        return Verdict::Finding(new.into_iter().map(line).collect());
    }
    if !acted {
        return Verdict::NotReached;
    }
    if end != "done" {
        return Verdict::Died(end.to_owned());
    }
    if !known.is_empty() {
        return Verdict::Known(known.into_iter().map(line).collect());
    }
    // Each mount of it is one in the report.
    let mounts: Vec<&Value> = report["filesystems"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|fs| fs["uuid"] == uuid.as_str())
        .collect();
    if mounts.is_empty() {
        return Verdict::Inconclusive("the report has no such filesystem".to_owned());
    }
    // A finding of another injection hides that the session was incomplete.
    let lost: u64 = report["loss"]["by_class"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, lost)| lost.as_u64())
        .sum();
    // Loads that switch quotas off and on are meant, and what the tool does not judge of them is no matter of the others.
    let switched = |reason: &Value| {
        reason
            .as_str()
            .is_some_and(|reason| reason.contains("qgroup counter had changed without its tracepoint"))
    };
    let reasons = report["verdict_reasons"].as_array();
    let only_switched = reasons.is_some_and(|reasons| reasons.iter().all(switched));
    if (report["verdict"] == "inconclusive" && !only_switched) || lost > 0 {
        return Verdict::Inconclusive(format!("{lost} lost: {}", report["verdict_reasons"]));
    }
    if mounts.iter().any(|fs| fs["ended"] != true) {
        return Verdict::Inconclusive("its unmount was not seen".to_owned());
    }
    if mounts.iter().any(|fs| fs["aborted"] == true) { Verdict::Aborted } else { Verdict::Clean }
}

/// A finding in a line.
fn line(finding: &Value) -> String {
    let word = |key: &str| finding[key].as_str().unwrap_or_default();
    let frames: Vec<&str> = finding["stack"]
        .as_array()
        .map(|frames| frames.iter().filter_map(|frame| frame["symbol"].as_str()).take(4).collect())
        .unwrap_or_default();
    let known = finding["known"]["id"].as_str().map_or_else(String::new, |id| format!(" [{id}]"));
    format!(
        "{} {} {} {} < {}{known}",
        word("fingerprint"),
        word("kind"),
        word("account"),
        finding["amount"],
        frames.join(" < ")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_injection_that_the_guest_did_not_end_is_one_that_killed_it() {
        let ends = ends("x\nhunt: begin 1\nhunt: end 1 done\nhunt: begin 2\nhunt: late\n");
        assert_eq!(ends.get(&1), Some(&Some("done".to_owned())));
        assert_eq!(ends.get(&2), Some(&None));
        assert_eq!(ends.len(), 2);
    }

    #[test]
    fn sites_are_read_and_lines_that_are_none_left_out() {
        let found = reached("f g+0x1c 12 1\nf h+0x2 3 0\nrubbish\nf arch_rethook_trampoline+0x0 1 0\n");
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0],
            Reached { function: "f".to_owned(), site: "g+0x1c".to_owned(), matched: 12, acted: 1 }
        );
    }

    #[test]
    fn findings_go_to_the_injection_whose_filesystem_they_are_of() {
        let report = json!({
            "verdict": "findings",
            "findings": [
                {"filesystem": uuid(3), "known": null, "kind": "leak", "account": "a", "amount": 4,
                 "fingerprint": "ff", "stack": [{"symbol": "f"}, {"symbol": "g"}]},
                {"filesystem": uuid(4), "known": {"id": "k"}, "kind": "leak", "account": "a", "amount": 4},
            ],
            "filesystems": [
                {"uuid": uuid(1), "ended": true, "aborted": false}, {"uuid": uuid(2), "ended": true, "aborted": false},
                {"uuid": uuid(2), "ended": true, "aborted": true},
                {"uuid": uuid(3), "ended": true, "aborted": false}, {"uuid": uuid(4), "ended": true, "aborted": false},
                {"uuid": uuid(5), "ended": false, "aborted": false},
            ],
        });
        let judged = |id| judge(id, "done", true, &report);
        assert_eq!(judged(1), Verdict::Clean);
        assert_eq!(judged(2), Verdict::Aborted);
        assert_eq!(judged(3), Verdict::Finding(vec!["ff leak a 4 < f < g".to_owned()]));
        assert_eq!(judged(4).name(), "known");
        assert_eq!(judged(5).name(), "inconclusive");
        assert_eq!(judged(6).name(), "inconclusive");
        assert_eq!(judge(1, "done", false, &report), Verdict::NotReached);
        assert_eq!(judge(1, "stuck in the load", true, &report).name(), "kernel died");
    }

    #[test]
    fn a_warning_of_the_kernel_is_told_once() {
        let line = "[ 2.1] WARNING: CPU: 0 PID: 4 at fs/btrfs/space-info.h:259 f+0x1a0/0x1b0 [btrfs]";
        assert_eq!(
            warned(&format!("{line}\n[3] x\n{line}\n")),
            ["fs/btrfs/space-info.h:259 f+0x1a0/0x1b0 [btrfs]"]
        );
        assert!(warned("[ 1.0] BTRFS info (device loop0): x").is_empty());
    }

    #[test]
    fn of_a_check_only_what_is_wrong_is_kept() {
        let text = "Opening filesystem to check...\nChecking filesystem on /img/fs\nUUID: 0\n[1/7] checking root items\n\
                    root 5 inode 257 errors 1000\nERROR: errors found in fs roots\nfound 1 bytes used, error(s) found\nour:\t\treferenced 1\n\
                    total csum bytes: 0\n";
        assert_eq!(check(text), ["root 5 inode 257 errors 1000", "ERROR: errors found in fs roots"]);
        assert!(check("").is_empty());
    }

    #[test]
    fn what_was_lost_makes_the_clean_ones_inconclusive() {
        let report = json!({"verdict": "inconclusive", "verdict_reasons": ["lost"], "findings": [],
            "filesystems": [{"uuid": uuid(1), "ended": true, "aborted": false}]});
        assert_eq!(judge(1, "done", true, &report).name(), "inconclusive");
    }

    #[test]
    fn quotas_that_a_load_switches_do_not_make_the_others_inconclusive() {
        let why = "3 times a qgroup counter had changed without its tracepoint, as it does when quotas are switched off and on";
        let judged = |reasons: &[&str]| {
            let report = json!({"verdict": "inconclusive", "verdict_reasons": reasons, "findings": [],
                "filesystems": [{"uuid": uuid(1), "ended": true, "aborted": false}]});
            judge(1, "done", true, &report)
        };
        assert_eq!(judged(&[why]), Verdict::Clean);
        assert_eq!(judged(&[why, "lost"]).name(), "inconclusive");
    }
}
