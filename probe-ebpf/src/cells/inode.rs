//! Inodes: the chain of `outstanding_extents`, and a checked pointer from (root, number) to the `struct btrfs_inode`.
use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::bindings::BPF_NOEXIST;
use probe_common::{
    cell::{INODE_CELLS, INODE_NOT_REGULAR, InodeCell, InodeKey},
    loss::LossClass,
};

use super::fs::{fs_current, fs_id};
use crate::{
    emit::Run,
    globals::config,
    maps::{INODE_COUNT, INODES},
    read,
};

/// The cell of an inode, if there is one.
#[inline(always)]
pub fn find(root: u64, ino: u64) -> Option<*mut InodeCell> {
    find_current(&InodeKey { root, ino })
}

/// `None` for a cell that an earlier filesystem left: another root can have its root's address now.
#[inline(always)]
fn find_current(key: &InodeKey) -> Option<*mut InodeCell> {
    // SAFETY: an LRU entry stays readable for the run of a program.
    INODES.get_ptr_mut(key).filter(|cell| fs_current(unsafe { (**cell).fs }))
}

/// The cell of an inode; makes it if its filesystem, subvolume and number pass the filters.
#[inline(always)]
pub fn find_or_create(run: &Run, root: u64, ino: u64) -> Option<*mut InodeCell> {
    let key = InodeKey { root, ino };
    match find_current(&key) {
        Some(cell) => Some(cell),
        None => create(run, key),
    }
}

#[inline(never)]
fn create(run: &Run, key: InodeKey) -> Option<*mut InodeCell> {
    let fs = fs_id(run, read::root_fs_info(key.root))?;
    let root = read::root_objectid(key.root);
    if (config!(filter_root) != 0 && config!(filter_root) != root)
        || (config!(filter_ino) != 0 && config!(filter_ino) != key.ino)
    {
        return None;
    }
    let cell = InodeCell {
        root,
        inode: 0,
        links: 0,
        outstanding: 0,
        fs,
        chained: 0,
        flags: 0,
        csum_bytes: 0,
        csum_known: 0,
        changes: 0,
        releases: 0,
        sized_extents: 0,
    };
    if INODES.get_ptr_mut(&key).is_some() && find_current(&key).is_none() {
        remove(key.root, key.ino);
    }
    // Never overwrites a cell that another CPU made meanwhile: the entry could serve another inode while that CPU writes.
    if INODES.insert(&key, &cell, u64::from(BPF_NOEXIST)).is_ok() {
        count(1);
    }
    let made = INODES.get_ptr_mut(&key);
    if made.is_none() {
        run.lost(LossClass::InodeCell);
    }
    made
}

/// Removes the cell of an inode that is gone.
#[inline(always)]
pub fn remove(root: u64, ino: u64) {
    if INODES.remove(&InodeKey { root, ino }).is_ok() {
        count(u64::MAX);
    }
}

/// True if cells may have given way to others. Then an inode without a cell may have had one.
#[inline(always)]
pub fn crowded() -> bool {
    INODE_COUNT.get(0).is_some_and(|count| *count > u64::from(INODE_CELLS / 2))
}

#[inline(always)]
fn count(change: u64) {
    if let Some(count) = INODE_COUNT.get_ptr_mut(0) {
        // SAFETY: the entry stays; all CPUs count.
        unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(count, change) };
    }
}

/// `inode` if it still is the inode of this root and number, else 0: the kernel can use the memory for another inode.
#[inline(always)]
pub fn checked_pointer(inode: u64, root: u64, ino: u64) -> u64 {
    if inode != 0 && read::inode_ino(inode) == ino && read::inode_root(inode) == root { inode } else { 0 }
}

/// Notes the pointer of the inode that the current thread works on.
#[inline(always)]
pub fn adopt_pointer(inode: u64, root: u64, ino: u64) -> bool {
    if read::inode_ino(inode) != ino || read::inode_root(inode) != root {
        return false;
    }
    if let Some(cell) = find(root, ino) {
        note_pointer(cell, inode);
    }
    true
}

/// Writes a pointer that was checked into a cell.
#[inline(always)]
fn note_pointer(cell: *mut InodeCell, inode: u64) {
    // SAFETY: an LRU entry may be given away under us, but stays readable and writable for the run of a program; the
    // pointer is written whole.
    unsafe {
        if !read::is_regular(inode) {
            (*cell).flags |= INODE_NOT_REGULAR;
        }
        (*cell).inode = inode;
    }
}
