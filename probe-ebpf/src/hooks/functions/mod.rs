//! The functions tier: for each function a kprobe and a kretprobe program, and a fentry and a fexit program. The user side
//! attaches one of the two pairs.
//!
//! The entry makes a frame; the return completes it and sends it: one record per call. In between, other hooks of the
//! thread add to the innermost frame ([`count`]). BTF gives the positions of the arguments (`globals::SIGNATURES`).
//!
//! It never guesses an argument, never pairs a return by order alone, and never follows what a filter leaves out.
mod calculate;
mod context;
pub mod count;
mod enter;
mod leave;
mod origin;
mod pools;
mod send;
mod subject;

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, fexit, kprobe, kretprobe},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use probe_common::hook::HookId;

pub use self::{context::Entry, pools::pools_unpinned};
use self::{context::Traced, enter::enter, leave::leave};

/// Programs for a function that is watched at entry and return.
macro_rules! call {
    ($($entry:ident $return:ident $fentry:ident $fexit:ident $hook:ident;)*) => {$(
        #[doc = concat!("Entry, see [`HookId::", stringify!($hook), "`].")]
        #[kprobe]
        pub fn $entry(ctx: ProbeContext) -> u32 {
            enter::<ProbeContext>(ctx.as_ptr(), HookId::$hook);
            0
        }
        #[doc = concat!("Return, see [`HookId::", stringify!($hook), "`].")]
        #[kretprobe]
        pub fn $return(ctx: RetProbeContext) -> u32 {
            leave::<RetProbeContext>(ctx.as_ptr(), HookId::$hook);
            0
        }
        #[doc = concat!("Entry by fentry, see [`HookId::", stringify!($hook), "`].")]
        #[fentry]
        pub fn $fentry(ctx: FEntryContext) -> i32 {
            enter::<Traced>(ctx.as_ptr(), HookId::$hook);
            0
        }
        #[doc = concat!("Return by fexit, see [`HookId::", stringify!($hook), "`].")]
        #[fexit]
        pub fn $fexit(ctx: FExitContext) -> i32 {
            leave::<Traced>(ctx.as_ptr(), HookId::$hook);
            0
        }
    )*};
}

