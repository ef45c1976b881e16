//! Extents on disk between their reservation and the extent tree: what `bytes_reserved` is made of.
use crate::header::Header;

/// Something happened to a range of bytes on disk. Which event it was is in [`Header::hook`]:
///
/// | hook | from then on the bytes belong to |
/// |---|---|
/// | `ReserveExtent` (`btrfs_reserve_extent`) | the task |
/// | `OrderedExtentAdd` (`btrfs_ordered_extent_add`) | an ordered extent of the inode |
/// | `DelayedDataRef` (`add_delayed_data_ref`) | a head of delayed refs, which the commit runs |
/// | `OrderedExtentRemove` (`btrfs_ordered_extent_remove`) | as before: the ordered extent must have handed them on or freed them |
/// | `ReservedExtentAlloc` (`btrfs_reserved_extent_alloc`) | the extent tree: they are used |
/// | `ReservedExtentFree` (`btrfs_reserved_extent_free`) | nobody |
///
/// Ranges of metadata are in the last two as well. A reservation is told only if its block group is of data alone.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Extent {
    /// Header
    pub header: Header,
    /// Logical address of the first byte.
    pub start: u64,
    /// Length in bytes.
    pub len: u64,
    /// Root objectid of the inode; 0 if no inode is known.
    pub root: u64,
    /// Inode number; 0 if no inode is known.
    pub ino: u64,
    /// Stack id, taken at this event: of a reservation, and of a free that is not that of a tree block; else 0.
    pub stack: u64,
}
