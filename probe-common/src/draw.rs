//! Draws on the global block_rsv.
use crate::{fs::Rsv, header::Header};

/// A tree block was paid for by the global block_rsv (tracepoints tier; on the functions tier `btrfs_use_block_rsv` shows it).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Draw {
    /// Header.
    pub header: Header,
    /// Tree the block is for (root objectid).
    pub root: u64,
    /// Bytes (nodesize).
    pub bytes: u64,
    /// The global block_rsv right after it, read without its lock.
    pub global: Rsv,
    /// [`crate::claim::RsvType`] of the block_rsv that should have paid; `Global` if it is the tree's own.
    pub payer: u32,
    /// `BLOCK_*` of [`crate::inode`].
    pub flags: u32,
    /// Stack id; 0 if none was taken. Of this very draw if another block_rsv should have paid.
    pub stack: u64,
}

/// Whether the global block_rsv is the tree's own one (`btrfs_init_root_block_rsv()`, the same from 6.1 to 7.3): the root tree, the
/// device tree and the quota tree.
#[must_use]
pub const fn own_tree(root: u64) -> bool {
    matches!(root, 1 | 4 | 8)
}
