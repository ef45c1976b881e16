//! `cargo xtask test`: everything that has to hold before a change lands, with one number at the end.
//!
//! Steps that are likely to fail fast come first, and a failed step does not hide the next one. Tests on kernels come last,
//! side by side.
//!
//! The last line is `N passed, N failed, N skipped` over all test binaries. Tests on kernels are `#[ignore]`d to cargo and
//! asked for here. One that cannot run prints `SKIPPED: <why>` and counts as skipped, like one that nobody asked for. With
//! `CI=true` that is a failure, so a machine without rights cannot pass. A run in which no test ran has failed as well.
mod along;
mod cargo_test;
mod deny;
mod jobs;
mod live_test;
mod msrv;
mod shells;
mod step;
mod tally;

use std::{
    env,
    time::{Duration, Instant},
};

use self::{jobs::JobOutcome, tally::Tally};
pub use self::{live_test::ARGUMENTS as LIVE_ARGUMENTS, step::Step};
use crate::{build, machine::Machine, vm::Release, workspace::Workspace};

/// Of a failed step, in the summary.
const ERROR_LINES: usize = 40;

/// How one step ended.
struct Outcome {
    step: Step,
    took: Duration,
    /// Tests it ran.
    tally: Tally,
    /// Why it failed.
    error: Option<String>,
    /// What the step cannot check on this machine, and why.
    unchecked: Option<String>,
}

/// Runs the steps, all by default, and prints what came of them; false if any failed, or if no test ran although
/// tests were asked for.
#[must_use]
pub fn run(workspace: &Workspace, only: &[Step]) -> bool {
    let ci = env::var_os("CI").is_some_and(|value| value == "true" || value == "1");
    let mut outcomes = Vec::new();
    let (jobs, steps): (Vec<Step>, Vec<Step>) =
        step::plan(only, ci).into_iter().partition(|step| step.is_job());
    // What guests need comes through the net: it can come while others compute. What cannot be fetched is fetched again,
    // and said, where it is needed.
    let releases: Vec<Release> = jobs.iter().filter_map(|step| step.release()).collect();
    let fetcher = (!releases.is_empty()).then(|| jobs::fetch_ahead(workspace.clone(), releases));
    for step in steps {
        println!("── {} ──", step.name());
        let begun = Instant::now();
        let mut tally = Tally::default();
        let result = match blocked(step, &outcomes) {
            Some(why) => Err(why),
            None => step
                .run(workspace, &mut tally)
                .and_then(|unchecked| step::no_skip(ci, &tally).map(|()| unchecked))
                .map_err(|error| format!("{error:#}")),
        };
        let (unchecked, error) = match result {
            Ok(unchecked) => (unchecked, None),
            Err(error) => (None, Some(error)),
        };
        say(step, error.as_deref());
        outcomes.push(Outcome { step, took: begun.elapsed(), tally, error, unchecked });
    }
    if let Some(fetcher) = fetcher {
        let _ = fetcher.join();
    }
    side_by_side(workspace, &jobs, ci, &mut outcomes);
    close(&outcomes)
}

/// The steps that run tests on kernels.
fn side_by_side(workspace: &Workspace, steps: &[Step], ci: bool, outcomes: &mut Vec<Outcome>) {
    let (blocked, open): (Vec<_>, Vec<_>) =
        steps.iter().map(|step| (*step, blocked(*step, outcomes))).partition(|(_, why)| why.is_some());
    outcomes.extend(blocked.into_iter().map(|(step, error)| Outcome {
        step,
        took: Duration::ZERO,
        tally: Tally::default(),
        error,
        unchecked: None,
    }));
    let open: Vec<Step> = open.into_iter().map(|(step, _)| step).collect();
    if open.is_empty() {
        return;
    }
    println!("── {} ──", open.iter().map(|step| step.name()).collect::<Vec<_>>().join(", "));
    // Built by the step before: cargo only says where they lie.
    let programs = match Machine::here().and_then(|machine| build::for_tests(workspace, machine)) {
        Ok(programs) => programs,
        Err(error) => {
            let error = format!("{error:#}");
            outcomes.extend(open.into_iter().map(|step| Outcome {
                step,
                took: Duration::ZERO,
                tally: Tally::of_nothing_run(),
                error: Some(error.clone()),
                unchecked: None,
            }));
            return;
        }
    };
    let mut jobs = jobs::run(workspace, &programs, &open);
    jobs.sort_by_key(|job| job.step);
    for JobOutcome { step, tally, took, result } in jobs {
        let error = result.and_then(|()| step::no_skip(ci, &tally)).err().map(|error| format!("{error:#}"));
        say(step, error.as_deref());
        match outcomes.iter_mut().find(|outcome| outcome.step == step) {
            // The kernel's other boot.
            Some(outcome) => {
                outcome.took += took;
                outcome.tally.add(&tally);
                outcome.error = outcome.error.take().or(error);
            }
            None => outcomes.push(Outcome { step, took, tally, error, unchecked: None }),
        }
    }
}

fn say(step: Step, error: Option<&str>) {
    if let Some(error) = error {
        eprintln!("{} failed: {error}", step.name());
    }
}

/// Why a step cannot run: one that it builds on failed.
fn blocked(step: Step, outcomes: &[Outcome]) -> Option<String> {
    let failed = outcomes.iter().find(|outcome| outcome.error.is_some() && step.needs(outcome.step))?;
    Some(format!("not run, because {} failed", failed.step.name()))
}

/// The first [`ERROR_LINES`] lines of a step's error.
fn shortened(error: &str) -> String {
    let lines: Vec<&str> = error.lines().collect();
    let more = lines.len().saturating_sub(ERROR_LINES);
    let mut text = lines[..lines.len() - more].join("\n");
    if more > 0 {
        text.push_str(&format!("\n({more} more lines above)"));
    }
    text
}

/// Prints the summary, the count last, and tells whether all is well.
fn close(outcomes: &[Outcome]) -> bool {
    let mut sum = Tally::default();
    println!("\n{:<10} {:<8} {:>8}  tests", "step", "result", "time");
    for Outcome { step, took, tally, error, unchecked } in outcomes {
        sum.add(tally);
        let result = match (error, unchecked) {
            (Some(_), _) => "FAILED",
            (None, Some(_)) => "partly",
            (None, None) => "ok",
        };
        let tests = if tally.is_empty() { String::new() } else { tally.to_string() };
        println!("{:<10} {result:<8} {:>7.1}s  {tests}", step.name(), took.as_secs_f64());
    }
    for outcome in outcomes {
        if let Some(unchecked) = &outcome.unchecked {
            println!("not checked by {}: {unchecked}", outcome.step.name());
        }
    }
    for reason in &sum.skipped {
        println!("skipped: {reason}");
    }
    // Where it failed is far above: a reader of the end of a log must not have to look for it.
    for outcome in outcomes {
        if let Some(error) = &outcome.error {
            println!("{}: {}", outcome.step.name(), shortened(error));
        }
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
