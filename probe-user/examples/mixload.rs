//! A mixed btrfs load to run something beside, such as `btrfs-probe run -- mixload --make 2 --quota --seconds 20`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
use std::{
    path::PathBuf,
    process::ExitCode,
    sync::atomic::AtomicBool,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use probe_workload::{
    Error, Result, cleanup,
    loopfs::{LoopFs, LoopFsOptions, stale},
    mix::{Mix, MixReport, Until},
    ops::{Abilities, Layout},
};

/// Runs a mixed btrfs load and prints how often each operation ended in which way.
#[derive(Debug, Parser)]
struct Args {
    /// Work in this folder of a mounted btrfs.
    #[arg(long, value_name = "DIR", conflicts_with = "make", required_unless_present = "make")]
    dir: Option<PathBuf>,
    /// Make this many throw-away loop-backed filesystems and work on all of them at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    make: Option<u16>,
    /// Size of each filesystem made, MiB.
    #[arg(long, value_name = "MIB", default_value_t = 768)]
    size: u64,
    /// Mount options of the filesystems made, as in `mount -o`.
    #[arg(long, value_name = "OPTIONS", default_value = "")]
    mount_options: String,
    /// Switch quotas on in the first filesystem made, and run into a limit.
    #[arg(long, requires = "make")]
    quota: bool,
    /// Let balances run, on the second filesystem made if there are several.
    #[arg(long)]
    balance: bool,
    /// Fill the filesystem until ENOSPC now and then; filesystems made are filled anyway.
    #[arg(long)]
    fill: bool,
    /// Stop after this many seconds.
    #[arg(long, value_name = "S", default_value_t = 10)]
    seconds: u64,
    /// Stop after this many operations on each filesystem instead.
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    ops: Option<u64>,
    /// Work on the filesystems made in so many parts more: between two each is remounted read-only and back, unmounted and
    /// mounted again, which nobody can do while the threads have files open.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "make")]
    cycles: u32,
    /// Threads on each filesystem.
    #[arg(long, value_name = "T", default_value_t = 4)]
    threads: usize,
    /// Each thread waits so many milliseconds between two operations.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pause: u64,
    /// Repeat the choices of an earlier run.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Run only these operations (comma separated).
    #[arg(long, value_name = "OPS", value_delimiter = ',')]
    only: Vec<String>,
}

fn main() -> ExitCode {
    let result = run(&Args::parse());
    cleanup::leave_if_closing();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mixload: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    cleanup::install().map_err(|error| Error::sys("catching signals for", "mixload", error))?;
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.subsec_nanos().into());
    let seed = args.seed.unwrap_or(clock);
    println!("seed {seed}");
    let parts = args.cycles + 1;
    let elapsed = Until::Elapsed(Duration::from_secs(args.seconds) / parts);
    let until = args.ops.map_or(elapsed, |ops| Until::Ops(ops / u64::from(parts)));
    let mut mix = Mix::new(args.threads, until, seed);
    if !args.only.is_empty() {
        let names: Vec<_> = args.only.iter().map(String::as_str).collect();
        mix = Mix::only(args.threads, until, seed, &names)?;
    }
    mix.pause = Duration::from_millis(args.pause);
    let stop = AtomicBool::new(false);
    let Some(count) = args.make else {
        let dir = args.dir.as_deref().ok_or_else(|| Error::Usage("name a folder with --dir".into()))?;
        let abilities = Abilities { balance: args.balance, fill: args.fill, ..Abilities::default() };
        println!("{}", mix.run(&Layout::prepare(dir, abilities)?, &stop)?);
        return Ok(());
    };
    for folder in stale::cleanup_stale()? {
        println!("removed {}, left by an earlier run", folder.display());
    }
    if args.quota && args.balance && count < 2 {
        return Err(Error::Usage("quotas and balances need a filesystem each: use --make 2 or more".into()));
    }
    let mut made = Vec::new();
    for index in 0..count {
        made.push(make(args, index, count)?);
    }
    let results: Vec<Result<MixReport>> = thread::scope(|scope| {
        let (mix, stop) = (&mix, &stop);
        let runs: Vec<_> = made
            .iter()
            .map(|(fs, abilities)| scope.spawn(move || parts_of(mix, fs, *abilities, parts, stop)))
            .collect();
        runs.into_iter()
            .zip(&made)
            .map(|(run, (fs, _))| run.join().unwrap_or_else(|_| Err(Error::Worker(fs.path().into()))))
            .collect()
    });
    for (result, (fs, _)) in results.into_iter().zip(made) {
        println!("{} {}\n{}", fs.device().display(), fs.fsid(), result?);
        fs.close()?;
    }
    Ok(())
}

/// The load in parts, with a remount and another mount between two.
fn parts_of(
    mix: &Mix,
    fs: &LoopFs,
    abilities: Abilities,
    parts: u32,
    stop: &AtomicBool,
) -> Result<MixReport> {
    let mut total = MixReport::new(mix.seed);
    for part in 0..parts {
        if part > 0 {
            fs.remount(true)?;
            fs.remount(false)?;
            fs.umount()?;
            fs.mount()?;
        }
        // It keeps folders open: made anew for each mount.
        let layout = Layout::prepare(fs.path(), abilities)?;
        let report = mix.run(&layout, stop)?;
        total.add(&report);
        total.elapsed += report.elapsed;
    }
    Ok(total)
}

fn make(args: &Args, index: u16, count: u16) -> Result<(LoopFs, Abilities)> {
    let mut options = LoopFsOptions::new(args.size << 20).single();
    options.label = Some(format!("mixload{index}"));
    options.mount_options.clone_from(&args.mount_options);
    options.quota = args.quota && index == 0;
    let abilities = Abilities {
        quota: options.quota,
        balance: args.balance && index == 1.min(count - 1),
        remount: true,
        fill: true,
    };
    let fs = LoopFs::create_mounted(options)?;
    // All are there before the load begins on any.
    drop(Layout::prepare(fs.path(), abilities)?);
    Ok((fs, abilities))
}
