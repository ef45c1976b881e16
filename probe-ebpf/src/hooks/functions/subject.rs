//! The subject of a call (the object it works on), and its numbers.
use core::mem::offset_of;

use probe_common::{
    call::{
        BYTES_UNKNOWN, CALL_CLOSING, CALL_ENCODED, CALL_NOT_ENCODED, CALL_QUOTAS, CALL_QUOTAS_ENABLED,
        CALL_QUOTAS_SIMPLE, HEAD_DROPS_DATA, HEAD_KNOWN, HEAD_UNUSED_DATA, STATE_DELALLOC, STATE_KNOWN,
        STATE_NORESERVE,
    },
    claim::RsvType,
    fs::LEVELS_LOG_CLEANUP_ERROR,
    hook::HookId,
    signature::{
        NO_ARG, SUBJECT_FS, SUBJECT_INODE, SUBJECT_IO_TREE, SUBJECT_ORDERED, SUBJECT_ROOT, SUBJECT_RSV,
        SUBJECT_SPACE, SUBJECT_TRANS, SUBJECT_TRANSACTION, SUBJECT_VFS_INODE, Signature,
    },
    space::BLOCK_GROUP_DATA,
};

use super::{super::levels, context::Entry};
use crate::{
    extent_bits::{extent_delalloc, extent_noreserve, recorded},
    globals::{ABSENT, config, off, signature_byte},
    layout::frames::Frame,
    read,
};

/// The object of a call and where it belongs.
pub struct Subject {
    /// The argument itself.
    pub address: u64,
    /// Its `fs_info`; 0 if it has none.
    pub fs_info: u64,
    /// The inode, if the subject is one or is part of one.
    pub inode: u64,
    /// The block_rsv, if the subject is one.
    pub rsv: u64,
}

/// The object of a call.
#[inline(always)]
pub fn of(ctx: &impl Entry, hook: HookId) -> Subject {
    let address = ctx.argument(signature_byte(hook, offset_of!(Signature, subject)));
    let kind = signature_byte(hook, offset_of!(Signature, kind));
    let (mut fs_info, mut inode, mut rsv) = (0, 0, 0);
    match kind {
        SUBJECT_INODE => inode = address,
        SUBJECT_VFS_INODE => inode = read::inode_of_vfs(address),
        SUBJECT_ORDERED => inode = read::at(address, off!(ordered_inode)),
        SUBJECT_FS => {
            fs_info = address;
            if is(hook, HookId::UpdateGlobalBlockRsv) || is(hook, HookId::ReleaseGlobalBlockRsv) {
                rsv = address + off!(fs_global_block_rsv) as u64;
            }
        }
        SUBJECT_RSV => {
            rsv = address;
            if read::rsv_type(address) == RsvType::Delalloc as u32 {
                inode = address.wrapping_sub(off!(inode_block_rsv) as u64);
            } else {
                let space: u64 = read::at(address, off!(rsv_space_info));
                fs_info = read::space_fs_info(space);
            }
        }
        SUBJECT_ROOT => fs_info = read::root_fs_info(address),
        SUBJECT_IO_TREE => inode = read::inode_of_tree(address).unwrap_or(0),
        SUBJECT_TRANS => fs_info = read::at(address, off!(trans_fs_info)),
        SUBJECT_TRANSACTION => {
            fs_info = read::at(address, off!(transaction_fs_info));
            rsv = fs_info + off!(fs_delayed_refs_rsv) as u64;
        }
        SUBJECT_SPACE => {
            fs_info = read::space_fs_info(address);
            // `steal_from_global_rsv()`
            rsv = fs_info + off!(fs_global_block_rsv) as u64;
        }
        _ => {}
    }
    if inode != 0 {
        fs_info = read::root_fs_info(read::inode_root(inode));
    }
    Subject { address, fs_info, inode, rsv }
}

#[inline(always)]
pub const fn is(hook: HookId, other: HookId) -> bool {
    hook as u8 == other as u8
}

/// Errors are numbers in this range, also in place of a pointer (`IS_ERR()`).
pub const MAX_ERRNO: i64 = 4095;

