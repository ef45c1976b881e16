//! The only place that reads kernel structs.
use core::mem::MaybeUninit;

use aya_ebpf::helpers::{
    bpf_probe_read_kernel,
    generated::{bpf_get_current_task, bpf_probe_read_kernel as bpf_probe_read_kernel_raw},
};
use probe_common::{
    claim::RsvType,
    fs::{Rsv, SpaceLevels},
    inode::{COUNTERS_FREE_SPACE, COUNTERS_NODATASUM, COUNTERS_NOT_REGULAR, COUNTERS_VALID, Counters},
    offsets::{MAX_POOLS_SPAN, MAX_SPAN},
};

use crate::globals::{ABSENT, off};

/// `BTRFS_INODE_NODATASUM`, `fs/btrfs/btrfs_inode.h`, the same in all versions.
pub const INODE_NODATASUM: u32 = 1;
const S_IFMT: u16 = 0o170_000;
const S_IFREG: u16 = 0o100_000;

/// Reads a value at `base + offset`; 0 if the address cannot be read (callers check pointers by content).
///
/// No branch: a failed read leaves zeroes, also for an address near zero. If every read had two outcomes, the
/// verifier of 6.1 would walk 2^n paths through n reads.
#[inline(always)]
pub fn at<T: Copy + Default>(base: u64, offset: usize) -> T {
    if offset == ABSENT {
        return T::default();
    }
    let mut value = MaybeUninit::<T>::uninit();
    let from = (base + offset as u64) as *const core::ffi::c_void;
    // SAFETY: the helper checks the address and writes the whole value in any case; zero is a value of all our types.
    unsafe {
        bpf_probe_read_kernel_raw(value.as_mut_ptr().cast(), size_of::<T>() as u32, from);
        value.assume_init()
    }
}

/// Reads a value into `to`, for types too large for a program's stack; zeroes if the address cannot be read.
///
/// # Safety
/// `to` points to writable room for a `T`, of which all-zero bytes are a value.
#[inline(always)]
pub unsafe fn into<T: Copy>(to: *mut T, base: u64, offset: usize) {
    // The helper fails at addresses near zero and leaves zeroes, so no branch is needed here.
    let from = if offset == ABSENT { 0 } else { base + offset as u64 };
    // SAFETY: the helper checks the source; the room is as promised.
    let _ = unsafe {
        bpf_probe_read_kernel_raw(to.cast(), size_of::<T>() as u32, from as *const core::ffi::c_void)
    };
}

/// Reads a value; `None` if the address cannot be read.
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

/// The inode that embeds this io_tree.
#[inline(always)]
pub fn inode_of_tree(tree: u64) -> Option<u64> {
    let owner: u8 = at(tree, off!(io_tree_owner));
    (u32::from(owner) == off!(io_tree_inode_io) as u32).then(|| tree.wrapping_sub(off!(inode_io_tree) as u64))
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

/// `fs_info` of a space_info. Kernels from 6.2 to 6.8, and early releases of 6.1, have no pointer to it there: its list leads to it.
#[inline(always)]
pub fn space_fs_info(sinfo: u64) -> u64 {
    if off!(sinfo_fs_info) != ABSENT { at(sinfo, off!(sinfo_fs_info)) } else { fs_of_list(sinfo) }
}

/// Nodes on `fs_info->space_info` of a kernel whose space_infos have no `fs_info`: data, metadata, system, and the list's head.
const MAX_SPACE_INFOS: u32 = 4;

/// Walks the list that a space_info is on to its head, which is known by the superblock's pointer back.
///
/// A global function: its loop is verified once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fs_of_list(sinfo: u64) -> u64 {
    let mut node = sinfo.wrapping_add(off!(sinfo_list) as u64);
    let mut found = 0;
    for _ in 0..MAX_SPACE_INFOS {
        node = at(node, 0);
        let fs_info = node.wrapping_sub(off!(fs_space_info) as u64);
        let sb: u64 = at(fs_info, off!(fs_sb));
        if sb != 0 && at::<u64>(sb, off!(sb_s_fs_info)) == fs_info {
            found = fs_info;
        }
    }
    found
}

