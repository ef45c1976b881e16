//! Reservations of a filesystem that wait for space, or have waited.
//!
//! The capture walks the tickets now and then: a ticket is known from the first walk that meets it, which says at least how long
//! it has waited. Its outcome is an event of its own, with the exact length.
use std::collections::BTreeMap;

use probe_common::{
    failure::Ticket,
    space::{BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA},
    wait::{
        FOUND_DATA, FOUND_METADATA, FOUND_OWNER, FOUND_PREEMPT, FlushState, ThreadFound, ThreadStack,
        WAITING_FLUSHER, WAITING_PRIORITY, WAITING_STEAL, WaitRound, Waiting,
    },
};

use super::{flushes::Flushes, lengths_of_time::LengthsOfTime};
use crate::vocabulary::{
    finding::TaskRef,
    waits::{EndedWait, FsWaits, Place, TaskWaits, WaitOutcome, WaitingTicket, Worker, WorkerKind},
    words::text,
};

/// Tickets that are kept; the kernel side sends at most 16 of a list, and a filesystem has at most eight lists.
const MAX_WAITING: usize = 256;
/// Longest waits that are kept.
const MAX_LONGEST: usize = 32;
/// Tasks whose waits are summed. Beyond it, one that has waited least gives way.
const MAX_TASKS: usize = 4096;
/// Tasks that a report lists.
const TOP_TASKS: usize = 10;
/// A ticket that is not listed any more waits so long for its outcome, ns.
const OUTCOME_NS: u64 = 2_000_000_000;
/// What a worker was seen doing is old after this time, ns.
const FRESH_NS: u64 = 3_000_000_000;

/// `enum btrfs_reserve_flush_enum`, the same from 6.1 to 7.3.
const FLUSH_LIMIT: i32 = 1;
const FLUSH_EVICT: i32 = 2;
const FLUSH_DATA: i32 = 3;
const FLUSH_FREE_SPACE_INODE: i32 = 4;
const FLUSH_ALL: i32 = 5;
const FLUSH_ALL_STEAL: i32 = 6;

/// A ticket that was seen waiting.
#[derive(Clone, Debug)]
struct Known {
    ticket: WaitingTicket,
    /// The first and the last walk that met it.
    first_round: u32,
    round: u32,
    /// When a walk did not meet it any more, ns.
    gone: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Waits {
    known: BTreeMap<u64, Known>,
    counted: u64,
    walked: u64,
    workers: BTreeMap<WorkerKind, Worker>,
    longest: Vec<EndedWait>,
    lengths: LengthsOfTime,
    unmeasured: u64,
    tasks: BTreeMap<u32, TaskWaits>,
    pub flushes: Flushes,
}

impl Waits {
    /// A walk met a ticket.
    pub(crate) fn waiting(&mut self, record: &Waiting) {
        let time = record.header.time;
        let flush = level(record.space_flags, record.flags);
        let task =
            (record.tid != 0).then(|| TaskRef { tid: record.tid, pid: record.pid, comm: text(&record.comm) });
        let same = |known: &Known| {
            known.ticket.bytes == record.bytes
                && known.ticket.space_flags == record.space_flags
                && known.ticket.flush == flush
                // The task may be not known yet.
                && (task.is_none() || known.ticket.task.is_none() || known.ticket.task == task)
        };
        if !self.known.get(&record.ticket).is_some_and(same) {
            if let Some(before) = self.known.remove(&record.ticket) {
                self.lost_sight(before);
            }
            if self.known.len() >= MAX_WAITING {
                return;
            }
            let ticket = WaitingTicket {
                ticket: record.ticket,
                space_flags: record.space_flags,
                bytes: record.bytes,
                flush,
                priority: record.flags & WAITING_PRIORITY != 0,
                seen: (time, time),
                ..WaitingTicket::default()
            };
            let round = record.round;
            self.known.insert(record.ticket, Known { ticket, first_round: round, round, gone: None });
        }
        let Some(known) = self.known.get_mut(&record.ticket) else { return };
        known.round = record.round;
        known.gone = None;
        let ticket = &mut known.ticket;
        ticket.seen.1 = time;
        ticket.flusher = record.flags & WAITING_FLUSHER != 0;
        if task.is_some() {
            ticket.task = task;
        }
        if record.ino != 0 {
            (ticket.root, ticket.ino) = (record.root, record.ino);
        }
    }

    /// A walk is over.
    pub(crate) fn round(&mut self, record: &WaitRound) {
        let time = record.header.time;
        self.counted = u64::from(record.waiting);
        self.walked = time;
        for known in self.known.values_mut() {
            if known.round == record.round {
                if known.first_round == record.round {
                    known.ticket.not_before = record.before;
                }
                known.ticket.seen.1 = known.ticket.seen.1.max(time);
            } else if record.complete != 0 {
                known.gone.get_or_insert(time);
            }
        }
        let old = |known: &Known| known.gone.is_some_and(|gone| time.saturating_sub(gone) > OUTCOME_NS);
        let gone: Vec<u64> =
            self.known.iter().filter(|(_, known)| old(known)).map(|(ticket, _)| *ticket).collect();
        for ticket in gone {
            if let Some(known) = self.known.remove(&ticket) {
                self.lost_sight(known);
            }
        }
    }

