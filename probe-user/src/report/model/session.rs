//! What the session was: tool, kernel, tier, hooks, tests.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{TestFinding, VerdictName};

/// The tool that made the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// `btrfs-probe`
    pub name: String,
    /// Version of the tool.
    pub version: String,
}

/// The kernel that was watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// `uname -r`
    pub release: String,
    /// `uname -m`
    pub machine: String,
    /// How btrfs is built.
    pub btrfs: BtrfsKind,
}

/// How btrfs is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BtrfsKind {
    /// Part of vmlinux.
    Builtin,
    /// `btrfs.ko`
    Module,
}

/// What a session can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Raw tracepoints only.
    Tracepoints,
    /// In addition fentry and fexit, or kprobes, on the reserve and release functions.
    Functions,
}

impl Tier {
    /// Name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tracepoints => "tracepoints",
            Self::Functions => "functions",
        }
    }
}

/// One hook of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// Stable id, also the key of `statistics.by_hook`.
    pub id: String,
    /// How it attaches: `raw_tracepoint`, `fentry+fexit`, `kprobe+kretprobe`, ...
    pub kind: String,
    /// What it attaches to on this kernel: a tracepoint or a function.
    pub target: String,
    /// What became of it.
    pub state: HookState,
    /// Why it is not attached, or why by a kprobe and not by fentry; null if there is nothing to say.
    pub reason: Option<String>,
    /// How often it ran.
    pub hits: u64,
    /// How often it should have run and was skipped by the kernel (recursion).
    pub missed: u64,
}

/// What became of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HookState {
    /// It ran.
    Attached,
    /// It was left out, because this kernel lacks something or it was not asked for.
    Skipped,
    /// It should have been attached and the kernel refused.
    Failed,
}

impl HookState {
    /// Name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// One test of a test suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Name, for example `generic/269`.
    pub name: String,
    /// Section of the suite's configuration; null without sections.
    pub section: Option<String>,
    /// Process id of the run that it belongs to: several can run side by side; null where it is not known.
    pub run: Option<u32>,
    /// Control group of its own, as `fs269.scope`; null if it has none.
    pub scope: Option<String>,
    /// Start, RFC 3339, UTC.
    pub started_at: String,
    /// Length in ns, until the next test of its run began (so the suite's own checks of the filesystems are in it).
    pub duration_ns: u64,
    /// Its end was seen.
    pub ended: bool,
    /// The suite's own result (`pass`, `fail`, `notrun`); null where it was not seen.
    pub result: Option<String>,
    /// Why it failed or was not run; null if it passed, or where no reason was seen.
    pub result_reason: Option<String>,
    /// Verdict of its window.
    pub verdict: VerdictName,
    /// Why the window is not clean, one clause each; empty without a doubt.
    pub verdict_reasons: Vec<String>,
    /// `findings[].id` of which something fell into its window.
    pub finding_ids: Vec<u32>,
    /// What that is, in the order of `finding_ids`.
    pub findings: Vec<TestFinding>,
    /// Names of its devices below `/dev`; empty where they were not seen, and then any filesystem may be its own.
    pub devices: Vec<String>,
    /// Uuids of the filesystems that lived on them in its window.
    pub filesystems: Vec<String>,
    /// Records in its window.
    pub records: u64,
    /// Records that were lost in its window.
    pub lost: u64,
}

/// A part of a session. Findings, failures, stalls, tests, WARNs and lines of the kernel's log are those that fell into it; the counts of
/// a failure, levels, holders, waits, flushes, hooks and statistics are of the whole session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportPart {
    /// Its begin, ns since the start of the session.
    pub from_ns: u64,
    /// Its end, ns since the start of the session.
    pub to_ns: u64,
    /// The test that it is; null if it is a time.
    pub test: Option<String>,
}
