//! A mixed load: many threads on one filesystem, each choosing operations by weight. All threads share some files.
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::ops::{Ctx, Layout, OPS, Op, OpOutcome};
use crate::rng::Rng;

const OUTCOMES: usize = OpOutcome::ALL.len();

/// When a mix ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After this time.
    Elapsed(Duration),
    /// After this many operations in all.
    Ops(u64),
    /// Never; only when it is stopped.
    Stopped,
}

/// A mixed load.
#[derive(Debug, Clone)]
pub struct Mix {
    /// Number of threads, at least 1.
    pub threads: usize,
    /// When it ends.
    pub until: Until,
    /// Seed of all choices. With one thread a run is exactly repeatable, with several only up to scheduling.
    pub seed: u64,
    /// Time that each thread waits between two operations; zero unless something else has to make progress beside the load.
    pub pause: Duration,
    weights: Vec<(&'static Op, u32)>,
}

impl Mix {
    /// All operations with their usual weights.
    pub fn new(threads: usize, until: Until, seed: u64) -> Self {
        Self {
            threads,
            until,
            seed,
            pause: Duration::ZERO,
            weights: OPS.iter().map(|op| (op, op.weight)).collect(),
        }
    }

    /// Only the named operations, each equally often.
    ///
    /// # Errors
    /// There is no operation with this name.
    pub fn only(threads: usize, until: Until, seed: u64, names: &[&str]) -> Result<Self> {
        let mut this = Self { weights: Vec::new(), ..Self::new(threads, until, seed) };
        for name in names {
            this.set_weight(name, 1)?;
        }
        Ok(this)
    }

    /// Sets how often operation `name` is chosen, relative to the others; 0 leaves it out.
    ///
    /// # Errors
    /// There is no operation with this name.
    pub fn set_weight(&mut self, name: &str, weight: u32) -> Result<()> {
        let op = Op::named(name).ok_or_else(|| {
            let names: Vec<_> = OPS.iter().map(|op| op.name).collect();
            Error::Usage(format!("there is no operation {name}: take one of {}", names.join(", ")))
        })?;
        self.weights.retain(|(known, _)| known.name != op.name);
        self.weights.push((op, weight));
        Ok(())
    }

    /// Runs the mix on `layout` until its end or until `stop` is set. Leaves out operations that the filesystem does not
    /// allow. The first error ends all threads and is returned.
    ///
    /// # Errors
    /// [`Error::Op`] for an error that a correct kernel must not return, [`Error::Worker`] for a panic,
    /// [`Error::Interrupted`] when the process is closing, [`Error::Usage`] when no operation is left to run.
    pub fn run(&self, layout: &Layout, stop: &AtomicBool) -> Result<MixReport> {
        let table = Table::new(self.weights.iter().filter(|(op, _)| op.allowed(layout.abilities())).copied())
            .ok_or_else(|| Error::Usage("no operation is left to run: give one a weight above 0".into()))?;
        let start = Instant::now();
        let deadline = match self.until {
            Until::Elapsed(time) => Some(start + time),
            Until::Ops(_) | Until::Stopped => None,
        };
        let budget = AtomicU64::new(if let Until::Ops(ops) = self.until { ops } else { u64::MAX });
        let failed = AtomicBool::new(false);
        let failure: Mutex<Option<Error>> = Mutex::new(None);
        let fail = |error| {
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            failed.store(true, Ordering::Relaxed);
        };
        let worker = |index: usize| {
            let ctx = Ctx { layout, worker: index, stop, deadline };
            let mut rng = Rng::for_worker(self.seed, index);
            let mut report = MixReport::new(self.seed);
            while !ctx.stopped() && !failed.load(Ordering::Relaxed) && take_one(&budget) {
                let op = table.choose(&mut rng);
                match op.run(&ctx, &mut rng) {
                    Ok(outcome) => report.count(op, outcome),
                    Err(error) => fail(error),
                }
                thread::sleep(self.pause);
            }
            report
        };
        let mut total = MixReport::new(self.seed);
        thread::scope(|scope| {
            let workers: Vec<_> =
                (0..self.threads.max(1)).map(|index| scope.spawn(move || worker(index))).collect();
            for handle in workers {
                match handle.join() {
                    Ok(report) => total.add(&report),
                    Err(_) => fail(Error::Worker(layout.root().to_path_buf())),
                }
            }
        });
        total.elapsed = start.elapsed();
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            // Any operation may fail once the mount is being removed.
            Some(_) if crate::cleanup::closing() => Err(Error::Interrupted),
            Some(error) => Err(error),
            None => Ok(total),
        }
    }
}

