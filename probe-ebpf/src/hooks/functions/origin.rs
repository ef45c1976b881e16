//! Which stack a call brings: of its own, that of an earlier call like it, or none.
use probe_common::{call::STATE_DELALLOC, hook::HookId};

use super::subject::is;
use crate::layout::frames::Frame;

/// Whether the stack of a call may be needed as the origin of what it leaves open. For other calls the caller is enough.
#[inline(always)]
pub const fn has_origin(hook: HookId) -> bool {
    matches!(
        hook,
        HookId::ReserveMetadata
            | HookId::ReleaseMetadata
            | HookId::ReleaseExtents
            | HookId::ReserveSpace
            | HookId::CheckDataFreeSpace
            | HookId::AllocDataChunkOndemand
            | HookId::FreeReservedDataSpace
            | HookId::BlockRsvAdd
            | HookId::BlockRsvRefill
            | HookId::BlockRsvMigrate
            | HookId::ClearDelallocExtent
            | HookId::RemoveOrderedExtent
            | HookId::EndTransaction
            | HookId::TransReleaseMetadata
            | HookId::QgroupReserveData
            | HookId::FreeReservedDataSpaceNoquota
            | HookId::DelayedInodeRelease
            | HookId::QgroupReserveMeta
            | HookId::QgroupFreeMeta
            | HookId::QgroupConvertMeta
            | HookId::StartTransaction
            | HookId::DelayedUpdateInode
            | HookId::InodeRsvRelease
            | HookId::QgroupFreeData
            | HookId::QgroupReleaseData
            | HookId::QgroupFreeRefroot
            | HookId::AllocReservedFileExtent
            | HookId::QgroupFreePertrans
            | HookId::QgroupAccountExtents
            | HookId::RefHeadEnd
            | HookId::BlockGroupUpdated
            | HookId::BlockGroupInserted
    )
}

/// Calls that are rare outside of all hooked calls. What they take there is held across functions, and all of them are called
/// from the same place, so a stack of another call of the same context would say nothing.
#[inline(always)]
pub const fn is_rare_outside(hook: HookId) -> bool {
    matches!(hook, HookId::QgroupReserveMeta | HookId::QgroupFreeMeta | HookId::QgroupConvertMeta)
}

/// Dirty ranges are cleared from one place for everything. What is to be cleared with `EXTENT_DELALLOC` tells apart for what.
///
/// # Safety
/// `frame` is the current thread's, with its numbers filled in.
#[inline(always)]
pub unsafe fn way(hook: HookId, frame: *const Frame) -> u64 {
    // SAFETY: as promised.
    if is(hook, HookId::ClearDelallocExtent) { unsafe { (*frame).args[2] } } else { 0 }
}

/// `EXTENT_CLEAR_META_RESV` and `EXTENT_CLEAR_DATA_RESV`, see [`crate::extent_bits::recorded`].
const FREES: [u64; 2] = [1 << 9, 1 << 13];

/// A dirty range whose metadata is freed and whose data is not: only where an extent was allocated for it and nothing more came of
/// it.
///
/// # Safety
/// `frame` is the current thread's, with its numbers filled in.
#[inline(always)]
pub unsafe fn is_rare(hook: HookId, frame: *const Frame) -> bool {
    if !is(hook, HookId::ClearDelallocExtent) {
        return false;
    }
    // SAFETY: as promised.
    let (bits, state) = unsafe { ((*frame).args[2], (*frame).args[3]) };
    let [metadata, data] = FREES;
    state & STATE_DELALLOC != 0 && bits & metadata != 0 && bits & data == 0
}
