//! `cargo xtask test`: everything that has to hold before a change lands, with one number at the end.
//!
//! Steps run in the order in which they are likely to fail fast, and a failed step does not hide the next one.
//! The last line is `N passed, N failed, N skipped` over all test binaries. A live test that could not run
//! prints `SKIPPED: <why>` and counts as skipped; with `CI=true` that is a failure, so a machine without rights
//! cannot look green. A run in which no test ran has failed as well.
mod cargo_test;
mod guest_test;
mod step;
mod tally;

use std::{
    env,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::Result;

pub use self::step::Step;
use self::{guest_test::GuestOutcome, tally::Tally};
use crate::{
    vm::{Release, suite::Suite},
    workspace::Workspace,
};

/// How one step ended.
struct Outcome {
    step: Step,
    took: Duration,
    /// Tests it ran.
    tally: Tally,
    /// Why it failed.
    error: Option<String>,
}

/// Runs the steps, all by default, and prints what came of them; false if any failed, or if no test ran although
/// tests were asked for.
#[must_use]
pub fn run(workspace: &Workspace, only: &[Step]) -> bool {
    let ci = env::var_os("CI").is_some_and(|value| value == "true" || value == "1");
    let mut outcomes = Vec::new();
    let (guests, steps): (Vec<Step>, Vec<Step>) =
        step::plan(only, ci).into_iter().partition(|step| step.release().is_some());
    // What guests need comes through the net: it can come while others compute.
    let ahead: Vec<Release> = guests.iter().filter_map(|step| step.release()).collect();
    let mut fetcher = (!ahead.is_empty()).then(|| guest_test::fetch_ahead(workspace.clone(), ahead.clone()));
    let mut preparing = None;
    for step in steps {
        // Live tests wait a lot: what guests run can be built meanwhile.
        let needed = guests.iter().any(|guest| blocked(*guest, &outcomes).is_none());
        if step == Step::Live && needed {
            wait(fetcher.take());
            preparing = Some(guest_test::prepare_ahead(workspace.clone(), ahead.clone()));
        }
        println!("── {} ──", step.name());
        let begun = Instant::now();
        let mut tally = Tally::default();
        let error = blocked(step, &outcomes).map_or_else(
            || step.run(workspace, ci, &mut tally).err().map(|error| format!("{error:#}")),
            Some,
        );
        if let Some(error) = &error {
            eprintln!("{} failed: {error}", step.name());
        }
        outcomes.push(Outcome { step, took: begun.elapsed(), tally, error });
    }
    wait(fetcher);
    // A thread that panicked prepared nothing: it is tried again, and said, where it is needed.
    let prepared = preparing.and_then(|thread| thread.join().ok());
    in_guests(workspace, &guests, prepared, ci, &mut outcomes);
    close(&outcomes)
}

/// What it could not fetch is fetched again, and said, where it is needed.
fn wait(fetcher: Option<JoinHandle<()>>) {
    if let Some(fetcher) = fetcher {
        let _ = fetcher.join();
    }
}

/// The steps that run in guests, side by side.
fn in_guests(
    workspace: &Workspace,
    steps: &[Step],
    prepared: Option<Result<Suite>>,
    ci: bool,
    outcomes: &mut Vec<Outcome>,
) {
    let mut releases = Vec::new();
    for step in steps {
        match (blocked(*step, outcomes), step.release()) {
            (None, Some(release)) => releases.push(release),
            (error, _) => {
                outcomes.push(Outcome { step: *step, took: Duration::ZERO, tally: Tally::default(), error });
            }
        }
    }
    if releases.is_empty() {
        return;
    }
    println!("── guests ──");
    for GuestOutcome { release, tally, took, result } in guest_test::run(workspace, &releases, prepared) {
        let Some(step) = steps.iter().find(|step| step.release() == Some(release)) else { continue };
        let error = result.and_then(|()| step::no_skip(ci, &tally)).err().map(|error| format!("{error:#}"));
        if let Some(error) = &error {
            eprintln!("{} failed: {error}", step.name());
        }
        match outcomes.iter_mut().find(|outcome| outcome.step == *step) {
            // The kernel's other boot.
            Some(outcome) => {
                outcome.took += took;
                outcome.tally.add(&tally);
                outcome.error = outcome.error.take().or(error);
            }
            None => outcomes.push(Outcome { step: *step, took, tally, error }),
        }
    }
}

/// Why a step cannot run: one that it builds on failed.
fn blocked(step: Step, outcomes: &[Outcome]) -> Option<String> {
    let failed = outcomes.iter().find(|outcome| outcome.error.is_some() && step.needs(outcome.step))?;
    Some(format!("not run, because {} failed", failed.step.name()))
}

/// Prints the summary, the count last, and tells whether all is well.
fn close(outcomes: &[Outcome]) -> bool {
    let mut sum = Tally::default();
    println!("\n{:<10} {:<8} {:>8}  tests", "step", "result", "time");
    for Outcome { step, took, tally, error } in outcomes {
        sum.add(tally);
        let result = if error.is_some() { "FAILED" } else { "ok" };
        let tests = if tally.is_empty() { String::new() } else { tally.to_string() };
        println!("{:<10} {result:<8} {:>7.1}s  {tests}", step.name(), took.as_secs_f64());
    }
    for reason in &sum.skipped {
        println!("skipped: {reason}");
    }
    let failed: Vec<&str> = outcomes
        .iter()
        .filter(|outcome| outcome.error.is_some())
        .map(|outcome| outcome.step.name())
        .collect();
    let tests_asked = outcomes.iter().any(|outcome| outcome.step.runs_tests());
    let nothing_ran = tests_asked && sum.is_empty();
    if nothing_ran {
        println!("failed: no test ran");
    } else if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
    }
    if tests_asked {
        println!("{sum}");
    }
    failed.is_empty() && !nothing_ran
}
