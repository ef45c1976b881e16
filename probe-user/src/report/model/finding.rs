//! A broken rule, its stacks and its evidence.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountName, ConfidenceName, KindName};

/// One broken rule on one account of one filesystem, wherever it was broken there on the same path of the code: all violations
/// with one fingerprint, those of a known kernel bug apart from others. What differs from inode to inode (`root` to `path`, `balance_before`, `task`, `stack`, `evidence`,
/// `explanation`) is that of the first instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Number within this report. Numbers grow; some are left out.
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
    /// True if the path is known in part: `…` stands for what is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub path_truncated: bool,
    /// The known bytes of the path as base64, if they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// How much, in `unit`; the sum over all instances. Negative only if the kernel's figure itself had wrapped.
    pub amount: i64,
    /// `bytes` or `count`.
    pub unit: String,
    /// What the books held before the first violation, in `unit`; null where that is not known.
    pub balance_before: Option<i64>,
    /// Time of the first violation, ns since the start of the session.
    pub first_seen_ns: u64,
    /// Time of the last violation, ns since the start of the session.
    pub last_seen_ns: u64,
    /// How often the rule was broken, by all instances.
    pub count: u64,
    /// Number of inodes of all instances; 0 where the account has none.
    pub inodes: u64,
    /// Number of subvolumes of all instances; 0 where the account has none.
    pub roots: u64,
    /// Where the rule was broken, in the order in which it was found: all instances, or if there are many the first, the last
    /// and the largest ones.
    pub instances: Vec<Instance>,
    /// Number of instances that are not listed.
    pub instances_left_out: u64,
    /// The thread that broke it, or in whose context it showed; null where none is known.
    pub task: Option<Task>,
    /// The first test in whose window it fell; null without one. `tests[].findings` has what fell into each test.
    pub test: Option<String>,
    /// Where it was freed, or where it showed; innermost frame first, empty if no stack was taken.
    pub stack: Vec<Frame>,
    /// What `stack` is.
    pub stack_source: StackSource,
    /// Place in the function that failed to act to which the last hooked call inside it returned: it shows the path that was
    /// taken. Null where it is not known; of the first instance.
    #[serde(default)]
    pub exit: Option<Frame>,
    /// Where it was reserved, by all instances, most bytes first.
    pub origins: Vec<OriginOf>,
    /// Number of stacks that reserved and are not listed.
    pub origins_left_out: u64,
    /// Bytes that these reserved.
    pub origins_left_out_bytes: u64,
    /// The records that speak for it, oldest first.
    pub evidence: Vec<EvidenceLine>,
    /// How sure it is; the lowest of all instances.
    pub confidence: ConfidenceName,
    /// One or two sentences for a person.
    pub explanation: String,
    /// Page that explains the kind.
    pub doc: String,
    /// `findings[].id` of the finding that this underflow follows from, beside which it is not counted; null without one, and in
    /// lines that are sent while the session runs.
    pub cause: Option<u32>,
    /// The known kernel bug that made it; null if it is none.
    pub known: Option<KnownBug>,
    /// Why it does not count for the verdict; null if it counts.
    pub ignored: Option<IgnoredBy>,
}

impl Finding {
    /// Number of instances, listed or not.
    #[must_use]
    pub const fn all_instances(&self) -> u64 {
        self.instances.len() as u64 + self.instances_left_out
    }

    /// What `part` is of this finding, as a finding of its own; without what is known of the whole only. `None` without an instance.
    #[must_use]
    pub fn part(&self, part: &TestFinding) -> Option<Self> {
        let TestFinding {
            id: _,
            amount,
            count,
            inodes,
            roots,
            first_seen_ns,
            last_seen_ns,
            confidence,
            instances,
            instances_left_out,
        } = part;
        let first = instances.first()?;
        if instances.len() as u64 + instances_left_out == self.all_instances() {
            return Some(self.clone());
        }
        let same = self.instances.first() == Some(first);
        Some(Self {
            root: first.root,
            inode: first.inode,
            generation: first.generation,
            path: first.path.clone(),
            path_truncated: first.path_truncated,
            path_bytes: first.path_bytes.clone(),
            amount: *amount,
            count: *count,
            inodes: *inodes,
            roots: *roots,
            first_seen_ns: *first_seen_ns,
            last_seen_ns: *last_seen_ns,
            confidence: *confidence,
            instances: instances.clone(),
            instances_left_out: *instances_left_out,
            explanation: first.explanation.clone(),
            balance_before: self.balance_before.filter(|_| same),
            task: self.task.clone().filter(|_| same),
            evidence: if same { self.evidence.clone() } else { Vec::new() },
            // What the others reserved is in these sums.
            origins: Vec::new(),
            origins_left_out: 0,
            origins_left_out_bytes: 0,
            test: None,
            ..self.clone()
        })
    }
}

/// What one inode, one subvolume, or one mount of the filesystem has of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Subvolume (root objectid), signed as in the kernel's headers; null where the account has none.
    pub root: Option<i64>,
    /// Inode number; null where the account has none.
    pub inode: Option<u64>,
    /// Inode generation; null where it is not known.
    pub generation: Option<u64>,
    /// Path below the mount, as far as it is known; null where it is not.
    pub path: Option<String>,
    /// True if the path is known in part: `…` stands for what is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub path_truncated: bool,
    /// The known bytes of the path as base64, if they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// How much, in the finding's `unit`.
    pub amount: i64,
    /// How often the rule was broken.
    pub count: u64,
    /// Time of the first violation, ns since the start of the session.
    pub first_seen_ns: u64,
    /// Time of the last violation, ns since the start of the session.
    pub last_seen_ns: u64,
    /// How sure it is.
    pub confidence: ConfidenceName,
    /// One or two sentences for a person.
    pub explanation: String,
}

/// What fell of a finding into the window of a test, or into none: these instances, with all that they did in the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestFinding {
    /// `findings[].id`.
    pub id: u32,
    /// How much, in the finding's `unit`.
    pub amount: i64,
    /// How often the rule was broken.
    pub count: u64,
    /// Number of inodes; 0 where the account has none.
    pub inodes: u64,
    /// Number of subvolumes; 0 where the account has none.
    pub roots: u64,
    /// Time of the first violation, ns since the start of the session.
    pub first_seen_ns: u64,
    /// Time of the last violation, ns since the start of the session.
    pub last_seen_ns: u64,
    /// The lowest confidence.
    pub confidence: ConfidenceName,
    /// The first, the last and the largest ones, in the order in which they were found.
    pub instances: Vec<Instance>,
    /// Number of instances that are not listed.
    pub instances_left_out: u64,
}

/// Why a finding does not count for the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IgnoredBy {
    /// Its fingerprint is in the file given with `--ignore`.
    IgnoreFile,
    /// A known kernel bug made it, and `--strict` was not given.
    Known,
    /// Its kind is not among those given with `--fail-on`.
    FailOn,
    /// The report given with `--against` has it too.
    Against,
}

/// An accounting bug of released kernels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownBug {
    /// Its name in the catalogue of known kernel bugs.
    pub id: String,
    /// What is wrong, in one clause.
    pub title: String,
    /// Kernels that have it, for a person.
    pub versions: String,
    /// Page that explains it.
    pub doc: String,
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
    /// Bytes reserved from this stack and not known to be released; bytes also where the finding's `unit` is `count`.
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
