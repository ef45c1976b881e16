//! The header that every record begins with.

/// Kind of a record; it decides the layout of the body. Numbers are append-only.
///
/// The kernel side sends kinds below 128; the capture layer adds kinds from 128 on to the same stream.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// [`crate::fs::FsSeen`]: a filesystem is met for the first time.
    FsSeen = 1,
    /// [`crate::fs::FsEnd`]: a filesystem is torn down, or a new one took its address.
    FsEnd = 2,
    /// [`crate::fs::Levels`]: levels of every pool of a filesystem.
    Levels = 3,
    /// [`crate::task::TaskSeen`]: the name of a thread.
    TaskSeen = 4,
    /// [`crate::task::Stack`]: the frames behind a stack id.
    Stack = 5,
    /// [`crate::inode::Delalloc`]: `btrfs_space_reservation` of type `delalloc`.
    Delalloc = 6,
    /// [`crate::inode::Mod`]: a change of `outstanding_extents` with more to say than "the link fits".
    Mod = 7,
    /// [`crate::inode::InodeState`]: the counters of an inode at evict, destroy or audit.
    InodeState = 8,
    /// [`crate::inode::Block`]: a tree block was charged to a block_rsv.
    Block = 9,
    /// [`crate::inode::Name`]: the name of an inode, from its dentries.
    Name = 10,
    /// [`crate::claim::Claim`]: `btrfs_space_reservation` of a claim type (transaction, delayed items, ...).
    Claim = 11,
    /// [`crate::failure::Enospc`]: `btrfs_space_reservation` of type `space_info:enospc`.
    Enospc = 12,
    /// [`crate::failure::Ticket`]: the outcome of a reservation ticket.
    Ticket = 13,
    /// [`crate::chain::Bmu`]: one change of `bytes_may_use`, while its task is followed closely.
    Bmu = 14,
    /// [`crate::chain::Chain`]: opening, level, break, underflow or overflow of a chained counter.
    Chain = 15,
    /// [`crate::failure::Warn`]: the kernel's own WARN.
    Warn = 16,
    /// [`crate::failure::Flush`]: a flush of reservations was started or all tickets failed.
    Flush = 17,
    /// [`crate::call::Call`]: a call of a hooked function has returned.
    Call = 18,
    /// [`crate::suite::TestSign`]: a sign of a test of a test suite.
    TestSign = 19,
    /// [`crate::failure::LogLine`]: a line of btrfs in the kernel's log.
    LogLine = 20,
    /// [`crate::task::Returned`]: a system call has ended.
    Returned = 28,
    /// [`crate::ticket::TicketStep`]: a ticket was granted, or its owner went on.
    TicketStep = 21,
    /// [`crate::wait::Waiting`]: a ticket that waits.
    Waiting = 25,
    /// [`crate::wait::ThreadFound`]: a thread that has to do with a wait.
    ThreadFound = 26,
    /// [`crate::wait::FlushState`]: a step of a flush.
    FlushState = 27,
    /// [`crate::shortage::FailureState`]: the state at the moment at which a reservation failed.
    FailureState = 22,
    /// [`crate::shortage::FailureDevices`]: the devices at that moment.
    FailureDevices = 23,
    /// [`crate::shortage::QgroupRefusal`]: a reservation does not fit into the limit of a qgroup.
    QgroupRefusal = 24,
    /// [`crate::draw::Draw`]: the global block_rsv paid for a tree block.
    Draw = 29,
    /// [`crate::extent::Extent`]: an extent on disk was reserved, handed on, used or freed.
    Extent = 30,
    /// [`crate::pinned::PinnedLeft`]: a commit has unpinned more or less than its transaction had pinned.
    PinnedLeft = 31,

    /// [`crate::loss::LossSample`]: loss counters as read at this point of the stream.
    LossSample = 128,
    /// [`crate::fs::SysfsLevels`]: `/sys/fs/btrfs/UUID/allocation/TYPE/bytes_*` as read at this point.
    SysfsLevels = 129,
    /// [`crate::fs::AuditMark`]: start or end of an audit.
    AuditMark = 130,
    /// [`crate::task::Marker`]: a named point in time (command started, test started, ...).
    Marker = 131,
    /// [`crate::suite::TestNote`]: a fact about a test of a test suite.
    TestNote = 132,
    /// [`crate::chain::QgroupLevel`]: a qgroup's counter, read after a complaint in the kernel's log.
    QgroupLevel = 133,
    /// [`crate::wait::ThreadStack`]: where a thread is.
    ThreadStack = 135,
    /// [`crate::wait::WaitRound`]: end of a walk over the tickets of a filesystem.
    WaitRound = 136,
}

impl RecordKind {
    /// All kinds, for decoders and tests.
    pub const ALL: [Self; 39] = [
        Self::FsSeen,
        Self::FsEnd,
        Self::Levels,
        Self::TaskSeen,
        Self::Stack,
        Self::Delalloc,
        Self::Mod,
        Self::InodeState,
        Self::Block,
        Self::Name,
        Self::Claim,
        Self::Enospc,
        Self::Ticket,
        Self::Bmu,
        Self::Chain,
        Self::Warn,
        Self::Flush,
        Self::Call,
        Self::TestSign,
        Self::LogLine,
        Self::Returned,
        Self::TicketStep,
        Self::Waiting,
        Self::ThreadFound,
        Self::FlushState,
        Self::FailureState,
        Self::FailureDevices,
        Self::QgroupRefusal,
        Self::Draw,
        Self::Extent,
        Self::PinnedLeft,
        Self::LossSample,
        Self::SysfsLevels,
        Self::AuditMark,
        Self::Marker,
        Self::TestNote,
        Self::QgroupLevel,
        Self::ThreadStack,
        Self::WaitRound,
    ];

    /// The kind with this number, if there is one.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// First 24 bytes of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Header {
    /// [`RecordKind`] as a number.
    pub kind: u8,
    /// [`crate::hook::HookId`] of the emitting hook; 0 for records of the capture layer.
    pub hook: u8,
    /// Length of the whole record in bytes, header included; a multiple of eight.
    pub len: u16,
    /// CPU the handler ran on.
    pub cpu: u16,
    /// Low 16 bits of the global count of lost records, at the moment this one was written.
    pub lost: u16,
    /// Thread id of the current task (0 in interrupt context of the idle task).
    pub tid: u32,
    /// Filesystem id (see [`crate::fs::SLOT_BITS`]), never given twice in a session; 0 where the record has no filesystem.
    pub fs: u32,
    /// `CLOCK_MONOTONIC` in ns. Coarse (one jiffy) for ordinary records; the order of events is that of the stream.
    pub time: u64,
}

/// Size of [`Header`] in bytes.
pub const HEADER_LEN: usize = 24;
const _: () = assert!(size_of::<Header>() == HEADER_LEN);

/// Largest record in bytes ([`crate::task::Stack`] is the longest).
pub const MAX_RECORD_LEN: usize = 512;