/// Takes one operation from the budget, if any is left.
fn take_one(budget: &AtomicU64) -> bool {
    budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

/// Operations with cumulative weights.
struct Table {
    /// Each operation with the sum of the weights up to and including its own; never empty.
    upto: Vec<(u64, &'static Op)>,
    total: u64,
}

impl Table {
    fn new(weights: impl Iterator<Item = (&'static Op, u32)>) -> Option<Self> {
        let mut total = 0;
        let upto: Vec<_> = weights
            .filter(|(_, weight)| *weight > 0)
            .map(|(op, weight)| {
                total += u64::from(weight);
                (total, op)
            })
            .collect();
        (!upto.is_empty()).then_some(Self { upto, total })
    }

    fn choose(&self, rng: &mut Rng) -> &'static Op {
        let at = rng.below(self.total);
        self.upto[self.upto.partition_point(|(upto, _)| *upto <= at)].1
    }
}

/// Number of runs by operation and outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixReport {
    /// The seed of the run.
    pub seed: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// By operation (as in [`OPS`]) and outcome (as in [`OpOutcome::ALL`]).
    counts: Vec<[u64; OUTCOMES]>,
}

impl MixReport {
    /// Nothing counted yet.
    pub fn new(seed: u64) -> Self {
        Self { seed, elapsed: Duration::ZERO, counts: vec![[0; OUTCOMES]; OPS.len()] }
    }

    /// Counts one run of `op`.
    pub fn count(&mut self, op: &Op, outcome: OpOutcome) {
        if let Some(at) = OPS.iter().position(|known| known.name == op.name) {
            self.counts[at][outcome as usize] += 1;
        }
    }

    /// Adds the counts of `other`; leaves `elapsed` as it is.
    pub fn add(&mut self, other: &Self) {
        let Self { seed: _, elapsed: _, counts } = other;
        for (mine, theirs) in self.counts.iter_mut().flatten().zip(counts.iter().flatten()) {
            *mine += theirs;
        }
    }

    /// How often operation `name` ended with `outcome`.
    pub fn of(&self, name: &str, outcome: OpOutcome) -> u64 {
        OPS.iter().position(|op| op.name == name).map_or(0, |at| self.counts[at][outcome as usize])
    }

    /// How often any operation ended with `outcome`.
    pub fn outcome(&self, outcome: OpOutcome) -> u64 {
        self.counts.iter().map(|counts| counts[outcome as usize]).sum()
    }

    /// Operations run.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// The operations that were run, each with its outcomes that are not zero, in the order of [`OPS`].
    pub fn lines(&self) -> Vec<(&'static str, Vec<(OpOutcome, u64)>)> {
        OPS.iter()
            .zip(&self.counts)
            .map(|(op, counts)| {
                let ended = OpOutcome::ALL.into_iter().zip(*counts).filter(|(_, count)| *count > 0);
                (op.name, ended.collect::<Vec<_>>())
            })
            .filter(|(_, ended)| !ended.is_empty())
            .collect()
    }
}

impl fmt::Display for MixReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, ended) in self.lines() {
            let ended: Vec<_> =
                ended.into_iter().map(|(outcome, count)| format!("{count} {}", outcome.name())).collect();
            writeln!(f, "{name:14} {}", ended.join(", "))?;
        }
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{} operations in {seconds:.1} s, seed {}", self.total(), self.seed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn operations_are_chosen_as_often_as_their_weights_say() {
        let names = [("buffered", 3), ("small", 0), ("direct", 1)];
        let table =
            Table::new(names.iter().map(|(name, weight)| (Op::named(name).unwrap(), *weight))).unwrap();
        let mut rng = Rng::new(11);
        let mut seen = BTreeMap::new();
        for _ in 0..40_000 {
            *seen.entry(table.choose(&mut rng).name).or_insert(0u32) += 1;
        }
        assert_eq!(seen.keys().copied().collect::<Vec<_>>(), ["buffered", "direct"]);
        assert!((29_000..31_000).contains(&seen["buffered"]), "{seen:?}");
    }

    #[test]
    fn a_table_without_weight_and_an_unknown_name_are_refused() {
        assert!(Table::new([(&OPS[0], 0)].into_iter()).is_none());
        let error = Mix::only(1, Until::Stopped, 1, &["bufered"]).unwrap_err().to_string();
        assert!(error.contains("bufered") && error.contains("buffered,"), "{error}");
    }

    #[test]
    fn the_budget_is_spent_exactly() {
        let budget = AtomicU64::new(1000);
        let taken: u32 = thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1000).filter(|_| take_one(&budget)).count() as u32))
                .collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(taken, 1000);
    }

    #[test]
    fn counts_add_up() {
        let mut one = MixReport::new(1);
        one.count(Op::named("quota").unwrap(), OpOutcome::OverQuota);
        let mut two = one.clone();
        two.count(Op::named("small").unwrap(), OpOutcome::Done);
        one.add(&two);
        assert_eq!(one.of("quota", OpOutcome::OverQuota), 2);
        assert_eq!(one.outcome(OpOutcome::Done), 1);
        assert_eq!(one.total(), 3);
        let text = one.to_string();
        assert!(text.contains("2 EDQUOT") && text.ends_with("3 operations in 0.0 s, seed 1"), "{text}");
    }
}
