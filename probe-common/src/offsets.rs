//! Byte offsets and numbers of the running kernel, resolved from its BTF by the user side.

/// Marks an offset that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Kernel struct offsets in bytes, and numbers that differ between versions. `ABSENT` where a field does not exist.
///
/// Named `struct_field` after the kernel's own names.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// `struct btrfs_inode` . `root`
    pub inode_root: u32,
    /// . `io_tree`
    pub inode_io_tree: u32,
    /// . `outstanding_extents` (u32)
    pub inode_outstanding_extents: u32,
    /// . `runtime_flags` (unsigned long)
    pub inode_runtime_flags: u32,
    /// . `delalloc_bytes`
    pub inode_delalloc_bytes: u32,
    /// . `new_delalloc_bytes`
    pub inode_new_delalloc_bytes: u32,
    /// . `csum_bytes`
    pub inode_csum_bytes: u32,
    /// . `flags` (u32)
    pub inode_flags: u32,
    /// . `generation`
    pub inode_generation: u32,
    /// . `block_rsv`
    pub inode_block_rsv: u32,
    /// . `vfs_inode`
    pub inode_vfs_inode: u32,
    /// `BTRFS_INODE_FREE_SPACE_INODE`, a bit number in `runtime_flags`
    pub inode_free_space_bit: u32,

    /// `struct inode` . `i_ino`
    pub vfs_i_ino: u32,
    /// . `i_mode` (u16)
    pub vfs_i_mode: u32,
    /// . `i_nlink` (u32)
    pub vfs_i_nlink: u32,
    /// . `i_sb`
    pub vfs_i_sb: u32,
    /// . `i_dentry` (hlist_head)
    pub vfs_i_dentry: u32,
    /// Width of `i_ino` in bytes
    pub vfs_i_ino_size: u32,

    /// `struct dentry` . `d_parent`
    pub dentry_d_parent: u32,
    /// . `d_name` . `name`
    pub dentry_d_name_name: u32,
    /// . `d_u` . `d_alias` (hlist_node)
    pub dentry_d_alias: u32,

    /// `struct btrfs_block_rsv` . `size`
    pub rsv_size: u32,
    /// . `reserved`
    pub rsv_reserved: u32,
    /// . `type`: byte offset of the 8-bit bitfield
    pub rsv_type: u32,
    /// . `qgroup_rsv_size`
    pub rsv_qgroup_rsv_size: u32,
    /// . `qgroup_rsv_reserved`
    pub rsv_qgroup_rsv_reserved: u32,
    /// The kernel's `enum btrfs_rsv_type` (index) to [`crate::claim::RsvType`] (value)
    pub rsv_type_map: [u8; 16],

    /// `struct extent_io_tree` . `owner` (u8)
    pub io_tree_owner: u32,
    /// `IO_TREE_INODE_IO`
    pub io_tree_inode_io: u32,

    /// `struct btrfs_root` . `root_key` . `objectid`
    pub root_objectid: u32,
    /// . `state` (unsigned long)
    pub root_state: u32,
    /// . `fs_info`
    pub root_fs_info: u32,
    /// . `block_rsv`
    pub root_block_rsv: u32,
    /// `BTRFS_ROOT_SHAREABLE`, a bit number in `state`
    pub root_shareable_bit: u32,

    /// `struct btrfs_fs_info` . `flags`
    pub fs_flags: u32,
    /// . `fs_state`
    pub fs_fs_state: u32,
    /// . `fs_error` (int); 6.1 has none
    pub fs_fs_error: u32,
    /// . `fs_devices`
    pub fs_fs_devices: u32,
    /// . `sb`
    pub fs_sb: u32,
    /// . `nodesize` (u32)
    pub fs_nodesize: u32,
    /// . `sectorsize` (u32)
    pub fs_sectorsize: u32,
    /// . `generation`
    pub fs_generation: u32,
    /// . `running_transaction`
    pub fs_running_transaction: u32,
    /// . `global_block_rsv`
    pub fs_global_block_rsv: u32,
    /// . `trans_block_rsv`
    pub fs_trans_block_rsv: u32,
    /// . `chunk_block_rsv`
    pub fs_chunk_block_rsv: u32,
    /// . `delayed_block_rsv`
    pub fs_delayed_block_rsv: u32,
    /// . `delayed_refs_rsv`
    pub fs_delayed_refs_rsv: u32,
    /// . `space_info` (list_head)
    pub fs_space_info: u32,
    /// . `quota_root`: NULL while quotas are off
    pub fs_quota_root: u32,
    /// . `qgroup_flags`
    pub fs_qgroup_flags: u32,
    /// `BTRFS_FS_QUOTA_ENABLED`, a bit number in `flags`
    pub fs_quota_enabled_bit: u32,
    /// `BTRFS_FS_CLOSING_START`, a bit number in `flags`
    pub fs_closing_start_bit: u32,
    /// `BTRFS_FS_CLOSING_DONE`, a bit number in `flags`
    pub fs_closing_done_bit: u32,
    /// `BTRFS_FS_LOG_RECOVERING`, a bit number in `flags`
    pub fs_log_recovering_bit: u32,
    /// `BTRFS_FS_STATE_ERROR`, a bit number in `fs_state`
    pub fs_state_error_bit: u32,
    /// `BTRFS_FS_STATE_TRANS_ABORTED`, a bit number in `fs_state`
    pub fs_state_trans_aborted_bit: u32,
    /// `BTRFS_FS_STATE_LOG_CLEANUP_ERROR`, a bit number in `fs_state`
    pub fs_state_log_cleanup_error_bit: u32,

    /// `struct btrfs_fs_devices` . `fsid`
    pub fs_devices_fsid: u32,
    /// `struct super_block` . `s_dev` (u32)
    pub sb_s_dev: u32,
    /// . `s_id`
    pub sb_s_id: u32,
    /// . `s_fs_info`
    pub sb_s_fs_info: u32,

    /// `struct btrfs_space_info` . `fs_info`
    pub sinfo_fs_info: u32,
    /// . `total_bytes`
    pub sinfo_total_bytes: u32,
    /// . `bytes_used`
    pub sinfo_bytes_used: u32,
    /// . `bytes_pinned`
    pub sinfo_bytes_pinned: u32,
    /// . `bytes_reserved`
    pub sinfo_bytes_reserved: u32,
    /// . `bytes_may_use`
    pub sinfo_bytes_may_use: u32,
    /// . `flags`
    pub sinfo_flags: u32,
    /// . `reclaim_size`: bytes of all tickets
    pub sinfo_reclaim_size: u32,
    /// . `list` (list_head)
    pub sinfo_list: u32,

    /// `struct btrfs_trans_handle` . `transid`
    pub trans_transid: u32,
    /// . `block_rsv`
    pub trans_block_rsv: u32,
    /// . `adding_csums` (bool)
    pub trans_adding_csums: u32,
    /// . `type` (unsigned int)
    pub trans_type: u32,
    /// `__TRANS_JOIN`, a mask of `type`; a macro on 6.1 (`1 << 11`), which BTF does not show
    pub trans_join_mask: u32,
    /// . `fs_info`
    pub trans_fs_info: u32,
    /// . `transaction`
    pub trans_transaction: u32,
    /// `struct btrfs_transaction` . `state` (enum)
    pub transaction_state: u32,
    /// . `transid`
    pub transaction_transid: u32,
    /// . `fs_info`
    pub transaction_fs_info: u32,
    /// `TRANS_STATE_COMPLETED`
    pub trans_state_completed: u32,
    /// `TRANS_STATE_UNBLOCKED`
    pub trans_state_unblocked: u32,

    /// `struct btrfs_qgroup` . `rsv` . `values`
    pub qgroup_rsv_values: u32,
    /// . `qgroupid`
    pub qgroup_qgroupid: u32,

    /// `struct find_free_extent_ctl` . `flags`
    pub ffe_ctl_flags: u32,
    /// . `num_bytes`
    pub ffe_ctl_num_bytes: u32,
    /// `struct task_struct` . `journal_info`
    pub task_journal_info: u32,
    /// . `pid`
    pub task_pid: u32,
    /// `struct btrfs_workqueue` . `fs_info` where `btrfs_workqueue_alloc` hands out the workqueue
    pub workqueue_fs_info: u32,

    /// Offset of the first counter of a `struct btrfs_inode` that is read: see [`Offsets::with_spans`]
    pub inode_span: u32,
    /// Bytes from there to the end of the last counter; `ABSENT` if the counters lie too far apart for one read
    pub inode_span_len: u32,
    /// Offset of the first field of a `struct btrfs_trans_handle` that is read
    pub trans_span: u32,
    /// Bytes from there to the end of the last field; `ABSENT` if the fields lie too far apart for one read
    pub trans_span_len: u32,
    /// First byte of what [`Offsets::with_spans`] found to hold `reserved` of the filesystem's block_rsvs.
    pub pools_span: u32,
    /// Its length.
    pub pools_span_len: u32,

    /// `struct pt_regs`: the first argument of a function; on arm64 its return value too
    pub regs_arg0: u32,
    /// The second
    pub regs_arg1: u32,
    /// The third
    pub regs_arg2: u32,
    /// The fourth
    pub regs_arg3: u32,
    /// The fifth
    pub regs_arg4: u32,
    /// The sixth
    pub regs_arg5: u32,
    /// The stack pointer
    pub regs_sp: u32,
    /// The instruction pointer
    pub regs_ip: u32,
    /// `struct btrfs_block_rsv` . `space_info`
    pub rsv_space_info: u32,
    /// `struct btrfs_inode` . `ordered_tree`'s rb_node: NULL if there is no ordered extent
    pub inode_ordered: u32,
    /// `struct btrfs_ordered_extent` . `file_offset`
    pub ordered_file_offset: u32,
    /// . `num_bytes`
    pub ordered_num_bytes: u32,
    /// . `disk_num_bytes`
    pub ordered_disk_num_bytes: u32,
    /// . `flags` (unsigned long)
    pub ordered_flags: u32,
    /// `BTRFS_ORDERED_ENCODED`, a bit of `flags`
    pub ordered_encoded_bit: u32,
    /// . `inode`: a `struct btrfs_inode *`, in 6.1 a `struct inode *`
    pub ordered_inode: u32,
    /// `struct extent_state` . `start`
    pub state_start: u32,
    /// . `end`
    pub state_end: u32,
    /// . `state` (u32)
    pub state_state: u32,
    /// `EXTENT_DELALLOC`, a mask of `state`; a macro on 6.1, which BTF does not show, as the four after it
    pub extent_delalloc: u32,
    /// `EXTENT_CLEAR_META_RESV`
    pub extent_clear_meta_resv: u32,
    /// `EXTENT_NORESERVE`
    pub extent_noreserve: u32,
    /// `EXTENT_QGROUP_RESERVED`
    pub extent_qgroup_reserved: u32,
    /// `EXTENT_CLEAR_DATA_RESV`
    pub extent_clear_data_resv: u32,
    /// `struct extent_changeset` . `bytes_changed`
    pub changeset_bytes_changed: u32,
    /// `struct btrfs_trans_handle` . `bytes_reserved`
    pub trans_bytes_reserved: u32,
    /// . `delayed_rsv`; 6.1 has none
    pub trans_delayed_rsv: u32,
    /// `struct reserve_ticket` . `bytes`
    pub ticket_bytes: u32,
    /// `struct btrfs_delayed_node` . `inode_id`
    pub node_inode_id: u32,
    /// . `bytes_reserved`
    pub node_bytes_reserved: u32,
    /// . `root`
    pub node_root: u32,
    /// `struct btrfs_fs_info` . `max_extent_size`
    pub fs_max_extent_size: u32,
    /// `struct btrfs_delayed_ref_head` . `num_bytes`
    pub ref_head_num_bytes: u32,
    /// . `total_ref_mod` (int)
    pub ref_head_total_ref_mod: u32,
    /// . `is_data` (bool); a bit of a byte on 6.1
    pub ref_head_is_data: u32,
    /// . `must_insert_reserved` (bool, or a bit of a byte where `is_data` is one)
    pub ref_head_must_insert_reserved: u32,
    /// . `owning_root`, 6.7 on
    pub ref_head_owning_root: u32,
    /// . `reserved_bytes`, 6.7 on
    pub ref_head_reserved_bytes: u32,

    /// `struct task_struct` . `exit_code` (int)
    pub task_exit_code: u32,
    /// `struct linux_binprm` . `filename` (char *)
    pub binprm_filename: u32,

    /// 1 if `btrfs_inode_mod_outstanding_extents` carries the counter (6.12 on)
    pub mod_has_outstanding: u32,
    /// 1 if `find_free_extent` passes a `struct find_free_extent_ctl` (6.12 on), 0 if it passes numbers
    pub ffe_has_ctl: u32,
    /// 1 if `btrfs_transaction_commit` passes the handle (7.3), 0 if it passes the fs_info
    pub commit_has_handle: u32,

    /// `struct btrfs_space_info` . `priority_tickets` (list_head)
    pub sinfo_priority_tickets: u32,
    /// . `tickets` (list_head)
    pub sinfo_tickets: u32,
    /// `struct btrfs_space_info` . `flush` (bool)
    pub sinfo_flush: u32,
    /// `struct reserve_ticket` . `error` (int)
    pub ticket_error: u32,
    /// . `steal` (bool)
    pub ticket_steal: u32,
    /// . `list` (list_head)
    pub ticket_list: u32,
    /// . `wait` . `head` (list_head)
    pub ticket_wait_head: u32,
    /// `struct wait_queue_entry` . `private`: the task
    pub wait_private: u32,
    /// . `entry` (list_head)
    pub wait_entry: u32,
    /// `struct task_struct` . `stack`: lowest address of its kernel stack
    pub task_stack: u32,
    /// . `tgid`
    pub task_tgid: u32,
    /// . `comm`
    pub task_comm: u32,
    /// . `flags`
    pub task_flags: u32,
    /// . `tasks` (list_head of all thread group leaders)
    pub task_tasks: u32,
    /// . `group_leader`
    pub task_group_leader: u32,
    /// . `thread_node` (list_head of a thread group)
    pub task_thread_node: u32,
    /// . `signal`
    pub task_signal: u32,
    /// `struct signal_struct` . `thread_head`
    pub signal_thread_head: u32,
    /// `struct task_struct` . `worker_private`: the `struct kthread` of a kernel thread
    pub task_worker_private: u32,
    /// `struct kthread` . `data`: the `struct worker` of a worker
    pub kthread_data: u32,
    /// `struct worker` . `current_work`
    pub worker_current_work: u32,
    /// `struct btrfs_fs_info` . `async_reclaim_work`
    pub fs_async_reclaim_work: u32,
    /// . `async_data_reclaim_work`
    pub fs_async_data_reclaim_work: u32,
    /// . `preempt_reclaim_work`
    pub fs_preempt_reclaim_work: u32,
    /// `struct btrfs_space_info` . `bytes_readonly`
    pub sinfo_bytes_readonly: u32,
    /// . `bytes_zone_unusable`
    pub sinfo_bytes_zone_unusable: u32,
    /// . `full`: a bool, or the lowest bit of its byte
    pub sinfo_full: u32,
    /// . `sub_group` (pointers), 6.16 on
    pub sinfo_sub_group: u32,
    /// `struct btrfs_fs_info` . `avail_data_alloc_bits`
    pub fs_avail_data_alloc_bits: u32,
    /// . `avail_metadata_alloc_bits`
    pub fs_avail_metadata_alloc_bits: u32,
    /// . `avail_system_alloc_bits`
    pub fs_avail_system_alloc_bits: u32,
    /// . `free_chunk_space` (atomic64_t)
    pub fs_free_chunk_space: u32,
    /// . `treelog_rsv`, 6.16 on
    pub fs_treelog_rsv: u32,
    /// . `remap_block_rsv`, 7.3 on
    pub fs_remap_block_rsv: u32,
    /// . `qgroup_tree` . `rb_node`
    pub fs_qgroup_tree: u32,
    /// `struct btrfs_fs_devices` . `alloc_list` (list_head)
    pub fs_devices_alloc_list: u32,
    /// . `rw_devices`
    pub fs_devices_rw_devices: u32,
    /// `struct btrfs_device` . `dev_alloc_list` (list_head)
    pub device_dev_alloc_list: u32,
    /// . `devid`
    pub device_devid: u32,
    /// . `total_bytes`
    pub device_total_bytes: u32,
    /// . `bytes_used`
    pub device_bytes_used: u32,
    /// . `dev_state` (unsigned long)
    pub device_dev_state: u32,
    /// `struct btrfs_qgroup` . `rfer`
    pub qgroup_rfer: u32,
    /// . `excl`
    pub qgroup_excl: u32,
    /// . `lim_flags`
    pub qgroup_lim_flags: u32,
    /// . `max_rfer`
    pub qgroup_max_rfer: u32,
    /// . `max_excl`
    pub qgroup_max_excl: u32,
    /// . `groups` (list_head)
    pub qgroup_groups: u32,
    /// . `node` (rb_node)
    pub qgroup_node: u32,
    /// `struct btrfs_qgroup_list` . `next_group` (list_head)
    pub qgroup_list_next_group: u32,
    /// . `group`
    pub qgroup_list_group: u32,
    /// `struct rb_node` . `rb_left`
    pub rb_left: u32,
    /// . `rb_right`
    pub rb_right: u32,
    /// `struct task_struct` . `files`
    pub task_files: u32,
    /// `struct files_struct` . `fdt`
    pub files_fdt: u32,
    /// `struct fdtable` . `fd`
    pub fdtable_fd: u32,
    /// . `max_fds`
    pub fdtable_max_fds: u32,
    /// `struct file` . `f_inode`
    pub file_f_inode: u32,
    /// `struct super_block` . `s_type`
    pub sb_s_type: u32,
    /// . `s_flags` (unsigned long)
    pub sb_s_flags: u32,
    /// . `s_magic` (unsigned long)
    pub sb_s_magic: u32,
    /// . `s_instances` (hlist_node)
    pub sb_s_instances: u32,
    /// `struct file_system_type` . `name`
    pub fs_type_name: u32,
    /// . `next`: the next one, or where there is a `list`, its `list`
    pub fs_type_next: u32,
    /// . `list` (hlist_node), 7.3 on
    pub fs_type_list: u32,
    /// . `fs_supers` (hlist_head)
    pub fs_type_fs_supers: u32,
    /// 1 if `btrfs_qgroup_reserve_data` passes the `struct btrfs_inode`, 0 if it passes the `struct inode`
    pub qgroup_data_has_btrfs_inode: u32,
    /// `struct btrfs_block_group` . `fs_info`
    pub block_group_fs_info: u32,
    /// . `flags` (u64)
    pub block_group_flags: u32,
    /// 1 if `btrfs_reserve_extent` passes a `struct find_free_extent_ctl`, 0 if it passes start and length
    pub reserve_extent_has_ctl: u32,
    /// `struct find_free_extent_ctl` . `search_start`
    pub ffe_search_start: u32,
    /// . `num_bytes`
    pub ffe_num_bytes: u32,
    /// `struct btrfs_ordered_extent` . `disk_bytenr`
    pub ordered_disk_bytenr: u32,
    /// `struct btrfs_delayed_ref_node` . `bytenr`
    pub ref_bytenr: u32,
    /// . `num_bytes`
    pub ref_num_bytes: u32,
    /// `struct pt_regs`: the seventh argument of a function; on the stack on x86-64
    pub regs_arg6: u32,
    /// The eighth; on the stack on x86-64
    pub regs_arg7: u32,
    /// The link register, with the return address at the entry of a function; on the stack on x86-64
    pub regs_link: u32,
}

