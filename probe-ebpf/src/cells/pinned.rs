//! Bytes that each transaction has pinned and its commit has not unpinned yet.
//!
//! A change of `bytes_pinned` shows no transaction, but its task has the handle. A slot is taken by compare-and-swap and changed
//! by atomic adds, since each `space_info` has a lock of its own.
use core::intrinsics::{AtomicOrdering, atomic_xadd};

use probe_common::{
    pinned::PINNED_SLOTS,
    space::{BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA, BLOCK_GROUP_SYSTEM},
};

use super::{fs::fs_cell, slot::claim};
use crate::{
    globals::off,
    layout::fs::{FsCell, PINNED_TYPES, Pinned},
    read,
};

/// The block group types of [`FsCell::pinned`], in its order. Mixed block groups are in the first.
pub const TYPES: [u64; PINNED_TYPES] = [BLOCK_GROUP_METADATA, BLOCK_GROUP_DATA, BLOCK_GROUP_SYSTEM];

#[inline(always)]
fn kind(flags: u64) -> usize {
    if flags & BLOCK_GROUP_METADATA != 0 {
        0
    } else if flags & BLOCK_GROUP_DATA != 0 {
        1
    } else {
        2
    }
}

/// The slot of a transaction.
#[inline(always)]
fn slot(cell: *mut FsCell, kind: usize, transid: u64) -> *mut Pinned {
    let index = (kind % PINNED_TYPES) * PINNED_SLOTS + (transid as usize & (PINNED_SLOTS - 1));
    // SAFETY: the index is within the array of a cell that stays.
    unsafe { (&raw mut (*cell).pinned).cast::<Pinned>().add(index) }
}

/// A filesystem was met. The transaction that runs, or is being committed, was not seen from its begin. The next one is.
///
/// # Safety
/// The caller has claimed the cell.
#[inline(always)]
pub unsafe fn begin(cell: *mut FsCell, fs_info: u64) {
    // SAFETY: as promised.
    let first = unsafe { (&raw mut (*cell).pinned).cast::<u64>() };
    for word in 0..size_of::<[[Pinned; PINNED_SLOTS]; PINNED_TYPES]>() / 8 {
        // SAFETY: within the array. Volatile, so that it does not become a call of memset.
        unsafe { first.add(word).write_volatile(0) };
    }
    // SAFETY: as promised.
    unsafe { (*cell).pinned_from = read::at(fs_info, off!(fs_generation)) };
}

/// `bytes_pinned` changes, under the lock of the `space_info`.
#[inline(never)]
pub fn changed(fs: u32, fs_info: u64, flags: u64, diff: i64) -> u32 {
    let Some(cell) = fs_cell(fs) else { return 0 };
    let kind = kind(flags);
    let handle = read::handle_address(fs_info);
    if handle == 0 {
        // It may be the next transaction's, that of the running one, or of one that is being committed.
        let last: u64 = read::at(fs_info, off!(fs_generation));
        doubt(cell, kind, last.wrapping_add(1));
        doubt(cell, kind, last);
        doubt(cell, kind, last.wrapping_sub(1));
        return 0;
    }
    let transid: u64 = read::at(handle, off!(trans_transid));
    if diff < 0 {
        let transaction: u64 = read::at(handle, off!(trans_transaction));
        let state: u32 = read::at(transaction, off!(transaction_state));
        if state < off!(trans_state_unblocked) as u32 {
            // Not `btrfs_finish_extent_commit()`: a block group is removed, with bytes of this transaction or the one before.
            doubt(cell, kind, transid);
            doubt(cell, kind, transid.wrapping_sub(1));
            return 0;
        }
    }
    let slot = slot(cell, kind, transid);
    // SAFETY: a slot of a cell that stays; see the comment at the top.
    unsafe {
        let there = (*slot).transid;
        if there != transid && claim(&raw mut (*slot).transid, there, transid) && (*slot).left != 0 {
            // The end of an older transaction was not seen.
            (*slot).doubt = transid;
        }
        atomic_xadd::<i64, i64, { AtomicOrdering::SeqCst }>(&raw mut (*slot).left, diff);
    }
    0
}

#[inline(always)]
fn doubt(cell: *mut FsCell, kind: usize, transid: u64) {
    // SAFETY: a slot of a cell that stays; written whole.
    unsafe { (*slot(cell, kind, transid)).doubt = transid };
}

/// A transaction has been committed: the bytes of type number `kind` that it had pinned and not unpinned. Zero if they are not
/// known.
#[inline(always)]
pub fn left(fs: u32, kind: usize, transid: u64) -> i64 {
    let Some(cell) = fs_cell(fs) else { return 0 };
    let slot = slot(cell, kind, transid);
    // SAFETY: a slot of a cell that stays. Nobody pins in a transaction that is over.
    unsafe {
        if (*slot).transid != transid {
            return 0;
        }
        let left = (*slot).left;
        (*slot).left = 0;
        if (*slot).doubt == transid || transid <= (*cell).pinned_from { 0 } else { left }
    }
}
