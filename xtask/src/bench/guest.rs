//! The bench in a guest, where the functions tier is available. Without KVM its figures are instructions, not time: a load
//! beside it does not change them, but an instruction that waits for memory counts as one that does not. So only ratios say
//! something.
use std::{env, io::Write as _, time::Duration};

use anyhow::{Context as _, Result, bail};

use super::Options;
use crate::{
    build::{self, Profile},
    vm::{Guest, Item, Release, Source},
    workspace::Workspace,
};

/// How much shorter a run is than on this machine.
const SHORTER: u32 = 10;
/// The longest that the whole may take.
const TIMEOUT: Duration = Duration::from_secs(2 * 60 * 60);
/// The longest between two rounds.
const SILENCE: Duration = Duration::from_secs(20 * 60);

/// Boots, and runs this very program there.
pub fn run(release: Release, options: &Options) -> Result<()> {
    let workspace = Workspace::find()?;
    let probe = match &options.probe {
        Some(probe) => probe.clone(),
        None => build::run(&workspace, Profile::Release)?,
    };
    let ourselves = env::current_exe().context("cannot find my own program")?;
    let guest = Guest {
        kernel: Source::Debian(release),
        // The filesystem lies in its memory.
        memory: "4G".to_owned(),
        timeout: TIMEOUT,
        silence: SILENCE,
        counted: true,
        items: vec![Item::program(probe, "/bin/btrfs-probe"), Item::program(ourselves, "/bin/xtask")],
        collect: Vec::new(),
        script: script(release, options),
    };
    let mut show = |bytes: &[u8]| {
        let _ = std::io::stdout().write_all(bytes);
        let _ = std::io::stdout().flush();
    };
    let status = guest.run(&workspace, Some(&workspace.target), &mut show)?;
    if status != 0 {
        bail!("the bench in the guest ended with status {status}");
    }
    println!("all runs: {}", workspace.target.join("bench.json").display());
    Ok(())
}

fn script(release: Release, options: &Options) -> String {
    let workloads: Vec<&str> = options.workloads.iter().map(|workload| workload.name()).collect();
    let variants = match (options.variants.as_slice(), release) {
        // It preempts programs, so its functions are hooked by kprobes anyway.
        ([], Release::V7) => "tracepoints,functions".to_owned(),
        ([], _) => "tracepoints,functions,kprobes".to_owned(),
        (named, _) => named.join(","),
    };
    // Debian's 3 refuses kprobes to whoever has no right to fentry.
    format!(
        "echo 2 >/proc/sys/kernel/perf_event_paranoid\n\
         xtask bench --probe /bin/btrfs-probe --workloads {} --variants {variants} --rounds {} --length {} --json /out/bench.json",
        workloads.join(","),
        options.rounds,
        (options.length / SHORTER).max(1),
    )
}
