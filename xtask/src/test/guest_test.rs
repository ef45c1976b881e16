//! Tests in guests, read along while they run: as many guests at once as there are processors, since an emulated one
//! keeps little more than one of them busy.
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Error, Result, anyhow};

use super::tally::Tally;
use crate::{
    vm::{
        Release,
        suite::{self, Part, Suite},
    },
    workspace::Workspace,
};

/// How one boot ended.
pub struct GuestOutcome {
    /// The kernel.
    pub release: Release,
    /// What was counted.
    pub tally: Tally,
    /// What it took.
    pub took: Duration,
    /// Why it failed.
    pub result: Result<()>,
}

/// Fetches what guests need beside other steps.
pub fn fetch_ahead(workspace: Workspace, releases: Vec<Release>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        if let Err(error) = Suite::fetch(&workspace, &releases) {
            eprintln!("fetching for guests: {error:#}");
        }
    })
}

/// Builds what guests run, beside a step that waits more than it computes.
pub fn prepare_ahead(workspace: Workspace, releases: Vec<Release>) -> thread::JoinHandle<Result<Suite>> {
    thread::spawn(move || Suite::prepare(&workspace, &releases))
}

/// All tests of these kernels, by kernel in the order asked for. `prepared`: what [`prepare_ahead`] came to.
pub fn run(
    workspace: &Workspace,
    releases: &[Release],
    prepared: Option<Result<Suite>>,
) -> Vec<GuestOutcome> {
    let begun = Instant::now();
    let suite = match prepared.unwrap_or_else(|| Suite::prepare(workspace, releases)) {
        Ok(suite) => suite,
        Err(error) => {
            let why = format!("{error:#}");
            let failed = |release: &Release| GuestOutcome {
                release: *release,
                tally: Tally::of_nothing_run(),
                took: begun.elapsed(),
                result: Err(anyhow!(why.clone())),
            };
            return releases.iter().map(failed).collect();
        }
    };
    let boots = suite::boots(releases);
    let several = boots.len() > 1;
    let workers = thread::available_parallelism().map_or(1, usize::from).min(boots.len());
    let waiting: Mutex<VecDeque<(Release, Part)>> = Mutex::new(boots.into());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(boot) = next else { break };
                    let outcome = one(workspace, &suite, boot, several);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|outcome| releases.iter().position(|release| *release == outcome.release));
    done
}

/// One guest from its boot to its end. Lines of guests that run side by side begin with the kernel's name.
fn one(workspace: &Workspace, suite: &Suite, boot: (Release, Part), several: bool) -> GuestOutcome {
    let (release, part) = boot;
    let begun = Instant::now();
    let mut tally = Tally::default();
    let mut line = Vec::new();
    let mark = if part == Part::Faults { '!' } else { '|' };
    let prefix = if several { format!("{:>4}{mark} ", release.name()) } else { String::new() };
    let result: Result<(), Error> = suite.run(workspace, boot, &mut |bytes| {
        for byte in bytes {
            if *byte == b'\n' {
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end_matches('\r');
                println!("{prefix}{text}");
                tally.line(text);
                line.clear();
            } else {
                line.push(*byte);
            }
        }
    });
    if !line.is_empty() {
        println!("{prefix}{}", String::from_utf8_lossy(&line));
    }
    if result.is_err() && tally.failed == 0 {
        // A guest or a binary that died printed no result.
        tally.add(&Tally::of_nothing_run());
    }
    GuestOutcome { release, tally, took: begun.elapsed(), result }
}
