//! Findings, and pending findings.
//!
//! A violation that one record proves becomes a finding at once. A violation that follows from several records waits: a
//! skipped BPF program (`recursion_misses`) shows only at the next reading of the loss counters. It is settled at a reading
//! at least [`SETTLE_NS`] of stream time later, or at the end of the stream. If such a loss shows by then, it is withdrawn.
use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{evidence::RecentRecords, names::Names};
use crate::vocabulary::{
    account::Account,
    finding::{Evidence, Finding, Key, Violation},
    spans::Spans,
};

/// How long a pending finding waits, ns of stream time. The capture layer reads the loss counters more often than that.
const SETTLE_NS: u64 = 10_000_000_000;
/// Most findings kept; more are only counted.
const MAX_FINDINGS: usize = 10_000;
/// Most pending findings; more are settled early.
const MAX_DEFERRED: usize = 10_000;

/// A pending finding, with the number of equal violations meanwhile.
#[derive(Debug)]
struct Waiting {
    violation: Violation,
    evidence: Vec<Evidence>,
    count: u64,
    seen: Spans,
    /// One record proves it. It waits only because another rule may say more about the same bytes.
    certain: bool,
    /// A call showed it. No other rule says more about the same bytes.
    by_call: bool,
}

#[derive(Debug, Default)]
pub(crate) struct PendingFindings {
    /// The functions tier is on. A call that has not returned yet may say more than the record that proves a violation.
    pub calls: bool,
    findings: Vec<Finding>,
    index: FxHashMap<Key, usize>,
    waiting: FxHashMap<Key, Waiting>,
    /// When each pending finding is due, oldest first.
    queue: VecDeque<(u64, Key)>,
    /// Inodes that a finding or a pending finding names or named.
    inodes: FxHashSet<(u32, u64, u64)>,
    withdrawn: u64,
    beyond_bound: u64,
}

impl PendingFindings {
    pub(crate) fn new(calls: bool) -> Self {
        Self { calls, ..Self::default() }
    }

    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Filesystems that findings or pending findings name.
    pub(crate) fn filesystems(&self) -> FxHashSet<u32> {
        let waiting = self.waiting.values().map(|waiting| waiting.violation.fs);
        self.findings.iter().map(|finding| finding.violation.fs).chain(waiting).collect()
    }

    /// Number of pending findings.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Number of pending findings and suspicions that were withdrawn.
    pub(crate) const fn withdrawn(&self) -> u64 {
        self.withdrawn
    }

    /// Number of findings that were only counted.
    pub(crate) const fn beyond_bound(&self) -> u64 {
        self.beyond_bound
    }

    /// Takes a violation that one record proves.
    pub(crate) fn file(&mut self, violation: Violation, recent: &RecentRecords, names: &Names) {
        if self.calls {
            self.wait(violation, recent, names, true, false);
            return;
        }
        let evidence = self.search(&violation, recent);
        let seen = Spans::at(violation.time);
        self.enter(Waiting { violation, evidence, count: 1, seen, certain: true, by_call: false }, names);
    }

    /// Takes a violation that a loss not read yet could explain.
    pub(crate) fn defer(&mut self, violation: Violation, recent: &RecentRecords, names: &Names) {
        self.wait(violation, recent, names, false, false);
    }

    /// Takes a violation by a call that a loss not read yet could explain.
    pub(crate) fn defer_call(&mut self, violation: Violation, recent: &RecentRecords, names: &Names) {
        self.wait(violation, recent, names, false, true);
    }

    fn wait(
        &mut self,
        violation: Violation,
        recent: &RecentRecords,
        names: &Names,
        certain: bool,
        by_call: bool,
    ) {
        let key = violation.key();
        if let Some(waiting) = self.waiting.get_mut(&key) {
            waiting.count += 1;
            waiting.seen.add(violation.time);
            waiting.certain |= certain;
            waiting.by_call |= by_call;
            waiting.violation.amount = waiting.violation.amount.saturating_add(violation.amount);
            waiting.violation.confidence = waiting.violation.confidence.min(violation.confidence);
            waiting.violation.twice &= violation.twice;
            return;
        }
        if self.waiting.len() >= MAX_DEFERRED {
            self.settle_first(names);
        }
        let evidence = self.search(&violation, recent);
        self.remember_inode(&violation);
        let seen = Spans::at(violation.time);
        self.queue.push_back((violation.time.saturating_add(SETTLE_NS), key));
        self.waiting.insert(key, Waiting { violation, evidence, count: 1, seen, certain, by_call });
    }

