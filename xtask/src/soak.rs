//! `cargo xtask soak`: rounds of a random load under the tool, each with another seed, until the time is over or one is
//! not clean.
//!
//! A round makes its own loop-backed filesystems: one with quotas and limits, one with balances, one with neither; each is
//! filled to ENOSPC, remounted, snapshotted and unmounted at the end. Rounds take turns between the tiers that attach here.
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{
    build::{self, Profile},
    proc,
    workspace::Workspace,
};

/// What can be chosen.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How long in all; a round that has begun is brought to its end
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Seconds of load in a round
    #[arg(long, default_value_t = 120)]
    round: u64,
    /// Seed of the first round; each round adds one
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the rounds, a line each.
///
/// # Errors
/// No root, something does not build, or a round is not clean; its report and a hint how to repeat it are left.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    ensure!(proc::is_root(), "the soak makes filesystems and loads programs: run it as root");
    let program = build::run(workspace, Profile::Release)?;
    let load = build::example(workspace, "mixload")?;
    let folder = workspace.target.join("soak");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let begun = Instant::now();
    let mut sums = (0u64, 0u64, 0u64);
    for round in 0.. {
        if begun.elapsed() >= Duration::from_secs(options.minutes * 60) {
            break;
        }
        let seed = options.seed + round;
        let json = folder.join(format!("{seed}.json"));
        let tier = if round % 2 == 0 { "auto" } else { "tracepoints" };
        let mut command = Command::new(&program);
        proc::forget_outer_package(&mut command);
        command
            .args(["run", "--quiet", "--tier", tier, "--ring-size", "64M", "--output", "/dev/null"])
            .arg(format!("--format=json={}", json.display()))
            .arg("--")
            .arg(&load)
            .args(["--make", "3", "--quota", "--balance", "--fill"])
            .args(["--seconds", &options.round.to_string(), "--seed", &seed.to_string()]);
        let output = command.output().with_context(|| format!("cannot start {}", program.display()))?;
        let text = fs::read_to_string(&json).unwrap_or_default();
        let report: Value = serde_json::from_str(&text).unwrap_or_default();
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let records = number(&report["statistics"]["records"]);
        let links = number(&report["statistics"]["links"]);
        let closed = number(&report["statistics"]["inodes_closed"]);
        let verdict = report["verdict"].as_str().unwrap_or("none");
        let took = report["tier"].as_str().unwrap_or("none");
        println!(
            "seed {seed:>4} {took:<11} {verdict:<12} {records:>11} records {links:>12} links {closed:>8} inodes {:>4} failed \
             reservations",
            number(&report["failed_reservations"]["total"])
        );
        if verdict != "clean" {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            bail!(
                "seed {seed} ended with {verdict} ({}): the report is {}; repeat it with --seed {seed}",
                report["verdict_reasons"],
                json.display()
            );
        }
        // The status of the load itself: a clean round whose load broke has shown nothing.
        ensure!(
            output.status.success(),
            "the load of seed {seed} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        sums = (sums.0 + 1, sums.1 + records, sums.2 + links);
    }
    println!("{} rounds, all clean: {} records, {} links", sums.0, sums.1, sums.2);
    Ok(())
}
