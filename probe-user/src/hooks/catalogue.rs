//! Every hook of the tracepoint tier, in the order of attachment.
use probe_common::hook::HookId;

/// A hook as this version knows it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The hook.
    pub hook: HookId,
    /// Program in the kernel-side object.
    pub program: &'static str,
    /// Names of the tracepoint, newest first; the first one that this kernel has is taken.
    pub tracepoints: &'static [&'static str],
    /// Whether a verdict can be `clean` without it.
    pub required: bool,
    /// Names in [`probe_common::offsets::Offsets`] without which the program would see nothing.
    pub needs: &'static [&'static str],
    /// Only wanted beside a test suite.
    pub suite: bool,
    /// Only of use beside the functions tier.
    pub functions: bool,
    /// For kernels on which the program can be preempted and is then skipped for other tasks.
    pub preempted: Option<Preempted>,
}

/// What else can be attached where the program of a hook can be preempted; see `fallback.rs` of the kernel side.
#[derive(Clone, Copy, Debug)]
pub struct Preempted {
    /// A second program, behind the first.
    pub fallback: &'static str,
    /// A kprobe program, in place of both.
    pub kprobe: Option<&'static str>,
}

/// Keeps a tracepoint on, for its kprobe.
pub const HOLD: &str = "hold";

const FS: &[&str] = &["root_fs_info", "root_objectid", "fs_fs_devices", "fs_devices_fsid"];

const SPACE_INFOS: &[&str] = &["fs_space_info", "sinfo_list", "sinfo_flags"];
const LIMITS: &[&str] = &[
    "root_fs_info",
    "fs_quota_root",
    "fs_qgroup_tree",
    "qgroup_node",
    "qgroup_qgroupid",
    "qgroup_lim_flags",
    "qgroup_max_rfer",
    "qgroup_max_excl",
    "qgroup_rfer",
    "qgroup_excl",
    "qgroup_rsv_values",
    "rb_left",
    "rb_right",
    "qgroup_data_has_btrfs_inode",
];

