//! The JSON form of a report of many sessions.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::model::{
    AccountName, ConfidenceName, Finding, IgnoredBy, KindName, Loss, Tier, Tool, VerdictName,
};

/// Many sessions: what was seen in each, and what is wrong in any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Merged {
    /// Version of this layout: 1.
    pub schema_version: u32,
    /// The tool that made the report.
    pub tool: Tool,
    /// The worst verdict of any session.
    pub verdict: VerdictName,
    /// How many sessions have which verdict, one sentence each.
    pub verdict_reasons: Vec<String>,
    /// What was not seen, of all sessions together.
    pub loss: Loss,
    /// The sessions, in the order in which they were named.
    pub files: Vec<MergedFile>,
    /// What is wrong, by fingerprint: those that count first.
    pub findings: Vec<MergedFinding>,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MergedFile {
    /// Its recording, or its JSON report, as it was named.
    pub file: String,
    /// `uname -r`
    pub kernel: String,
    /// What it could see.
    pub tier: Tier,
    /// Its start, RFC 3339, UTC.
    pub started_at: String,
    /// Its length in ns.
    pub duration_ns: u64,
    /// The command that was run, with its arguments; null if none was.
    pub command: Option<Vec<String>>,
    /// Its verdict.
    pub verdict: VerdictName,
    /// Why, one sentence each.
    pub verdict_reasons: Vec<String>,
    /// Findings that count.
    pub counted: u64,
    /// All findings.
    pub findings: u64,
    /// Tests of a test suite that ran in it.
    pub tests: u64,
    /// Records in its stream.
    pub records: u64,
    /// Records that were lost.
    pub lost: u64,
}

/// A finding of one or more sessions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MergedFinding {
    /// Its fingerprint.
    pub fingerprint: String,
    /// Which rule was broken.
    pub kind: KindName,
    /// Which account it was broken on.
    pub account: AccountName,
    /// How much, in `unit`; the sum over all sessions.
    pub amount: i64,
    /// `bytes` or `count`.
    pub unit: String,
    /// How often the rule was broken, in all sessions.
    pub count: u64,
    /// How sure it is; the lowest of all sessions.
    pub confidence: ConfidenceName,
    /// Why it does not count for the verdict; null if it counts.
    pub ignored: Option<IgnoredBy>,
    /// That of the first session, in one line.
    pub heading: String,
    /// The sessions that have it.
    pub files: Vec<InFile>,
    /// It in the first session that has it, in full.
    pub first: Finding,
}

/// What one session has of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InFile {
    /// `files[].file`
    pub file: String,
    /// `findings[].id` in its own report, one for each filesystem.
    pub ids: Vec<u32>,
    /// How often the rule was broken.
    pub count: u64,
    /// How much, in the finding's `unit`.
    pub amount: i64,
}
