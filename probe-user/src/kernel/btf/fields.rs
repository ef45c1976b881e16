//! The table: one row per field of [`Offsets`], with its source in the kernel's types.
use probe_common::offsets::Offsets;

/// Where the number of a field comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// Byte offset of a member; the first of the paths that exists (a member that later moved into or out of a
    /// named union).
    Offset(&'static str, &'static [&'static [&'static str]]),
    /// Byte offset of a register in `struct pt_regs`: by its name on x86-64, by its number in `regs` on arm64.
    Register {
        /// `None`: what arm64 has in the register is on the stack.
        x86: Option<&'static str>,
        arm64: u32,
    },
    /// Size in bytes of a member.
    Size(&'static str, &'static [&'static str]),
    /// Value of an enumerator.
    Enumerator(&'static str),
    /// 1 if an argument of a tracepoint has one of the `yes` types, 0 if it has one of the `no` types or, where `no`
    /// holds `""`, is not there. The tracepoint may have either name.
    Argument {
        names: &'static [&'static str],
        index: usize,
        yes: &'static [&'static str],
        no: &'static [&'static str],
    },
}

/// One field of [`Offsets`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its name in [`Offsets`].
    pub name: &'static str,
    /// The field.
    pub slot: fn(&mut Offsets) -> &mut u32,
    /// Where its number comes from.
    pub source: Source,
}

macro_rules! rows {
    ($($field:ident = $source:expr;)*) => {
        &[$(Row { name: stringify!($field), slot: |offsets| &mut offsets.$field, source: $source }),*]
    };
}

const fn at(of: &'static str, path: &'static [&'static [&'static str]]) -> Source {
    Source::Offset(of, path)
}

const fn register(x86: Option<&'static str>, arm64: u32) -> Source {
    Source::Register { x86, arm64 }
}

const INODE: &str = "btrfs_inode";
const ROOT: &str = "btrfs_root";
const RSV: &str = "btrfs_block_rsv";
const FS: &str = "btrfs_fs_info";
const SINFO: &str = "btrfs_space_info";
const TRANS: &str = "btrfs_trans_handle";
const ORDERED: &str = "btrfs_ordered_extent";
const TICKET: &str = "reserve_ticket";
const TASK: &str = "task_struct";
const DEVICE: &str = "btrfs_device";
const QGROUP: &str = "btrfs_qgroup";
const REF_HEAD: &str = "btrfs_delayed_ref_head";

