//! Inodes: the chain of `outstanding_extents`, and a checked way from (root, number) to the kernel's inode.
use probe_common::{
    cell::{InodeCell, InodeKey},
    loss::LossClass,
};

use super::fs_id;
use crate::{emit::Run, globals::config, maps::INODES, read};

/// The cell of an inode, if there is one.
#[inline(always)]
pub fn find(root: u64, ino: u64) -> Option<*mut InodeCell> {
    INODES.get_ptr_mut(InodeKey { root, ino })
}

/// The cell of an inode; makes it if its filesystem (and subvolume, and number) is followed.
#[inline(always)]
pub fn find_or_create(run: &Run, root: u64, ino: u64) -> Option<*mut InodeCell> {
    let key = InodeKey { root, ino };
    match INODES.get_ptr_mut(&key) {
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
    let cell = InodeCell { root, inode: 0, links: 0, outstanding: 0, fs, reserves: 0, flags: 0 };
    if INODES.insert(&key, &cell, 0).is_err() {
        run.lost(LossClass::InodeCell);
        return None;
    }
    INODES.get_ptr_mut(&key)
}

/// The kernel's inode behind a cell, if it still is this inode: memory of an inode may be used again.
#[inline(always)]
pub fn checked_pointer(cell: *mut InodeCell, root: u64, ino: u64) -> u64 {
    // SAFETY: an LRU entry may be given away under us, but stays readable for the run of a program.
    let inode = unsafe { (*cell).inode };
    if inode != 0 && read::inode_ino(inode) == ino && read::inode_root(inode) == root { inode } else { 0 }
}

/// Learns the pointer of the inode that the current thread works on.
#[inline(always)]
pub fn adopt_pointer(inode: u64, root: u64, ino: u64) -> bool {
    if read::inode_ino(inode) != ino || read::inode_root(inode) != root {
        return false;
    }
    if let Some(cell) = find(root, ino) {
        // SAFETY: as above; a pointer is written whole.
        unsafe { (*cell).inode = inode };
    }
    true
}