/// `BTRFS_MAX_EXTENT_SIZE`
const MAX_EXTENT_SIZE: u64 = 128 << 20;
/// `BTRFS_QGROUP_RSV_DATA`
const QGROUP_RSV_DATA: u32 = 0;
/// `BTRFS_QGROUP_STATUS_FLAG_SIMPLE_MODE` of 6.7 and newer. In 6.1 this bit is `BTRFS_QGROUP_RUNTIME_FLAG_CANCEL_RESCAN`.
const QGROUP_SIMPLE_MODE: u64 = 1 << 3;

/// Functions that are called for more than the books keep.
///
/// `btrfs_set_delalloc_extent` runs for each bit that is set on a range, locks included. Only those calls count that may make
/// a range dirty whose data is reserved. `btrfs_qgroup_free_refroot` frees metadata too, which the calls around it show.
#[inline(always)]
pub fn is_for_others(ctx: &impl Entry, hook: HookId) -> bool {
    let number = |at: usize| ctx.argument(signature_byte(hook, offset_of!(Signature, numbers) + at));
    if is(hook, HookId::SetDelallocExtent) {
        let bits = number(0) as u32;
        return bits & extent_delalloc() == 0 || bits & extent_noreserve() != 0;
    }
    if is(hook, HookId::MergeDelallocExtent) || is(hook, HookId::SplitDelallocExtent) {
        let state: u32 = read::at(dirty_range(ctx, hook), off!(state_state));
        return state & extent_delalloc() == 0;
    }
    is(hook, HookId::QgroupFreeRefroot) && (number(2) as u32 != QGROUP_RSV_DATA || number(1) == 0)
}

/// The `extent_state` that says whether the ranges are dirty: `orig` of `btrfs_split_delalloc_extent(inode, orig, split)`, `other` of
/// `btrfs_merge_delalloc_extent(inode, new, other)`.
#[inline(always)]
fn dirty_range(ctx: &impl Entry, hook: HookId) -> u64 {
    let first = signature_byte(hook, offset_of!(Signature, second));
    ctx.argument(if is(hook, HookId::MergeDelallocExtent) { first + 1 } else { first })
}

/// `count_max_extents()`: `outstanding_extents` of a dirty range.
#[inline(always)]
fn max_extents(fs_info: u64, bytes: u64) -> i64 {
    let most =
        if off!(fs_max_extent_size) == ABSENT { 0 } else { read::at(fs_info, off!(fs_max_extent_size)) };
    let most = if most == 0 { MAX_EXTENT_SIZE } else { most };
    ((bytes + most - 1) / most) as i64
}

/// Bytes of both parts of a dirty range, and what the call must add to `outstanding_extents`: none of its bytes come or go, so
/// only by how the whole is divided.
#[inline(always)]
fn parts(ctx: &impl Entry, hook: HookId, fs_info: u64) -> [u64; 4] {
    let range = |state: u64| {
        let (start, end): (u64, u64) = (read::at(state, off!(state_start)), read::at(state, off!(state_end)));
        (start, end.wrapping_sub(start).wrapping_add(1))
    };
    let (start, whole) = range(dirty_range(ctx, hook));
    if is(hook, HookId::SplitDelallocExtent) {
        let at = ctx.argument(signature_byte(hook, offset_of!(Signature, numbers)));
        let (first, second) = (at.wrapping_sub(start), whole.wrapping_sub(at.wrapping_sub(start)));
        let more = max_extents(fs_info, first) + max_extents(fs_info, second) - max_extents(fs_info, whole);
        return [first, second, more as u64, 0];
    }
    let (_, grown) = range(ctx.argument(signature_byte(hook, offset_of!(Signature, second))));
    let together = max_extents(fs_info, whole.wrapping_add(grown));
    let less = together - max_extents(fs_info, whole) - max_extents(fs_info, grown);
    [grown, whole, less as u64, 0]
}

/// A head of delayed refs: see `HEAD_*`.
#[inline(always)]
fn head_state(head: u64) -> u64 {
    if off!(ref_head_is_data) == ABSENT
        || off!(ref_head_owning_root) == ABSENT
        || off!(ref_head_reserved_bytes) == ABSENT
    {
        return 0;
    }
    if read::at::<u8>(head, off!(ref_head_is_data)) == 0 {
        return HEAD_KNOWN;
    }
    let drops = (read::at::<u32>(head, off!(ref_head_total_ref_mod)) as i32) < 0;
    let unused = read::at::<u8>(head, off!(ref_head_must_insert_reserved)) != 0;
    HEAD_KNOWN | if drops { HEAD_DROPS_DATA } else { 0 } | if unused { HEAD_UNUSED_DATA } else { 0 }
}

