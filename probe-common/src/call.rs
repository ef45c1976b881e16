//! Calls of kernel functions: the records of the functions tier.
//!
//! The kernel side sends one record per hooked call, when the call returns. Calls nest: a record has its own `serial` and
//! the serial of its `parent`, so the stream shows inner calls before the call around them. The amounts of a call exclude
//! those of the hooked calls inside it, so a sum over the tree counts everything once.
use crate::{header::Header, inode::Counters};

/// `Call::flags`: the return was seen; `ret`, `after` and the amounts are those of the whole call.
pub const CALL_RETURNED: u32 = 1;
/// `Call::flags`: the inode is known: `root`, `ino`, `address`.
pub const CALL_INODE: u32 = 2;
/// `Call::flags`: the block_rsv is known: `rsv`, `rsv_type`; `before` and `after` show its size and reserved bytes.
pub const CALL_RSV: u32 = 4;
/// `Call::flags`: the task also changed the counters of another inode in this call; the amounts do not contain that. Of a call
/// for a root: it changed the prealloc of another subvolume's qgroup.
pub const CALL_FOREIGN: u32 = 8;
/// `Call::flags`: an inner or outer call of this call was not followed: nested too deep, or its return was missed.
pub const CALL_TREE_TORN: u32 = 16;
/// `Call::flags`: the inode is a free-space-cache inode, or belongs to the data relocation tree.
pub const CALL_SPECIAL_INODE: u32 = 32;
/// `Call::flags`: the inode has no checksums (`BTRFS_INODE_NODATASUM`), so `csum_bytes` does not move.
pub const CALL_NODATASUM: u32 = 64;
/// `Call::flags`: no call. `csum_bytes` had changed under `inode->lock` outside of all hooked calls.
pub const CALL_UNFRAMED: u32 = 128;
/// `Call::flags`: the inode had an ordered extent when the call returned.
pub const CALL_ORDERED: u32 = 256;
/// `Call::flags`: `fs_info` is aborted or shows an error.
pub const CALL_FS_ERROR: u32 = 512;

/// `Call::flags`: quotas were on at the entry and at the return, and no filter leaves out calls for them. Only for calls that
/// change reservations of qgroups.
pub const CALL_QUOTAS: u32 = 1024;
/// `Call::flags`: the filesystem is being unmounted (`BTRFS_FS_CLOSING_START`). Only for the end of a qgroup.
pub const CALL_CLOSING: u32 = 2048;

/// `Call::flags`: the ordered extent is encoded (`BTRFS_ORDERED_ENCODED`). Only for its removal.
pub const CALL_ENCODED: u32 = 4096;
/// `Call::flags`: the ordered extent is not encoded. Only for its removal; older records have neither of the two.
pub const CALL_NOT_ENCODED: u32 = 8192;
/// `Call::flags`: `BTRFS_FS_QUOTA_ENABLED` was set at the entry and at the return: changes of qgroups' reservations take effect.
/// Known for the same calls as [`CALL_QUOTAS`].
pub const CALL_QUOTAS_ENABLED: u32 = 16384;
/// `Call::flags`: quotas are simple quotas, or it is not known what they are. Known for the same calls as [`CALL_QUOTAS`].
pub const CALL_QUOTAS_SIMPLE: u32 = 32768;

/// `Call::flags`: no call. The last `btrfs_calculate_inode_block_rsv_size` has set a size below what `before` shows it to be
/// for: `args[0]`.
pub const CALL_SIZE_TOO_SMALL: u32 = 65536;

/// `Call::flags`: in this call, `bytes_may_use` of metadata and the block_rsvs have changed as they must together.
pub const CALL_BALANCED: u32 = 131_072;
/// `Call::flags`: no call. In the call `serial`, which is about to return, `bytes_may_use` of metadata has changed by `ret` bytes more
/// than the block_rsvs, beyond what the function itself takes from them or adds to them. Of `btrfs_trans_release_metadata`: `ret` bytes
/// that the task had taken for tree blocks were neither allocated nor put back.
pub const CALL_UNBALANCED: u32 = 262_144;

/// `args[3]` of `btrfs_set_delalloc_extent` and `btrfs_clear_delalloc_extent`: the state's bits are known.
pub const STATE_KNOWN: u64 = 1;
/// As above: `EXTENT_DELALLOC`
pub const STATE_DELALLOC: u64 = 2;
/// As above: `EXTENT_NORESERVE`
pub const STATE_NORESERVE: u64 = 4;
/// `args[1]` of `btrfs_cleanup_ref_head_accounting`: the two below are known, and so are `args[2]` and the subvolume.
pub const HEAD_KNOWN: u64 = 1;
/// As above: data of its extent is dropped, so its checksums are to be deleted (`total_ref_mod` below 0).
pub const HEAD_DROPS_DATA: u64 = 2;
/// As above: a new extent of data that was never inserted (`must_insert_reserved`).
pub const HEAD_UNUSED_DATA: u64 = 4;
/// In place of a number of bytes that the function did not keep.
pub const BYTES_UNKNOWN: u64 = u64::MAX;

