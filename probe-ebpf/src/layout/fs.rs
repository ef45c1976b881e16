//! The cell of a filesystem.
use probe_common::pinned::PINNED_SLOTS;

/// Types of block groups whose pinned bytes are counted apart.
pub const PINNED_TYPES: usize = 3;

/// What one transaction has pinned in block groups of one type.
#[repr(C)]
pub struct Pinned {
    /// The transaction; 0 while free.
    pub transid: u64,
    /// Bytes pinned and not unpinned.
    pub left: i64,
    /// A transaction in this slot whose bytes are not known.
    pub doubt: u64,
}

/// One filesystem. Claimed by whoever meets it first; flags are set by mount, commit and unmount only.
///
/// No cell is freed: when a filesystem has been gone for a while, a new one can take its cell.
#[repr(C)]
pub struct FsCell {
    /// Address of the `fs_info`; 0 while free.
    pub fs_info: u64,
    /// When its work queues were destroyed, ns; 0 before.
    pub died: u64,
    /// Number of filesystems that lived in this slot before.
    pub epoch: u32,
    /// `STATE_*`; 0 while it is being decided.
    pub state: u32,
    /// `FLAG_*`
    pub flags: u32,
    /// 1 if one of its qgroup counters gave its cell to another.
    pub qgroup_gave_way: u32,
    /// Calls of functions that change block_rsvs which have begun and not ended.
    pub pool_open: u32,
    /// Begins and ends of such calls, and changes of `bytes_may_use` of metadata. Wraps.
    pub pool_points: u32,
    /// When metadata was last unpinned, which can fill up the global reserve; ns.
    pub unpinned: u64,
    /// From when on nobody can be waiting for space of metadata since before the session, ns.
    pub pools_settled: u64,
    /// 1 if a call of such a function could not be followed, so that nobody knows who is inside one.
    pub pools_unknown: u32,
    /// 1 if it was told that `reclaim_size` is not zero although no ticket waits.
    pub reclaim_told: u32,
    /// States at a failure that were sent in the present window: a byte for each class.
    pub failures_sent: u64,
    /// The window: coarse time.
    pub failure_window: u64,
    /// Failures whose state was not sent since the last one that was.
    pub failures_left_out: u32,
    /// 1 if the limit of one of its qgroups has refused a reservation.
    pub limit_refused: u32,
    /// 1 if a commit has unpinned metadata and not ended.
    pub unpinning: u32,
    /// Zero.
    pub unused: u32,
    /// Transactions up to this one were not seen from their begin.
    pub pinned_from: u64,
    /// By type and transaction.
    pub pinned: [[Pinned; PINNED_SLOTS]; PINNED_TYPES],
}
