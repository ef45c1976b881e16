//! The jobs that run side by side at the end: the live tests on the machine itself, and the tests in guests. As many run at
//! once as there are processors: an emulated guest keeps little more than one of them busy, and live tests wait a lot.
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Error, Result};

use super::{Step, live_test, tally::Tally};
use crate::{
    build::TestedPrograms,
    vm::{
        Release,
        suite::{self, Part, Suite},
    },
    workspace::Workspace,
};

/// How one job ended.
pub struct JobOutcome {
    /// The step that it is a part of.
    pub step: Step,
    /// What was counted.
    pub tally: Tally,
    /// What it took.
    pub took: Duration,
    /// Why it failed.
    pub result: Result<()>,
}

/// One job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// The machine itself.
    Live,
    /// One boot.
    Guest(Release, Part),
}

/// Fetches what guests need beside other steps.
pub fn fetch_ahead(workspace: Workspace, releases: Vec<Release>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        if let Err(error) = Suite::fetch(&workspace, &releases) {
            eprintln!("fetching for guests: {error:#}");
        }
    })
}

/// Runs these steps, of which each is [`Step::Live`] or of a guest. Outcomes in the order in which jobs end; a step can
/// have several.
pub fn run(workspace: &Workspace, programs: &TestedPrograms, steps: &[Step]) -> Vec<JobOutcome> {
    let releases: Vec<Release> = steps.iter().filter_map(|step| step.release()).collect();
    // Without a guest nothing of it is needed, not even QEMU.
    let suite = (!releases.is_empty()).then(|| Suite::prepare(workspace, programs, &releases));
    // The machine's own first: a mistake shows there soonest.
    let live = steps.contains(&Step::Live).then_some(Job::Live);
    let boots = suite::boots(&releases).into_iter().map(|(release, part)| Job::Guest(release, part));
    let jobs: VecDeque<Job> = live.into_iter().chain(boots).collect();
    let workers = thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    let several = jobs.len() > 1;
    let waiting = Mutex::new(jobs);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(job) = next else { break };
                    let outcome = one(workspace, programs, suite.as_ref().map(Result::as_ref), job, several);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn one(
    workspace: &Workspace,
    programs: &TestedPrograms,
    suite: Option<Result<&Suite, &Error>>,
    job: Job,
    several: bool,
) -> JobOutcome {
    let begun = Instant::now();
    let mut tally = Tally::default();
    let (step, result) = match job {
        Job::Live => (Step::Live, live_test::run(workspace, programs, &mut tally)),
        Job::Guest(release, part) => {
            let result = match suite {
                Some(Ok(suite)) => guest(workspace, suite, (release, part), several, &mut tally),
                None => Err(Error::msg("guests were not prepared")),
                Some(Err(error)) => {
                    Err(Error::msg(format!("{error:#}"))).context("guests cannot be prepared")
                }
            };
            (Step::of_release(release), result)
        }
    };
    if result.is_err() && tally.failed == 0 {
        // A guest or a binary that died printed no result.
        tally.add(&Tally::of_nothing_run());
    }
    JobOutcome { step, tally, took: begun.elapsed(), result }
}

/// One guest from its boot to its end, read along while it runs. Lines of guests that run side by side begin with the
/// kernel's name.
fn guest(
    workspace: &Workspace,
    suite: &Suite,
    boot: (Release, Part),
    several: bool,
    tally: &mut Tally,
) -> Result<()> {
    let (release, part) = boot;
    let mut line = Vec::new();
    let mark = if part == Part::Faults { '!' } else { '|' };
    let prefix = if several { format!("{:>4}{mark} ", release.name()) } else { String::new() };
    let result = suite.run(workspace, boot, &mut |bytes| {
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
    result
}