    /// A ticket is over, and its outcome was not seen.
    fn lost_sight(&mut self, known: Known) {
        // One that was met once may have been over when it was met.
        let waited = known.ticket.age();
        if waited > 0 {
            let ended = known.ticket.seen.1;
            self.remember(known.ticket, WaitOutcome::NotSeen, waited, true, ended);
        }
    }

    /// A thread that has to do with a wait.
    pub(crate) fn found(&mut self, record: &ThreadFound) {
        let task = TaskRef { tid: record.tid, pid: record.pid, comm: text(&record.comm) };
        if record.what == FOUND_OWNER {
            if let Some(known) = self.known.get_mut(&record.ticket) {
                known.ticket.task = Some(task);
            }
            return;
        }
        let Some(kind) = worker_kind(record.what) else { return };
        let last_state = self.flushes.last_state(record.tid);
        // A worker that runs has no stack. Where it slept before is better than nothing.
        let before = self.workers.remove(&kind).filter(|worker| worker.task.tid == task.tid);
        let stack = before.map(|worker| worker.place.stack).unwrap_or_default();
        let place = Place { stack, at: record.header.time };
        self.workers.insert(kind, Worker { kind, task, place, last_state });
    }

    /// Where a thread is.
    pub(crate) fn place(&mut self, record: &ThreadStack) {
        let tid = record.header.tid;
        let stack = text(&record.text).lines().map(ToOwned::to_owned).collect();
        let place = Place { stack, at: record.header.time };
        if let Some(kind) = worker_kind(record.what) {
            let worker = self.workers.get_mut(&kind).filter(|worker| worker.task.tid == tid);
            if let Some(worker) = worker.filter(|_| !place.stack.is_empty()) {
                worker.place = place;
            }
            return;
        }
        let of = |known: &&mut Known| known.ticket.task.as_ref().is_some_and(|task| task.tid == tid);
        for known in self.known.values_mut().filter(of) {
            known.ticket.place = place.clone();
            if known.ticket.ino == 0 {
                known.ticket.ino = record.ino;
            }
        }
    }

    /// A step of a flush; `worker`: made by a worker.
    pub(crate) fn flush(&mut self, record: &FlushState, worker: bool) {
        self.flushes.step(record, worker);
    }

    /// The outcome of a ticket.
    pub(crate) fn over(&mut self, record: &Ticket, task: TaskRef) {
        self.flushes.ticket_over(record.header.tid);
        let known = self.take(record);
        let outcome = match record.error {
            0 => WaitOutcome::Granted,
            error => WaitOutcome::Failed(error.saturating_neg()),
        };
        // Before ABI version 5, the end is that of the jiffy.
        let ended = if record.ended != 0 { record.ended } else { record.header.time };
        let exact = ended.checked_sub(record.start).filter(|_| record.start != 0);
        match exact {
            Some(waited) => {
                self.lengths.add(waited);
                self.sum(&task, record.error != 0, waited);
            }
            None => self.unmeasured += 1,
        }
        let seen = known.as_ref().map_or(0, |known| ended.saturating_sub(known.ticket.seen.0));
        let waited = exact.unwrap_or(seen);
        if waited == 0 || (known.is_none() && !self.is_long(waited)) {
            return;
        }
        let mut ticket = known.map(|known| known.ticket).unwrap_or_default();
        (ticket.space_flags, ticket.bytes, ticket.flush) = (record.space_flags, record.bytes, record.flush);
        ticket.priority = is_priority(record.flush);
        // Not its inode: a record of a ticket has the one that the task last published for, which may be of another operation.
        ticket.task = Some(task);
        self.remember(ticket, outcome, waited, exact.is_none(), ended);
    }

    /// The ticket of which this is the outcome, if it was seen waiting.
    fn take(&mut self, record: &Ticket) -> Option<Known> {
        if self.known.is_empty() {
            return None;
        }
        let tid = record.header.tid;
        let fits = |known: &Known| {
            known.ticket.space_flags == record.space_flags && known.ticket.bytes == record.bytes
        };
        let own = self
            .known
            .iter()
            .find(|(_, known)| fits(known) && known.ticket.task.as_ref().is_some_and(|task| task.tid == tid));
        // The task of one that flushes for itself may be not known.
        let key = own.or_else(|| {
            self.known.iter().find(|(_, known)| {
                fits(known) && known.ticket.task.is_none() && known.ticket.flush == record.flush
            })
        });
        let key = key.map(|(ticket, _)| *ticket)?;
        self.known.remove(&key)
    }