/// Calls that only matter while quotas are on. Inner calls of those that a filter leaves out would look like calls from
/// nowhere, so with a filter for subvolumes or inodes they are left out as well.
#[inline(always)]
pub fn is_left_out(hook: HookId, fs_info: u64) -> bool {
    let for_quotas = matches!(
        hook,
        HookId::QgroupReserveMeta
            | HookId::QgroupFreeMeta
            | HookId::QgroupConvertMeta
            | HookId::StartTransaction
            | HookId::DelayedUpdateInode
            | HookId::SetRecordBits
            | HookId::ClearRecordBits
            | HookId::QgroupFreeRefroot
            | HookId::AllocReservedFileExtent
            | HookId::QgroupAccountExtents
            | HookId::QgroupFreePertrans
            | HookId::QgroupReserveData
            | HookId::QgroupFreeData
            | HookId::QgroupReleaseData
    );
    for_quotas && !quotas_on(fs_info)
}

/// True if quotas are on and calls for them are followed.
#[inline(always)]
pub fn quotas_on(fs_info: u64) -> bool {
    config!(filter_root) == 0
        && config!(filter_ino) == 0
        && read::at::<u64>(fs_info, off!(fs_quota_root)) != 0
}

/// `CALL_QUOTAS*`, as it is now.
#[inline(always)]
pub fn quotas(fs_info: u64) -> u32 {
    if !quotas_on(fs_info) {
        return CALL_QUOTAS_SIMPLE;
    }
    let flags: u64 = read::at(fs_info, off!(fs_flags));
    let bit = off!(fs_quota_enabled_bit);
    let enabled = bit != ABSENT && flags >> (bit & 63) & 1 != 0;
    // Simple quotas came together with the owner of a head of delayed refs.
    let simple = off!(fs_qgroup_flags) == ABSENT
        || off!(ref_head_owning_root) != ABSENT
            && read::at::<u64>(fs_info, off!(fs_qgroup_flags)) & QGROUP_SIMPLE_MODE != 0;
    CALL_QUOTAS | if enabled { CALL_QUOTAS_ENABLED } else { 0 } | if simple { CALL_QUOTAS_SIMPLE } else { 0 }
}

/// Calls of which it must be known whether quotas were on.
#[inline(always)]
pub const fn needs_quotas(hook: HookId) -> bool {
    matches!(
        hook,
        HookId::ReserveMetadata
            | HookId::InodeRsvRelease
            | HookId::DelayedInodeRelease
            | HookId::DelayedUpdateInode
            | HookId::StartTransaction
            | HookId::QgroupReserveData
            | HookId::QgroupFreeData
            | HookId::QgroupReleaseData
            | HookId::QgroupFreeRefroot
            | HookId::AllocReservedFileExtent
            | HookId::QgroupFreePertrans
            | HookId::QgroupConvertMeta
            | HookId::QgroupAccountExtents
            | HookId::CommitDeviceSizes
            | HookId::RefHeadEnd
    )
}

