//! Which inode.

/// Which inode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId {
    /// Filesystem id of the stream.
    pub fs: u32,
    /// Subvolume.
    pub root: u64,
    /// Inode number.
    pub ino: u64,
}
