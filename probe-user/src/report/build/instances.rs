//! The instances of a finding: their totals, and those of them that are listed.
use std::cmp::Reverse;

use probe_ledger::{Confidence, Finding, SeenPath};
use rustc_hash::FxHashSet;

use crate::report::model::{InodePath, Instance, TestFinding};

/// Most instances that are listed with a finding.
pub(super) const MAX_LISTED: usize = 16;
/// Most that are listed with a test.
const MAX_LISTED_OF_TEST: usize = 4;

/// Path of an inode by filesystem id of the stream, subvolume and inode number, where it is known.
pub type PathOf<'a> = &'a dyn Fn(u32, u64, u64) -> Option<SeenPath>;
/// ns since the start of the session, of a `CLOCK_MONOTONIC` time in ns.
pub type SinceStart<'a> = &'a dyn Fn(u64) -> u64;

/// What these instances of finding `id` are together, for the row of a test.
#[must_use]
pub fn of_test(
    id: u32,
    instances: &[&Finding],
    path: PathOf<'_>,
    since_start: SinceStart<'_>,
) -> TestFinding {
    together(id, instances, MAX_LISTED_OF_TEST, path, since_start)
}

/// Totals of these instances, and at most `most` of them (three at least).
pub(super) fn together(
    id: u32,
    instances: &[&Finding],
    most: usize,
    path: PathOf<'_>,
    since_start: SinceStart<'_>,
) -> TestFinding {
    let all = || instances.iter().map(|instance| &instance.violation);
    let inodes: FxHashSet<(Option<u64>, u64)> =
        all().filter_map(|violation| Some((violation.root, violation.ino?))).collect();
    let roots: FxHashSet<u64> = all().filter_map(|violation| violation.root).collect();
    let listed: Vec<Instance> =
        pick(instances, most).into_iter().map(|instance| one(instance, path, since_start)).collect();
    TestFinding {
        id,
        amount: instances.iter().fold(0, |sum: i64, instance| sum.saturating_add(amount(instance))),
        count: instances.iter().fold(0, |sum: u64, instance| sum.saturating_add(instance.count)),
        inodes: inodes.len() as u64,
        roots: roots.len() as u64,
        first_seen_ns: since_start(all().map(|violation| violation.time).min().unwrap_or(0)),
        last_seen_ns: since_start(instances.iter().map(|instance| instance.last_seen).max().unwrap_or(0)),
        // The kinds of confidence stand in the order of their names, the surest first.
        confidence: instances
            .iter()
            .map(|instance| instance.confidence)
            .max()
            .unwrap_or(Confidence::Exact)
            .into(),
        instances_left_out: (instances.len() - listed.len()) as u64,
        instances: listed,
    }
}

/// Negative if the kernel's own figure had wrapped.
const fn amount(instance: &Finding) -> i64 {
    instance.amount as i64
}

/// The first and the last, then the largest, in their order.
fn pick<'a>(instances: &[&'a Finding], most: usize) -> Vec<&'a Finding> {
    if instances.len() <= most {
        return instances.to_vec();
    }
    let positions = 0..instances.len();
    // The first that was found need not be the first that happened.
    let first = positions.clone().min_by_key(|at| instances[*at].violation.time);
    let last = positions.clone().max_by_key(|at| instances[*at].last_seen);
    let mut picked = vec![0];
    picked.extend(first.filter(|at| !picked.contains(at)));
    picked.extend(last.filter(|at| !picked.contains(at)));
    let mut largest: Vec<usize> = positions.filter(|at| !picked.contains(at)).collect();
    largest.sort_by_key(|at| (Reverse(amount(instances[*at]).unsigned_abs()), *at));
    largest.truncate(most.saturating_sub(picked.len()));
    picked.extend(largest);
    picked.sort_unstable();
    picked.into_iter().map(|at| instances[at]).collect()
}

fn one(finding: &Finding, path: PathOf<'_>, since_start: SinceStart<'_>) -> Instance {
    let violation = &finding.violation;
    let place = violation.root.zip(violation.ino).and_then(|(root, ino)| path(violation.fs, root, ino));
    let place = InodePath::from(place.as_ref());
    Instance {
        root: violation.root.map(|root| root as i64),
        inode: violation.ino,
        generation: violation.generation,
        path: place.path,
        path_truncated: place.path_truncated,
        path_bytes: place.path_bytes,
        amount: amount(finding),
        count: finding.count,
        first_seen_ns: since_start(violation.time),
        last_seen_ns: since_start(finding.last_seen),
        confidence: finding.confidence.into(),
        explanation: violation.explanation.clone(),
    }
}