    fn is_long(&self, waited: u64) -> bool {
        self.longest.len() < MAX_LONGEST || self.longest.last().is_some_and(|last| last.waited < waited)
    }

    fn remember(
        &mut self,
        ticket: WaitingTicket,
        outcome: WaitOutcome,
        waited: u64,
        at_least: bool,
        ended: u64,
    ) {
        if !self.is_long(waited) {
            return;
        }
        let kind = if ticket.flush == FLUSH_DATA { WorkerKind::Data } else { WorkerKind::Metadata };
        let during = |worker: &&Worker| !ticket.priority && worker.place.at >= ticket.seen.0.max(1);
        let worker = self.workers.get(&kind).filter(during).filter(|_| ticket.seen.0 != 0).cloned();
        let at = self.longest.partition_point(|other| other.waited >= waited);
        self.longest.insert(at, EndedWait { ticket, outcome, waited, at_least, ended, worker });
        self.longest.truncate(MAX_LONGEST);
    }

    fn sum(&mut self, task: &TaskRef, failed: bool, waited: u64) {
        if self.tasks.len() >= MAX_TASKS && !self.tasks.contains_key(&task.tid) {
            let least = self.tasks.iter().min_by_key(|(_, task)| task.total).map(|(tid, _)| *tid);
            if let Some(least) = least {
                self.tasks.remove(&least);
            }
        }
        let of = self.tasks.entry(task.tid).or_insert_with(|| TaskWaits {
            task: task.clone(),
            count: 0,
            failed: 0,
            total: 0,
            longest: 0,
        });
        of.task = task.clone();
        of.count += 1;
        of.failed += u64::from(failed);
        of.total = of.total.saturating_add(waited);
        of.longest = of.longest.max(waited);
    }

    /// The filesystem is gone, and with it all that waited.
    pub(crate) fn end(&mut self) {
        for known in std::mem::take(&mut self.known).into_values() {
            self.lost_sight(known);
        }
        self.workers.clear();
        self.counted = 0;
    }

    /// Something waits.
    pub(crate) fn is_waiting(&self) -> bool {
        self.known.values().any(|known| known.gone.is_none())
    }

    /// As of now.
    pub(crate) fn view(&self) -> FsWaits {
        let mut waiting: Vec<WaitingTicket> = self
            .known
            .values()
            .filter(|known| known.gone.is_none())
            .map(|known| known.ticket.clone())
            .collect();
        waiting.sort_by_key(|ticket| (ticket.seen.0, ticket.ticket));
        let fresh = |worker: &&Worker| self.walked.saturating_sub(worker.place.at) <= FRESH_NS;
        let workers = if waiting.is_empty() {
            Vec::new()
        } else {
            self.workers.values().filter(fresh).cloned().collect()
        };
        let mut tasks: Vec<TaskWaits> = self.tasks.values().cloned().collect();
        tasks.sort_by_key(|task| (std::cmp::Reverse(task.total), task.task.tid));
        tasks.truncate(TOP_TASKS);
        let mut times = self.lengths.view();
        times.unmeasured = self.unmeasured;
        FsWaits {
            counted: self.counted.max(waiting.len() as u64).min(if waiting.is_empty() {
                0
            } else {
                u64::MAX
            }),
            waiting,
            walked: self.walked,
            workers,
            longest: self.longest.clone(),
            times,
            tasks,
            flushes: self.flushes.rows(),
            runs: self.flushes.runs(),
        }
    }
}

const fn worker_kind(what: u32) -> Option<WorkerKind> {
    match what {
        FOUND_METADATA => Some(WorkerKind::Metadata),
        FOUND_DATA => Some(WorkerKind::Data),
        FOUND_PREEMPT => Some(WorkerKind::Preemptive),
        _ => None,
    }
}

/// `__reserve_bytes()` and `can_steal()` of `fs/btrfs/space-info.c`, 6.1 to 7.3: the list, the type of space and the right to
/// steal from the global reserve say with which level a ticket was made. In mixed space, data is taken for metadata.
const fn level(space_flags: u64, flags: u32) -> i32 {
    let data = space_flags & BLOCK_GROUP_DATA != 0 && space_flags & BLOCK_GROUP_METADATA == 0;
    let steal = flags & WAITING_STEAL != 0;
    match (flags & WAITING_PRIORITY != 0, data, steal) {
        (false, true, _) => FLUSH_DATA,
        (false, false, true) => FLUSH_ALL_STEAL,
        (false, false, false) => FLUSH_ALL,
        (true, true, _) => FLUSH_FREE_SPACE_INODE,
        (true, false, true) => FLUSH_EVICT,
        (true, false, false) => FLUSH_LIMIT,
    }
}

const fn is_priority(flush: i32) -> bool {
    matches!(flush, FLUSH_LIMIT | FLUSH_EVICT | FLUSH_FREE_SPACE_INODE)
}