/// Most bytes that one read of neighbouring fields may take; they lie on a BPF program's stack of 512 bytes.
pub const MAX_SPAN: u32 = 176;
/// The same for the block_rsvs of a filesystem.
pub const MAX_POOLS_SPAN: u32 = 256;

impl Offsets {
    /// Fills in the spans. Fields that are read together lie close to each other in all kernels so far, and one read of all
    /// of them costs as much as a read of one.
    #[must_use]
    pub const fn with_spans(mut self) -> Self {
        let rsv = self.inode_block_rsv;
        let counters = [
            (self.inode_outstanding_extents, 4),
            (self.inode_delalloc_bytes, 8),
            (self.inode_csum_bytes, 8),
            (sum(rsv, self.rsv_size), 8),
            (sum(rsv, self.rsv_reserved), 8),
        ];
        (self.inode_span, self.inode_span_len) = span(&counters, MAX_SPAN);
        let handle = [
            (self.trans_block_rsv, 8),
            (self.trans_type, 4),
            (self.trans_fs_info, 8),
            (self.trans_adding_csums, 1),
        ];
        (self.trans_span, self.trans_span_len) = span(&handle, MAX_SPAN);
        let reserved = self.rsv_reserved;
        let pools = [
            (sum(self.fs_global_block_rsv, reserved), 8),
            (sum(self.fs_trans_block_rsv, reserved), 8),
            (sum(self.fs_delayed_block_rsv, reserved), 8),
            (sum(self.fs_delayed_refs_rsv, reserved), 8),
        ];
        (self.pools_span, self.pools_span_len) = span(&pools, MAX_POOLS_SPAN);
        self
    }

    /// Nothing is known.
    pub const UNKNOWN: Self = {
        // SAFETY: every field is a plain integer; all-ones is a valid value of each, and equal to ABSENT.
        unsafe { core::mem::transmute([0xffu8; size_of::<Self>()]) }
    };
}

const fn sum(base: u32, field: u32) -> u32 {
    if base == ABSENT || field == ABSENT { ABSENT } else { base + field }
}

/// Offset and length of the bytes that contain all fields; each field is given as (offset, size).
const fn span(fields: &[(u32, u32)], most: u32) -> (u32, u32) {
    let (mut begin, mut end, mut index) = (u32::MAX, 0, 0);
    while index < fields.len() {
        let (offset, size) = fields[index];
        if offset == ABSENT {
            return (ABSENT, ABSENT);
        }
        if offset < begin {
            begin = offset;
        }
        if offset + size > end {
            end = offset + size;
        }
        index += 1;
    }
    // Whole words from an aligned offset.
    begin &= !7;
    let len = (end - begin + 7) & !7;
    if len > most { (ABSENT, ABSENT) } else { (begin, len) }
}
