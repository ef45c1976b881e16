//! The rounds in a guest, where the functions tier is available: one boot, and a shell that counts the rounds.
use std::{fs, io::Write as _, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    Options, load,
    round::{Round, Sums},
};
use crate::{
    build::{self, Profile},
    vm::{Guest, Item, Release, Source},
    workspace::Workspace,
};

/// For the boot, and for a round that takes longer than its load.
const SLACK: u64 = 600;
/// Milliseconds between two operations of a thread: the tool has to get a turn on an emulated machine.
const PAUSE: u64 = 20;

pub(super) fn run(workspace: &Workspace, release: Release, options: &Options) -> Result<Sums> {
    let items = vec![
        Item::program(build::run(workspace, Profile::Release)?, "/bin/btrfs-probe"),
        Item::program(build::example(workspace, "mixload")?, "/bin/mixload"),
    ];
    let folder = workspace.target.join("soak").join(release.name());
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let guest = Guest {
        kernel: Source::Debian(release),
        // Three filesystems that are filled lie in its memory.
        memory: "4G".to_owned(),
        timeout: Duration::from_secs(options.minutes * 60 + options.round + SLACK),
        silence: Duration::from_secs(options.round + SLACK),
        counted: false,
        items,
        collect: Vec::new(),
        script: script(options, release),
    };
    let mut show = |bytes: &[u8]| {
        let _ = std::io::stdout().write_all(bytes);
        let _ = std::io::stdout().flush();
    };
    let status = guest.run(workspace, Some(&folder), &mut show)?;
    let mut sums = Sums::default();
    for seed in options.seed.. {
        let json = folder.join(format!("{seed}.json"));
        if !json.exists() {
            break;
        }
        let round = Round::read(&json, seed);
        println!("{round}");
        ensure!(
            status != 0 || round.passed(release),
            "seed {seed} ended with {} ({}): the report is {}",
            round.verdict,
            round.reasons,
            json.display()
        );
        sums.add(&round);
    }
    if status != 0 {
        bail!("the last round ended with status {status}: the reports are in {}", folder.display());
    }
    ensure!(
        sums.clean > 0,
        "no round was clean, so none has shown anything: the reports are in {}",
        folder.display()
    );
    Ok(sums)
}

/// Rounds until the time is over or one is not clean. Where programs can be preempted, a kernel that skips them makes a
/// busy round of the tracepoints tier inconclusive: that does not end it.
fn script(options: &Options, release: Release) -> String {
    let Options { minutes, seed, .. } = options;
    let harmless = if release == Release::V7 { "0functions|[04]tracepoints" } else { "0*" };
    // The shell puts its own seed in place of the last word.
    let mut load = load(options, 0);
    load.pop();
    let load = load.join(" ");
    format!(
        "seed={seed}; tier=functions; end=$(($(date +%s) + {minutes} * 60))\n\
         while [ $(date +%s) -lt $end ]; do\n\
         btrfs-probe run --quiet --tier $tier --ring-size 64M --output /dev/null --format json=/out/$seed.json -- \
         mixload {load} $seed --size 256 --pause {PAUSE} >/out/$seed.log 2>&1\n\
         status=$?; echo \"seed $seed $tier: status $status\"\n\
         case $status$tier in {harmless}) ;; *) tail -n 40 /out/$seed.log; exit $status;; esac\n\
         seed=$((seed + 1)); [ $tier = functions ] && tier=tracepoints || tier=functions\n\
         done\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_counts_seeds_and_takes_turns() {
        let options = Options { minutes: 2, round: 30, seed: 7, kernel: None };
        let text = script(&options, Release::V6_12);
        assert!(text.starts_with("seed=7; tier=functions; end=$(($(date +%s) + 2 * 60))\n"), "{text}");
        assert!(
            text.contains("--fill --cycles 3 --seconds 30 --seed $seed --size 256 --pause 20 >"),
            "{text}"
        );
        assert!(text.contains("case $status$tier in 0*) ;;"), "{text}");
        assert!(
            script(&options, Release::V7).contains("case $status$tier in 0functions|[04]tracepoints) ;;")
        );
    }
}
