//! What the ledger reports: one finding per kind, account and owner.
use super::spans::Spans;
use crate::vocabulary::account::Account;

/// Kinds of findings. Each has a page under `docs/findings/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// Released what was not reserved.
    OverRelease,
    /// Not empty at its closing.
    Leak,
    /// A failed reservation gave back more than it had taken.
    ErrorPathOverRelease,
    /// A failed reservation kept what it had taken.
    ErrorPathLeak,
    /// Counters of the inode were published before the reservation had succeeded.
    PublishBeforeReserve,
    /// Reserved for one inode, freed from another.
    WrongOwner,
    /// A kernel counter wrapped.
    Underflow,
    /// The kernel's own counter and the books disagree.
    CounterMismatch,
}

impl FindingKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::OverRelease,
        Self::Leak,
        Self::ErrorPathOverRelease,
        Self::ErrorPathLeak,
        Self::PublishBeforeReserve,
        Self::WrongOwner,
        Self::Underflow,
        Self::CounterMismatch,
    ];

    /// Name in filters, JSON and docs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OverRelease => "over-release",
            Self::Leak => "leak",
            Self::ErrorPathOverRelease => "error-path-over-release",
            Self::ErrorPathLeak => "error-path-leak",
            Self::PublishBeforeReserve => "publish-before-reserve",
            Self::WrongOwner => "wrong-owner",
            Self::Underflow => "underflow",
            Self::CounterMismatch => "counter-mismatch",
        }
    }
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// The rule is an equation without exceptions, and no loss could explain the violation.
    Exact,
    /// The rule can be broken in one direction only, or repeated audits confirmed the violation.
    OneSided,
}

impl Confidence {
    /// Name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::OneSided => "one-sided",
        }
    }
}

/// A thread as known at the time of the finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRef {
    /// Thread id.
    pub tid: u32,
    /// Process id; 0 if not known.
    pub pid: u32,
    /// Raw `comm` without NUL padding, lossily decoded.
    pub comm: String,
}

/// A stack. [`crate::ledger::Ledger::stack`] gives the frames of its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackRef {
    /// Stack id; 0 if none was taken.
    pub id: u64,
    /// Taken at an earlier event of the same context, not at this event.
    pub representative: bool,
}

/// A stack that reserved, with its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Bytes (or count) reserved from this stack and not known to be released.
    pub bytes: u64,
    /// Number of reservations.
    pub count: u64,
    /// The stack that reserved.
    pub stack: StackRef,
}

/// One record shown as evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// `CLOCK_MONOTONIC` ns.
    pub time: u64,
    /// Thread that ran; 0 if none.
    pub tid: u32,
    /// One line in the kernel's terms, for example `delalloc release 131072, block_rsv reserved 0 size 0`.
    pub text: String,
    /// Stack id; 0 if none was taken.
    pub stack: u64,
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Position in [`crate::ledger::Ledger::findings`]; stable within a run.
    pub id: u32,
    /// Kind.
    pub kind: FindingKind,
    /// Account.
    pub account: Account,
    /// Filesystem id of the stream; 0 if none.
    pub fs: u32,
    /// Subvolume (root objectid), where the account belongs to one.
    pub root: Option<u64>,
    /// Inode number, where the account belongs to one.
    pub ino: Option<u64>,
    /// Inode generation where known.
    pub generation: Option<u64>,
    /// Amount of all `count` violations together, in `account.unit()`.
    pub amount: u64,
    /// What the books held before the violation, where known.
    pub balance_before: Option<i64>,
    /// `CLOCK_MONOTONIC` ns of the first violation.
    pub first_seen: u64,
    /// `CLOCK_MONOTONIC` ns of the last violation.
    pub last_seen: u64,
    /// How often the same rule was broken on the same account.
    pub count: u64,
    /// When the rule was broken.
    pub seen: Spans,
    /// The thread that broke the rule, or the thread whose event showed it.
    pub task: Option<TaskRef>,
    /// The stack that released, or the stack of the event that showed the violation.
    pub stack: StackRef,
    /// The stacks that reserved.
    pub origins: Vec<Origin>,
    /// Records shown with the finding, in stream order; at most a dozen.
    pub evidence: Vec<Evidence>,
    /// How sure it is.
    pub confidence: Confidence,
    /// One or two sentences for a person.
    pub explanation: String,
}
