//! The subject of a call (the object it works on), and its numbers.
use core::mem::offset_of;

use probe_common::{
    claim::RsvType,
    hook::HookId,
    signature::{
        NO_ARG, SUBJECT_FS, SUBJECT_INODE, SUBJECT_ORDERED, SUBJECT_RSV, SUBJECT_SPACE, SUBJECT_TRANS,
        SUBJECT_VFS_INODE, Signature,
    },
};

use super::context::Entry;
use crate::{
    globals::{off, signature_byte},
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
                fs_info = read::at(space, off!(sinfo_fs_info));
            }
        }
        SUBJECT_TRANS => fs_info = read::at(address, off!(trans_fs_info)),
        SUBJECT_SPACE => {
            fs_info = read::at(address, off!(sinfo_fs_info));
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
const fn is(hook: HookId, other: HookId) -> bool {
    hook as u8 == other as u8
}

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
            | HookId::ClearDelallocExtent
            | HookId::RemoveOrderedExtent
            | HookId::EndTransaction
            | HookId::TransReleaseMetadata
            | HookId::QgroupReserveData
            | HookId::FreeReservedDataSpaceNoquota
            | HookId::DelayedInodeRelease
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
    } else if is(hook, HookId::ClearDelallocExtent) {
        args[0] = read::at(second, off!(state_start));
        args[1] = read::at(second, off!(state_end));
        args[2] = number(0) & 0xffff_ffff;
    } else if is(hook, HookId::RemoveOrderedExtent) {
        args[0] = read::at(second, off!(ordered_file_offset));
        args[1] = read::at(second, off!(ordered_num_bytes));
        args[2] = read::at(second, off!(ordered_disk_num_bytes));
        args[3] = read::at(second, off!(ordered_flags));
    } else if is(hook, HookId::TransReleaseMetadata) || is(hook, HookId::EndTransaction) {
        args[0] = address;
        args[1] = read::at(address, off!(trans_bytes_reserved));
    } else if is(hook, HookId::StealFromGlobal) {
        args[0] = read::at(second, off!(ticket_bytes));
    } else if is(hook, HookId::DelayedInodeRelease) {
        args[0] = read::at(second, off!(node_inode_id));
        args[1] = u64::from(read::at::<u32>(second, off!(node_bytes_reserved)));
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
        unsafe { (*frame).args[2] = read::at((*frame).subject, off!(trans_bytes_reserved)) };
    }
}

/// The return value, by the function's return type.
///
/// # Safety
/// `frame` is the current thread's.
#[inline(always)]
pub unsafe fn returned(hook: HookId, raw: i64, frame: *mut Frame) -> i64 {
    if is(hook, HookId::BlockRsvRelease) || is(hook, HookId::UseBlockRsv) {
        return raw;
    }
    if is(hook, HookId::StealFromGlobal) {
        return raw & 1;
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
        | HookId::EndTransaction
        | HookId::QgroupReserveData => i64::from(raw as i32),
        // void
        _ => 0,
    }
}
