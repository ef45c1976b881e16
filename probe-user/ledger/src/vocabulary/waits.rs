//! Waits for space and flushes, as plain data for reports and the screen.
use crate::vocabulary::finding::TaskRef;

/// Where a thread was when it was last looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Functions, innermost first; empty if they could not be read.
    pub stack: Vec<String>,
    /// When, `CLOCK_MONOTONIC` ns; 0 if never.
    pub at: u64,
}

/// A ticket that waits, or the last that was seen of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitingTicket {
    /// Address of the ticket; 0 if it was never seen while it waited.
    pub ticket: u64,
    /// `space_info->flags`
    pub space_flags: u64,
    /// Bytes.
    pub bytes: u64,
    /// `enum btrfs_reserve_flush_enum`
    pub flush: i32,
    /// Its task flushes for itself (`priority_tickets`).
    pub priority: bool,
    /// The task; `None` if it is not known.
    pub task: Option<TaskRef>,
    /// Subvolume; 0 if not known.
    pub root: u64,
    /// Inode number; 0 if not known.
    pub ino: u64,
    /// When it was first and last seen waiting, `CLOCK_MONOTONIC` ns; zeroes if never.
    pub seen: (u64, u64),
    /// It was not there yet at this time; 0 if not known.
    pub not_before: u64,
    /// A worker was told to reclaim for its space_info when it was last seen.
    pub flusher: bool,
    /// Where its task was.
    pub place: Place,
}

impl WaitingTicket {
    /// How long it has waited until it was last seen, at least, ns.
    #[must_use]
    pub const fn age(&self) -> u64 {
        self.seen.1.saturating_sub(self.seen.0)
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOutcome {
    /// The ticket was granted.
    Granted,
    /// It failed with this errno, positive.
    Failed(i32),
    /// It is not among the tickets any more, and its outcome was not seen.
    NotSeen,
}

/// A wait that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedWait {
    /// The ticket as it was last seen.
    pub ticket: WaitingTicket,
    /// How it ended.
    pub outcome: WaitOutcome,
    /// How long it took, ns.
    pub waited: u64,
    /// `waited` is a lower bound: the start or the end was not seen.
    pub at_least: bool,
    /// When it ended, `CLOCK_MONOTONIC` ns.
    pub ended: u64,
    /// Where the worker was that should have got it its bytes, when it was last looked at during the wait.
    pub worker: Option<Worker>,
}

/// Which work of the filesystem a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkerKind {
    /// `async_reclaim_work`
    Metadata,
    /// `async_data_reclaim_work`
    Data,
    /// `preempt_reclaim_work`
    Preemptive,
}

/// A worker that reclaims space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Which work it does.
    pub kind: WorkerKind,
    /// The thread.
    pub task: TaskRef,
    /// Where it was.
    pub place: Place,
    /// The last state that it had finished then, `enum btrfs_flush_state`.
    pub last_state: Option<i32>,
}

/// Lengths of waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitTimes {
    /// Waits whose length is known.
    pub count: u64,
    /// Waits whose start is not known.
    pub unmeasured: u64,
    /// Sum, ns.
    pub total: u64,
    /// Half of the waits were no longer than this, ns; up to 12.5% too high. The others likewise.
    pub p50: u64,
    /// 90% of the waits.
    pub p90: u64,
    /// 99% of the waits.
    pub p99: u64,
    /// The longest, exact, ns.
    pub max: u64,
    /// Waits by length: shorter than this many ns, and not shorter than the half of it; and how many.
    pub octaves: Vec<(u64, u64)>,
}

/// What a task has waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskWaits {
    /// The task.
    pub task: TaskRef,
    /// Its waits.
    pub count: u64,
    /// Those that failed.
    pub failed: u64,
    /// Sum, ns.
    pub total: u64,
    /// The longest, ns.
    pub longest: u64,
}

/// All calls of one flush state in one space_info.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlushTotals {
    /// `space_info->flags`
    pub space_flags: u64,
    /// `enum btrfs_flush_state`
    pub state: i32,
    /// It was preemptive.
    pub preemptive: bool,
    /// Calls.
    pub calls: u64,
    /// Calls that returned an error.
    pub errors: u64,
    /// The last error, positive; 0 if none.
    pub last_error: i32,
    /// Bytes asked for, all calls that asked for a number of bytes.
    pub asked: u64,
    /// Calls that asked for all that can be had (`U64_MAX`), as those for data do.
    pub asked_all: u64,
    /// Bytes by which `reclaim_size` was smaller after the call than before, all calls: tickets that were granted, if none came
    /// meanwhile. A lower bound.
    pub won: u64,
    /// Calls for which that is known.
    pub won_known: u64,
    /// Time of the calls whose begin is known, ns.
    pub time: u64,
    /// The longest of them, ns.
    pub longest: u64,
    /// Calls whose begin is known.
    pub timed: u64,
}

/// Flushes of a space_info that were begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushRuns {
    /// `space_info->flags`
    pub space_flags: u64,
    /// Times that a worker was told to reclaim because a ticket waits.
    pub for_tickets: u64,
    /// Times that a worker was told to reclaim before one has to wait.
    pub preemptive: u64,
    /// Times that preemptive reclaim had done enough.
    pub preemptive_done: u64,
}

/// Waits and flushes of a filesystem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsWaits {
    /// Tickets that wait, longest first. At the end of the stream: that never ended.
    pub waiting: Vec<WaitingTicket>,
    /// Tickets that were counted in the last walk; more than `waiting` has, if many wait.
    pub counted: u64,
    /// When the last walk over the tickets ended, `CLOCK_MONOTONIC` ns; 0 if there was none.
    pub walked: u64,
    /// The workers that reclaim now.
    pub workers: Vec<Worker>,
    /// The longest waits that are over, longest first.
    pub longest: Vec<EndedWait>,
    /// Lengths of waits.
    pub times: WaitTimes,
    /// The tasks that waited most, most first.
    pub tasks: Vec<TaskWaits>,
    /// Flush states.
    pub flushes: Vec<FlushTotals>,
    /// Flushes begun.
    pub runs: Vec<FlushRuns>,
}