/// `args[3]` of functions that change block_rsvs, other than `btrfs_block_rsv_migrate`: `args[2]` is known. Recordings made before
/// have 0 there.
pub const MOVED_KNOWN: u64 = 1;
/// As above: the block_rsv belongs to the filesystem (`trans_block_rsv`, `delayed_block_rsv`, `delayed_refs_rsv`,
/// `global_block_rsv`), not to a handle, an inode or a task.
pub const MOVED_OF_FS: u64 = 2;
/// As above: the call around it ends a holder of `delayed_refs_rsv`, and needs this one to be judged.
pub const MOVED_BY_END: u64 = 4;

/// Most hooked calls of one task that are followed inside each other.
pub const MAX_DEPTH: u32 = 8;

/// One call of a hooked function; the header's `hook` says which.
///
/// Meaning of `args` per function, by the kernel's parameter names; 0 where a kernel version has no such parameter:
///
/// | function | args 0, 1, 2, 3 | ret |
/// |---|---|---|
/// | `btrfs_delalloc_reserve_metadata` | num_bytes, disk_num_bytes, noflush | errno |
/// | `btrfs_delalloc_release_metadata` | num_bytes, qgroup_free | |
/// | `btrfs_delalloc_release_extents` | num_bytes | |
/// | `btrfs_delalloc_shrink_extents` | reserved_len, new_len | |
/// | `btrfs_inode_rsv_release` | qgroup_free | |
/// | `btrfs_delalloc_reserve_space` | start, len | errno |
/// | `btrfs_delalloc_release_space` | start, len, qgroup_free | |
/// | `btrfs_check_data_free_space` | start, len, noflush | errno |
/// | `btrfs_alloc_data_chunk_ondemand` | bytes | errno |
/// | `btrfs_free_reserved_data_space` | start, len | |
/// | `btrfs_free_reserved_data_space_noquota` | len | |
/// | `btrfs_block_rsv_add`, `_refill` | bytes or target, flush | errno |
/// | `btrfs_block_rsv_add_bytes` | bytes, update_size, 0, `MOVED_*` | |
/// | `btrfs_block_rsv_release` | bytes (`u64::MAX`: all), bytes of the rsv's qgroup half to release, bytes that left `bytes_may_use`, `MOVED_*` | bytes that left the rsv |
/// | `btrfs_block_rsv_migrate` | destination rsv, bytes, update_size, destination's [`crate::claim::RsvType`] | errno |
/// | `btrfs_delayed_refs_rsv_refill` | flush, 0, bytes that `delayed_refs_rsv` got, `MOVED_*` | errno |
/// | `btrfs_migrate_to_delayed_refs_rsv` | num_bytes, 0, bytes that `delayed_refs_rsv` got, `MOVED_*` | |
/// | `btrfs_use_block_rsv` | root objectid, blocksize | address of the rsv that paid, or an error pointer |
/// | `btrfs_set_delalloc_extent`, `btrfs_clear_delalloc_extent` | state start, state end, bits, `STATE_*` | |
/// | `btrfs_remove_ordered_extent` | file_offset, num_bytes, disk_num_bytes, flags | |
/// | `btrfs_destroy_inode` | | |
/// | `btrfs_trans_release_metadata`, `__btrfs_end_transaction` | handle, `bytes_reserved` before, and after (the former: and what is in its own `delayed_rsv` then) | errno |
/// | `steal_from_global_rsv` | bytes of the ticket | bool |
/// | `btrfs_update_global_block_rsv` | 0, 0, bytes that left `bytes_may_use`, `MOVED_*` | |
/// | `btrfs_delayed_inode_release_metadata` | inode number of the node, bytes_reserved before | |
/// | `btrfs_delayed_item_release_metadata` | bytes_reserved before | |
/// | `btrfs_qgroup_free_data`, `btrfs_qgroup_release_data` | start, len | bytes or errno |
/// | `btrfs_qgroup_reserve_data` | start, len | errno |
/// | `btrfs_qgroup_reserve_meta` | num_bytes, type (`enum btrfs_qgroup_rsv_type`) | errno |
/// | `__btrfs_qgroup_free_meta` | num_bytes, type | |
/// | `btrfs_qgroup_convert_reserved_meta` | num_bytes | |
/// | `start_transaction` | num_items, type, flush | errno, or 0 for a handle |
/// | `btrfs_delayed_update_inode` | | errno |
/// | `btrfs_sysfs_del_one_qgroup` | qgroupid, its reserved bytes of data, pertrans, prealloc | |
/// | `btrfs_qgroup_free_refroot` | ref_root, num_bytes, type, hook of the call around it | |
/// | `btrfs_alloc_reserved_file_extent` | owner (inode number), offset, ram_bytes (bytes reserved in the qgroup) | |
/// | `btrfs_qgroup_account_extents` | | errno |
/// | `btrfs_qgroup_free_meta_all_pertrans` | | |
/// | `btrfs_commit_device_sizes` | transid, `size` and `reserved` of `delayed_block_rsv`, `bytes_reserved` of metadata ([`BYTES_UNKNOWN`]: of mixed block groups, or the log was not freed); `delayed_refs_rsv` is in `before` | |
/// | `btrfs_merge_delalloc_extent`, `btrfs_split_delalloc_extent` | bytes of one part, and of the other, and what the call must add to `outstanding_extents` (i64) | |
/// | `btrfs_cleanup_ref_head_accounting` | num_bytes, `HEAD_*`, `reserved_bytes`; `root` is its `owning_root` | bytes of checksums that it released, where it returns them |
/// | `btrfs_dec_delayed_refs_rsv_bg_updates`, `_inserts` | | |
/// | `btrfs_finish_extent_commit` | by how much `bytes_may_use` rose more than the block_rsvs (i64), and how many unpinned ranges were compared | |
/// | `btrfs_set_record_extent_bits`, `btrfs_clear_record_extent_bits` | start, end, bits, bytes changed ([`BYTES_UNKNOWN`]: not recorded) | errno |
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Call {
    /// Header.
    pub header: Header,
    /// Number of this call within its thread, wrapping; never 0.
    pub serial: u32,
    /// `serial` of the hooked call around this one; 0 if there is none.
    pub parent: u32,
    /// `CALL_*`
    pub flags: u32,
    /// [`crate::claim::RsvType`] of `rsv`, in our numbering.
    pub rsv_type: u32,
    /// Address of the `struct btrfs_inode`; 0 if none.
    pub address: u64,
    /// Subvolume (root objectid).
    pub root: u64,
    /// Inode number.
    pub ino: u64,
    /// Address of the `struct btrfs_block_rsv`; 0 if none.
    pub rsv: u64,
    /// See the table.
    pub args: [u64; 4],
    /// What the function returned, sign-extended where it is an `int`.
    pub ret: i64,
    /// The counters when the call began: the inode's, or `size` and `reserved` of `rsv`.
    pub before: Counters,
    /// The counters when the call returned.
    pub after: Counters,
    /// Change of the inode's `outstanding_extents` by this task in this call (`btrfs_inode_mod_outstanding_extents` events).
    pub extents: i32,
    /// Times that `btrfs_calculate_inode_block_rsv_size` ran for the inode in this call.
    pub calculations: u32,
    /// Change of the inode's `csum_bytes` in this call in bytes, as seen under `inode->lock`.
    pub csum_bytes: i64,
    /// Change of `bytes_may_use` of the data space_info by this task in this call, bytes.
    pub data: i64,
    /// Change of `bytes_may_use` of the metadata space_info by this task in this call, bytes. Excludes tickets that other
    /// tasks granted.
    pub metadata: i64,
    /// Change of `BTRFS_QGROUP_RSV_DATA` of level-0 qgroups by this task in this call, bytes.
    /// `btrfs_qgroup_reserve_data`: what was added only, since it may commit the transaction, which frees.
    /// `btrfs_qgroup_convert_reserved_meta`, `btrfs_qgroup_free_meta_all_pertrans`: of `BTRFS_QGROUP_RSV_META_PERTRANS` instead.
    pub qgroup_data: i64,
    /// Changes of the inode's counters by other tasks while this call ran.
    pub others: u32,
    /// How many of `others` were releases (`outstanding_extents` or `csum_bytes` went down).
    pub others_released: u32,
    /// `CLOCK_MONOTONIC` ns when the call began; coarse like the header's time.
    pub entered: u64,
    /// Return address: where the function was called from.
    pub caller: u64,
    /// Stack id; 0 if none was taken, or if [`Self::stack_representative`] is one.
    pub stack: u64,
    /// 0: `stack` is of this very call. 1: it is of an earlier call of the same context. Else the id of the stack of such a call.
    pub stack_representative: u64,
}
