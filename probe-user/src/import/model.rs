//! What `import` prints, as types: the JSON document, schema version 1.
//!
//! `docs/schema/import.json` is generated from these types and checked in. Amounts are bytes unless they are extents; a counter that
//! went below zero is negative. Times are ns of the trace's clock. Fields are only added within a schema version.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the layout.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that a trace says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Imported {
    /// Version of this layout: 1.
    pub schema_version: u32,
    /// Version of the tool.
    pub tool_version: String,
    /// `findings` if a counter went below zero, else `inconclusive`: a trace shows only a part of the books.
    pub verdict: String,
    /// Why, one sentence each.
    pub verdict_reasons: Vec<String>,
    /// Lines that were read.
    pub lines: u64,
    /// Events of btrfs among them.
    pub events: u64,
    /// Lines of an event of btrfs whose fields are not those that the kernel prints.
    pub not_understood: u64,
    /// Time of the first event; null if the clock of the trace gives none.
    pub first_ns: Option<u64>,
    /// Time of the last event.
    pub last_ns: Option<u64>,
    /// What is missing from the trace, as far as it says so.
    pub lost: Lost,
    /// How often each event is there.
    pub by_event: Vec<EventCount>,
    /// The tasks with most events.
    pub tasks: Vec<TaskCount>,
    /// All tasks.
    pub tasks_count: u64,
    /// Changes that took more from a counter than there was: a release without a reservation. The first 64.
    pub findings: Vec<Underflow>,
    /// All of them.
    pub findings_count: u64,
    /// WARNs of the kernel in the text that name btrfs; the first 8 lines.
    pub warnings: Vec<Warning>,
    /// The filesystems.
    pub filesystems: Vec<ImportedFs>,
    /// Events of filesystems beyond the first 64, and of counters beyond the bound, which were not followed.
    pub events_not_followed: u64,
    /// What cannot be judged from these events, one sentence each.
    pub not_judged: Vec<String>,
}

/// What is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    /// Events that the trace says were lost.
    pub events: u64,
    /// Places where events were lost and their number is not told.
    pub places_without_number: u64,
    /// Events that were overwritten before the first one that is there.
    pub overwritten: u64,
}

/// How often an event is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventCount {
    /// Its name.
    pub event: String,
    /// Lines.
    pub count: u64,
}

/// A task and its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCount {
    /// Name, not escaped.
    pub comm: String,
    /// Thread id.
    pub tid: u32,
    /// Events.
    pub events: u64,
}

/// A line of the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TracePlace {
    /// Number of the line, from 1, over all files; in a trace.dat that of `trace-cmd report`.
    pub line: u64,
    /// Its time.
    pub time_ns: Option<u64>,
    /// Name of the task, not escaped.
    pub comm: String,
    /// Thread id.
    pub tid: u32,
}

/// A change that took more than there was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Underflow {
    /// Filesystem.
    pub filesystem: String,
    /// Name of the counter, as in reports.
    pub account: String,
    /// Which one: the type of the space_info, the qgroup, or subvolume and inode.
    pub object: String,
    /// Where.
    pub at: TracePlace,
    /// Value before.
    pub old: i64,
    /// Change.
    pub diff: i64,
}

/// A line with a WARN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    /// Number of the line.
    pub line: u64,
    /// Its begin, not escaped.
    pub text: String,
}

/// What the trace says of a filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportedFs {
    /// `fs_devices->fsid`
    pub uuid: String,
    /// Counters of which each change shows the value before it. The space_infos, then qgroups, then the inodes together.
    pub chains: Vec<ChainRow>,
    /// Changes that found another value than the one before had left; the first 16.
    pub breaks: Vec<Break>,
    /// All of them.
    pub breaks_count: u64,
    /// Waits for space.
    pub tickets: Tickets,
    /// Why flushing was begun, and how often.
    pub triggers: Vec<EventCount>,
    /// Steps of flushing.
    pub flushes: Vec<FlushRow>,
    /// How often all tickets were failed.
    pub failed_all: u64,
    /// What `btrfs_space_reservation` adds up to.
    pub reservations: Vec<ReservationRow>,
    /// Commits of transactions.
    pub commits: u64,
    /// Bytes of extents taken by `btrfs_reserved_extent_alloc`.
    pub extents_allocated: u64,
    /// Bytes given back by `btrfs_reserved_extent_free`.
    pub extents_freed: u64,
}

/// A counter, or counters of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainRow {
    /// Name of the counter, as in reports.
    pub account: String,
    /// Which one, or how many.
    pub object: String,
    /// Changes that found what the one before had left.
    pub links: u64,
    /// Changes that did not.
    pub breaks: u64,
    /// Value after the last change; null for many.
    pub value: Option<i64>,
    /// Highest value; null for many.
    pub peak: Option<i64>,
}

/// A change that does not fit the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Break {
    /// Name of the counter.
    pub account: String,
    /// Which one.
    pub object: String,
    /// Where.
    pub at: TracePlace,
    /// What the change before had left.
    pub expected: i64,
    /// What was there.
    pub found: i64,
}

/// Waits for space that ended in the trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tickets {
    /// That got their space.
    pub granted: u64,
    /// That got none.
    pub failed: u64,
    /// Errors of those that failed, as numbers (28 is ENOSPC), and how often.
    pub errors: Vec<ErrorCount>,
    /// Longest wait; null if no wait can be measured. Right if the trace was taken with `trace_clock` mono.
    pub longest_ns: Option<u64>,
    /// Where the longest ended.
    pub longest_at: Option<TracePlace>,
    /// Waits whose begin is not known, or is none by the clock of the trace.
    pub unmeasured: u64,
}

/// An error and how often it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorCount {
    /// errno
    pub errno: i32,
    /// Times.
    pub count: u64,
}

/// A step of flushing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlushRow {
    /// The kernel's name.
    pub state: String,
    /// Calls.
    pub calls: u64,
    /// Calls that failed.
    pub errors: u64,
}

/// What was reserved and released of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationRow {
    /// Type, as the event has it.
    pub kind: String,
    /// Bytes reserved.
    pub reserved: u64,
    /// Bytes released.
    pub released: u64,
}