/// The numbers of the table at [`probe_common::call::Call`], as far as they are known at entry.
///
/// # Safety
/// `frame` is the current thread's, with its subject filled in.
#[inline(always)]
pub unsafe fn numbers(ctx: &impl Entry, hook: HookId, frame: *mut Frame) {
    let second = ctx.argument(signature_byte(hook, offset_of!(Signature, second)));
    let number = |at: usize| ctx.argument(signature_byte(hook, offset_of!(Signature, numbers) + at));
    // SAFETY: as promised.
    let (address, args) = unsafe { ((*frame).subject, &mut (*frame).args) };
    if is(hook, HookId::BlockRsvMigrate) {
        *args = [second, number(0), number(1) & 1, u64::from(read::rsv_type(second))];
    } else if is(hook, HookId::UseBlockRsv) {
        args[0] = read::root_objectid(second);
        args[1] = number(0) & 0xffff_ffff;
        // Most likely the payer; what it holds before the call can only be read now.
        let rsv: u64 = read::at(address, off!(trans_block_rsv));
        let levels = read::rsv(rsv);
        // SAFETY: as promised.
        unsafe {
            (*frame).rsv = rsv;
            (*frame).before.size = levels.size;
            (*frame).before.reserved = levels.reserved;
        }
    } else if is(hook, HookId::ClearDelallocExtent) || is(hook, HookId::SetDelallocExtent) {
        args[0] = read::at(second, off!(state_start));
        args[1] = read::at(second, off!(state_end));
        args[2] = recorded(number(0) as u32);
        let state: u32 = read::at(second, off!(state_state));
        args[3] = STATE_KNOWN
            | if state & extent_delalloc() != 0 { STATE_DELALLOC } else { 0 }
            | if state & extent_noreserve() != 0 { STATE_NORESERVE } else { 0 };
    } else if is(hook, HookId::QgroupEnd) {
        let [data, pertrans, prealloc] = read::at::<[u64; 3]>(second, off!(qgroup_rsv_values));
        *args = [read::at(second, off!(qgroup_qgroupid)), data, pertrans, prealloc];
        // SAFETY: as promised.
        unsafe {
            if read::at::<u64>((*frame).fs_info, off!(fs_flags)) >> (off!(fs_closing_start_bit) & 63) & 1 != 0
            {
                (*frame).flags |= CALL_CLOSING;
            }
        }
    } else if is(hook, HookId::SetRecordBits) || is(hook, HookId::ClearRecordBits) {
        *args = [number(0), number(1), number(2) & 0xffff_ffff, changed(second)];
        // SAFETY: as promised.
        unsafe { (*frame).result = second };
    } else if is(hook, HookId::RemoveOrderedExtent) {
        args[0] = read::at(second, off!(ordered_file_offset));
        args[1] = read::at(second, off!(ordered_num_bytes));
        args[2] = read::at(second, off!(ordered_disk_num_bytes));
        args[3] = read::at(second, off!(ordered_flags));
        let encoded = args[3] >> (off!(ordered_encoded_bit) & 63) & 1 != 0;
        // SAFETY: as promised.
        unsafe { (*frame).flags |= if encoded { CALL_ENCODED } else { CALL_NOT_ENCODED } };
    } else if is(hook, HookId::TransReleaseMetadata) || is(hook, HookId::EndTransaction) {
        args[0] = address;
        args[1] = read::at(address, off!(trans_bytes_reserved));
    } else if is(hook, HookId::CommitDeviceSizes) {
        // SAFETY: as promised.
        let fs_info = unsafe { (*frame).fs_info };
        let delayed = read::rsv(fs_info + off!(fs_delayed_block_rsv) as u64);
        let transid = read::at(address, off!(transaction_transid));
        *args = [transid, delayed.size, delayed.reserved, metadata_reserved(fs_info)];
    } else if is(hook, HookId::MergeDelallocExtent) || is(hook, HookId::SplitDelallocExtent) {
        // SAFETY: as promised.
        *args = parts(ctx, hook, unsafe { (*frame).fs_info });
    } else if is(hook, HookId::RefHeadEnd) {
        args[0] = read::at(second, off!(ref_head_num_bytes));
        args[1] = head_state(second);
        if args[1] & HEAD_KNOWN != 0 {
            args[2] = read::at(second, off!(ref_head_reserved_bytes));
            // SAFETY: as promised.
            unsafe { (*frame).root = read::at(second, off!(ref_head_owning_root)) };
        }
    } else if is(hook, HookId::StealFromGlobal) {
        args[0] = read::at(second, off!(ticket_bytes));
    } else if is(hook, HookId::DelayedInodeRelease) {
        args[0] = read::at(second, off!(node_inode_id));
        args[1] = u64::from(read::at::<u32>(second, off!(node_bytes_reserved)));
        // SAFETY: as promised.
        unsafe { (*frame).root = read::root_objectid(read::at(second, off!(node_root))) };
    } else {
        args[0] = number(0);
        args[1] = number(1);
        if is(hook, HookId::QgroupFreeData) || is(hook, HookId::QgroupReleaseData) {
            // From 6.7 on the function returns an errno, and stores the bytes through a pointer that may be NULL.
            // SAFETY: as promised.
            unsafe { (*frame).result = second };
            return;
        }
        args[2] = number(2);
        args[3] = number(3);
        if is(hook, HookId::QgroupFreeRefroot) {
            args[2] &= 0xffff_ffff;
            // SAFETY: as promised.
            unsafe {
                args[3] = u64::from((*frame).around);
                (*frame).root = args[0];
            }
            return;
        }
        if is(hook, HookId::AllocReservedFileExtent) {
            args[3] = 0;
            // SAFETY: as promised.
            unsafe { (*frame).root = read::root_objectid(second) };
            return;
        }
        if is(hook, HookId::BlockRsvRelease) {
            // SAFETY: as promised.
            unsafe { (*frame).result = second };
        }
        if is_for_root(hook) {
            args[0] &= 0xffff_ffff;
            args[1] &= 0xffff_ffff;
            args[2] &= 0xffff_ffff;
            // SAFETY: as promised.
            unsafe { (*frame).root = read::root_objectid(address) };
        }
        // A bool fills one byte of its register, an int half of it.
        if is(hook, HookId::ReserveMetadata)
            || is(hook, HookId::CheckDataFreeSpace)
            || is(hook, HookId::ReleaseSpace)
        {
            args[2] &= 1;
        } else if is(hook, HookId::ReleaseMetadata) || is(hook, HookId::BlockRsvAddBytes) {
            args[1] &= 1;
        } else if is(hook, HookId::BlockRsvAdd) || is(hook, HookId::BlockRsvRefill) {
            args[1] &= 0xffff_ffff;
        } else if is(hook, HookId::InodeRsvRelease) {
            args[0] &= 1;
        } else if is(hook, HookId::RefillDelayedRefs) {
            args[0] &= 0xffff_ffff;
        }
    }
}