call! {
    reserve_metadata_in reserve_metadata_out reserve_metadata_fentry reserve_metadata_fexit ReserveMetadata;
    release_metadata_in release_metadata_out release_metadata_fentry release_metadata_fexit ReleaseMetadata;
    release_extents_in release_extents_out release_extents_fentry release_extents_fexit ReleaseExtents;
    shrink_extents_in shrink_extents_out shrink_extents_fentry shrink_extents_fexit ShrinkExtents;
    inode_rsv_release_in inode_rsv_release_out inode_rsv_release_fentry inode_rsv_release_fexit InodeRsvRelease;
    reserve_space_in reserve_space_out reserve_space_fentry reserve_space_fexit ReserveSpace;
    release_space_in release_space_out release_space_fentry release_space_fexit ReleaseSpace;
    check_data_free_space_in check_data_free_space_out check_data_free_space_fentry check_data_free_space_fexit CheckDataFreeSpace;
    alloc_data_chunk_ondemand_in alloc_data_chunk_ondemand_out alloc_data_chunk_ondemand_fentry alloc_data_chunk_ondemand_fexit AllocDataChunkOndemand;
    free_reserved_data_space_in free_reserved_data_space_out free_reserved_data_space_fentry free_reserved_data_space_fexit FreeReservedDataSpace;
    free_reserved_noquota_in free_reserved_noquota_out free_reserved_noquota_fentry free_reserved_noquota_fexit FreeReservedDataSpaceNoquota;
    block_rsv_add_in block_rsv_add_out block_rsv_add_fentry block_rsv_add_fexit BlockRsvAdd;
    block_rsv_refill_in block_rsv_refill_out block_rsv_refill_fentry block_rsv_refill_fexit BlockRsvRefill;
    block_rsv_add_bytes_in block_rsv_add_bytes_out block_rsv_add_bytes_fentry block_rsv_add_bytes_fexit BlockRsvAddBytes;
    block_rsv_release_in block_rsv_release_out block_rsv_release_fentry block_rsv_release_fexit BlockRsvRelease;
    block_rsv_migrate_in block_rsv_migrate_out block_rsv_migrate_fentry block_rsv_migrate_fexit BlockRsvMigrate;
    use_block_rsv_in use_block_rsv_out use_block_rsv_fentry use_block_rsv_fexit UseBlockRsv;
    clear_delalloc_extent_in clear_delalloc_extent_out clear_delalloc_extent_fentry clear_delalloc_extent_fexit ClearDelallocExtent;
    remove_ordered_extent_in remove_ordered_extent_out remove_ordered_extent_fentry remove_ordered_extent_fexit RemoveOrderedExtent;
    trans_release_metadata_in trans_release_metadata_out trans_release_metadata_fentry trans_release_metadata_fexit TransReleaseMetadata;
    end_transaction_in end_transaction_out end_transaction_fentry end_transaction_fexit EndTransaction;
    steal_from_global_in steal_from_global_out steal_from_global_fentry steal_from_global_fexit StealFromGlobal;
    update_global_rsv_in update_global_rsv_out update_global_rsv_fentry update_global_rsv_fexit UpdateGlobalBlockRsv;
    delayed_inode_release_in delayed_inode_release_out delayed_inode_release_fentry delayed_inode_release_fexit DelayedInodeRelease;
    qgroup_reserve_data_in qgroup_reserve_data_out qgroup_reserve_data_fentry qgroup_reserve_data_fexit QgroupReserveData;
    qgroup_release_data_in qgroup_release_data_out qgroup_release_data_fentry qgroup_release_data_fexit QgroupReleaseData;
    qgroup_free_data_in qgroup_free_data_out qgroup_free_data_fentry qgroup_free_data_fexit QgroupFreeData;
    qgroup_reserve_meta_in qgroup_reserve_meta_out qgroup_reserve_meta_fentry qgroup_reserve_meta_fexit QgroupReserveMeta;
    qgroup_free_meta_in qgroup_free_meta_out qgroup_free_meta_fentry qgroup_free_meta_fexit QgroupFreeMeta;
    qgroup_convert_meta_in qgroup_convert_meta_out qgroup_convert_meta_fentry qgroup_convert_meta_fexit QgroupConvertMeta;
    start_transaction_in start_transaction_out start_transaction_fentry start_transaction_fexit StartTransaction;
    delayed_update_inode_in delayed_update_inode_out delayed_update_inode_fentry delayed_update_inode_fexit DelayedUpdateInode;
    qgroup_account_extents_in qgroup_account_extents_out qgroup_account_extents_fentry qgroup_account_extents_fexit QgroupAccountExtents;
    qgroup_free_pertrans_in qgroup_free_pertrans_out qgroup_free_pertrans_fentry qgroup_free_pertrans_fexit QgroupFreePertrans;
    refill_delayed_refs_in refill_delayed_refs_out refill_delayed_refs_fentry refill_delayed_refs_fexit RefillDelayedRefs;
    update_delayed_refs_in update_delayed_refs_out update_delayed_refs_fentry update_delayed_refs_fexit UpdateDelayedRefs;
    migrate_to_delayed_refs_in migrate_to_delayed_refs_out migrate_to_delayed_refs_fentry migrate_to_delayed_refs_fexit MigrateToDelayedRefs;
    merge_delalloc_extent_in merge_delalloc_extent_out merge_delalloc_extent_fentry merge_delalloc_extent_fexit MergeDelallocExtent;
    split_delalloc_extent_in split_delalloc_extent_out split_delalloc_extent_fentry split_delalloc_extent_fexit SplitDelallocExtent;
    ref_head_end_in ref_head_end_out ref_head_end_fentry ref_head_end_fexit RefHeadEnd;
    block_group_updated_in block_group_updated_out block_group_updated_fentry block_group_updated_fexit BlockGroupUpdated;
    block_group_inserted_in block_group_inserted_out block_group_inserted_fentry block_group_inserted_fexit BlockGroupInserted;
    finish_extent_commit_in finish_extent_commit_out finish_extent_commit_fentry finish_extent_commit_fexit FinishExtentCommit;
    set_record_bits_in set_record_bits_out set_record_bits_fentry set_record_bits_fexit SetRecordBits;
    clear_record_bits_in clear_record_bits_out clear_record_bits_fentry clear_record_bits_fexit ClearRecordBits;
}

/// Programs for a function whose entry shows all that is needed: sends the record at once, without a return.
macro_rules! instant {
    ($($entry:ident $fentry:ident $hook:ident;)*) => {$(
        #[doc = concat!("Entry, see [`HookId::", stringify!($hook), "`].")]
        #[kprobe]
        pub fn $entry(ctx: ProbeContext) -> u32 {
            if enter::<ProbeContext>(ctx.as_ptr(), HookId::$hook) {
                leave::at_once::<ProbeContext>(ctx.as_ptr(), HookId::$hook);
            }
            0
        }
        #[doc = concat!("Entry by fentry, see [`HookId::", stringify!($hook), "`].")]
        #[fentry]
        pub fn $fentry(ctx: FEntryContext) -> i32 {
            if enter::<Traced>(ctx.as_ptr(), HookId::$hook) {
                leave::at_once::<Traced>(ctx.as_ptr(), HookId::$hook);
            }
            0
        }
    )*};
}

instant! {
    destroy_inode_in destroy_inode_fentry DestroyInode;
    release_global_rsv_in release_global_rsv_fentry ReleaseGlobalBlockRsv;
    commit_device_sizes_in commit_device_sizes_fentry CommitDeviceSizes;
    qgroup_end_in qgroup_end_fentry QgroupEnd;
    set_delalloc_extent_in set_delalloc_extent_fentry SetDelallocExtent;
    qgroup_free_refroot_in qgroup_free_refroot_fentry QgroupFreeRefroot;
    alloc_reserved_file_extent_in alloc_reserved_file_extent_fentry AllocReservedFileExtent;
}