/// Size and reserved bytes of a block_rsv.
#[inline(always)]
pub fn rsv(rsv: u64) -> Rsv {
    // The fields are neighbours in all supported kernels: one read instead of two, and both values of the same moment.
    if off!(rsv_reserved) == off!(rsv_size) + 8 {
        let [size, reserved] = at::<[u64; 2]>(rsv, off!(rsv_size));
        return Rsv { size, reserved };
    }
    Rsv { size: at(rsv, off!(rsv_size)), reserved: at(rsv, off!(rsv_reserved)) }
}

/// Type of a block_rsv, as a [`RsvType`] number. Not the enum: making it takes a branch per type, and the verifier of 6.1
/// would walk all that follows once for each.
#[inline(always)]
pub fn rsv_type(rsv: u64) -> u32 {
    match try_at::<u8>(rsv, off!(rsv_type)) {
        Some(kernel) => mapped_type(kernel),
        None => RsvType::None as u32,
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
/// One read where the fields lie close together. The copy then reads the counters, which a reservation publishes first,
/// before the block_rsv, to which it adds last. So bytes without extents are never just a half-read reservation in flight.
/// A function of its own, because the copy takes its share of a program's stack.
#[inline(never)]
pub fn counters(inode: u64, regular: bool) -> Counters {
    let rsv_at = off!(inode_block_rsv);
    let flags = if regular { COUNTERS_VALID } else { COUNTERS_VALID | COUNTERS_NOT_REGULAR };
    let length = off!(inode_span_len);
    if length != ABSENT {
        let begin = off!(inode_span);
        let mut span = MaybeUninit::<[u64; MAX_SPAN as usize / 8]>::uninit();
        let bytes = span.as_mut_ptr().cast::<u8>();
        let take = |field: usize| {
            // SAFETY: `with_spans` made `begin` and `length` so that each of these fields lies within.
            unsafe { bytes.add(field - begin).cast::<u64>().read_unaligned() }
        };
        // SAFETY: the helper checks the address and writes `length` bytes, at most MAX_SPAN.
        let failed = unsafe {
            bpf_probe_read_kernel_raw(
                bytes.cast(),
                length as u32,
                (inode + begin as u64) as *const core::ffi::c_void,
            )
        };
        if failed != 0 {
            return Counters::default();
        }
        return Counters {
            reserved: take(rsv_at + off!(rsv_reserved)),
            size: take(rsv_at + off!(rsv_size)),
            csum_bytes: if regular { take(off!(inode_csum_bytes)) } else { 0 },
            delalloc_bytes: if regular { take(off!(inode_delalloc_bytes)) } else { 0 },
            // SAFETY: as in `take`; four bytes of the span.
            outstanding_extents: unsafe {
                bytes.add(off!(inode_outstanding_extents) - begin).cast::<u32>().read_unaligned()
            },
            flags,
        };
    }
    let levels = rsv(inode + rsv_at as u64);
    Counters {
        reserved: levels.reserved,
        size: levels.size,
        csum_bytes: if regular { at(inode, off!(inode_csum_bytes)) } else { 0 },
        delalloc_bytes: if regular { at(inode, off!(inode_delalloc_bytes)) } else { 0 },
        outstanding_extents: at(inode, off!(inode_outstanding_extents)),
        flags,
    }
}

/// Whether an inode is a regular file.
#[inline(always)]
pub fn is_regular(inode: u64) -> bool {
    let mode: u16 = at(inode, off!(inode_vfs_inode) + off!(vfs_i_mode));
    mode & S_IFMT == S_IFREG
}

/// Bytes in the block_rsvs of a filesystem together, without `chunk_block_rsv`: one read of all of them, where they lie close together.
#[inline(always)]
pub fn pools_reserved(fs_info: u64) -> u64 {
    let at_reserved = |rsv: usize| rsv + off!(rsv_reserved);
    let [global, trans, delayed, refs] = [
        at_reserved(off!(fs_global_block_rsv)),
        at_reserved(off!(fs_trans_block_rsv)),
        at_reserved(off!(fs_delayed_block_rsv)),
        at_reserved(off!(fs_delayed_refs_rsv)),
    ];
    let length = off!(pools_span_len);
    if length != ABSENT {
        let begin = off!(pools_span);
        let mut span = MaybeUninit::<[u64; MAX_POOLS_SPAN as usize / 8]>::uninit();
        let bytes = span.as_mut_ptr().cast::<u8>();
        // SAFETY: the helper checks the address and writes `length` bytes, at most MAX_POOLS_SPAN; `with_spans` made `begin` and
        // `length` so that each of these fields lies within.
        return unsafe {
            let from = (fs_info + begin as u64) as *const core::ffi::c_void;
            if bpf_probe_read_kernel_raw(bytes.cast(), length as u32, from) != 0 {
                return 0;
            }
            let take = |field: usize| bytes.add(field - begin).cast::<u64>().read_unaligned();
            take(global).wrapping_add(take(trans)).wrapping_add(take(delayed)).wrapping_add(take(refs))
        };
    }
    let one = |field: usize| at::<u64>(fs_info, field);
    one(global).wrapping_add(one(trans)).wrapping_add(one(delayed)).wrapping_add(one(refs))
}

/// Adds what takes more reads and matters only at closings: data checksums, free-space-cache inodes.
#[inline(always)]
pub fn counters_closing(inode: u64) -> Counters {
    let mut counters = counters(inode, is_regular(inode));
    if at::<u32>(inode, off!(inode_flags)) & INODE_NODATASUM != 0 {
        counters.flags |= COUNTERS_NODATASUM;
    }
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

/// The fields of a transaction handle that we use.
#[derive(Clone, Copy, Default)]
pub struct Handle {
    /// Its address; 0 if the task has none on this filesystem.
    pub address: u64,
    /// `block_rsv`
    pub block_rsv: u64,
    /// `type`
    pub kind: u32,
    /// `adding_csums`
    pub adding_csums: bool,
}

/// Words in the one read that gets the fields of a handle. A larger read leaves less of the 512 bytes of stack that all
/// calls of a program share.
const HANDLE_WORDS: usize = 12;

/// `current->journal_info`: the task's transaction handle, if it has one and the filesystem is btrfs.
#[inline(always)]
pub fn journal_info() -> u64 {
    // SAFETY: plain helper.
    let task = unsafe { bpf_get_current_task() };
    at(task, off!(task_journal_info))
}

/// Address of the transaction handle of the current task, if it belongs to this filesystem; else 0.
#[inline(always)]
pub fn handle_address(fs_info: u64) -> u64 {
    // SAFETY: plain helper call.
    let task = unsafe { bpf_get_current_task() };
    let address: u64 = at(task, off!(task_journal_info));
    if address != 0 && at::<u64>(address, off!(trans_fs_info)) == fs_info { address } else { 0 }
}

/// The transaction handle of the current task, if it belongs to this filesystem.
///
/// Other filesystems use `journal_info` too, so it counts only if the handle points back to `fs_info`.
#[inline(never)]
pub fn handle(fs_info: u64) -> Handle {
    // SAFETY: plain helper call.
    let task = unsafe { bpf_get_current_task() };
    let address: u64 = at(task, off!(task_journal_info));
    if address == 0 {
        return Handle::default();
    }
    let length = off!(trans_span_len);
    if length <= HANDLE_WORDS * 8 {
        let begin = off!(trans_span);
        let mut span = MaybeUninit::<[u64; HANDLE_WORDS]>::uninit();
        let bytes = span.as_mut_ptr().cast::<u8>();
        // SAFETY: the helper checks the address and writes `length` bytes, at most those; `with_spans` made the
        // span so that each of these fields lies within.
        unsafe {
            let from = (address + begin as u64) as *const core::ffi::c_void;
            if bpf_probe_read_kernel_raw(bytes.cast(), length as u32, from) != 0
                || bytes.add(off!(trans_fs_info) - begin).cast::<u64>().read_unaligned() != fs_info
            {
                return Handle::default();
            }
            return Handle {
                address,
                block_rsv: bytes.add(off!(trans_block_rsv) - begin).cast::<u64>().read_unaligned(),
                kind: bytes.add(off!(trans_type) - begin).cast::<u32>().read_unaligned(),
                adding_csums: bytes.add(off!(trans_adding_csums) - begin).read() != 0,
            };
        }
    }
    if at::<u64>(address, off!(trans_fs_info)) != fs_info {
        return Handle::default();
    }
    Handle {
        address,
        block_rsv: at(address, off!(trans_block_rsv)),
        kind: at(address, off!(trans_type)),
        adding_csums: at::<u8>(address, off!(trans_adding_csums)) != 0,
    }
}
