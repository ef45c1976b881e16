//! The only place that reads kernel structs.
use aya_ebpf::helpers::bpf_probe_read_kernel;
use probe_common::{
    claim::RsvType,
    fs::{Rsv, SpaceLevels},
    inode::{COUNTERS_FREE_SPACE, COUNTERS_NODATASUM, COUNTERS_NOT_REGULAR, COUNTERS_VALID, Counters},
};

use crate::globals::{ABSENT, off};

/// `BTRFS_INODE_NODATASUM`, `fs/btrfs/btrfs_inode.h`, the same in all versions.
const INODE_NODATASUM: u32 = 1;
const S_IFMT: u16 = 0o170_000;
const S_IFREG: u16 = 0o100_000;

/// Reads a value at `base + offset`; 0 if the address cannot be read (the caller's pointers are validated by content).
#[inline(always)]
pub fn at<T: Copy + Default>(base: u64, offset: usize) -> T {
    if base == 0 || offset == ABSENT {
        return T::default();
    }
    // SAFETY: the helper checks the address and fails instead of faulting.
    unsafe { bpf_probe_read_kernel((base + offset as u64) as *const T) }.unwrap_or_default()
}

/// Reads a value, or says that it cannot be read.
#[inline(always)]
pub fn try_at<T: Copy>(base: u64, offset: usize) -> Option<T> {
    if base == 0 || offset == ABSENT {
        return None;
    }
    // SAFETY: as above.
    unsafe { bpf_probe_read_kernel((base + offset as u64) as *const T) }.ok()
}

/// `struct btrfs_inode` around a `struct inode`.
#[inline(always)]
pub fn inode_of_vfs(vfs: u64) -> u64 {
    vfs.wrapping_sub(off!(inode_vfs_inode) as u64)
}

/// Address of the root of an inode.
#[inline(always)]
pub fn inode_root(inode: u64) -> u64 {
    at(inode, off!(inode_root))
}

/// Inode number.
#[inline(always)]
pub fn inode_ino(inode: u64) -> u64 {
    at(inode, off!(inode_vfs_inode) + off!(vfs_i_ino))
}

/// Root objectid (unaligned in the kernel's packed key).
#[inline(always)]
pub fn root_objectid(root: u64) -> u64 {
    at(root, off!(root_objectid))
}

/// The `fs_info` of a root.
#[inline(always)]
pub fn root_fs_info(root: u64) -> u64 {
    at(root, off!(root_fs_info))
}

/// Size and reserved bytes of a block_rsv.
#[inline(always)]
pub fn rsv(rsv: u64) -> Rsv {
    // Neighbours in all kernels so far: one read instead of two, and both of the same moment.
    if off!(rsv_reserved) == off!(rsv_size) + 8 {
        let [size, reserved] = at::<[u64; 2]>(rsv, off!(rsv_size));
        return Rsv { size, reserved };
    }
    Rsv { size: at(rsv, off!(rsv_size)), reserved: at(rsv, off!(rsv_reserved)) }
}

/// Type of a block_rsv, in our numbers.
#[inline(always)]
pub fn rsv_type(rsv: u64) -> RsvType {
    match try_at::<u8>(rsv, off!(rsv_type)) {
        Some(kernel) => RsvType::from_u32(mapped_type(kernel)),
        None => RsvType::None,
    }
}

#[inline(always)]
fn mapped_type(kernel: u8) -> u32 {
    let offsets = core::ptr::from_ref(&crate::globals::OFFSETS).cast::<probe_common::offsets::Offsets>();
    // SAFETY: masked to the array's length; the static is initialised.
    u32::from(unsafe {
        core::ptr::read_volatile(
            (&raw const (*offsets).rsv_type_map).cast::<u8>().add(usize::from(kernel & 15)),
        )
    })
}

/// The kernel's counters of an inode whose identity was checked by the caller.
///
/// The block_rsv is read before the counters that define its size: a reservation publishes its extents before it
/// adds its bytes, so bytes without extents are never just a reservation in flight.
#[inline(always)]
pub fn counters(inode: u64) -> Counters {
    let block_rsv = inode + off!(inode_block_rsv) as u64;
    let levels = rsv(block_rsv);
    let mode: u16 = at(inode, off!(inode_vfs_inode) + off!(vfs_i_mode));
    let inode_flags: u32 = at(inode, off!(inode_flags));
    let mut flags = COUNTERS_VALID;
    let regular = mode & S_IFMT == S_IFREG;
    if !regular {
        flags |= COUNTERS_NOT_REGULAR;
    }
    if inode_flags & INODE_NODATASUM != 0 {
        flags |= COUNTERS_NODATASUM;
    }
    Counters {
        reserved: levels.reserved,
        size: levels.size,
        csum_bytes: if regular { at(inode, off!(inode_csum_bytes)) } else { 0 },
        delalloc_bytes: if regular { at(inode, off!(inode_delalloc_bytes)) } else { 0 },
        outstanding_extents: at(inode, off!(inode_outstanding_extents)),
        flags,
    }
}

/// Adds what costs another read and matters only at closings: whether this is a free-space-cache inode.
#[inline(always)]
pub fn counters_closing(inode: u64) -> Counters {
    let mut counters = counters(inode);
    let runtime: u64 = at(inode, off!(inode_runtime_flags));
    if off!(inode_free_space_bit) != ABSENT && runtime >> (off!(inode_free_space_bit) & 63) & 1 != 0 {
        counters.flags |= COUNTERS_FREE_SPACE;
    }
    counters
}

/// Levels of a space_info.
#[inline(always)]
pub fn space(sinfo: u64) -> SpaceLevels {
    SpaceLevels {
        flags: at(sinfo, off!(sinfo_flags)),
        total: at(sinfo, off!(sinfo_total_bytes)),
        used: at(sinfo, off!(sinfo_bytes_used)),
        may_use: at(sinfo, off!(sinfo_bytes_may_use)),
        reserved: at(sinfo, off!(sinfo_bytes_reserved)),
        pinned: at(sinfo, off!(sinfo_bytes_pinned)),
    }
}

/// The transaction handle of the current task, if it belongs to this filesystem.
///
/// `journal_info` serves other filesystems too, so it counts only if it points back to `fs_info`.
#[inline(always)]
pub fn handle(fs_info: u64) -> u64 {
    // SAFETY: plain helper call.
    let task = unsafe { aya_ebpf::helpers::generated::bpf_get_current_task() };
    let handle: u64 = at(task, off!(task_journal_info));
    if handle != 0 && at::<u64>(handle, off!(trans_fs_info)) == fs_info { handle } else { 0 }
}
