//! Bytes that a transaction pins, which its commit must unpin.
use crate::header::Header;

/// Transactions whose pinned bytes are counted at a time. Two have some: one that runs, and one that is committed.
pub const PINNED_SLOTS: usize = 8;

/// A commit has ended, and has unpinned more or less than its transaction had pinned in a `space_info`
/// (`btrfs_finish_extent_commit()`). Sent only if it is not the same.
///
/// Not sent of a transaction that may have begun before the filesystem was met, nor of one during which a block group with pinned
/// bytes was removed (`btrfs_delete_unused_bgs()`), since those may be of two transactions.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct PinnedLeft {
    /// Header
    pub header: Header,
    /// `btrfs_transaction->transid`
    pub transid: u64,
    /// `BTRFS_BLOCK_GROUP_*` type of the `space_info`.
    pub flags: u64,
    /// Bytes pinned and not unpinned; below zero: unpinned and not pinned.
    pub bytes: i64,
    /// Stack id of the commit; 0 if none was taken.
    pub stack: u64,
}
