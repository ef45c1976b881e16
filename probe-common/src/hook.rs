//! The hooks. The tracepoints tier has one BPF program per hook; the functions tier has one for entry and one for return.

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
    /// `btrfs_clear_extent_bit`: shows inode addresses, and the destroy signature: a call with start 0, len 0 and bits
    /// 0x1000 (`EXTENT_QGROUP_RESERVED`), which `btrfs_qgroup_check_reserved_leak` makes for `btrfs_destroy_inode`
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
    /// Run by the auditor to read an inode; attached to nothing.
    AuditInode = 19,
    /// Run by the auditor to read the levels of a filesystem; attached to nothing.
    AuditFs = 20,
    /// `sched_process_exec`: a test of a test suite begins
    ProcessExec = 21,
    /// `sched_process_exit`: a test of a test suite ends
    ProcessExit = 22,
    /// `console`: lines of the kernel's log
    Console = 23,
    /// `btrfs_delalloc_reserve_metadata` (functions tier)
    ReserveMetadata = 24,
    /// `btrfs_delalloc_release_metadata` (functions tier)
    ReleaseMetadata = 25,
    /// `btrfs_delalloc_release_extents` (functions tier)
    ReleaseExtents = 26,
    /// `btrfs_delalloc_shrink_extents` (functions tier)
    ShrinkExtents = 27,
    /// `btrfs_inode_rsv_release` (functions tier)
    InodeRsvRelease = 28,
    /// `btrfs_calculate_inode_block_rsv_size` (functions tier)
    CalculateInodeRsv = 29,
    /// `btrfs_delalloc_reserve_space` (functions tier)
    ReserveSpace = 30,
    /// `btrfs_delalloc_release_space` (functions tier)
    ReleaseSpace = 31,
    /// `btrfs_check_data_free_space` (functions tier)
    CheckDataFreeSpace = 32,
    /// `btrfs_alloc_data_chunk_ondemand` (functions tier)
    AllocDataChunkOndemand = 33,
    /// `btrfs_free_reserved_data_space` (functions tier)
    FreeReservedDataSpace = 34,
    /// `btrfs_free_reserved_data_space_noquota` (functions tier)
    FreeReservedDataSpaceNoquota = 35,
    /// `btrfs_block_rsv_add` (functions tier)
    BlockRsvAdd = 36,
    /// `btrfs_block_rsv_refill` (functions tier)
    BlockRsvRefill = 37,
    /// `btrfs_block_rsv_add_bytes` (functions tier)
    BlockRsvAddBytes = 38,
    /// `btrfs_block_rsv_release` (functions tier)
    BlockRsvRelease = 39,
    /// `btrfs_block_rsv_migrate` (functions tier)
    BlockRsvMigrate = 40,
    /// `btrfs_use_block_rsv` (functions tier)
    UseBlockRsv = 41,
    /// `btrfs_clear_delalloc_extent` (functions tier)
    ClearDelallocExtent = 42,
    /// `btrfs_remove_ordered_extent` (functions tier)
    RemoveOrderedExtent = 43,
    /// `btrfs_destroy_inode` (functions tier)
    DestroyInode = 44,
    /// `btrfs_trans_release_metadata` (functions tier)
    TransReleaseMetadata = 45,
    /// `__btrfs_end_transaction` (functions tier)
    EndTransaction = 46,
    /// `steal_from_global_rsv` (functions tier)
    StealFromGlobal = 47,
    /// `btrfs_update_global_block_rsv` (functions tier)
    UpdateGlobalBlockRsv = 48,
    /// `btrfs_delayed_inode_release_metadata` (functions tier)
    DelayedInodeRelease = 49,
    /// `btrfs_qgroup_reserve_data` (functions tier)
    QgroupReserveData = 50,
    /// `btrfs_qgroup_release_data` (functions tier)
    QgroupReleaseData = 51,
    /// `btrfs_qgroup_free_data` (functions tier)
    QgroupFreeData = 52,
    /// `btrfs_release_global_block_rsv` (functions tier)
    ReleaseGlobalBlockRsv = 53,
    /// `btrfs_qgroup_reserve_meta` (functions tier)
    QgroupReserveMeta = 54,
    /// `__btrfs_qgroup_free_meta` (functions tier)
    QgroupFreeMeta = 55,
    /// `btrfs_qgroup_convert_reserved_meta` (functions tier)
    QgroupConvertMeta = 56,
    /// `start_transaction` (functions tier)
    StartTransaction = 57,
    /// `btrfs_delayed_update_inode` (functions tier)
    DelayedUpdateInode = 58,
    /// `btrfs_sysfs_del_one_qgroup` (functions tier): the kernel calls it for each qgroup that ends
    QgroupEnd = 59,
    /// `btrfs_set_record_extent_bits`, without the prefix before 6.18 (functions tier): only qgroups record their bits
    SetRecordBits = 60,
    /// `btrfs_clear_record_extent_bits`, without the prefix before 6.18 (functions tier)
    ClearRecordBits = 61,
    /// `btrfs_set_delalloc_extent` (functions tier): only calls that make a range dirty
    SetDelallocExtent = 62,
    /// `btrfs_qgroup_free_refroot` (functions tier): only calls that free data, without those inside `btrfs_qgroup_free_data`
    QgroupFreeRefroot = 63,
    /// `btrfs_alloc_reserved_file_extent` (functions tier)
    AllocReservedFileExtent = 64,
    /// `btrfs_qgroup_account_extents` (functions tier): the calls inside it are those of a commit
    QgroupAccountExtents = 65,
    /// `btrfs_qgroup_free_meta_all_pertrans` (functions tier)
    QgroupFreePertrans = 66,
    /// `btrfs_delayed_refs_rsv_refill` (functions tier)
    RefillDelayedRefs = 67,
    /// `btrfs_update_delayed_refs_rsv` (functions tier)
    UpdateDelayedRefs = 68,
    /// `btrfs_migrate_to_delayed_refs_rsv`, 6.1 only (functions tier)
    MigrateToDelayedRefs = 69,
    /// `btrfs_commit_device_sizes` (functions tier): once per commit, after all delayed items and delayed refs have run, and before
    /// another transaction can start
    CommitDeviceSizes = 89,
    /// `btrfs_merge_delalloc_extent` (functions tier): two dirty ranges become one
    MergeDelallocExtent = 90,
    /// `btrfs_split_delalloc_extent` (functions tier): a dirty range becomes two
    SplitDelallocExtent = 91,
    /// `btrfs_cleanup_ref_head_accounting` (functions tier): a head of delayed refs ends
    RefHeadEnd = 92,
    /// `btrfs_dec_delayed_refs_rsv_bg_updates`, 6.7 on (functions tier): the item of a block group is updated
    BlockGroupUpdated = 93,
    /// `btrfs_dec_delayed_refs_rsv_bg_inserts`, 6.7 on (functions tier): the item of a new block group is inserted
    BlockGroupInserted = 94,
    /// `btrfs_finish_extent_commit` (functions tier): a commit unpins, and fills up the global reserve with it
    FinishExtentCommit = 95,
    /// `sys_exit` (functions tier): a system call in which the task has called hooked functions ends
    SysExit = 80,
    /// `workqueue_execute_end` (functions tier): a work item in which the worker has called hooked functions ends
    WorkEnd = 87,
    /// `sched_process_exit` (functions tier): a thread ends that has called hooked functions since its last system call ended
    ThreadEnd = 88,
    /// `btrfs_reserve_extent` (functions tier): an extent of data is reserved
    ReserveExtent = 81,
    /// `btrfs_reserved_extent_alloc` (functions tier): it is in the extent tree
    ReservedExtentAlloc = 82,
    /// `btrfs_reserved_extent_free` (functions tier): it is given back
    ReservedExtentFree = 83,
    /// `btrfs_ordered_extent_add` (functions tier)
    OrderedExtentAdd = 84,
    /// `add_delayed_data_ref` (functions tier)
    DelayedDataRef = 85,
    /// `btrfs_ordered_extent_remove` (functions tier)
    OrderedExtentRemove = 86,
    /// Run by the capture to read the tickets of a filesystem; attached to nothing.
    AuditTickets = 76,
    /// Run by the capture to find the threads behind a wait; attached to nothing.
    FindThreads = 77,
    /// `btrfs_flush_space`: a state of a flush is over
    FlushSpace = 78,
    /// `btrfs_done_preemptive_reclaim`
    DonePreemptiveReclaim = 79,
    /// `qgroup_meta_reserve` (6.1, 6.12) or `btrfs_qgroup_meta_reserve` (6.18 on)
    QgroupMetaReserve = 73,
    /// The tracepoint `btrfs_qgroup_reserve_data`
    QgroupDataReserve = 74,
    /// Run at the start to find the mounted filesystems; attached to nothing.
    AuditMounted = 75,
}