/// In the order of attachment.
///
/// One reservation fires `bytes_may_use`, then `outstanding_extents`, then `btrfs_space_reservation`. A hook that fires
/// later in an operation is attached earlier (except for the event that closes it, which is last). Otherwise a reservation
/// that was under way would look as if it published before it reserved.
pub const CATALOGUE: &[Entry] = &[
    entry(HookId::Console, "console", &["console"], false, &[]),
    Entry { functions: true, ..entry(HookId::SysExit, "sys_exit", &["sys_exit"], false, &[]) },
    Entry {
        functions: true,
        ..entry(HookId::WorkEnd, "workqueue_execute_end", &["workqueue_execute_end"], false, &[])
    },
    Entry { functions: true, ..entry(HookId::ThreadEnd, "thread_end", &["sched_process_exit"], false, &[]) },
    // What ends an extent before what begins one.
    extents(HookId::ReservedExtentFree, "reserved_extent_free", &["btrfs_reserved_extent_free"], &[]),
    extents(HookId::ReservedExtentAlloc, "reserved_extent_alloc", &["btrfs_reserved_extent_alloc"], &[]),
    extents(
        HookId::OrderedExtentRemove,
        "ordered_extent_remove",
        &["btrfs_ordered_extent_remove"],
        &["ordered_disk_bytenr", "ordered_disk_num_bytes"],
    ),
    extents(
        HookId::DelayedDataRef,
        "delayed_data_ref",
        &["add_delayed_data_ref"],
        &["ref_bytenr", "ref_num_bytes"],
    ),
    extents(
        HookId::OrderedExtentAdd,
        "ordered_extent_add",
        &["btrfs_ordered_extent_add"],
        &["ordered_disk_bytenr", "ordered_disk_num_bytes"],
    ),
    extents(
        HookId::ReserveExtent,
        "reserve_extent",
        &["btrfs_reserve_extent"],
        &["block_group_fs_info", "block_group_flags", "reserve_extent_has_ctl"],
    ),
    suite(HookId::ProcessExit, "process_exit", &["sched_process_exit"], &["task_exit_code"]),
    suite(HookId::ProcessExec, "process_exec", &["sched_process_exec"], &["binprm_filename"]),
    entry(HookId::ProcessFree, "process_free", &["sched_process_free"], true, &["task_pid"]),
    entry(
        HookId::WorkqueueAlloc,
        "workqueue_alloc",
        &["btrfs_workqueue_alloc"],
        true,
        &["workqueue_fs_info"],
    ),
    entry(
        HookId::WorkqueueDestroy,
        "workqueue_destroy",
        &["btrfs_workqueue_destroy"],
        true,
        &["workqueue_fs_info"],
    ),
    entry(HookId::ErrorReportEnd, "error_report_end", &["error_report_end"], false, &[]),
    entry(HookId::TriggerFlush, "trigger_flush", &["btrfs_trigger_flush"], false, &[]),
    entry(HookId::FailAllTickets, "fail_all_tickets", &["btrfs_fail_all_tickets"], false, &["sinfo_flags"]),
    entry(HookId::FlushSpace, "flush_space", &["btrfs_flush_space"], false, SPACE_INFOS),
    entry(
        HookId::DonePreemptiveReclaim,
        "done_preemptive_reclaim",
        &["btrfs_done_preemptive_reclaim"],
        false,
        &["sinfo_flags"],
    ),
    entry(
        HookId::QgroupMetaReserve,
        "qgroup_meta_reserve",
        &["btrfs_qgroup_meta_reserve", "qgroup_meta_reserve"],
        false,
        LIMITS,
    ),
    entry(HookId::QgroupDataReserve, "qgroup_data_reserve", &["btrfs_qgroup_reserve_data"], false, LIMITS),
    entry(
        HookId::TransactionCommit,
        "transaction_commit",
        &["btrfs_transaction_commit"],
        true,
        &["fs_global_block_rsv", "fs_space_info", "sinfo_list", "rsv_size", "rsv_reserved"],
    ),
    entry(
        HookId::InodeEvict,
        "inode_evict",
        &["btrfs_inode_evict"],
        true,
        &["inode_vfs_inode", "vfs_i_ino", "inode_root"],
    ),
    entry(
        HookId::ClearExtentBit,
        "clear_extent_bit",
        &["btrfs_clear_extent_bit"],
        true,
        &[
            "io_tree_owner",
            "inode_io_tree",
            "io_tree_inode_io",
            "inode_block_rsv",
            "inode_outstanding_extents",
        ],
    ),
    entry(
        HookId::ModOutstanding,
        "mod_outstanding_extents",
        &["btrfs_inode_mod_outstanding_extents"],
        true,
        FS,
    ),
    entry(
        HookId::FindFreeExtent,
        "find_free_extent",
        &["btrfs_find_free_extent", "find_free_extent"],
        true,
        &[
            "task_journal_info",
            "trans_block_rsv",
            "trans_fs_info",
            "rsv_type",
            "root_state",
            "root_block_rsv",
            "root_shareable_bit",
        ],
    ),
    entry(
        HookId::QgroupUpdateReserve,
        "qgroup_update_reserve",
        &["btrfs_qgroup_update_reserve", "qgroup_update_reserve"],
        true,
        &["qgroup_rsv_values", "qgroup_qgroupid"],
    ),
    entry(HookId::BytesPinned, "update_bytes_pinned", &["update_bytes_pinned"], true, &["sinfo_flags"]),
    entry(HookId::BytesMayUse, "update_bytes_may_use", &["update_bytes_may_use"], true, &["sinfo_flags"]),
    entry(HookId::ReserveTicket, "reserve_ticket", &["btrfs_reserve_ticket"], true, &["fs_nodesize"]),
    entry(
        HookId::SpaceReservation,
        "space_reservation",
        &["btrfs_space_reservation"],
        true,
        &["task_journal_info", "trans_block_rsv", "trans_fs_info", "rsv_type", "inode_block_rsv"],
    ),
];