    /// Searches the evidence of a violation; empty for a repeat, because each search walks all records kept.
    fn search(&self, violation: &Violation, recent: &RecentRecords) -> Vec<Evidence> {
        if self.findings.len() >= MAX_FINDINGS || self.index.contains_key(&violation.key()) {
            return Vec::new();
        }
        recent.search(violation.query)
    }

    /// Settles what is due at `now`, the time of a loss sample.
    pub(crate) fn settle(&mut self, now: u64, names: &Names) {
        while self.queue.front().is_some_and(|(due, _)| *due <= now) {
            self.settle_first(names);
        }
    }

    /// Settles everything, at the end of the stream.
    pub(crate) fn settle_all(&mut self, names: &Names) {
        while !self.queue.is_empty() {
            self.settle_first(names);
        }
    }

    fn settle_first(&mut self, names: &Names) {
        if let Some((_, key)) = self.queue.pop_front()
            && let Some(waiting) = self.waiting.remove(&key)
        {
            self.enter(waiting, names);
        }
    }

    /// Counts suspicions that were dropped before they became pending.
    pub(crate) const fn withdrew(&mut self, count: usize) {
        self.withdrawn = self.withdrawn.saturating_add(count as u64);
    }

    /// A loss was read that could explain all pending findings. Withdraws them, except those that one record proves.
    pub(crate) fn withdraw_waiting(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|_, waiting| waiting.certain);
        self.withdrawn += (before - self.waiting.len()) as u64;
        let Self { queue, waiting, .. } = self;
        queue.retain(|(_, key)| waiting.contains_key(key));
    }

    /// A more exact rule has found the cause of a pending finding on the same account and owner: drops that finding if its
    /// amount is at most `most` and no call proved it. `owner` `None`: an account of the whole filesystem.
    pub(crate) fn absorb(&mut self, fs: u32, owner: Option<(u64, u64)>, account: Account, most: u64) {
        if self.waiting.is_empty() {
            return;
        }
        let (root, ino) = (owner.map(|owner| owner.0), owner.map(|owner| owner.1));
        let same = |key: &Key| key.1 == account && key.2 == fs && key.3 == root && key.4 == ino;
        self.waiting.retain(|key, waiting| !same(key) || waiting.by_call || waiting.violation.amount > most);
        let Self { queue, waiting, .. } = self;
        queue.retain(|(_, key)| waiting.contains_key(key));
    }

    /// True if a finding or pending finding names or named this inode.
    pub(crate) fn names_inode(&self, fs: u32, root: u64, ino: u64) -> bool {
        self.inodes.contains(&(fs, root, ino))
    }

    fn remember_inode(&mut self, violation: &Violation) {
        if let (Some(root), Some(ino)) = (violation.root, violation.ino)
            && self.findings.len() < MAX_FINDINGS
        {
            self.inodes.insert((violation.fs, root, ino));
        }
    }

    fn enter(&mut self, waiting: Waiting, names: &Names) {
        let Waiting { violation, evidence, count, seen, certain: _, by_call: _ } = waiting;
        let last_seen = seen.list().iter().fold(violation.time, |last, span| last.max(span.to));
        let key = violation.key();
        if let Some(finding) = self.index.get(&key).and_then(|position| self.findings.get_mut(*position)) {
            finding.count += count;
            finding.amount = finding.amount.saturating_add(violation.amount);
            finding.last_seen = finding.last_seen.max(last_seen);
            finding.seen.join(&seen);
            finding.confidence = finding.confidence.min(violation.confidence);
            finding.violation.twice &= violation.twice;
            return;
        }
        if self.findings.len() >= MAX_FINDINGS {
            self.beyond_bound += count;
            return;
        }
        self.remember_inode(&violation);
        let position = self.findings.len();
        self.index.insert(key, position);
        self.findings.push(Finding {
            count,
            last_seen,
            seen,
            task: names.task_or_tid(violation.tid),
            evidence,
            ..Finding::new(position as u32, violation)
        });
    }
}