/// Larger than any [`HookId`].
pub const HOOK_IDS: u32 = 128;

/// Distance from the slot of a hook's first program to the slot of its fallback program (counters, scratch memory).
pub const FALLBACK_SLOT: u32 = HOOK_IDS;

/// Slots of all programs.
pub const HOOK_SLOTS: u32 = 2 * HOOK_IDS;

impl HookId {
    /// All hooks.
    pub const ALL: [Self; 90] = [
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
        Self::ProcessExec,
        Self::ProcessExit,
        Self::Console,
        Self::ReserveMetadata,
        Self::ReleaseMetadata,
        Self::ReleaseExtents,
        Self::ShrinkExtents,
        Self::InodeRsvRelease,
        Self::CalculateInodeRsv,
        Self::ReserveSpace,
        Self::ReleaseSpace,
        Self::CheckDataFreeSpace,
        Self::AllocDataChunkOndemand,
        Self::FreeReservedDataSpace,
        Self::FreeReservedDataSpaceNoquota,
        Self::BlockRsvAdd,
        Self::BlockRsvRefill,
        Self::BlockRsvAddBytes,
        Self::BlockRsvRelease,
        Self::BlockRsvMigrate,
        Self::UseBlockRsv,
        Self::ClearDelallocExtent,
        Self::RemoveOrderedExtent,
        Self::DestroyInode,
        Self::TransReleaseMetadata,
        Self::EndTransaction,
        Self::StealFromGlobal,
        Self::UpdateGlobalBlockRsv,
        Self::DelayedInodeRelease,
        Self::QgroupReserveData,
        Self::QgroupReleaseData,
        Self::QgroupFreeData,
        Self::ReleaseGlobalBlockRsv,
        Self::QgroupReserveMeta,
        Self::QgroupFreeMeta,
        Self::QgroupConvertMeta,
        Self::StartTransaction,
        Self::DelayedUpdateInode,
        Self::QgroupEnd,
        Self::SetRecordBits,
        Self::ClearRecordBits,
        Self::SetDelallocExtent,
        Self::QgroupFreeRefroot,
        Self::AllocReservedFileExtent,
        Self::QgroupAccountExtents,
        Self::QgroupFreePertrans,
        Self::RefillDelayedRefs,
        Self::UpdateDelayedRefs,
        Self::MigrateToDelayedRefs,
        Self::CommitDeviceSizes,
        Self::MergeDelallocExtent,
        Self::SplitDelallocExtent,
        Self::RefHeadEnd,
        Self::BlockGroupUpdated,
        Self::BlockGroupInserted,
        Self::FinishExtentCommit,
        Self::SysExit,
        Self::WorkEnd,
        Self::ThreadEnd,
        Self::ReserveExtent,
        Self::ReservedExtentAlloc,
        Self::ReservedExtentFree,
        Self::OrderedExtentAdd,
        Self::DelayedDataRef,
        Self::OrderedExtentRemove,
        Self::AuditTickets,
        Self::FindThreads,
        Self::FlushSpace,
        Self::DonePreemptiveReclaim,
        Self::QgroupMetaReserve,
        Self::QgroupDataReserve,
        Self::AuditMounted,
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
            Self::ProcessExec => "sched_process_exec",
            Self::ProcessExit => "sched_process_exit",
            Self::Console => "console",
            Self::ReserveMetadata => "btrfs_delalloc_reserve_metadata",
            Self::ReleaseMetadata => "btrfs_delalloc_release_metadata",
            Self::ReleaseExtents => "btrfs_delalloc_release_extents",
            Self::ShrinkExtents => "btrfs_delalloc_shrink_extents",
            Self::InodeRsvRelease => "btrfs_inode_rsv_release",
            Self::CalculateInodeRsv => "btrfs_calculate_inode_block_rsv_size",
            Self::ReserveSpace => "btrfs_delalloc_reserve_space",
            Self::ReleaseSpace => "btrfs_delalloc_release_space",
            Self::CheckDataFreeSpace => "btrfs_check_data_free_space",
            Self::AllocDataChunkOndemand => "btrfs_alloc_data_chunk_ondemand",
            Self::FreeReservedDataSpace => "btrfs_free_reserved_data_space",
            Self::FreeReservedDataSpaceNoquota => "btrfs_free_reserved_data_space_noquota",
            Self::BlockRsvAdd => "btrfs_block_rsv_add",
            Self::BlockRsvRefill => "btrfs_block_rsv_refill",
            Self::BlockRsvAddBytes => "btrfs_block_rsv_add_bytes",
            Self::BlockRsvRelease => "btrfs_block_rsv_release",
            Self::BlockRsvMigrate => "btrfs_block_rsv_migrate",
            Self::UseBlockRsv => "btrfs_use_block_rsv",
            Self::ClearDelallocExtent => "btrfs_clear_delalloc_extent",
            Self::RemoveOrderedExtent => "btrfs_remove_ordered_extent",
            Self::DestroyInode => "btrfs_destroy_inode",
            Self::TransReleaseMetadata => "btrfs_trans_release_metadata",
            Self::EndTransaction => "__btrfs_end_transaction",
            Self::StealFromGlobal => "steal_from_global_rsv",
            Self::UpdateGlobalBlockRsv => "btrfs_update_global_block_rsv",
            Self::DelayedInodeRelease => "btrfs_delayed_inode_release_metadata",
            Self::QgroupReserveData => "btrfs_qgroup_reserve_data",
            Self::QgroupReleaseData => "btrfs_qgroup_release_data",
            Self::QgroupFreeData => "btrfs_qgroup_free_data",
            Self::ReleaseGlobalBlockRsv => "btrfs_release_global_block_rsv",
            Self::QgroupReserveMeta => "btrfs_qgroup_reserve_meta",
            Self::QgroupFreeMeta => "__btrfs_qgroup_free_meta",
            Self::QgroupConvertMeta => "btrfs_qgroup_convert_reserved_meta",
            Self::StartTransaction => "start_transaction",
            Self::DelayedUpdateInode => "btrfs_delayed_update_inode",
            Self::QgroupEnd => "btrfs_sysfs_del_one_qgroup",
            Self::SetRecordBits => "btrfs_set_record_extent_bits",
            Self::ClearRecordBits => "btrfs_clear_record_extent_bits",
            Self::SetDelallocExtent => "btrfs_set_delalloc_extent",
            Self::QgroupFreeRefroot => "btrfs_qgroup_free_refroot",
            Self::AllocReservedFileExtent => "btrfs_alloc_reserved_file_extent",
            Self::QgroupAccountExtents => "btrfs_qgroup_account_extents",
            Self::QgroupFreePertrans => "btrfs_qgroup_free_meta_all_pertrans",
            Self::RefillDelayedRefs => "btrfs_delayed_refs_rsv_refill",
            Self::UpdateDelayedRefs => "btrfs_update_delayed_refs_rsv",
            Self::MigrateToDelayedRefs => "btrfs_migrate_to_delayed_refs_rsv",
            Self::CommitDeviceSizes => "btrfs_commit_device_sizes",
            Self::MergeDelallocExtent => "btrfs_merge_delalloc_extent",
            Self::SplitDelallocExtent => "btrfs_split_delalloc_extent",
            Self::RefHeadEnd => "btrfs_cleanup_ref_head_accounting",
            Self::BlockGroupUpdated => "btrfs_dec_delayed_refs_rsv_bg_updates",
            Self::BlockGroupInserted => "btrfs_dec_delayed_refs_rsv_bg_inserts",
            Self::FinishExtentCommit => "btrfs_finish_extent_commit",
            Self::SysExit => "sys_exit",
            Self::WorkEnd => "workqueue_execute_end",
            Self::ThreadEnd => "thread_end",
            Self::ReserveExtent => "btrfs_reserve_extent",
            Self::ReservedExtentAlloc => "btrfs_reserved_extent_alloc",
            Self::ReservedExtentFree => "btrfs_reserved_extent_free",
            Self::OrderedExtentAdd => "btrfs_ordered_extent_add",
            Self::DelayedDataRef => "add_delayed_data_ref",
            Self::OrderedExtentRemove => "btrfs_ordered_extent_remove",
            Self::AuditTickets => "audit_tickets",
            Self::FindThreads => "find_threads",
            Self::FlushSpace => "btrfs_flush_space",
            Self::DonePreemptiveReclaim => "btrfs_done_preemptive_reclaim",
            Self::QgroupMetaReserve => "btrfs_qgroup_meta_reserve",
            Self::QgroupDataReserve => "btrfs_qgroup_data_reserve",
            Self::AuditMounted => "audit_mounted",
        }
    }

    /// True for the hooks of the functions tier, fentry or kprobes, whose records are [`crate::call::Call`].
    #[must_use]
    pub const fn is_function(self) -> bool {
        self as u8 >= Self::ReserveMetadata as u8
            && !self.only_informs()
            && !self.follows_extents()
            && !matches!(self, Self::QgroupMetaReserve | Self::QgroupDataReserve | Self::AuditMounted)
    }

    /// True for functions that end what holds bytes of `delayed_refs_rsv`.
    #[must_use]
    pub const fn ends_delayed_ref(self) -> bool {
        matches!(self, Self::RefHeadEnd | Self::BlockGroupUpdated | Self::BlockGroupInserted)
    }

    /// True for the hooks that follow extents on disk.
    #[must_use]
    pub const fn follows_extents(self) -> bool {
        matches!(
            self,
            Self::ReserveExtent
                | Self::ReservedExtentAlloc
                | Self::ReservedExtentFree
                | Self::OrderedExtentAdd
                | Self::DelayedDataRef
                | Self::OrderedExtentRemove
        )
    }

    /// True for the hooks that no rule needs: what they miss is not seen, and nothing is wrong because of it.
    #[must_use]
    pub const fn only_informs(self) -> bool {
        matches!(
            self,
            Self::AuditTickets
                | Self::FindThreads
                | Self::FlushSpace
                | Self::DonePreemptiveReclaim
                | Self::SysExit
                | Self::WorkEnd
                | Self::ThreadEnd
        )
    }

    /// The hook with this number, if there is one.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| *hook as u8 == number)
    }
}
