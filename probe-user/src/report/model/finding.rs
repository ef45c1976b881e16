//! A broken rule, its stacks and its evidence.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountName, ConfidenceName, KindName};

/// One broken rule on one account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Number within this report.
    pub id: u32,
    /// 16 hex digits over kind, account and symbol path: equal on every run and machine that shows the same
    /// fault on the same path. What `--ignore` takes.
    pub fingerprint: String,
    /// Which rule was broken.
    pub kind: KindName,
    /// Which account it was broken on.
    pub account: AccountName,
    /// Filesystem uuid; null where none is concerned.
    pub filesystem: Option<String>,
    /// Subvolume (root objectid), signed as in the kernel's headers (-9 is the data relocation tree); null where
    /// the account has none.
    pub root: Option<i64>,
    /// Inode number; null where the account has none.
    pub inode: Option<u64>,
    /// Inode generation; null where it is not known.
    pub generation: Option<u64>,
    /// Path below the mount, as far as it is known; null where it is not.
    pub path: Option<String>,
    /// How much, in `unit`; the sum over `count`. Negative only if the kernel's figure itself had wrapped.
    pub amount: i64,
    /// `bytes` or `count`.
    pub unit: String,
    /// What the books held before the first violation, in `unit`; null where that is not known.
    pub balance_before: Option<i64>,
    /// Time of the first violation, ns since the start of the session.
    pub first_seen_ns: u64,
    /// Time of the last violation, ns since the start of the session.
    pub last_seen_ns: u64,
    /// How often the rule was broken on this account.
    pub count: u64,
    /// The thread that broke it, or in whose context it showed; null where none is known.
    pub task: Option<Task>,
    /// The test in whose window it fell; null without one.
    pub test: Option<String>,
    /// Where it was freed, or where it showed; innermost frame first, empty if no stack was taken.
    pub stack: Vec<Frame>,
    /// What `stack` is.
    pub stack_source: StackSource,
    /// Where it was reserved.
    pub origins: Vec<OriginOf>,
    /// The records that speak for it, oldest first.
    pub evidence: Vec<EvidenceLine>,
    /// How sure it is.
    pub confidence: ConfidenceName,
    /// One or two sentences for a person.
    pub explanation: String,
    /// Page that explains the kind.
    pub doc: String,
    /// Why it does not count for the verdict; null if it counts.
    pub ignored: Option<IgnoredBy>,
}

/// Why a finding does not count for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IgnoredBy {
    /// Its fingerprint is in the file given with `--ignore`.
    IgnoreFile,
    /// Its kind is not among those given with `--fail-on`.
    FailOn,
}

/// A thread as it was known at the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Process id; null if it is not known.
    pub pid: Option<u32>,
    /// Thread id.
    pub tid: u32,
    /// Name of the thread, not escaped.
    pub comm: String,
}

/// One frame of a kernel stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Frame {
    /// Address, `0x` and hex digits.
    pub address: String,
    /// Function; null if the address has no symbol.
    pub symbol: Option<String>,
    /// Bytes from the start of the function; null without a symbol.
    pub offset: Option<u64>,
    /// Module the function lies in; null for the kernel itself.
    pub module: Option<String>,
}

/// What a stack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StackSource {
    /// Taken at this very event.
    Exact,
    /// Taken at an earlier event of the same context (hook, task group, syscall or worker, subvolume).
    Representative,
    /// None was taken.
    None,
}

/// Who reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OriginOf {
    /// Reserved from this stack and not known to be released, in the finding's `unit`.
    pub bytes: u64,
    /// Number of reservations.
    pub count: u64,
    /// The stack that reserved; innermost frame first.
    pub stack: Vec<Frame>,
    /// What `stack` is.
    pub stack_source: StackSource,
}

/// One record that speaks for a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceLine {
    /// ns since the start of the session.
    pub time_ns: u64,
    /// Thread that ran; 0 if none.
    pub tid: u32,
    /// One line in the kernel's terms.
    pub text: String,
    /// Stack of the record; empty if none was taken.
    pub stack: Vec<Frame>,
}
