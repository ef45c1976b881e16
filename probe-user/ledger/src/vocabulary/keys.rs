//! Keys of inodes.

/// An inode of a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InodeKey {
    pub root: u64,
    pub ino: u64,
}

/// An inode that an audit should read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditCandidate {
    /// Subvolume (root objectid).
    pub root: u64,
    /// Inode number.
    pub ino: u64,
    /// Address of the `struct btrfs_inode` as last seen; 0 if not known. The inode may be gone by now.
    pub address: u64,
}

/// `BTRFS_DATA_RELOC_TREE_OBJECTID`: its inodes stand for the data that a balance moves.
pub(crate) const DATA_RELOC: u64 = -9_i64 as u64;
