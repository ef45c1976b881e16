//! `cargo xtask bench`: the cost of watching, compared with no tracer and with other tracers (peers).
//!
//! Each workload runs on a fresh btrfs on a loop device on RAM, once per variant and round, in the order
//! A B C A B C, so that other load on the machine affects all alike. The result is the ratio to the untraced
//! run of the same round; the table shows medians. Nothing here is asserted: a busy machine is not a bug.
//!
//! A variant that cannot run here is listed with its reason.
//!
//! After that, the kernel measures each program of the tool in one more run.
mod guest;
mod interrupt;
mod numbers;
mod programs;
mod stage;
mod table;
mod tracer;
mod variant;
mod workload;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

pub use self::workload::{Options as WorkloadOptions, Workload, run as run_workload};
use self::{
    numbers::Series,
    programs::{Measuring, Table},
    stage::Stage,
    tracer::Running,
    variant::{Scene, Variant},
};
use crate::{
    build::{self, Profile},
    proc,
    vm::Release,
    workspace::Workspace,
};

/// What to measure.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Workloads to run
    #[arg(long, value_delimiter = ',', default_values = ["w1", "w2", "w3"])]
    workloads: Vec<Workload>,
    /// Variants to run, besides `untraced`; all that can run by default
    #[arg(long, value_delimiter = ',')]
    variants: Vec<String>,
    /// Rounds: each variant runs once in each
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Length of a run, in percent of the usual one to three seconds
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    length: u32,
    /// Where the numbers go as JSON; target/bench.json by default
    #[arg(long)]
    json: Option<PathBuf>,
    /// In a guest with this kernel instead of on this machine, with runs of a tenth of the length
    #[arg(long, value_enum)]
    kernel: Option<Release>,
    /// Use this btrfs-probe instead of building one
    #[arg(long, value_name = "FILE")]
    probe: Option<PathBuf>,
}

/// What is found or made in the checkout; a guest has none.
struct Made {
    probe: PathBuf,
    floor_object: PathBuf,
    json: PathBuf,
}

impl Made {
    fn of(options: &Options) -> Result<Self> {
        let json = |folder: &Path| options.json.clone().unwrap_or_else(|| folder.join("bench.json"));
        if let Some(probe) = &options.probe {
            let here = Path::new("");
            return Ok(Self { probe: probe.clone(), floor_object: here.to_owned(), json: json(here) });
        }
        let workspace = Workspace::find()?;
        Ok(Self {
            probe: build::run(&workspace, Profile::Release)?,
            floor_object: workspace.object("floor"),
            json: json(&workspace.target),
        })
    }
}

/// Measures and prints the table; the JSON file holds every single run.
///
/// # Errors
/// If we are not root, something cannot be built, or the untraced workload itself fails.
pub fn run(options: &Options) -> Result<()> {
    if let Some(release) = options.kernel {
        return guest::run(release.for_this_machine("bench")?, options);
    }
    if !proc::is_root() {
        bail!("the bench mounts filesystems and attaches eBPF programs: run it as root");
    }
    let variants = variant::chosen(&options.variants)?;
    let made = Made::of(options)?;
    interrupt::watch()?;
    let mut results = Vec::new();
    for workload in &options.workloads {
        let stage = Stage::set()?;
        let scene = Scene {
            probe: made.probe.clone(),
            floor_object: made.floor_object.clone(),
            uuid: stage.uuid().to_owned(),
            folder: stage.folder().to_owned(),
        };
        let bench = Bench { workload: *workload, options, stage: &stage, scene: &scene };
        let series = bench.rounds(&variants)?;
        table::print(*workload, &series);
        let programs = bench.programs(&series)?;
        programs.iter().for_each(|table| table.print(*workload));
        results.push((*workload, series, programs));
    }
    fs::write(&made.json, format!("{:#}\n", table::json(&results, options.rounds)))
        .with_context(|| format!("cannot write {}", made.json.display()))?;
    println!("\nall runs: {}", made.json.display());
    Ok(())
}

/// One workload on its stage.
struct Bench<'a> {
    workload: Workload,
    options: &'a Options,
    stage: &'a Stage,
    scene: &'a Scene,
}

impl Bench<'_> {
    fn rounds(&self, variants: &[&'static Variant]) -> Result<Vec<Series>> {
        let mut series: Vec<Series> = variants.iter().map(|variant| Series::of(variant)).collect();
        // The first run pays for cold caches and the first chunks; it belongs to nobody.
        self.workload_once().context("the workload does not run untraced")?;
        for round in 1..=self.options.rounds {
            eprintln!("{} round {round} of {}", self.workload.name(), self.options.rounds);
            for one in series.iter_mut().filter(|one| one.why_not.is_none()) {
                if let Err(error) = self.run_once(one) {
                    interrupt::check()?;
                    if one.variant.tracer.is_none() {
                        return Err(error);
                    }
                    one.why_not = Some(format!("{error:#}"));
                }
                interrupt::check()?;
            }
        }
        Ok(series)
    }

    fn run_once(&self, series: &mut Series) -> Result<()> {
        let Some(tracer) = &series.variant.tracer else {
            series.push(self.workload_once()?, None);
            return Ok(());
        };
        let command = (tracer.command)(self.scene)?;
        let running = Running::start(command, &tracer.ready)?;
        let ns_per_op = self.workload_once()?;
        let stopped = running.stop()?;
        let lost = (tracer.lost)(self.scene, &stopped)?;
        series.push(ns_per_op, Some((stopped.cpu, lost)));
        Ok(())
    }

    /// One more run for each variant that is the tool, with its programs measured.
    fn programs(&self, series: &[Series]) -> Result<Vec<Table>> {
        let ran = series.iter().filter(|one| one.variant.ours && one.why_not.is_none());
        let tracers = ran.filter_map(|one| Some((one.variant.name, one.variant.tracer.as_ref()?)));
        let mut tables = Vec::new();
        for (name, tracer) in tracers {
            let mut command = (tracer.command)(self.scene)?;
            command.env("RUST_LOG", "info");
            let running = Running::start(command, &tracer.ready)?;
            let measuring = Measuring::start()?;
            self.workload_once()?;
            drop(measuring);
            tables.push(Table::of(name, self.ops(), &running.stop()?.printed));
            interrupt::check()?;
        }
        Ok(tables)
    }

    /// Operations of a run.
    fn ops(&self) -> u64 {
        (self.workload.usual_ops() * u64::from(self.options.length) / 100).max(1)
    }

    /// Runs the workload in a process of its own and returns nanoseconds an operation.
    fn workload_once(&self) -> Result<f64> {
        let ops = self.ops();
        let mut command = Command::new(env::current_exe().context("cannot find my own program")?);
        command
            .args(["workload", self.workload.name(), "--ops", &ops.to_string(), "--dir"])
            .arg(self.stage.mount());
        let printed = proc::stdout_of(&mut command)?;
        printed.trim().parse().with_context(|| format!("the workload printed no number: {printed}"))
    }
}
