//! The hooks of the tracepoint tier. One BPF program each.

/// A hook; the number is in every record's header and indexes the hit counters. Append-only.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookId {
    /// `btrfs_space_reservation`
    SpaceReservation = 1,
    /// `update_bytes_may_use`
    BytesMayUse = 2,
    /// `update_bytes_pinned`
    BytesPinned = 3,
    /// `btrfs_inode_mod_outstanding_extents`
    ModOutstanding = 4,
    /// `btrfs_inode_evict`
    InodeEvict = 6,
    /// `btrfs_clear_extent_bit`: the destroy signature, and the way to an inode's pointer
    ClearExtentBit = 7,
    /// `find_free_extent` (6.1, 6.12) or `btrfs_find_free_extent` (6.18 on)
    FindFreeExtent = 9,
    /// `btrfs_reserve_ticket`
    ReserveTicket = 10,
    /// `qgroup_update_reserve` (6.1, 6.12) or `btrfs_qgroup_update_reserve` (6.18 on)
    QgroupUpdateReserve = 11,
    /// `btrfs_transaction_commit`
    TransactionCommit = 12,
    /// `btrfs_workqueue_alloc`: a filesystem is born
    WorkqueueAlloc = 13,
    /// `btrfs_workqueue_destroy`: a filesystem is about to die
    WorkqueueDestroy = 14,
    /// `error_report_end`: the kernel's own WARN_ON
    ErrorReportEnd = 15,
    /// `btrfs_trigger_flush`
    TriggerFlush = 16,
    /// `btrfs_fail_all_tickets`
    FailAllTickets = 17,
    /// `sched_process_free`: frees the per-task cell (`sched_process_exit` comes before the last close of files)
    ProcessFree = 18,
    /// Run on demand by the auditor, attached to nothing.
    AuditInode = 19,
    /// Run on demand by the auditor, attached to nothing.
    AuditFs = 20,
}

/// Room in the per-hook counters; larger than any [`HookId`].
pub const HOOK_SLOTS: u32 = 64;

impl HookId {
    /// All hooks.
    pub const ALL: [Self; 18] = [
        Self::SpaceReservation,
        Self::BytesMayUse,
        Self::BytesPinned,
        Self::ModOutstanding,
        Self::InodeEvict,
        Self::ClearExtentBit,
        Self::FindFreeExtent,
        Self::ReserveTicket,
        Self::QgroupUpdateReserve,
        Self::TransactionCommit,
        Self::WorkqueueAlloc,
        Self::WorkqueueDestroy,
        Self::ErrorReportEnd,
        Self::TriggerFlush,
        Self::FailAllTickets,
        Self::ProcessFree,
        Self::AuditInode,
        Self::AuditFs,
    ];

    /// Stable id in reports: the tracepoint's name on 6.12, with the `btrfs_` prefix where one was added later.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SpaceReservation => "btrfs_space_reservation",
            Self::BytesMayUse => "update_bytes_may_use",
            Self::BytesPinned => "update_bytes_pinned",
            Self::ModOutstanding => "btrfs_inode_mod_outstanding_extents",
            Self::InodeEvict => "btrfs_inode_evict",
            Self::ClearExtentBit => "btrfs_clear_extent_bit",
            Self::FindFreeExtent => "btrfs_find_free_extent",
            Self::ReserveTicket => "btrfs_reserve_ticket",
            Self::QgroupUpdateReserve => "btrfs_qgroup_update_reserve",
            Self::TransactionCommit => "btrfs_transaction_commit",
            Self::WorkqueueAlloc => "btrfs_workqueue_alloc",
            Self::WorkqueueDestroy => "btrfs_workqueue_destroy",
            Self::ErrorReportEnd => "error_report_end",
            Self::TriggerFlush => "btrfs_trigger_flush",
            Self::FailAllTickets => "btrfs_fail_all_tickets",
            Self::ProcessFree => "sched_process_free",
            Self::AuditInode => "audit_inode",
            Self::AuditFs => "audit_fs",
        }
    }

    /// The hook with this number, if there is one.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| *hook as u8 == number)
    }
}
