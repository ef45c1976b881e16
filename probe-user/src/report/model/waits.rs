//! Reservations that wait or have waited for space, and the flushes that get them some.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Task;

/// Waits for space. A reservation that does not fit makes a ticket and waits until its bytes are granted or it fails.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waits {
    /// Tickets that wait now, at the end of a session: that never ended in it. Longest first; the first 16 of each list of the
    /// kernel.
    pub waiting: Vec<WaitingTask>,
    /// How many tickets wait in all.
    pub waiting_count: u64,
    /// Workers of the kernel that reclaim space now.
    pub workers: Vec<ReclaimWorker>,
    /// A wait of at least this length is a stall, ns (`--stall`).
    pub stall_threshold_ns: u64,
    /// The longest stalls that are over, longest first; at most 32.
    pub stalls: Vec<Stall>,
    /// Lengths of all waits that are over.
    pub times: WaitTimes,
    /// The tasks that waited most, by the sum of their waits; at most 10.
    pub tasks: Vec<TaskWait>,
}

/// A ticket that waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitingTask {
    /// The task; null if it is not known.
    pub task: Option<Task>,
    /// Bytes that it waits for.
    pub bytes: u64,
    /// Type of the space_info: `data`, `metadata`, `system`, `mixed`.
    pub space: String,
    /// How it may flush: `enum btrfs_reserve_flush_enum` without its prefix.
    pub flush: String,
    /// The task flushes for itself (`priority_tickets`); a worker does it for the others.
    pub priority: bool,
    /// Subvolume; null if it is not known.
    pub root: Option<i64>,
    /// Inode number; null if it is not known.
    pub inode: Option<u64>,
    /// When it was first seen waiting, ns since the start of the session; null if it never was, but only when it was over.
    pub first_seen_ns: Option<u64>,
    /// How long it had waited when it was last seen, at least, ns: since it was first seen. The kernel does not tell when a
    /// ticket that waits was made.
    pub waited_at_least_ns: u64,
    /// How long at most: it was not there yet when the tickets were read before; null if they were not.
    pub waited_at_most_ns: Option<u64>,
    /// A worker had been told to reclaim for its space_info (`space_info->flush`).
    pub flusher_on: bool,
    /// Functions in which the task was, innermost first; empty if it waited too short for a look, or the kernel hides its
    /// stacks.
    pub stack: Vec<String>,
}

/// A worker that reclaims space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReclaimWorker {
    /// What it does: `metadata`, `data`, or `preemptive`.
    pub work: String,
    /// The thread.
    pub task: Task,
    /// Functions in which it was, innermost first.
    pub stack: Vec<String>,
    /// When it was there, ns since the start of the session.
    pub seen_ns: u64,
    /// The last state that it had finished then: `enum btrfs_flush_state`; null if none was seen.
    pub last_state: Option<String>,
}

/// A long wait that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stall {
    /// The ticket as it was last seen.
    pub ticket: WaitingTask,
    /// `granted`, `failed`, or `not-seen`.
    pub outcome: String,
    /// errno of a failure, positive; else null.
    pub errno: Option<i32>,
    /// How long it waited, ns.
    pub waited_ns: u64,
    /// `waited_ns` is a lower bound: its start or its end was not seen.
    pub at_least: bool,
    /// When it ended, ns since the start of the session.
    pub ended_ns: u64,
    /// What the worker did that should have got it its bytes, at the last look; null if there was none.
    pub worker: Option<ReclaimWorker>,
}

/// Lengths of waits, from the queueing of the ticket (`start_ns` of `btrfs_reserve_ticket`) to its outcome, by a clock of ns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitTimes {
    /// Waits whose length is known.
    pub count: u64,
    /// Waits that began before the session, so that their length is not known.
    pub unmeasured: u64,
    /// Sum, ns.
    pub total_ns: u64,
    /// Half of the waits took at most this long, ns; up to an eighth too high.
    pub p50_ns: u64,
    /// 90% of the waits took at most this long, ns; up to an eighth too high.
    pub p90_ns: u64,
    /// 99% of the waits took at most this long, ns; up to an eighth too high.
    pub p99_ns: u64,
    /// The longest, ns.
    pub max_ns: u64,
    /// Waits by length; a length that no wait had is left out.
    pub histogram: Vec<WaitBucket>,
}

/// Waits of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitBucket {
    /// They were shorter than this, ns, and not shorter than the half of it.
    pub below_ns: u64,
    /// How many.
    pub count: u64,
}

/// What a task has waited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskWait {
    /// The task.
    pub task: Task,
    /// Its waits.
    pub count: u64,
    /// Those that failed.
    pub failed: u64,
    /// Sum, ns.
    pub total_ns: u64,
    /// The longest, ns.
    pub longest_ns: u64,
}

/// What was done to get space back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flushes {
    /// Transactions that were committed, whoever asked for it.
    pub commits: u64,
    /// Calls by state.
    pub states: Vec<FlushStateTotals>,
    /// How often reclaim was begun, by space_info.
    pub runs: Vec<FlushRunTotals>,
}

/// All calls of `flush_space()` for one space_info with one state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlushStateTotals {
    /// Type of the space_info.
    pub space: String,
    /// `enum btrfs_flush_state`, by the kernel's own names; a number where they are not known.
    pub state: String,
    /// Made before anybody had to wait.
    pub preemptive: bool,
    /// Calls.
    pub calls: u64,
    /// Calls that returned an error.
    pub errors: u64,
    /// errno of the last error, positive; null if there was none.
    pub last_errno: Option<i32>,
    /// Bytes asked for, in all calls together that asked for a number of bytes.
    pub asked_bytes: u64,
    /// Calls that asked for all that can be had, as those for data do.
    pub asked_all: u64,
    /// Bytes by which the tickets (`reclaim_size`) became fewer during the calls, at least; null if the kernel did not tell. It
    /// does not tell what a call freed: tickets that came meanwhile hide a part, and space that no ticket wanted is not in it.
    pub won_bytes: Option<u64>,
    /// Time of the calls whose begin is known, ns. The first of a run begins when the worker was told to, so the time until
    /// the worker ran is in it.
    pub time_ns: u64,
    /// The longest of them, ns.
    pub longest_ns: u64,
    /// Calls whose begin is known.
    pub timed: u64,
}

/// How often reclaim was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlushRunTotals {
    /// Type of the space_info.
    pub space: String,
    /// Times that a worker was told to reclaim because a ticket waits.
    pub for_tickets: u64,
    /// Times that a worker was told to reclaim before one has to wait.
    pub preemptive: u64,
    /// Times that preemptive reclaim found that it had done enough.
    pub preemptive_done: u64,
}
