//! State between events: one cell per filesystem, thread, counter, inode and type string, in maps.
//!
//! Arrays indexed by a hash, claimed by compare-and-swap: a lookup is a few instructions. Who may write a cell is
//! said at each type; none needs a lock of ours.
pub mod chain;
pub mod frame;
pub mod frames;
mod fs;
mod inode;
mod task;
mod types;

pub use fs::{FsCell, fs_begin, fs_dying, fs_end, fs_id, fs_named, fs_young};
pub use inode::{
    adopt_pointer, checked_pointer, crowded as inodes_crowded, find as find_inode,
    find_or_create as inode_cell, remove as remove_inode,
};
pub use task::{
    FOLLOW_EVENTS, TaskCell, announce as announce_task, free as free_task, get as task_cell, paid_elsewhere,
};
pub use types::{TYPE_CELLS, TypeCell, TypeClass, classify};

use core::intrinsics::{AtomicOrdering, atomic_cxchg};

/// Takes a free (or given) slot: true if `expected` was there.
#[inline(always)]
fn claim(slot: *mut u64, expected: u64, value: u64) -> bool {
    // SAFETY: callers pass a field of a map value that stays.
    unsafe {
        atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(slot, expected, value).1
    }
}

/// In place of a key: the cell was taken from one that is gone, and is being made ready for another. No address, and no
/// thread id.
const BEING_TAKEN: u64 = u64::MAX;

/// Spreads the bits of an address or id (Fibonacci hashing); use the upper bits of the result.
#[inline(always)]
fn spread(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
