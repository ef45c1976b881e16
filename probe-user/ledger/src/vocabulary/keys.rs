//! Which inode.

/// An inode of a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InodeKey {
    pub root: u64,
    pub ino: u64,
}

/// An inode worth a look: address 0 if it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditCandidate {
    /// Subvolume (root objectid).
    pub root: u64,
    /// Inode number.
    pub ino: u64,
    /// Address of the `struct btrfs_inode` as last seen; 0 if it was not. It may be stale.
    pub address: u64,
}