/// Every field but `rsv_type_map`.
pub(super) const ROWS: &[Row] = rows! {
    inode_root = at(INODE, &[&["root"]]);
    inode_io_tree = at(INODE, &[&["io_tree"]]);
    inode_outstanding_extents = at(INODE, &[&["outstanding_extents"]]);
    inode_runtime_flags = at(INODE, &[&["runtime_flags"]]);
    inode_delalloc_bytes = at(INODE, &[&["delalloc_bytes"]]);
    inode_new_delalloc_bytes = at(INODE, &[&["new_delalloc_bytes"]]);
    inode_csum_bytes = at(INODE, &[&["csum_bytes"]]);
    inode_flags = at(INODE, &[&["flags"]]);
    inode_generation = at(INODE, &[&["generation"]]);
    inode_block_rsv = at(INODE, &[&["block_rsv"]]);
    inode_vfs_inode = at(INODE, &[&["vfs_inode"]]);
    inode_free_space_bit = Source::Enumerator("BTRFS_INODE_FREE_SPACE_INODE");

    vfs_i_ino = at("inode", &[&["i_ino"]]);
    vfs_i_mode = at("inode", &[&["i_mode"]]);
    vfs_i_nlink = at("inode", &[&["i_nlink"]]);
    vfs_i_sb = at("inode", &[&["i_sb"]]);
    vfs_i_dentry = at("inode", &[&["i_dentry"]]);
    vfs_i_ino_size = Source::Size("inode", &["i_ino"]);

    dentry_d_parent = at("dentry", &[&["d_parent"]]);
    dentry_d_name_name = at("dentry", &[&["d_name", "name"]]);
    // The union d_u is anonymous in later kernels.
    dentry_d_alias = at("dentry", &[&["d_u", "d_alias"], &["d_alias"]]);

    rsv_size = at(RSV, &[&["size"]]);
    rsv_reserved = at(RSV, &[&["reserved"]]);
    rsv_type = at(RSV, &[&["type"]]);
    rsv_qgroup_rsv_size = at(RSV, &[&["qgroup_rsv_size"]]);
    rsv_qgroup_rsv_reserved = at(RSV, &[&["qgroup_rsv_reserved"]]);

    io_tree_owner = at("extent_io_tree", &[&["owner"]]);
    trans_join_mask = Source::Enumerator("__TRANS_JOIN");
    io_tree_inode_io = Source::Enumerator("IO_TREE_INODE_IO");

    root_objectid = at(ROOT, &[&["root_key", "objectid"]]);
    root_state = at(ROOT, &[&["state"]]);
    root_fs_info = at(ROOT, &[&["fs_info"]]);
    root_block_rsv = at(ROOT, &[&["block_rsv"]]);
    root_shareable_bit = Source::Enumerator("BTRFS_ROOT_SHAREABLE");

    fs_flags = at(FS, &[&["flags"]]);
    fs_fs_state = at(FS, &[&["fs_state"]]);
    fs_fs_error = at(FS, &[&["fs_error"]]);
    fs_fs_devices = at(FS, &[&["fs_devices"]]);
    fs_sb = at(FS, &[&["sb"]]);
    fs_nodesize = at(FS, &[&["nodesize"]]);
    fs_sectorsize = at(FS, &[&["sectorsize"]]);
    fs_generation = at(FS, &[&["generation"]]);
    fs_running_transaction = at(FS, &[&["running_transaction"]]);
    fs_global_block_rsv = at(FS, &[&["global_block_rsv"]]);
    fs_trans_block_rsv = at(FS, &[&["trans_block_rsv"]]);
    fs_chunk_block_rsv = at(FS, &[&["chunk_block_rsv"]]);
    fs_delayed_block_rsv = at(FS, &[&["delayed_block_rsv"]]);
    fs_delayed_refs_rsv = at(FS, &[&["delayed_refs_rsv"]]);
    fs_space_info = at(FS, &[&["space_info"]]);
    fs_quota_root = at(FS, &[&["quota_root"]]);
    fs_qgroup_flags = at(FS, &[&["qgroup_flags"]]);
    fs_quota_enabled_bit = Source::Enumerator("BTRFS_FS_QUOTA_ENABLED");
    fs_closing_start_bit = Source::Enumerator("BTRFS_FS_CLOSING_START");
    fs_closing_done_bit = Source::Enumerator("BTRFS_FS_CLOSING_DONE");
    fs_log_recovering_bit = Source::Enumerator("BTRFS_FS_LOG_RECOVERING");
    fs_state_error_bit = Source::Enumerator("BTRFS_FS_STATE_ERROR");
    fs_state_trans_aborted_bit = Source::Enumerator("BTRFS_FS_STATE_TRANS_ABORTED");
    fs_state_log_cleanup_error_bit = Source::Enumerator("BTRFS_FS_STATE_LOG_CLEANUP_ERROR");

    fs_devices_fsid = at("btrfs_fs_devices", &[&["fsid"]]);
    sb_s_dev = at("super_block", &[&["s_dev"]]);
    sb_s_id = at("super_block", &[&["s_id"]]);
    sb_s_fs_info = at("super_block", &[&["s_fs_info"]]);

    sinfo_fs_info = at(SINFO, &[&["fs_info"]]);
    sinfo_total_bytes = at(SINFO, &[&["total_bytes"]]);
    sinfo_bytes_used = at(SINFO, &[&["bytes_used"]]);
    sinfo_bytes_pinned = at(SINFO, &[&["bytes_pinned"]]);
    sinfo_bytes_reserved = at(SINFO, &[&["bytes_reserved"]]);
    sinfo_bytes_may_use = at(SINFO, &[&["bytes_may_use"]]);
    sinfo_flags = at(SINFO, &[&["flags"]]);
    sinfo_reclaim_size = at(SINFO, &[&["reclaim_size"]]);
    sinfo_list = at(SINFO, &[&["list"]]);

    trans_transid = at(TRANS, &[&["transid"]]);
    trans_block_rsv = at(TRANS, &[&["block_rsv"]]);
    trans_adding_csums = at(TRANS, &[&["adding_csums"]]);
    trans_type = at(TRANS, &[&["type"]]);
    trans_fs_info = at(TRANS, &[&["fs_info"]]);
    trans_transaction = at(TRANS, &[&["transaction"]]);
    transaction_state = at("btrfs_transaction", &[&["state"]]);
    transaction_transid = at("btrfs_transaction", &[&["transid"]]);
    transaction_fs_info = at("btrfs_transaction", &[&["fs_info"]]);
    trans_state_completed = Source::Enumerator("TRANS_STATE_COMPLETED");
    trans_state_unblocked = Source::Enumerator("TRANS_STATE_UNBLOCKED");

    qgroup_rsv_values = at("btrfs_qgroup", &[&["rsv", "values"]]);
    qgroup_qgroupid = at("btrfs_qgroup", &[&["qgroupid"]]);

    ffe_ctl_flags = at("find_free_extent_ctl", &[&["flags"]]);
    ffe_ctl_num_bytes = at("find_free_extent_ctl", &[&["num_bytes"]]);
    task_journal_info = at(TASK, &[&["journal_info"]]);
    task_pid = at(TASK, &[&["pid"]]);
    workqueue_fs_info = at("btrfs_workqueue", &[&["fs_info"]]);

    // In the order of the calling conventions.
    regs_arg0 = register(Some("di"), 0);
    regs_arg1 = register(Some("si"), 1);
    regs_arg2 = register(Some("dx"), 2);
    regs_arg3 = register(Some("cx"), 3);
    regs_arg4 = register(Some("r8"), 4);
    regs_arg5 = register(Some("r9"), 5);
    regs_sp = at("pt_regs", &[&["sp"]]);
    regs_ip = at("pt_regs", &[&["ip"], &["pc"]]);

    rsv_space_info = at(RSV, &[&["space_info"]]);
    // 6.1 has a struct with a lock of its own around the tree.
    inode_ordered = at(INODE, &[&["ordered_tree", "tree", "rb_node"], &["ordered_tree", "rb_node"]]);
    ordered_file_offset = at(ORDERED, &[&["file_offset"]]);
    ordered_num_bytes = at(ORDERED, &[&["num_bytes"]]);
    ordered_disk_num_bytes = at(ORDERED, &[&["disk_num_bytes"]]);
    ordered_flags = at(ORDERED, &[&["flags"]]);
    ordered_encoded_bit = Source::Enumerator("BTRFS_ORDERED_ENCODED");
    ordered_inode = at(ORDERED, &[&["inode"]]);
    state_start = at("extent_state", &[&["start"]]);
    state_end = at("extent_state", &[&["end"]]);
    state_state = at("extent_state", &[&["state"]]);
    extent_delalloc = Source::Enumerator("EXTENT_DELALLOC");
    extent_clear_meta_resv = Source::Enumerator("EXTENT_CLEAR_META_RESV");
    extent_noreserve = Source::Enumerator("EXTENT_NORESERVE");
    extent_qgroup_reserved = Source::Enumerator("EXTENT_QGROUP_RESERVED");
    extent_clear_data_resv = Source::Enumerator("EXTENT_CLEAR_DATA_RESV");
    changeset_bytes_changed = at("extent_changeset", &[&["bytes_changed"]]);
    trans_bytes_reserved = at(TRANS, &[&["bytes_reserved"]]);
    trans_delayed_rsv = at(TRANS, &[&["delayed_rsv"]]);
    ticket_bytes = at(TICKET, &[&["bytes"]]);
    node_inode_id = at("btrfs_delayed_node", &[&["inode_id"]]);
    node_bytes_reserved = at("btrfs_delayed_node", &[&["bytes_reserved"]]);
    node_root = at("btrfs_delayed_node", &[&["root"]]);
    fs_max_extent_size = at(FS, &[&["max_extent_size"]]);
    ref_head_num_bytes = at(REF_HEAD, &[&["num_bytes"]]);
    ref_head_total_ref_mod = at(REF_HEAD, &[&["total_ref_mod"]]);
    ref_head_is_data = at(REF_HEAD, &[&["is_data"]]);
    ref_head_must_insert_reserved = at(REF_HEAD, &[&["must_insert_reserved"]]);
    ref_head_owning_root = at(REF_HEAD, &[&["owning_root"]]);
    ref_head_reserved_bytes = at(REF_HEAD, &[&["reserved_bytes"]]);

    task_exit_code = at(TASK, &[&["exit_code"]]);
    binprm_filename = at("linux_binprm", &[&["filename"]]);

    mod_has_outstanding = Source::Argument {
        names: &["btrfs_inode_mod_outstanding_extents"],
        index: 3,
        yes: &["unsigned int"],
        no: &[""],
    };
    ffe_has_ctl = Source::Argument {
        names: &["btrfs_find_free_extent", "find_free_extent"],
        index: 1,
        yes: &["struct find_free_extent_ctl *"],
        no: &["u64"],
    };
    commit_has_handle = Source::Argument {
        names: &["btrfs_transaction_commit"],
        index: 0,
        yes: &["struct btrfs_trans_handle *"],
        no: &["struct btrfs_fs_info *"],
    };

    sinfo_priority_tickets = at(SINFO, &[&["priority_tickets"]]);
    sinfo_tickets = at(SINFO, &[&["tickets"]]);
    sinfo_flush = at(SINFO, &[&["flush"]]);
    ticket_error = at(TICKET, &[&["error"]]);
    ticket_steal = at(TICKET, &[&["steal"]]);
    ticket_list = at(TICKET, &[&["list"]]);
    ticket_wait_head = at(TICKET, &[&["wait", "head"]]);
    wait_private = at("wait_queue_entry", &[&["private"]]);
    wait_entry = at("wait_queue_entry", &[&["entry"]]);
    task_stack = at(TASK, &[&["stack"]]);
    task_tgid = at(TASK, &[&["tgid"]]);
    task_comm = at(TASK, &[&["comm"]]);
    task_flags = at(TASK, &[&["flags"]]);
    task_tasks = at(TASK, &[&["tasks"]]);
    task_group_leader = at(TASK, &[&["group_leader"]]);
    task_thread_node = at(TASK, &[&["thread_node"]]);
    task_signal = at(TASK, &[&["signal"]]);
    signal_thread_head = at("signal_struct", &[&["thread_head"]]);
    task_worker_private = at(TASK, &[&["worker_private"]]);
    kthread_data = at("kthread", &[&["data"]]);
    worker_current_work = at("worker", &[&["current_work"]]);
    fs_async_reclaim_work = at(FS, &[&["async_reclaim_work"]]);
    fs_async_data_reclaim_work = at(FS, &[&["async_data_reclaim_work"]]);
    fs_preempt_reclaim_work = at(FS, &[&["preempt_reclaim_work"]]);
    sinfo_bytes_readonly = at(SINFO, &[&["bytes_readonly"]]);
    sinfo_bytes_zone_unusable = at(SINFO, &[&["bytes_zone_unusable"]]);
    sinfo_full = at(SINFO, &[&["full"]]);
    sinfo_sub_group = at(SINFO, &[&["sub_group"]]);
    fs_avail_data_alloc_bits = at(FS, &[&["avail_data_alloc_bits"]]);
    fs_avail_metadata_alloc_bits = at(FS, &[&["avail_metadata_alloc_bits"]]);
    fs_avail_system_alloc_bits = at(FS, &[&["avail_system_alloc_bits"]]);
    fs_free_chunk_space = at(FS, &[&["free_chunk_space"]]);
    fs_treelog_rsv = at(FS, &[&["treelog_rsv"]]);
    fs_remap_block_rsv = at(FS, &[&["remap_block_rsv"]]);
    fs_qgroup_tree = at(FS, &[&["qgroup_tree"]]);
    fs_devices_alloc_list = at("btrfs_fs_devices", &[&["alloc_list"]]);
    fs_devices_rw_devices = at("btrfs_fs_devices", &[&["rw_devices"]]);
    device_dev_alloc_list = at(DEVICE, &[&["dev_alloc_list"]]);
    device_devid = at(DEVICE, &[&["devid"]]);
    device_total_bytes = at(DEVICE, &[&["total_bytes"]]);
    device_bytes_used = at(DEVICE, &[&["bytes_used"]]);
    device_dev_state = at(DEVICE, &[&["dev_state"]]);
    qgroup_rfer = at(QGROUP, &[&["rfer"]]);
    qgroup_excl = at(QGROUP, &[&["excl"]]);
    qgroup_lim_flags = at(QGROUP, &[&["lim_flags"]]);
    qgroup_max_rfer = at(QGROUP, &[&["max_rfer"]]);
    qgroup_max_excl = at(QGROUP, &[&["max_excl"]]);
    qgroup_groups = at(QGROUP, &[&["groups"]]);
    qgroup_node = at(QGROUP, &[&["node"]]);
    qgroup_list_next_group = at("btrfs_qgroup_list", &[&["next_group"]]);
    qgroup_list_group = at("btrfs_qgroup_list", &[&["group"]]);
    rb_left = at("rb_node", &[&["rb_left"]]);
    rb_right = at("rb_node", &[&["rb_right"]]);
    task_files = at("task_struct", &[&["files"]]);
    files_fdt = at("files_struct", &[&["fdt"]]);
    fdtable_fd = at("fdtable", &[&["fd"]]);
    fdtable_max_fds = at("fdtable", &[&["max_fds"]]);
    file_f_inode = at("file", &[&["f_inode"]]);
    sb_s_type = at("super_block", &[&["s_type"]]);
    sb_s_flags = at("super_block", &[&["s_flags"]]);
    sb_s_magic = at("super_block", &[&["s_magic"]]);
    sb_s_instances = at("super_block", &[&["s_instances"]]);
    fs_type_name = at("file_system_type", &[&["name"]]);
    fs_type_next = at("file_system_type", &[&["next"], &["list"]]);
    fs_type_list = at("file_system_type", &[&["list"]]);
    fs_type_fs_supers = at("file_system_type", &[&["fs_supers"]]);
    qgroup_data_has_btrfs_inode = Source::Argument {
        names: &["btrfs_qgroup_reserve_data"],
        index: 0,
        yes: &["struct btrfs_inode *"],
        no: &["struct inode *"],
    };
    block_group_fs_info = at("btrfs_block_group", &[&["fs_info"]]);
    block_group_flags = at("btrfs_block_group", &[&["flags"]]);
    reserve_extent_has_ctl = Source::Argument {
        names: &["btrfs_reserve_extent"],
        index: 1,
        yes: &["struct find_free_extent_ctl *"],
        no: &["u64"],
    };
    ffe_search_start = at("find_free_extent_ctl", &[&["search_start"]]);
    ffe_num_bytes = at("find_free_extent_ctl", &[&["num_bytes"]]);
    ordered_disk_bytenr = at(ORDERED, &[&["disk_bytenr"]]);
    ref_bytenr = at("btrfs_delayed_ref_node", &[&["bytenr"]]);
    ref_num_bytes = at("btrfs_delayed_ref_node", &[&["num_bytes"]]);
    regs_arg6 = register(None, 6);
    regs_arg7 = register(None, 7);
    regs_link = register(None, 30);
};

/// Prefix of `enum btrfs_rsv_type`.
pub(super) const RSV_TYPE_PREFIX: &str = "BTRFS_BLOCK_RSV_";

/// Whether a row or the map of rsv types needs this enumerator.
pub(super) fn enumerator_wanted(name: &str) -> bool {
    name.starts_with(RSV_TYPE_PREFIX)
        || ROWS.iter().any(|row| matches!(row.source, Source::Enumerator(wanted) if wanted == name))
}
