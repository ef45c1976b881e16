//! Chained counters: each change shows the value before it, so `old + diff == next old`.
use crate::header::Header;

/// Which counter of [`Chain::object`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChainCounter {
    /// `space_info->bytes_may_use`
    BytesMayUse = 1,
    /// `space_info->bytes_pinned`
    BytesPinned = 2,
    /// `qgroup->rsv.values[BTRFS_QGROUP_RSV_DATA]`
    QgroupData = 3,
    /// `qgroup->rsv.values[BTRFS_QGROUP_RSV_META_PERTRANS]`
    QgroupMetaPertrans = 4,
    /// `qgroup->rsv.values[BTRFS_QGROUP_RSV_META_PREALLOC]`
    QgroupMetaPrealloc = 5,
}

impl ChainCounter {
    /// The counter with this number, if there is one.
    #[must_use]
    pub const fn from_u32(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::BytesMayUse,
            2 => Self::BytesPinned,
            3 => Self::QgroupData,
            4 => Self::QgroupMetaPertrans,
            5 => Self::QgroupMetaPrealloc,
            _ => return None,
        })
    }
}

/// `Chain::event`: a link that fits, sent now and then so that the level is known.
pub const CHAIN_LEVEL: u32 = 1;
/// `Chain::event`: first sight of the counter; `old` is the opening balance.
pub const CHAIN_OPEN: u32 = 2;
/// `Chain::event`: `old` is not what the link before it left (`expected`).
pub const CHAIN_BREAK: u32 = 3;
/// `Chain::event`: the change takes more than `old` holds.
pub const CHAIN_UNDERFLOW: u32 = 4;
/// `Chain::event`: `old + diff` would pass `u64::MAX`.
pub const CHAIN_OVERFLOW: u32 = 5;
/// `Chain::event`: no link. A qgroup's counter is zero, and its cell goes to another counter of the same filesystem. The
/// next change of the qgroup's counter opens a new chain.
pub const CHAIN_REST: u32 = 6;

/// One link of a chain with more to say than "the link fits". Written under the counter's own lock.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Chain {
    /// Header.
    pub header: Header,
    /// Address of the `struct btrfs_space_info` or `struct btrfs_qgroup`; used as identity only.
    pub object: u64,
    /// `space_info->flags`, or `qgroup->qgroupid`.
    pub object_flags: u64,
    /// [`ChainCounter`] as a number.
    pub counter: u32,
    /// `CHAIN_*` event.
    pub event: u32,
    /// Value that the link before it left.
    pub expected: u64,
    /// The kernel's counter before the change.
    pub old: u64,
    /// The change.
    pub diff: i64,
    /// Links checked on this chain so far, this one included.
    pub links: u64,
    /// Highest value since the previous record of this chain.
    pub peak: u64,
    /// Stack id; 0 if none was taken.
    pub stack: u64,
}

/// One change of `bytes_may_use`. Sent while its task is in a failed reservation; on the functions tier for data that was
/// spent outside of all hooked calls; for every change if `Config::stream_all` is set.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Bmu {
    /// Header.
    pub header: Header,
    /// Address of the `struct btrfs_space_info`.
    pub object: u64,
    /// `space_info->flags`
    pub object_flags: u64,
    /// `bytes_may_use` before the change.
    pub old: u64,
    /// The change.
    pub diff: i64,
}

/// A counter of a qgroup that is not zero, as its chain has it. The capture layer reads the chains of a filesystem after btrfs
/// has said in the kernel's log that a qgroup of it still holds something.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct QgroupLevel {
    /// Header.
    pub header: Header,
    /// Address of the `struct btrfs_qgroup`.
    pub object: u64,
    /// `qgroup->qgroupid`
    pub qgroupid: u64,
    /// Bytes after the last link of the chain.
    pub value: u64,
    /// Links of the chain so far.
    pub links: u64,
    /// [`ChainCounter`] as a number.
    pub counter: u32,
    /// Zero.
    pub reserved: u32,
}
