//! Waits and flushes, named.
use std::collections::BTreeMap;

use probe_ledger::{
    EndedWait, FlushRuns, FlushTotals, FsSummary, FsWaits, TaskRef, TaskWaits, WaitOutcome, WaitingTicket,
    Worker, WorkerKind,
};

use crate::{
    format,
    report::model::{
        FlushRunTotals, FlushStateTotals, Flushes, ReclaimWorker, Stall, Task, TaskWait, WaitBucket,
        WaitTimes, WaitingTask, Waits,
    },
};

/// What is needed to name waits and flushes.
#[derive(Clone, Copy, Debug)]
pub struct WaitNames<'a> {
    /// `enum btrfs_flush_state` of the kernel that was watched.
    pub flush_states: &'a BTreeMap<i32, String>,
    /// `CLOCK_MONOTONIC` ns at the start of the session.
    pub started: u64,
    /// A wait of at least this length is a stall, ns.
    pub stall_ns: u64,
}

impl WaitNames<'_> {
    /// The waits of a filesystem.
    #[must_use]
    pub fn waits(&self, of: Option<&FsWaits>) -> Waits {
        let Some(of) = of else {
            return Waits { stall_threshold_ns: self.stall_ns, ..Waits::default() };
        };
        // Destructured, so that a new field of the ledger cannot be forgotten here.
        let FsWaits { waiting, counted, walked: _, workers, longest, times, tasks, flushes: _, runs: _ } = of;
        let stalls = longest.iter().filter(|wait| wait.waited >= self.stall_ns);
        Waits {
            waiting: waiting.iter().map(|ticket| self.ticket(ticket)).collect(),
            waiting_count: *counted,
            workers: workers.iter().map(|worker| self.worker(worker)).collect(),
            stall_threshold_ns: self.stall_ns,
            stalls: stalls.map(|wait| self.stall(wait)).collect(),
            times: times_of(times),
            tasks: tasks.iter().map(task_wait).collect(),
        }
    }

    /// The flushes of a filesystem.
    #[must_use]
    pub fn flushes(&self, fs: &FsSummary) -> Flushes {
        let of = fs.waits.as_deref();
        Flushes {
            commits: fs.commits,
            states: of.iter().flat_map(|of| &of.flushes).map(|row| self.flush_state(row)).collect(),
            runs: of.iter().flat_map(|of| &of.runs).map(runs).collect(),
        }
    }

    /// A ticket that waits, or has waited.
    #[must_use]
    pub fn ticket(&self, ticket: &WaitingTicket) -> WaitingTask {
        let WaitingTicket {
            ticket: _,
            space_flags,
            bytes,
            flush,
            priority,
            task: of,
            root,
            ino,
            seen,
            not_before,
            flusher,
            place,
        } = ticket;
        WaitingTask {
            task: of.as_ref().map(task),
            bytes: *bytes,
            space: format::space_type(*space_flags).to_owned(),
            flush: format::reserve_flush(*flush).to_owned(),
            priority: *priority,
            root: (*root != 0).then_some(*root as i64),
            inode: (*ino != 0).then_some(*ino),
            first_seen_ns: (seen.0 != 0).then(|| seen.0.saturating_sub(self.started)),
            waited_at_least_ns: ticket.age(),
            waited_at_most_ns: (*not_before != 0).then(|| seen.1.saturating_sub(*not_before)),
            flusher_on: *flusher,
            stack: place.stack.clone(),
        }
    }

    /// A worker that reclaims.
    #[must_use]
    pub fn worker(&self, worker: &Worker) -> ReclaimWorker {
        let Worker { kind, task: of, place, last_state } = worker;
        ReclaimWorker {
            work: match kind {
                WorkerKind::Metadata => "metadata",
                WorkerKind::Data => "data",
                WorkerKind::Preemptive => "preemptive",
            }
            .to_owned(),
            task: task(of),
            stack: place.stack.clone(),
            seen_ns: place.at.saturating_sub(self.started),
            last_state: last_state.map(|state| self.state(state)),
        }
    }

    /// A wait that is over.
    #[must_use]
    pub fn stall(&self, wait: &EndedWait) -> Stall {
        let EndedWait { ticket, outcome, waited, at_least, ended, worker } = wait;
        let (outcome, errno) = match outcome {
            WaitOutcome::Granted => ("granted", None),
            WaitOutcome::Failed(errno) => ("failed", Some(*errno)),
            WaitOutcome::NotSeen => ("not-seen", None),
        };
        Stall {
            ticket: self.ticket(ticket),
            outcome: outcome.to_owned(),
            errno,
            waited_ns: *waited,
            at_least: *at_least,
            ended_ns: ended.saturating_sub(self.started),
            worker: worker.as_ref().map(|worker| self.worker(worker)),
        }
    }

    /// A state of a flush by its name.
    #[must_use]
    pub fn state(&self, state: i32) -> String {
        self.flush_states.get(&state).cloned().unwrap_or_else(|| state.to_string())
    }

    fn flush_state(&self, row: &FlushTotals) -> FlushStateTotals {
        let FlushTotals {
            space_flags,
            state,
            preemptive,
            calls,
            errors,
            last_error,
            asked,
            asked_all,
            won,
            won_known,
            time,
            longest,
            timed,
        } = row;
        FlushStateTotals {
            space: format::space_type(*space_flags).to_owned(),
            state: self.state(*state),
            preemptive: *preemptive,
            calls: *calls,
            errors: *errors,
            last_errno: (*last_error != 0).then_some(*last_error),
            asked_bytes: *asked,
            asked_all: *asked_all,
            won_bytes: (*won_known > 0).then_some(*won),
            time_ns: *time,
            longest_ns: *longest,
            timed: *timed,
        }
    }
}

fn runs(of: &FlushRuns) -> FlushRunTotals {
    let FlushRuns { space_flags, for_tickets, preemptive, preemptive_done } = *of;
    FlushRunTotals {
        space: format::space_type(space_flags).to_owned(),
        for_tickets,
        preemptive,
        preemptive_done,
    }
}

fn times_of(times: &probe_ledger::WaitTimes) -> WaitTimes {
    let probe_ledger::WaitTimes { count, unmeasured, total, p50, p90, p99, max, octaves } = times;
    WaitTimes {
        count: *count,
        unmeasured: *unmeasured,
        total_ns: *total,
        p50_ns: *p50,
        p90_ns: *p90,
        p99_ns: *p99,
        max_ns: *max,
        histogram: octaves
            .iter()
            .map(|(below_ns, count)| WaitBucket { below_ns: *below_ns, count: *count })
            .collect(),
    }
}

fn task_wait(of: &TaskWaits) -> TaskWait {
    let TaskWaits { task: who, count, failed, total, longest } = of;
    TaskWait { task: task(who), count: *count, failed: *failed, total_ns: *total, longest_ns: *longest }
}

fn task(of: &TaskRef) -> Task {
    Task { pid: (of.pid != 0).then_some(of.pid), tid: of.tid, comm: of.comm.clone() }
}
