//! The result of a round, in one line.
use std::{collections::BTreeSet, fmt, fs, path::Path};

use serde_json::Value;

use crate::vm::Release;

/// One round.
#[derive(Debug, Default)]
pub struct Round {
    seed: u64,
    /// `tracepoints` or `functions`; empty without a report.
    tier: String,
    /// Its verdict; `none` without a report.
    pub verdict: String,
    /// Why.
    pub reasons: String,
    records: u64,
    links: u64,
    inodes: u64,
    failed: u64,
    raced: u64,
    enospc: u64,
    /// The kernel skipped programs, and nothing else stands against a clean verdict.
    skipped: bool,
}

/// What follows if the kernel skips a program that was preempted by the same event.
const SKIPPED: [&str; 3] =
    ["were skipped because", "had changed where records were lost", "dropped because a loss"];

impl Round {
    /// Reads the JSON report of a round; a missing one is a round without a verdict.
    pub fn read(json: &Path, seed: u64) -> Self {
        let text = fs::read_to_string(json).unwrap_or_default();
        Self::of(&serde_json::from_str(&text).unwrap_or_default(), seed)
    }

    fn of(report: &Value, seed: u64) -> Self {
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let word = |value: &Value| value.as_str().unwrap_or("none").to_owned();
        let (statistics, failed) = (&report["statistics"], &report["failed_reservations"]);
        let reasons = report["verdict_reasons"].as_array().map(Vec::as_slice).unwrap_or_default();
        let consequence = |reason: &Value| {
            let text = reason.as_str().unwrap_or_default();
            SKIPPED.iter().any(|consequence| text.contains(consequence))
        };
        Self {
            seed,
            tier: word(&report["tier"]),
            verdict: word(&report["verdict"]),
            reasons: report["verdict_reasons"].to_string(),
            records: number(&statistics["records"]),
            links: number(&statistics["links"]),
            inodes: number(&statistics["inodes_closed"]),
            failed: number(&failed["total"]),
            raced: number(&failed["raced"]),
            enospc: report["filesystems"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|fs| number(&fs["enospc"]))
                .sum(),
            skipped: report["verdict"] == "inconclusive"
                && number(&report["loss"]["by_class"]["recursion"]) > 0
                && reasons.iter().all(consequence),
        }
    }

    /// True if it found nothing and has seen everything, but for what a kernel that preempts programs (`release`) hides from the
    /// tracepoints tier.
    pub fn passed(&self, release: Release) -> bool {
        self.verdict == "clean" || (release == Release::V7 && self.tier == "tracepoints" && self.skipped)
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, tier, verdict, records, links, inodes, failed, raced, enospc, .. } = self;
        write!(
            f,
            "seed {seed:>4} {tier:<11} {verdict:<12} {records:>10} records {links:>11} links {inodes:>7} inodes \
             {failed:>5} failed reservations ({raced} raced) {enospc:>6} ENOSPC"
        )
    }
}

/// All rounds.
#[derive(Debug, Default)]
pub struct Sums {
    rounds: u64,
    tiers: BTreeSet<String>,
    /// How many of them.
    pub clean: u64,
    records: u64,
    links: u64,
}

impl Sums {
    /// One more.
    pub fn add(&mut self, round: &Round) {
        self.rounds += 1;
        self.tiers.insert(round.tier.clone());
        self.clean += u64::from(round.verdict == "clean");
        self.records += round.records;
        self.links += round.links;
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, tiers, clean, records, links } = self;
        let tiers: Vec<&str> = tiers.iter().map(String::as_str).collect();
        write!(
            f,
            "{rounds} rounds ({}), {clean} clean: {records} records, {links} links",
            tiers.join(" and ")
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_programs_that_the_kernel_skipped_excuse_a_round() {
        let round_on = |tier: &str, reasons: &[&str]| {
            let report = json!({
                "tier": tier, "verdict": "inconclusive", "verdict_reasons": reasons,
                "loss": {"by_class": {"recursion": 3}},
            });
            Round::of(&report, 1)
        };
        let round = |reasons: &[&str]| round_on("tracepoints", reasons);
        let skipped = "3 events were skipped because their program was running on the same CPU: run again.";
        assert!(round(&[skipped]).passed(Release::V7));
        assert!(!round(&[skipped]).passed(Release::V6_12));
        assert!(!round_on("functions", &[skipped]).passed(Release::V7));
        assert!(!round(&[skipped, "12 records (books_record) were lost in the ring."]).passed(Release::V7));
    }

    #[test]
    fn a_report_is_one_line_and_no_report_is_no_verdict() {
        let report = json!({
            "tier": "functions", "verdict": "clean", "verdict_reasons": [],
            "statistics": {"records": 12, "links": 34, "inodes_closed": 5},
            "failed_reservations": {"total": 6, "raced": 1},
            "filesystems": [{"enospc": 7}, {"enospc": 1}],
        });
        let round = Round::of(&report, 3);
        let line = round.to_string();
        for part in [
            "seed    3 functions",
            " clean ",
            " 12 records",
            " 34 links",
            " 6 failed",
            "(1 raced)",
            " 8 ENOSPC",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        let none = Round::of(&Value::Null, 4);
        assert_eq!((none.verdict.as_str(), none.tier.as_str()), ("none", "none"));
        assert!(round.passed(Release::V6_12) && !none.passed(Release::V7));
        let mut sums = Sums::default();
        sums.add(&round);
        sums.add(&none);
        assert_eq!(sums.to_string(), "2 rounds (functions and none), 1 clean: 12 records, 34 links");
    }
}
