//! `cargo xtask hunt`: lets steps of an unmodified kernel fail (`tests/hunt/`), one call of one step in each injection, and
//! looks whether the books of btrfs-probe still balance.
//!
//! A finding is a false alarm of the tool, or a bug on an error path of the kernel; what is known is in `docs/hunt`. Results
//! and the call sites that were reached are kept in `target/hunt/KERNEL`.
mod act;
mod boot;
mod coverage;
mod delays;
mod known;
mod plan;
mod sites;
mod steps;
mod unreached;
mod verdict;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};

use self::{
    act::Act,
    boot::{Done, Lab},
    coverage::Coverage,
    plan::{Dice, Only},
    sites::Sites,
    unreached::Reasons,
    verdict::Verdict,
};
use crate::{
    build::{self, Profile},
    machine::Machine,
    proc,
    vm::{self, Release},
    workspace::Workspace,
};

/// Injections in one boot: what a death takes with it.
const BATCH: usize = 24;
/// Seconds of a boot before the first injection and after the last one.
const AROUND: u64 = 30;
/// Of a dead guest's console.
const LINES: usize = 3;
/// Minutes of a test run's slice.
const SLICE: u64 = 2;

/// Which hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Tier {
    Functions,
    Tracepoints,
    /// Boots take turns
    Both,
}

impl Tier {
    fn of_boot(self, boot: u64) -> &'static str {
        match self {
            Self::Functions => "functions",
            Self::Both if boot.is_multiple_of(2) => "functions",
            Self::Tracepoints | Self::Both => "tracepoints",
        }
    }
}

/// What can be chosen.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The guest's kernel
    #[arg(long, value_enum, default_value = "6.12")]
    kernel: Release,
    /// Hooks of the tool
    #[arg(long, value_enum, default_value = "functions")]
    tier: Tier,
    /// Delay steps (tests/hunt/delays) instead of failing them: two and three tasks on one file, one subvolume and one pool of space
    #[arg(long)]
    delay: bool,
    /// How long in all; a boot that has begun is brought to its end
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Seed of the choice; with one, results of earlier runs are neither used nor kept
    #[arg(long)]
    seed: Option<u64>,
    /// Only these steps: FUNCTION:ERROR:LOAD:SITE:NTH:WAYS, from the left as far as wanted; one with a SITE (or "-") is done once in each boot
    #[arg(long, value_delimiter = ';', value_name = "STEP[;STEP...]")]
    only: Vec<String>,
    /// How many boots at most
    #[arg(long, value_name = "N")]
    boots: Option<u64>,
    /// Use this btrfs-probe instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// Boots guests until the time is over or nothing is left to try.
