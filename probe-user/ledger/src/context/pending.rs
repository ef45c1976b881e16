//! Findings: filed at once where one record proves them, else held until nothing can explain them any more.
//!
//! A skipped program (`recursion_misses`) shows only at the next reading of the loss counters. So whatever is
//! concluded from several records waits for a reading [`SETTLE_NS`] of stream time later, or for the end of the stream,
//! and is withdrawn if such a loss turns up by then.
use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{evidence::RecentRecords, names::Names};
use crate::{
    context::violation::{Key, Violation},
    vocabulary::{
        account::Account,
        finding::{Evidence, Finding},
        spans::Spans,
    },
};

/// Stream time that a conclusion waits, in ns. The capture layer reads the loss counters more often than that.
const SETTLE_NS: u64 = 10_000_000_000;
/// Most findings kept; more are counted.
const MAX_FINDINGS: usize = 10_000;
/// Most conclusions that wait; more are settled early.
const MAX_DEFERRED: usize = 10_000;

/// A conclusion that waits, and how often it was drawn meanwhile.
#[derive(Debug)]
struct Waiting {
    violation: Violation,
    evidence: Vec<Evidence>,
    count: u64,
    seen: Spans,
    /// One record proves it; it waits only for a rule that can say more about the same bytes.
    certain: bool,
    /// Drawn from a call: nothing says more about the same bytes.
    by_call: bool,
}

#[derive(Debug, Default)]
pub(crate) struct PendingFindings {
    /// The functions tier is on: a call that is still on its way may say more than the record that proves something.
    pub calls: bool,
    findings: Vec<Finding>,
    index: FxHashMap<Key, usize>,
    waiting: FxHashMap<Key, Waiting>,
    /// When each waiting conclusion is due, oldest first.
    queue: VecDeque<(u64, Key)>,
    /// Inodes that a finding names, or named while it waited.
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

    /// Filesystems that findings, or conclusions that wait, name.
    pub(crate) fn filesystems(&self) -> FxHashSet<u32> {
        let waiting = self.waiting.values().map(|waiting| waiting.violation.fs);
        self.findings.iter().map(|finding| finding.fs).chain(waiting).collect()
    }

    /// Conclusions that wait to be settled.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Conclusions that a later loss explained.
    pub(crate) const fn withdrawn(&self) -> u64 {
        self.withdrawn
    }

    /// Findings that were only counted.
    pub(crate) const fn beyond_bound(&self) -> u64 {
        self.beyond_bound
    }

    /// A rule is broken, and the record at hand proves it.
    pub(crate) fn file(&mut self, violation: Violation, recent: &RecentRecords, names: &Names) {
        if self.calls {
            self.wait(violation, recent, names, true, false);
            return;
        }
        let evidence = self.search(&violation, recent);
        let seen = Spans::at(violation.time);
        self.enter(Waiting { violation, evidence, count: 1, seen, certain: true, by_call: false }, names);
    }

    /// A rule looks broken; a loss that is not known yet could still explain it.
    pub(crate) fn defer(&mut self, violation: Violation, recent: &RecentRecords, names: &Names) {
        self.wait(violation, recent, names, false, false);
    }

    /// A call broke a rule; a loss that is not known yet could still explain it.
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

    /// Evidence is shown once per finding; looking for it costs a walk over the ring.
    fn search(&self, violation: &Violation, recent: &RecentRecords) -> Vec<Evidence> {
        if self.findings.len() >= MAX_FINDINGS || self.index.contains_key(&violation.key()) {
            return Vec::new();
        }
        recent.search(violation.query)
    }

    /// Settles what has waited long enough at `now`, the time of a reading of the loss counters.
    pub(crate) fn settle(&mut self, now: u64, names: &Names) {
        while self.queue.front().is_some_and(|(due, _)| *due <= now) {
            self.settle_first(names);
        }
    }

    /// End of the stream.
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

    /// So many suspicions were dropped before they came here.
    pub(crate) const fn withdrew(&mut self, count: usize) {
        self.withdrawn = self.withdrawn.saturating_add(count as u64);
    }

    /// A loss turned up that can explain everything that waits.
    pub(crate) fn withdraw_waiting(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|_, waiting| waiting.certain);
        self.withdrawn += (before - self.waiting.len()) as u64;
        let Self { queue, waiting, .. } = self;
        queue.retain(|(_, key)| waiting.contains_key(key));
    }

    /// A more exact rule has found what lies behind a conclusion that waits on the same account and owner: that
    /// one is dropped, and its evidence is not needed. `owner` `None`: an account of the whole filesystem.
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

    /// True if any finding or waiting conclusion names this inode.
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
            return;
        }
        if self.findings.len() >= MAX_FINDINGS {
            self.beyond_bound += count;
            return;
        }
        self.remember_inode(&violation);
        let position = self.findings.len();
        self.index.insert(key, position);
        let Violation {
            kind,
            account,
            fs,
            root,
            ino,
            generation,
            amount,
            balance_before,
            time,
            tid,
            stack,
            origins,
            confidence,
            explanation,
            query: _,
        } = violation;
        self.findings.push(Finding {
            id: position as u32,
            kind,
            account,
            fs,
            root,
            ino,
            generation,
            amount,
            balance_before,
            first_seen: time,
            last_seen,
            count,
            seen,
            task: names.task_or_tid(tid),
            stack,
            origins,
            evidence,
            confidence,
            explanation,
        });
    }
}
