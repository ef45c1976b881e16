//! What each program of the tool costs by itself, as the kernel measures it. It measures in runs that are not timed, because
//! that slows every program down: the figures of short programs are mostly the two looks at the clock.
//!
//! What leads into a program is not part of it: a kprobe costs far more than fentry before its program runs.
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::workload::Workload;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";
/// The table names programs until they make up this share of the whole.
const SHOWN: f64 = 0.99;

/// The kernel measures all programs while this exists.
pub struct Measuring {
    before: String,
}

impl Measuring {
    /// # Errors
    /// If the kernel does not measure programs.
    pub fn start() -> Result<Self> {
        let before = fs::read_to_string(SWITCH).context("the kernel does not measure programs")?;
        fs::write(SWITCH, "1").context("the kernel does not measure programs")?;
        Ok(Self { before })
    }
}

impl Drop for Measuring {
    fn drop(&mut self) {
        if let Err(error) = fs::write(SWITCH, self.before.trim()) {
            eprintln!("bench: left behind, please set {SWITCH} to {}: {error}", self.before.trim());
        }
    }
}

/// One program.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// Name in the kernel side's object.
    pub name: String,
    /// Runs.
    pub runs: u64,
    /// ns in all of them.
    pub ns: u64,
}

impl Program {
    /// A line of the tool's log, `[INFO ] NAME: RUNS runs, NS ns`.
    fn of(line: &str) -> Option<Self> {
        let (name, figures) = line.rsplit_once("] ")?.1.split_once(": ")?;
        let (runs, ns) = figures.strip_suffix(" ns")?.split_once(" runs, ")?;
        Some(Self { name: name.to_owned(), runs: runs.parse().ok()?, ns: ns.parse().ok()? })
    }
}

/// The programs of one variant under one workload.
#[derive(Debug)]
pub struct Table {
    variant: &'static str,
    ops: u64,
    programs: Vec<Program>,
}

impl Table {
    /// From what the tool printed; the program with the largest share first.
    pub fn of(variant: &'static str, ops: u64, printed: &[String]) -> Self {
        let mut programs: Vec<Program> = printed.iter().filter_map(|line| Program::of(line)).collect();
        programs.sort_by(|one, other| other.ns.cmp(&one.ns).then_with(|| one.name.cmp(&other.name)));
        Self { variant, ops, programs }
    }

    fn total(&self) -> u64 {
        self.programs.iter().map(|program| program.ns).sum()
    }

    /// As text.
    pub fn print(&self, workload: Workload) {
        let total = self.total().max(1) as f64;
        let per_op = |number: u64| number as f64 / self.ops.max(1) as f64;
        println!(
            "\n{:<32} {:>8} {:>8} {:>8} {:>7}",
            format!("{}, {}", workload.name(), self.variant),
            "runs/op",
            "ns/run",
            "ns/op",
            "share"
        );
        let mut shown = 0;
        for (place, Program { name, runs, ns }) in self.programs.iter().enumerate() {
            if shown as f64 >= SHOWN * total {
                println!("{} others", self.programs.len() - place);
                break;
            }
            shown += ns;
            println!(
                "{name:<32} {:>8.2} {:>8.0} {:>8.0} {:>5.1} %",
                per_op(*runs),
                *ns as f64 / (*runs).max(1) as f64,
                per_op(*ns),
                *ns as f64 / total * 100.0
            );
        }
        let runs = self.programs.iter().map(|program| program.runs).sum();
        println!(
            "{:<32} {:>8.2} {:>8} {:>8.0} {:>5.1} %",
            "all",
            per_op(runs),
            "",
            per_op(self.total()),
            100.0
        );
    }

    /// All programs.
    pub fn json(&self) -> Value {
        let programs: Vec<Value> = self
            .programs
            .iter()
            .map(|Program { name, runs, ns }| json!({ "program": name, "runs": runs, "ns": ns }))
            .collect();
        json!({ "variant": self.variant, "ops": self.ops, "programs": programs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_from_the_log_and_sorted() {
        let printed = [
            "[INFO ] reserve_in: 12 instructions verified",
            "[INFO ] reserve_in: 10 runs, 900 ns",
            "btrfs-probe: attached, 3 of 3 hooks",
            "[INFO ] reserve_out: 10 runs, 4100 ns",
        ]
        .map(str::to_owned);
        let table = Table::of("functions", 10, &printed);
        let names: Vec<&str> = table.programs.iter().map(|program| program.name.as_str()).collect();
        assert_eq!(names, ["reserve_out", "reserve_in"]);
        assert_eq!(table.total(), 5000);
        assert_eq!(table.json()["programs"][1]["runs"], 10);
    }
}
