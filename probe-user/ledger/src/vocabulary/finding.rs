//! What the ledger reports: violations of rules, and one finding per kind, account and owner.
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

/// How sure a finding is; the surest first.
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

/// Which records are evidence for a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// Records of one inode, and those with the same inode number and an unknown subvolume.
    Inode {
        /// Filesystem id of the stream.
        fs: u32,
        /// Subvolume (root objectid).
        root: u64,
        /// Inode number.
        ino: u64,
    },
    /// Records of one thread.
    Task {
        /// Filesystem id of the stream.
        fs: u32,
        /// Thread id.
        tid: u32,
    },
    /// Records of one `space_info` or qgroup.
    Object {
        /// Filesystem id of the stream.
        fs: u32,
        /// Its address.
        object: u64,
    },
    /// Claims on the pools of a filesystem.
    Claims {
        /// Filesystem id of the stream.
        fs: u32,
    },
}

/// A rule that was broken once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
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
    /// Amount, in `account.unit()`.
    pub amount: u64,
    /// What the books held before, where known.
    pub balance_before: Option<i64>,
    /// `CLOCK_MONOTONIC` ns.
    pub time: u64,
    /// The thread that broke the rule, or the thread whose event showed it; 0 if none.
    pub tid: u32,
    /// The stack that released, or the stack of the event that showed the violation.
    pub stack: StackRef,
    /// Address in the function that failed to act, to which the last hooked call inside it returned: it shows the path that
    /// was taken. 0 if not known.
    pub exit: u64,
    /// An underflow of data: the task frees what an extent of its own has taken already, of the data that it had reserved.
    pub twice: bool,
    /// The stacks that reserved.
    pub origins: Vec<Origin>,
    /// How sure it is.
    pub confidence: Confidence,
    /// One or two sentences for a person.
    pub explanation: String,
    /// The records that speak for it.
    pub query: Query,
}

/// Identity of a finding: violations with the same key are counted in one finding. The last is the stack where only a
/// subvolume is known: two bugs of one subvolume must not hide each other.
pub(crate) type Key = (FindingKind, Account, u32, Option<u64>, Option<u64>, u64);

impl Violation {
    /// A violation of a rule about an account of filesystem `fs`, shown `at` a time (ns) by a thread. Confidence is exact;
    /// all other fields are unknown.
    #[must_use]
    pub const fn new(kind: FindingKind, account: Account, fs: u32, at: (u64, u32)) -> Self {
        Self {
            kind,
            account,
            fs,
            root: None,
            ino: None,
            generation: None,
            amount: 0,
            balance_before: None,
            time: at.0,
            tid: at.1,
            stack: StackRef { id: 0, representative: false },
            exit: 0,
            twice: false,
            origins: Vec::new(),
            confidence: Confidence::Exact,
            explanation: String::new(),
            query: Query::Claims { fs },
        }
    }

    pub(crate) const fn key(&self) -> Key {
        let only_root = self.root.is_some() && self.ino.is_none();
        let place = if only_root { self.stack.id } else { 0 };
        (self.kind, self.account, self.fs, self.root, self.ino, place)
    }
}

/// All violations of one rule on one account of one owner: the first in full, the others counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Position in [`crate::ledger::Ledger::findings`]; stable within a run.
    pub id: u32,
    /// The first violation.
    pub violation: Violation,
    /// How many violations.
    pub count: u64,
    /// Amount of all of them, in `account.unit()`.
    pub amount: u64,
    /// That of the surest of them: an audit may suspect what the destroy of the inode then proves.
    pub confidence: Confidence,
    /// `CLOCK_MONOTONIC` ns of the last violation.
    pub last_seen: u64,
    /// When the rule was broken.
    pub seen: Spans,
    /// The thread of the first violation.
    pub task: Option<TaskRef>,
    /// Records shown with the first violation, in stream order; at most a dozen.
    pub evidence: Vec<Evidence>,
}

impl Finding {
    /// A finding by its first violation; without thread and evidence.
    #[must_use]
    pub fn new(id: u32, violation: Violation) -> Self {
        Self {
            id,
            count: 1,
            amount: violation.amount,
            confidence: violation.confidence,
            last_seen: violation.time,
            seen: Spans::at(violation.time),
            task: None,
            evidence: Vec::new(),
            violation,
        }
    }
}
