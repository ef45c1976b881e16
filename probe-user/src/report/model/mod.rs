//! The JSON report, schema version 1, as types. What is written here is what scripts depend on.
//!
//! **Numbers.** Amounts are JSON integers in bytes or counts. A u64 that can pass 2^53 would be damaged by
//! readers that keep numbers as doubles, so:
//! - addresses are strings, `"0xffffffff81234567"`;
//! - a time that counts from boot (`started_monotonic_ns`) is a decimal string, since 2^53 ns are 104 days of
//!   uptime; all other times count from the start of the session and are integers;
//! - tree ids (`root`) and kernel counters are **signed**: the kernel's headers write the data relocation tree
//!   as -9, and a counter that wrapped below zero is shown as the negative number that it stands for.
//!
//! **Strings.** Names, paths and comms come from the kernel. They are lossily decoded to UTF-8, and escaped only as JSON
//! demands; the code that prints them escapes them for its output.
//!
//! **Change.** Within one schema version fields are only added. `docs/schema/report.json` is generated from
//! these types and checked in.
mod against;
mod draws;
mod failure;
mod filesystem;
mod finding;
mod holders;
mod names;
mod path;
mod reserving;
mod session;
mod timeline;
mod totals;
mod waits;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use against::{Against, PastFinding, SameFinding};
pub use draws::{
    DrawMove, Draws, GlobalDraws, GlobalLevel, IdleGrowth, Moved, Mover, ReserveBalance, RootMoved, TaskDraws,
};
pub use failure::{FailedTask, Failure, FailureInstance, FailureKind, QgroupHolder, QgroupLimit};
pub use filesystem::{
    AccountState, Audit, AuditedAccount, ChainState, ClosingName, Filesystem, InodeHolder, SpaceState,
    Tickets,
};
pub use finding::{
    EvidenceLine, Finding, Frame, IgnoredBy, Instance, KnownBug, OriginOf, StackSource, Task, TestFinding,
};
pub use holders::{DirtyData, Holder, Holders, SpaceHolders};
pub use names::{AccountName, ConfidenceName, KindName, VerdictName};
pub use path::InodePath;
pub use reserving::{Reserving, ReservingStack, ReservingStacks};
pub use session::{BtrfsKind, Hook, HookState, Kernel, ReportPart, Test, Tier, Tool};
pub use timeline::{CounterTimeline, FsTimeline, PoolTimeline, TimePoint, Timeline};
pub use totals::{FailedReservationTotals, KernelLine, KernelWarning, Loss, PeakRates, StatisticTotals};
pub use waits::{
    FlushRunTotals, FlushStateTotals, Flushes, ReclaimWorker, Stall, TaskWait, WaitBucket, WaitTimes,
    WaitingTask, Waits,
};

/// Version of the report's layout.
pub const SCHEMA_VERSION: u32 = 1;

/// One session: what was watched, what was seen, what is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of this layout: 1.
    pub schema_version: u32,
    /// The tool that made the report.
    pub tool: Tool,
    /// The kernel that was watched.
    pub kernel: Kernel,
    /// What the session could see.
    pub tier: Tier,
    /// Why the session could not see more; null if it took the best tier.
    pub tier_reason: Option<String>,
    /// Every hook of the plan, the ones that were left out too.
    pub hooks: Vec<Hook>,
    /// Start of the session, RFC 3339, UTC.
    pub started_at: String,
    /// End of the session, RFC 3339, UTC.
    pub ended_at: String,
    /// `CLOCK_MONOTONIC` at `started_at` in ns, as a decimal string. All other times count from here.
    pub started_monotonic_ns: String,
    /// Length of the session in ns.
    pub duration_ns: u64,
    /// The command that was run, with its arguments; null if none was.
    pub command: Option<Vec<String>>,
    /// The verdict after `--ignore`, `--strict` and `--fail-on`; the exit code follows from it.
    pub verdict: VerdictName,
    /// Why, one sentence each; for `clean` what was checked.
    pub verdict_reasons: Vec<String>,
    /// What was not seen.
    pub loss: Loss,
    /// Filesystems in the order in which they were met.
    pub filesystems: Vec<Filesystem>,
    /// Failed delalloc metadata reservations.
    pub failed_reservations: FailedReservationTotals,
    /// Broken rules, the ignored ones too: one for each fingerprint and filesystem.
    pub findings: Vec<Finding>,
    /// Reservations that failed for lack of space, and aborted transactions, with the reason. They do not count for the verdict.
    #[serde(default)]
    pub failures: Vec<Failure>,
    /// Failures that found no room in `failures`.
    #[serde(default)]
    pub failures_left_out: u64,
    /// Inodes that hold something, most bytes first.
    pub inodes: Vec<InodeHolder>,
    /// Who reserved metadata, by stack.
    #[serde(default)]
    pub reserving: Reserving,
    /// Tests of a test suite, in the order in which they ran; empty without one.
    pub tests: Vec<Test>,
    /// What of the findings fell into no test; empty without tests.
    pub outside_tests: Vec<TestFinding>,
    /// The kernel's own WARNs.
    pub kernel_warnings: Vec<KernelWarning>,
    /// Complaints about reservations in the kernel's log.
    pub kernel_lines: Vec<KernelLine>,
    /// Numbers of the session.
    pub statistics: StatisticTotals,
    /// This report held against another (`--against`); absent if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Against>,
    /// The part of the session that the report is about (`--from`, `--to`, `--test`); absent if it is about all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<ReportPart>,
    /// The pools over time. Only in memory, for the HTML report.
    #[serde(skip)]
    pub timeline: Timeline,
}
