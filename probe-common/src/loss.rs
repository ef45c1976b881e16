//! Loss classes: why something was not seen. The kernel side counts them per CPU.

/// Why something was not seen. Append-only; the number indexes the kernel side's per-CPU counters.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LossClass {
    /// A record of the books ([`crate::header::RecordKind::Delalloc`], claims, blocks, inode states, failures) found no room
    /// in the ring.
    BooksRecord = 0,
    /// A chain record (level, break, underflow) found no room in the ring.
    ChainRecord = 1,
    /// A stack's frames found no room in the ring or could not be walked.
    Stack = 2,
    /// A descriptive record (task, name, filesystem seen) found no room in the ring.
    Descriptive = 3,
    /// No cell for a task: its order of reserve and publish is not checked.
    TaskCell = 4,
    /// No cell for an inode: its chain restarts.
    InodeCell = 5,
    /// No cell for a filesystem: its events are not seen at all.
    FsCell = 6,
    /// No cell for a counter: its chain is not checked.
    ChainCell = 7,
    /// A kernel pointer could not be read, although the hook plan expected that it can be.
    ReadFault = 8,
    /// A program was skipped because it was already running on that CPU (`recursion_misses` of its fdinfo).
    Recursion = 9,
    /// The recording could not be written (disk full).
    FileWrite = 10,
    /// A damaged or truncated part of a recording was skipped.
    FileRead = 11,
    /// The ledger dropped state to bound its memory.
    LedgerBound = 12,
    /// `btrfs_space_reservation` with a `type` string that is not known.
    UnknownType = 13,
    /// The return of a hooked function was missed: its call is not in the books.
    MissedReturn = 14,
    /// No frame for a call: calls nested too deep, or too many tasks at once.
    CallFrame = 15,
    /// A record from before a recording that begins in the middle of its session (flight recorder, rotated recording).
    NotKept = 16,
}

/// Number of classes.
pub const LOSS_CLASSES: usize = 17;

/// Room for classes: in the per-CPU counters and in [`LossSample`]. ABI version 3 and earlier had samples of 16.
pub const LOSS_SLOTS: usize = 32;

const _: () = assert!(LOSS_CLASSES <= LOSS_SLOTS);

impl LossClass {
    /// All classes in number order.
    pub const ALL: [Self; LOSS_CLASSES] = [
        Self::BooksRecord,
        Self::ChainRecord,
        Self::Stack,
        Self::Descriptive,
        Self::TaskCell,
        Self::InodeCell,
        Self::FsCell,
        Self::ChainCell,
        Self::ReadFault,
        Self::Recursion,
        Self::FileWrite,
        Self::FileRead,
        Self::LedgerBound,
        Self::UnknownType,
        Self::MissedReturn,
        Self::CallFrame,
        Self::NotKept,
    ];

    /// Name in JSON (`loss.by_class`) and on screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BooksRecord => "books_record",
            Self::ChainRecord => "chain_record",
            Self::Stack => "stack",
            Self::Descriptive => "descriptive",
            Self::TaskCell => "task_cell",
            Self::InodeCell => "inode_cell",
            Self::FsCell => "fs_cell",
            Self::ChainCell => "chain_cell",
            Self::ReadFault => "read_fault",
            Self::Recursion => "recursion",
            Self::FileWrite => "file_write",
            Self::FileRead => "file_read",
            Self::LedgerBound => "ledger_bound",
            Self::UnknownType => "unknown_type",
            Self::MissedReturn => "missed_return",
            Self::CallFrame => "call_frame",
            Self::NotKept => "not_kept",
        }
    }

    /// True if the books can be wrong because of such a loss; false if only detail (a stack, a name) is missing.
    #[must_use]
    pub const fn touches_books(self) -> bool {
        !matches!(self, Self::Stack | Self::Descriptive)
    }
}

/// Loss counters since the session began, summed over CPUs. The capture layer adds a sample whenever a counter changed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct LossSample {
    /// Header; `fs` is 0.
    pub header: crate::header::Header,
    /// Absolute counts, indexed by [`LossClass`].
    pub counts: [u64; LOSS_SLOTS],
}
