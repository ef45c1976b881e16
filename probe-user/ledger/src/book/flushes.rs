//! Flushes of a filesystem: which state was called how often, for how many bytes, and for how long.
//!
//! The kernel says when a state is over, not when it begins. In a run, one state begins where the state before ends; the first
//! one when a worker was told to reclaim. What a state won is not said either: `reclaim_size`, the bytes of all tickets, is
//! compared before and after.
use std::collections::BTreeMap;

use probe_common::wait::{FLUSH_BEGINS, FLUSH_PREEMPTIVE_DONE, FLUSH_STATE_DONE, FlushState};

use crate::vocabulary::waits::{FlushRuns, FlushTotals};

/// Threads whose last step is kept; there are a few workers per filesystem, and tasks that flush for themselves.
const MAX_THREADS: usize = 1024;
/// Rows that are kept: a handful of space_infos and a dozen of states.
const MAX_ROWS: usize = 256;

/// A point from which the next state runs.
#[derive(Clone, Copy, Debug)]
struct Step {
    at: u64,
    reclaim_size: u64,
    space_flags: u64,
    preemptive: bool,
    state: i32,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Flushes {
    rows: BTreeMap<(u64, bool, i32), FlushTotals>,
    runs: BTreeMap<u64, FlushRuns>,
    /// When a worker was told to reclaim, until it has finished its first state; by space_info and whether preemptive.
    begun: BTreeMap<(u64, bool), Step>,
    /// The last step of each thread.
    last: BTreeMap<u32, Step>,
}

impl Flushes {
    /// `worker`: the thread is a worker, and does not flush for itself.
    pub(crate) fn step(&mut self, record: &FlushState, worker: bool) {
        let preemptive = record.preemptive != 0;
        let step = Step {
            at: record.at,
            reclaim_size: record.reclaim_size,
            space_flags: record.space_flags,
            preemptive,
            state: record.state,
        };
        match record.moment {
            FLUSH_BEGINS => {
                let run = (record.space_flags, preemptive);
                if self.begun.len() < MAX_ROWS || self.begun.contains_key(&run) {
                    self.begun.insert(run, step);
                }
                if let Some(runs) = self.runs_of(record.space_flags) {
                    *(if preemptive { &mut runs.preemptive } else { &mut runs.for_tickets }) += 1;
                }
            }
            FLUSH_PREEMPTIVE_DONE => {
                if let Some(runs) = self.runs_of(record.space_flags) {
                    runs.preemptive_done += 1;
                }
            }
            FLUSH_STATE_DONE => self.done(record, step, worker),
            _ => {}
        }
    }

    fn done(&mut self, record: &FlushState, step: Step, worker: bool) {
        let tid = record.header.tid;
        // Preemptive states of data space are counted for metadata, which asks for them: see `begun`.
        let begun = if worker { self.begun.remove(&(step.space_flags, step.preemptive)) } else { None };
        let before = begun.or_else(|| {
            self.last
                .get(&tid)
                .copied()
                .filter(|last| last.space_flags == step.space_flags && last.preemptive == step.preemptive)
        });
        if self.last.len() >= MAX_THREADS && !self.last.contains_key(&tid) {
            self.last.clear();
        }
        self.last.insert(tid, step);
        let key = (step.space_flags, step.preemptive, step.state);
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&key) {
            return;
        }
        let row = self.rows.entry(key).or_insert_with(|| FlushTotals {
            space_flags: step.space_flags,
            state: step.state,
            preemptive: step.preemptive,
            ..FlushTotals::default()
        });
        row.calls += 1;
        if record.bytes == u64::MAX {
            row.asked_all += 1;
        } else {
            row.asked = row.asked.saturating_add(record.bytes);
        }
        if record.ret < 0 {
            row.errors += 1;
            row.last_error = record.ret.saturating_neg();
        }
        let Some(before) = before else { return };
        if let Some(time) = step.at.checked_sub(before.at) {
            row.timed += 1;
            row.time = row.time.saturating_add(time);
            row.longest = row.longest.max(time);
        }
        if before.reclaim_size != u64::MAX && step.reclaim_size != u64::MAX {
            row.won_known += 1;
            row.won = row.won.saturating_add(before.reclaim_size.saturating_sub(step.reclaim_size));
        }
    }

    fn runs_of(&mut self, space_flags: u64) -> Option<&mut FlushRuns> {
        if self.runs.len() >= MAX_ROWS && !self.runs.contains_key(&space_flags) {
            return None;
        }
        Some(
            self.runs.entry(space_flags).or_insert_with(|| FlushRuns { space_flags, ..FlushRuns::default() }),
        )
    }

    /// The outcome of a ticket: what its task flushes from now on is another run.
    pub(crate) fn ticket_over(&mut self, tid: u32) {
        if !self.last.is_empty() {
            self.last.remove(&tid);
        }
    }

    /// The last state that a thread has finished.
    pub(crate) fn last_state(&self, tid: u32) -> Option<i32> {
        self.last.get(&tid).map(|step| step.state)
    }

    pub(crate) fn rows(&self) -> Vec<FlushTotals> {
        self.rows.values().cloned().collect()
    }

    pub(crate) fn runs(&self) -> Vec<FlushRuns> {
        self.runs.values().copied().collect()
    }
}
