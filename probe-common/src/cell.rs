//! Cells: state that the kernel side keeps in maps and that the user side may read. [`crate::table`] says how many there are
//! and how they are found.

/// Most [`InodeCell`]s; a new inode replaces the least recently used one.
pub const INODE_CELLS: u32 = 65_536;

/// One chained counter. Written under the counter's own lock.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainCell {
    /// Address of the kernel object, with [`crate::chain::ChainCounter`] in the low three bits; 0 while the cell is free.
    pub key: u64,
    /// `space_info->flags` or qgroup id.
    pub object_flags: u64,
    /// Value after the last link.
    pub value: u64,
    /// Links checked.
    pub links: u64,
    /// Highest value since it was last shown.
    pub peak: u64,
    /// `CLOCK_MONOTONIC` ns (coarse) when it was last shown.
    pub shown: u64,
    /// Filesystem id the counter belongs to.
    pub fs: u32,
    /// Zero.
    pub reserved: u32,
}

/// Key of an [`InodeCell`].
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InodeKey {
    /// Address of the `struct btrfs_root`.
    pub root: u64,
    /// Inode number.
    pub ino: u64,
}

/// `InodeCell::flags`: `btrfs_inode_evict` was seen; the next destroy signature ends this inode.
pub const INODE_DYING: u32 = 1;
/// `InodeCell::flags`: a [`crate::inode::Name`] record was sent.
pub const INODE_NAMED: u32 = 2;
/// `InodeCell::flags`: not a regular file. Valid once `inode` is known.
pub const INODE_NOT_REGULAR: u32 = 4;

/// An inode whose `outstanding_extents` are followed as a chain. The chain fields are written under `inode->lock`, the
/// pointer by other hooks.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InodeCell {
    /// Subvolume (root objectid).
    pub root: u64,
    /// Address of the `struct btrfs_inode`; 0 while unknown.
    pub inode: u64,
    /// Changes of `outstanding_extents`.
    pub links: u64,
    /// `outstanding_extents` after the last link.
    pub outstanding: u32,
    /// Filesystem id.
    pub fs: u32,
    /// 1 if `outstanding` is known, so that the next change can be checked. Always 1 after the first change, except on 6.1:
    /// there the counter can be read only through the inode's pointer.
    pub chained: u32,
    /// `INODE_*`
    pub flags: u32,
    /// Functions tier: `csum_bytes` in bytes at the last `btrfs_calculate_inode_block_rsv_size`.
    pub csum_bytes: u64,
    /// Functions tier: 1 if `csum_bytes` is known.
    pub csum_known: u32,
    /// Functions tier: changes of `outstanding_extents` and `csum_bytes`, wrapping.
    pub changes: u32,
    /// Functions tier: how many of `changes` were decreases.
    pub releases: u32,
    /// Functions tier: `outstanding_extents` at the last `btrfs_calculate_inode_block_rsv_size`. Valid with `csum_known`.
    pub sized_extents: u32,
}
