//! The function tier: a kprobe and a kretprobe a function.
//!
//! Entry makes a frame, return fills it in and sends it: one record a call. What lies between, the thread's other
//! hooks add to the innermost frame ([`count`]). Where arguments are comes from BTF (`globals::SIGNATURES`).
//!
//! Refuses to: guess an argument, pair a return by order alone, follow what filters leave out.
mod calculate;
pub mod count;
mod enter;
mod leave;
mod send;
mod subject;

use aya_ebpf::{
    EbpfContext as _,
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use probe_common::hook::HookId;

use self::{enter::enter, leave::leave};

/// A function that is watched at its entry and its return.
macro_rules! call {
    ($($entry:ident $return:ident $hook:ident;)*) => {$(
        #[doc = concat!("Entry, see [`HookId::", stringify!($hook), "`].")]
        #[kprobe]
        pub fn $entry(ctx: ProbeContext) -> u32 {
            enter(ctx.as_ptr(), HookId::$hook);
            0
        }
        #[doc = concat!("Return, see [`HookId::", stringify!($hook), "`].")]
        #[kretprobe]
        pub fn $return(ctx: RetProbeContext) -> u32 {
            leave(ctx.as_ptr(), HookId::$hook);
            0
        }
    )*};
}

call! {
    reserve_metadata_in reserve_metadata_out ReserveMetadata;
    release_metadata_in release_metadata_out ReleaseMetadata;
    release_extents_in release_extents_out ReleaseExtents;
    shrink_extents_in shrink_extents_out ShrinkExtents;
    inode_rsv_release_in inode_rsv_release_out InodeRsvRelease;
    reserve_space_in reserve_space_out ReserveSpace;
    release_space_in release_space_out ReleaseSpace;
    check_data_free_space_in check_data_free_space_out CheckDataFreeSpace;
    alloc_data_chunk_ondemand_in alloc_data_chunk_ondemand_out AllocDataChunkOndemand;
    free_reserved_data_space_in free_reserved_data_space_out FreeReservedDataSpace;
    free_reserved_noquota_in free_reserved_noquota_out FreeReservedDataSpaceNoquota;
    block_rsv_add_in block_rsv_add_out BlockRsvAdd;
    block_rsv_refill_in block_rsv_refill_out BlockRsvRefill;
    block_rsv_add_bytes_in block_rsv_add_bytes_out BlockRsvAddBytes;
    block_rsv_release_in block_rsv_release_out BlockRsvRelease;
    block_rsv_migrate_in block_rsv_migrate_out BlockRsvMigrate;
    use_block_rsv_in use_block_rsv_out UseBlockRsv;
    clear_delalloc_extent_in clear_delalloc_extent_out ClearDelallocExtent;
    remove_ordered_extent_in remove_ordered_extent_out RemoveOrderedExtent;
    trans_release_metadata_in trans_release_metadata_out TransReleaseMetadata;
    end_transaction_in end_transaction_out EndTransaction;
    steal_from_global_in steal_from_global_out StealFromGlobal;
    update_global_rsv_in update_global_rsv_out UpdateGlobalBlockRsv;
    delayed_inode_release_in delayed_inode_release_out DelayedInodeRelease;
    qgroup_reserve_data_in qgroup_reserve_data_out QgroupReserveData;
    qgroup_release_data_in qgroup_release_data_out QgroupReleaseData;
    qgroup_free_data_in qgroup_free_data_out QgroupFreeData;
}

/// A function whose entry says all: its record comes at once, without a return.
macro_rules! instant {
    ($($entry:ident $hook:ident;)*) => {$(
        #[doc = concat!("Entry, see [`HookId::", stringify!($hook), "`].")]
        #[kprobe]
        pub fn $entry(ctx: ProbeContext) -> u32 {
            if enter(ctx.as_ptr(), HookId::$hook) {
                leave::at_once(ctx.as_ptr(), HookId::$hook);
            }
            0
        }
    )*};
}

instant! {
    destroy_inode_in DestroyInode;
    release_global_rsv_in ReleaseGlobalBlockRsv;
}
