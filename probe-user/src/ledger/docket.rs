//! Findings: filed at once where one record proves them, else held until nothing can explain them any more.
//!
//! A skipped program (`recursion_misses`) shows only at the next reading of the loss counters. So whatever is
//! concluded from several records waits [`SETTLE_NS`] of stream time, or for the end of the stream, and is
//! withdrawn if such a loss turns up meanwhile.
use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::{
    evidence::{Query, Ring},
    finding::{Account, Confidence, Evidence, Finding, FindingKind, Origin, StackRef},
    names::Names,
};

/// Stream time that a conclusion waits, in ns. The capture layer reads the loss counters more often than that.
const SETTLE_NS: u64 = 10_000_000_000;
/// Most findings kept; more are counted.
const MAX_FINDINGS: usize = 10_000;
/// Most conclusions that wait; more are settled early.
const MAX_DEFERRED: usize = 10_000;

/// A broken rule, before it is a finding.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    pub kind: FindingKind,
    pub account: Account,
    pub fs: u32,
    pub root: Option<u64>,
    pub ino: Option<u64>,
    pub generation: Option<u64>,
    pub amount: u64,
    pub balance_before: Option<i64>,
    pub time: u64,
    pub tid: u32,
    pub stack: StackRef,
    pub origins: Vec<Origin>,
    pub confidence: Confidence,
    pub explanation: String,
    pub query: Query,
}

type Key = (FindingKind, Account, u32, Option<u64>, Option<u64>);

impl Violation {
    const fn key(&self) -> Key {
        (self.kind, self.account, self.fs, self.root, self.ino)
    }
}

#[derive(Debug)]
struct Waiting {
    due: u64,
    violation: Violation,
    evidence: Vec<Evidence>,
}

#[derive(Debug, Default)]
pub(super) struct Docket {
    findings: Vec<Finding>,
    index: FxHashMap<Key, usize>,
    waiting: VecDeque<Waiting>,
    withdrawn: u64,
    beyond_bound: u64,
}

impl Docket {
    pub(super) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Conclusions that wait to be settled.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Conclusions that a later loss explained.
    pub(super) const fn withdrawn(&self) -> u64 {
        self.withdrawn
    }

    /// Findings that were only counted.
    pub(super) const fn beyond_bound(&self) -> u64 {
        self.beyond_bound
    }

    /// A rule is broken, and the record at hand proves it.
    pub(super) fn file(&mut self, violation: Violation, ring: &Ring, names: &Names) {
        let evidence =
            if self.index.contains_key(&violation.key()) { Vec::new() } else { ring.search(violation.query) };
        self.enter(violation, evidence, names);
    }

    /// A rule looks broken; a loss that is not known yet could still explain it.
    pub(super) fn defer(&mut self, violation: Violation, ring: &Ring, names: &Names) {
        if self.waiting.len() >= MAX_DEFERRED {
            self.settle_first(names);
        }
        let evidence = ring.search(violation.query);
        self.waiting.push_back(Waiting {
            due: violation.time.saturating_add(SETTLE_NS),
            violation,
            evidence,
        });
    }

    /// Settles what has waited long enough at `now`.
    pub(super) fn settle(&mut self, now: u64, names: &Names) {
        while self.waiting.front().is_some_and(|first| first.due <= now) {
            self.settle_first(names);
        }
    }

    /// End of the stream.
    pub(super) fn settle_all(&mut self, names: &Names) {
        while !self.waiting.is_empty() {
            self.settle_first(names);
        }
    }

    fn settle_first(&mut self, names: &Names) {
        if let Some(Waiting { violation, evidence, .. }) = self.waiting.pop_front() {
            self.enter(violation, evidence, names);
        }
    }

    /// A loss turned up that can explain everything that waits.
    pub(super) fn withdraw_waiting(&mut self) {
        self.withdrawn += self.waiting.len() as u64;
        self.waiting.clear();
    }

    /// True if any finding or waiting conclusion names this inode.
    pub(super) fn names_inode(&self, fs: u32, root: u64, ino: u64) -> bool {
        let of = |f: u32, r: Option<u64>, i: Option<u64>| f == fs && r == Some(root) && i == Some(ino);
        self.findings.iter().any(|finding| of(finding.fs, finding.root, finding.ino))
            || self.waiting.iter().any(|w| of(w.violation.fs, w.violation.root, w.violation.ino))
    }

    fn enter(&mut self, violation: Violation, evidence: Vec<Evidence>, names: &Names) {
        let key = violation.key();
        if let Some(finding) = self.index.get(&key).and_then(|position| self.findings.get_mut(*position)) {
            finding.count += 1;
            finding.amount = finding.amount.saturating_add(violation.amount);
            finding.last_seen = finding.last_seen.max(violation.time);
            finding.confidence = finding.confidence.min(violation.confidence);
            return;
        }
        if self.findings.len() >= MAX_FINDINGS {
            self.beyond_bound += 1;
            return;
        }
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
            last_seen: time,
            count: 1,
            task: names.task_or_tid(tid),
            stack,
            origins,
            evidence,
            confidence,
            explanation,
        });
    }
}