/// Numbers that are known only at the return. The last `__btrfs_end_transaction` frees the handle, so it is not read
/// after that.
///
/// # Safety
/// `frame` is the current thread's.
#[inline(always)]
pub unsafe fn numbers_after(hook: HookId, frame: *mut Frame) {
    if is(hook, HookId::TransReleaseMetadata) {
        // SAFETY: as promised.
        unsafe {
            (*frame).args[2] = read::at((*frame).subject, off!(trans_bytes_reserved));
            if off!(trans_delayed_rsv) != ABSENT {
                let local = (*frame).subject + off!(trans_delayed_rsv) as u64;
                (*frame).args[3] = read::at(local, off!(rsv_reserved));
            }
        }
    } else if is(hook, HookId::BlockRsvRelease) {
        // SAFETY: as promised. NULL is read as zero.
        unsafe { (*frame).args[1] = read::at((*frame).result, 0) };
    } else if is(hook, HookId::SetRecordBits) || is(hook, HookId::ClearRecordBits) {
        // SAFETY: as promised.
        unsafe {
            let (before, after) = ((*frame).args[3], changed((*frame).result));
            (*frame).args[3] = if after == BYTES_UNKNOWN { after } else { after.wrapping_sub(before) };
        }
    }
    // SAFETY: as promised.
    unsafe {
        if (*frame).flags & CALL_QUOTAS != 0 {
            let now = quotas((*frame).fs_info);
            (*frame).flags &= now | !(CALL_QUOTAS | CALL_QUOTAS_ENABLED);
            (*frame).flags |= now & CALL_QUOTAS_SIMPLE;
        }
    }
}

/// `bytes_reserved` of metadata: tree blocks that are allocated and not in the extent tree.
#[inline(always)]
fn metadata_reserved(fs_info: u64) -> u64 {
    let space: u64 = read::at(fs_info + off!(fs_delayed_refs_rsv) as u64, off!(rsv_space_info));
    if read::at::<u64>(space, off!(sinfo_flags)) & BLOCK_GROUP_DATA != 0
        || levels::state_flags(fs_info) & LEVELS_LOG_CLEANUP_ERROR != 0
    {
        return BYTES_UNKNOWN;
    }
    read::at(space, off!(sinfo_bytes_reserved))
}