///
/// # Errors
/// Something does not build, no guest boots, or there is a finding that the catalogue of known kernel bugs does not have.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let release = options.kernel.for_this_machine("hunt")?;
    let list = if options.delay { "tests/hunt/delays" } else { "tests/hunt/steps" };
    let text =
        fs::read_to_string(workspace.root.join(list)).with_context(|| format!("cannot read {list}"))?;
    let kernel = vm::Kernel::ensure(workspace, release)?;
    let sites = Sites::read(&vm::btrfs(&kernel)?)?;
    let mut steps = if options.delay { delays::parse(&text)? } else { steps::parse(&text)? };
    // A function that btrfs neither has nor calls can still be called below it.
    steps.retain(|step| {
        step.fits(release) && (!step.is_function() || sites.symbol(&step.name).is_some() || step.is_below())
    });
    let text = fs::read_to_string(workspace.root.join("tests/hunt/known"))
        .context("cannot read tests/hunt/known")?;
    let mut bugs = known::parse(&text)?;
    bugs.retain(|bug| bug.is_of(release.line()));
    let text = fs::read_to_string(workspace.root.join("tests/hunt/unreached"))
        .context("cannot read tests/hunt/unreached")?;
    let reasons = Reasons::parse(&text)?;
    let only: Vec<Only> = options.only.iter().map(|text| Only::parse(text)).collect();
    let folder = workspace.target.join("hunt").join(release.name());
    let folder = if options.delay { folder.join("delays") } else { folder };
    let folder = if options.seed.is_some() { folder.join("seeded") } else { folder };
    if options.seed.is_some() {
        let _ = fs::remove_dir_all(&folder);
    }
    let mut coverage = Coverage::open(folder.clone(), options.seed.is_some())?;
    let tool = match &options.binary {
        Some(binary) => binary.clone(),
        None => build::run(workspace, Profile::Release)?,
    };
    let ways: usize = steps.iter().map(|step| step.acts.len()).sum();
    let seed = options.seed.unwrap_or_else(|| coverage.classes().values().sum());
    println!("hunt: Linux {}, {ways} steps, seed {seed}", kernel.uname);
    let lab = Lab { workspace, release, tool, steps: &steps, sites: &sites, folder: folder.clone() };
    let mut dice = Dice(seed);
    let end = Instant::now() + Duration::from_secs(options.minutes * 60);
    let mut findings = Vec::new();
    let mut first = 1;
    for boot in 0..options.boots.unwrap_or(u64::MAX) {
        let left = end.saturating_duration_since(Instant::now()).as_secs();
        if left <= AROUND {
            break;
        }
        let tier = options.tier.of_boot(boot);
        let batch = plan::next(&steps, &only, &coverage, &mut dice, (first, BATCH), tier);
        if batch.is_empty() {
            break;
        }
        first += u32::try_from(BATCH).unwrap_or(u32::MAX);
        let all = lab.boot(&batch, left - AROUND)?;
        if all.is_empty() {
            if boot == 0 {
                bail!(
                    "attaching took all of {} minutes: give it more with --minutes, or a quieter machine",
                    options.minutes
                );
            }
            break;
        }
        for Done { injection, reached, verdict, warned, check } in all {
            let failed: Vec<(&str, &str)> = reached
                .iter()
                .filter(|reached| reached.acted > 0 && matches!(injection.act, Act::Fails(_)))
                .map(|reached| (reached.function.as_str(), reached.site.as_str()))
                .collect();
            let verdict = match verdict {
                Verdict::Finding(lines) => match known::of(&bugs, &failed, &lines) {
                    Some(bug) => Verdict::Known(lines.iter().map(|line| format!("{line} [{bug}]")).collect()),
                    None => Verdict::Finding(lines),
                },
                Verdict::Known(lines) if known::misnamed(&bugs, &failed, &lines).is_some() => {
                    Verdict::Finding(lines)
                }
                other => other,
            };
            // A console is long, and kept in the results.
            let text = verdict.to_string();
            println!("{injection} {tier}: {}", text.lines().take(LINES).collect::<Vec<_>>().join(" / "));
            for place in &warned {
                println!("    the kernel warned at {place}");
            }
            for line in &check {
                println!("    btrfs check: {line}");
            }
            let notes: Vec<String> = warned.into_iter().chain(check).collect();
            coverage.add(&injection, &reached, &verdict, &notes.join(" | "))?;
            if matches!(verdict, Verdict::Finding(_)) {
                keep(&folder, injection.id, findings.len());
                findings.push(format!(
                    "cargo xtask hunt --kernel {} --tier {tier}{} --boots 1 --only '{injection}'\n    {verdict}",
                    release.name(),
                    if options.delay { " --delay" } else { "" }
                ));
            }
        }
    }
    let (sums, table) = coverage.table(&steps, &sites, &reasons);
    fs::write(folder.join("coverage.md"), table).context("cannot write the coverage")?;
    let classes: Vec<String> =
        coverage.classes().iter().map(|(class, count)| format!("{count} {class}")).collect();
    println!("hunt: {}\nhunt: {sums}: {}", classes.join(", "), folder.join("coverage.md").display());
    if !findings.is_empty() {
        bail!(
            "{} findings that are no known kernel bugs (seed {seed}):\n{}",
            findings.len(),
            findings.join("\n")
        );
    }
    Ok(())
}

/// A few injections for a test run, other ones for each commit: what a run of a commit found, the next run of it tries again.
///
/// # Errors
/// As [`run`].
pub fn slice(workspace: &Workspace) -> Result<()> {
    let seed = seed_of_commit(workspace)?;
    let options = Options {
        kernel: Release::V6_12,
        // On the tracepoints tier a known bug of the kernel can show far from where it is, where nothing tells it from a new one.
        tier: Tier::Functions,
        delay: false,
        minutes: SLICE,
        seed: Some(seed),
        only: Vec::new(),
        boots: Some(1),
        // The step before has built it.
        binary: Some(build::for_tests(workspace, Machine::here()?).map(|programs| programs.tool)?),
    };
    println!(
        "hunt: repeat it with --tier {} --boots 1 --minutes {SLICE} --seed {seed}",
        options.tier.of_boot(0)
    );
    run(workspace, &options)
}

/// From the checkout's commit; from the clock where there is none.
fn seed_of_commit(workspace: &Workspace) -> Result<u64> {
    let mut git = Command::new("git");
    git.current_dir(&workspace.root).args(["rev-parse", "--short=8", "HEAD"]).stderr(Stdio::null());
    let commit = proc::stdout_of(&mut git).ok();
    match commit.and_then(|commit| u64::from_str_radix(commit.trim().get(..8)?, 16).ok()) {
        Some(seed) => Ok(seed),
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
            Ok(now.as_secs())
        }
    }
}

/// The reports of a boot with a finding.
fn keep(folder: &std::path::Path, id: u32, number: usize) {
    for name in ["report.txt", "report.json"] {
        let to = folder.join(format!("finding-{number}-{name}"));
        let _ = fs::copy(folder.join("out").join(name), to);
    }
    let _ = fs::copy(folder.join(format!("out/{id}.dmesg")), folder.join(format!("finding-{number}.dmesg")));
}
