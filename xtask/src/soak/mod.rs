//! `cargo xtask soak`: rounds of a random load under the tool, each with another seed, until the time is over or one is
//! not clean.
//!
//! A round makes its own loop-backed filesystems: one with quotas and limits, one with balances, one with neither; each is
//! filled to ENOSPC, remounted, snapshotted and unmounted at the end. Rounds take turns between the tiers: those that attach
//! here, or with `--kernel` both, in a guest.
mod guest;
mod round;

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use self::round::{Round, Sums};
use crate::{
    build::{self, Profile},
    proc,
    vm::Release,
    workspace::Workspace,
};

/// How often the filesystems of a round are remounted, unmounted and mounted again in the middle of it.
const CYCLES: u32 = 3;

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
    /// In a guest with this kernel, both tiers in turn, instead of on this machine
    #[arg(long, value_enum)]
    kernel: Option<Release>,
}

/// Runs the rounds, a line each.
///
/// # Errors
/// No root, something does not build, or a round is not clean; its report and a hint how to repeat it are left.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let sums = match options.kernel {
        Some(release) => guest::run(workspace, release.for_this_machine("soak")?, options)?,
        None => here(workspace, options)?,
    };
    println!("{sums}");
    Ok(())
}

/// What one round makes and does.
fn load(options: &Options, seed: u64) -> Vec<String> {
    let round = options.round.to_string();
    let seed = seed.to_string();
    let cycles = CYCLES.to_string();
    [
        "--make",
        "3",
        "--quota",
        "--balance",
        "--fill",
        "--cycles",
        &cycles,
        "--seconds",
        &round,
        "--seed",
        &seed,
    ]
    .map(str::to_owned)
    .into()
}

fn here(workspace: &Workspace, options: &Options) -> Result<Sums> {
    ensure!(proc::is_root(), "the soak makes filesystems and loads programs: run it as root");
    let program = build::run(workspace, Profile::Release)?;
    let mixload = build::example(workspace, "mixload")?;
    let folder = workspace.target.join("soak");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let begun = Instant::now();
    let mut sums = Sums::default();
    for number in 0.. {
        if begun.elapsed() >= Duration::from_secs(options.minutes * 60) {
            break;
        }
        let seed = options.seed + number;
        let json = folder.join(format!("{seed}.json"));
        let tier = if number % 2 == 0 { "auto" } else { "tracepoints" };
        let mut command = Command::new(&program);
        proc::forget_outer_package(&mut command);
        command
            .args(["run", "--quiet", "--tier", tier, "--ring-size", "64M", "--output", "/dev/null"])
            .arg(format!("--format=json={}", json.display()))
            .arg("--")
            .arg(&mixload)
            .args(load(options, seed));
        let output = command.output().with_context(|| format!("cannot start {}", program.display()))?;
        let round = Round::read(&json, seed);
        println!("{round}");
        if round.verdict != "clean" {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            bail!(
                "seed {seed} ended with {} ({}): the report is {}; repeat it with --seed {seed}",
                round.verdict,
                round.reasons,
                json.display()
            );
        }
        // The status of the load itself: a clean round whose load broke has shown nothing.
        ensure!(
            output.status.success(),
            "the load of seed {seed} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        sums.add(&round);
    }
    Ok(sums)
}
