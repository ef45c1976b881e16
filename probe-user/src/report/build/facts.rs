//! What the report needs besides the ledger.
use std::collections::BTreeMap;

use probe_ledger::{Finding, FsSummary, SeenPath, Summary};

use super::{Groups, Part, Policy, WaitNames};
use crate::{
    history::Stacks,
    report::model::{Frame, Hook, Kernel, Test, TestFinding, Tier, Timeline},
};

/// Ids and addresses to frames. The caller implements it over its symbols and the ledger's stacks.
pub trait StackResolver {
    /// Frames of a stack, innermost first; empty if the stack is not known.
    fn frames(&self, id: u64) -> Vec<Frame>;

    /// False if there are no names at all, as where the kernel hides its symbols.
    fn knows_names(&self) -> bool {
        false
    }

    /// One address, for the place of a WARN.
    fn symbolize(&self, address: u64) -> Frame {
        Frame { address: format!("{address:#x}"), symbol: None, offset: None, module: None }
    }
}

/// Knows no symbol and no stack.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unresolved;

impl StackResolver for Unresolved {
    fn frames(&self, _: u64) -> Vec<Frame> {
        Vec::new()
    }
}

/// Where a filesystem is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsPlaces {
    /// Devices, for example `/dev/vdb`.
    pub devices: Vec<String>,
    /// Mount points.
    pub mounts: Vec<String>,
}

/// Facts of the session that the stream of records does not hold.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// The kernel that was watched.
    pub kernel: Kernel,
    /// Tier of the session.
    pub tier: Tier,
    /// Why the next tier could not be taken; `None` if there is none.
    pub tier_reason: Option<String>,
    /// Every hook of the plan, with hits and misses.
    pub hooks: Vec<Hook>,
    /// The command that was run, lossily decoded.
    pub command: Option<Vec<String>>,
    /// Wall clock at the start of the session.
    pub started_at: jiff::Timestamp,
    /// Wall clock at its end.
    pub ended_at: jiff::Timestamp,
    /// `CLOCK_MONOTONIC` ns at `started_at`; record times are shown relative to it.
    pub started_monotonic_ns: u64,
    /// Length in ns.
    pub duration_ns: u64,
    /// Devices and mounts by `fs_devices->fsid`.
    pub places: BTreeMap<[u8; 16], FsPlaces>,
    /// Paths by (filesystem id of the stream, root, inode) where they are known.
    pub paths: BTreeMap<(u32, u64, u64), SeenPath>,
    /// Tests, in the order in which they ran.
    pub tests: Vec<Test>,
    /// What of the findings fell into no test; empty without tests.
    pub outside_tests: Vec<TestFinding>,
    /// What could hide a finding, one sentence each; empty if nothing could. A session whose findings are all
    /// ignored is `inconclusive` because of it, instead of `clean`.
    pub doubts: Vec<String>,
    /// `enum btrfs_flush_state` of the kernel that was watched; empty if it is not known.
    pub flush_states: BTreeMap<i32, String>,
    /// The pools over time.
    pub timeline: Timeline,
    /// Stacks by what they reserved that is held at the end, and by what they reserved in all.
    pub reserving: (Stacks, Stacks),
    /// The part of the session that the report is about; all of it without.
    pub part: Option<Part>,
}

impl SessionFacts {
    /// What names waits and flushes.
    #[must_use]
    pub const fn wait_names(&self, policy: &Policy) -> WaitNames<'_> {
        WaitNames {
            flush_states: &self.flush_states,
            started: self.started_monotonic_ns,
            stall_ns: policy.stall_ns,
        }
    }
}

/// Everything that goes into a report.
#[derive(Clone, Copy)]
pub struct ReportInput<'a> {
    /// The ledger's summary.
    pub summary: &'a Summary,
    /// The ledger's findings.
    pub findings: &'a [Finding],
    /// Symbols and stacks.
    pub stacks: &'a dyn StackResolver,
    /// Facts of the session.
    pub facts: &'a SessionFacts,
    /// `--fail-on`, `--ignore` and `--strict`.
    pub policy: &'a Policy,
}

impl ReportInput<'_> {
    /// Uuid of a filesystem id of the stream.
    #[must_use]
    pub fn uuid(&self, fs: u32) -> Option<String> {
        uuid_of(self.summary, fs)
    }

    /// The findings of the report, as groups of those of the ledger.
    #[must_use]
    pub fn groups(&self) -> Groups {
        Groups::of(self.findings, self.stacks, |fs| fsid_of(&self.summary.filesystems, fs))
    }

    /// ns since the start of the session. Records from before it (opening state) show 0.
    #[must_use]
    pub fn since_start(&self, monotonic_ns: u64) -> u64 {
        monotonic_ns.saturating_sub(self.facts.started_monotonic_ns)
    }
}

/// Uuid of a filesystem id of the stream.
pub(super) fn uuid_of(summary: &Summary, fs: u32) -> Option<String> {
    Some(crate::format::uuid(&fsid_of(&summary.filesystems, fs)?))
}

/// `fs_devices->fsid` of a filesystem id of the stream.
fn fsid_of(filesystems: &[FsSummary], fs: u32) -> Option<[u8; 16]> {
    Some(filesystems.iter().find(|known| known.fs == fs)?.fsid)
}
