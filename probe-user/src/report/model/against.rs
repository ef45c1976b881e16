//! What is new, the same and gone against another report.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountName, KindName, Tier, VerdictName};

/// This report held against another, by the fingerprints of findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Against {
    /// The other report, or the recording that it was made of, as it was named.
    pub file: String,
    /// `uname -r` of its kernel.
    pub kernel: String,
    /// What it could see.
    pub tier: Tier,
    /// Start of its session, RFC 3339, UTC.
    pub started_at: String,
    /// Its verdict.
    pub verdict: VerdictName,
    /// `findings[].id` of what the other one does not have. Only these count for the verdict.
    pub new: Vec<u32>,
    /// What both have.
    pub same: Vec<SameFinding>,
    /// What only the other one has.
    pub gone: Vec<PastFinding>,
    /// Why what is gone may be there, and what is new may be old, one sentence each; empty without such a doubt.
    pub notes: Vec<String>,
}

/// A finding that both reports have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SameFinding {
    /// `findings[].id`, of each filesystem that has it.
    pub ids: Vec<u32>,
    /// Its fingerprint.
    pub fingerprint: String,
    /// Violations in this report.
    pub count: u64,
    /// The other report has it so.
    pub before: PastFinding,
}

/// A finding of the other report, on all its filesystems together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PastFinding {
    /// Its fingerprint.
    pub fingerprint: String,
    /// Which rule was broken.
    pub kind: KindName,
    /// Which account it was broken on.
    pub account: AccountName,
    /// How much, in `unit`.
    pub amount: i64,
    /// `bytes` or `count`.
    pub unit: String,
    /// Violations.
    pub count: u64,
    /// It in one line, as the heading of a text report has it.
    pub heading: String,
    /// The known kernel bug that made it; null if it is none.
    pub known: Option<String>,
}