/// `bytes_changed` of an `extent_changeset`.
#[inline(always)]
fn changed(changeset: u64) -> u64 {
    if changeset == 0 { BYTES_UNKNOWN } else { read::at(changeset, off!(changeset_bytes_changed)) }
}

/// True if a call changed nothing that the books keep, so that its record may be left out. No other hooked call has run inside such
/// a call. `serial`: of the thread's last call.
///
/// # Safety
/// `frame` is the current thread's, and its call has returned or needs no return.
#[inline(always)]
pub unsafe fn is_empty(hook: HookId, frame: *mut Frame, serial: u32) -> bool {
    // SAFETY: as promised.
    let args = unsafe { &(*frame).args };
    if is(hook, HookId::RefHeadEnd) {
        // SAFETY: as promised.
        return args[1] == HEAD_KNOWN && serial == unsafe { (*frame).serial };
    }
    if is(hook, HookId::MergeDelallocExtent) || is(hook, HookId::SplitDelallocExtent) {
        return unsafe { as_due(frame) };
    }
    if is(hook, HookId::SetRecordBits) || is(hook, HookId::ClearRecordBits) {
        return args[3] == 0;
    }
    if is(hook, HookId::SetDelallocExtent) {
        return args[3] & STATE_DELALLOC != 0;
    }
    if is(hook, HookId::QgroupFreeRefroot) {
        return args[3] == HookId::QgroupFreeData as u64;
    }
    if is(hook, HookId::AllocReservedFileExtent) {
        return args[2] == 0;
    }
    if is(hook, HookId::UpdateDelayedRefs) {
        return true;
    }
    if is(hook, HookId::MigrateToDelayedRefs) {
        return args[2] == 0;
    }
    (is(hook, HookId::QgroupFreeMeta) || is(hook, HookId::QgroupConvertMeta)) && args[0] == 0
}

/// Calls whose subject is a root.
#[inline(always)]
const fn is_for_root(hook: HookId) -> bool {
    matches!(
        hook,
        HookId::QgroupReserveMeta
            | HookId::QgroupFreeMeta
            | HookId::QgroupConvertMeta
            | HookId::StartTransaction
            | HookId::QgroupFreePertrans
    )
}

/// Whether a dirty range that was divided or grown changed `outstanding_extents` as it must.
///
/// # Safety
/// `frame` is the current thread's, and its call has returned.
#[inline(always)]
pub unsafe fn as_due(frame: *mut Frame) -> bool {
    // SAFETY: as promised.
    unsafe { i64::from((*frame).extents) == (*frame).args[2] as i64 }
}

/// The return value, by the function's return type.
///
/// # Safety
/// `frame` is the current thread's.
#[inline(always)]
pub unsafe fn returned(hook: HookId, raw: i64, frame: *mut Frame) -> i64 {
    if is(hook, HookId::BlockRsvRelease) || is(hook, HookId::UseBlockRsv) || is(hook, HookId::RefHeadEnd) {
        return raw;
    }
    if is(hook, HookId::StealFromGlobal) {
        return raw & 1;
    }
    if is(hook, HookId::StartTransaction) {
        return if (-MAX_ERRNO..0).contains(&raw) { raw } else { 0 };
    }
    if is(hook, HookId::QgroupFreeData) || is(hook, HookId::QgroupReleaseData) {
        let error = i64::from(raw as i32);
        if signature_byte(hook, offset_of!(Signature, second)) == NO_ARG || error != 0 {
            return error;
        }
        // SAFETY: as promised.
        return unsafe {
            if (*frame).result != 0 { read::at((*frame).result, 0) } else { -(*frame).qgroup_data }
        };
    }
    match hook {
        HookId::ReserveMetadata
        | HookId::ReserveSpace
        | HookId::CheckDataFreeSpace
        | HookId::AllocDataChunkOndemand
        | HookId::BlockRsvAdd
        | HookId::BlockRsvRefill
        | HookId::BlockRsvMigrate
        | HookId::RefillDelayedRefs
        | HookId::EndTransaction
        | HookId::QgroupReserveData
        | HookId::QgroupReserveMeta
        | HookId::DelayedUpdateInode
        | HookId::SetRecordBits
        | HookId::ClearRecordBits
        | HookId::QgroupAccountExtents => i64::from(raw as i32),
        // void
        _ => 0,
    }
}