/// Programs that are loaded but attached to nothing.
pub const AUDIT_INODE: &str = "audit_inode";
/// Programs that are loaded but attached to nothing.
pub const AUDIT_FS: &str = "audit_fs";
/// Programs that are loaded but attached to nothing.
pub const AUDIT_TICKETS: &str = "audit_tickets";
/// Programs that are loaded but attached to nothing.
pub const FIND_THREADS: &str = "find_threads";
/// Finds btrfs' `file_system_type`; attached to nothing.
pub const AUDIT_TYPE: &str = "audit_type";
/// Meets a mounted filesystem; attached to nothing.
pub const AUDIT_MOUNTED: &str = "audit_mounted";

/// Fallback program and kprobe of a program.
macro_rules! both {
    ($program:literal) => {
        Some(Preempted { fallback: concat!($program, "_fallback"), kprobe: Some(concat!($program, "_iter")) })
    };
}

const fn only_fallback(fallback: &'static str) -> Option<Preempted> {
    Some(Preempted { fallback, kprobe: None })
}

const fn entry(
    hook: HookId,
    program: &'static str,
    tracepoints: &'static [&'static str],
    required: bool,
    needs: &'static [&'static str],
) -> Entry {
    let preempted = match hook {
        HookId::SpaceReservation => both!("space_reservation"),
        HookId::ClearExtentBit => both!("clear_extent_bit"),
        HookId::FindFreeExtent => both!("find_free_extent"),
        HookId::ReserveTicket => both!("reserve_ticket"),
        HookId::InodeEvict => both!("inode_evict"),
        HookId::TransactionCommit => both!("transaction_commit"),
        HookId::QgroupMetaReserve => both!("qgroup_meta_reserve"),
        HookId::QgroupDataReserve => both!("qgroup_data_reserve"),
        HookId::WorkqueueAlloc => both!("workqueue_alloc"),
        HookId::WorkqueueDestroy => both!("workqueue_destroy"),
        HookId::FlushSpace => both!("flush_space"),
        HookId::ProcessExec => both!("process_exec"),
        HookId::ProcessExit => both!("process_exit"),
        HookId::ReserveExtent => both!("reserve_extent"),
        HookId::ReservedExtentAlloc => both!("reserved_extent_alloc"),
        HookId::ReservedExtentFree => both!("reserved_extent_free"),
        HookId::OrderedExtentAdd => both!("ordered_extent_add"),
        HookId::OrderedExtentRemove => both!("ordered_extent_remove"),
        HookId::DelayedDataRef => both!("delayed_data_ref"),
        // Of all tasks of the machine: a kprobe would cost too much. What is skipped is judged a little later.
        HookId::SysExit => only_fallback("sys_exit_fallback"),
        HookId::WorkEnd => only_fallback("workqueue_execute_end_fallback"),
        HookId::ThreadEnd => only_fallback("thread_end_fallback"),
        // Rare, or under a spinlock.
        _ => None,
    };
    Entry { hook, program, tracepoints, required, needs, suite: false, functions: false, preempted }
}

/// A hook that follows extents on disk, for the rules of the functions tier.
const fn extents(
    hook: HookId,
    program: &'static str,
    tracepoints: &'static [&'static str],
    needs: &'static [&'static str],
) -> Entry {
    Entry { functions: true, ..entry(hook, program, tracepoints, false, needs) }
}

/// A hook that shows which test of a test suite runs.
const fn suite(
    hook: HookId,
    program: &'static str,
    tracepoints: &'static [&'static str],
    needs: &'static [&'static str],
) -> Entry {
    Entry { suite: true, ..entry(hook, program, tracepoints, false, needs) }
}

/// Hooks without which no verdict can be `clean`.
#[must_use]
pub fn required() -> Vec<HookId> {
    CATALOGUE.iter().filter(|entry| entry.required).map(|entry| entry.hook).collect()
}
