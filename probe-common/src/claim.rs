//! Claims on the pools that a whole filesystem shares.
use crate::header::Header;

/// Type of a `struct btrfs_block_rsv` in our numbering; the kernel's numbers changed between 6.1, 6.18 and 7.3.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RsvType {
    /// None: no transaction handle, a NULL block_rsv, or not readable.
    None = 0,
    /// `BTRFS_BLOCK_RSV_GLOBAL`
    Global = 1,
    /// `BTRFS_BLOCK_RSV_DELALLOC`: the block_rsv of an inode
    Delalloc = 2,
    /// `BTRFS_BLOCK_RSV_TRANS`
    Trans = 3,
    /// `BTRFS_BLOCK_RSV_CHUNK`
    Chunk = 4,
    /// `BTRFS_BLOCK_RSV_DELOPS`: `delayed_block_rsv`
    DelayedOps = 5,
    /// `BTRFS_BLOCK_RSV_DELREFS`: `delayed_refs_rsv`, or a transaction handle's own one
    DelayedRefs = 6,
    /// `BTRFS_BLOCK_RSV_TREELOG`, 6.18 on
    TreeLog = 7,
    /// `BTRFS_BLOCK_RSV_REMAP`, 7.3 on
    Remap = 8,
    /// `BTRFS_BLOCK_RSV_EMPTY`
    Empty = 9,
    /// `BTRFS_BLOCK_RSV_TEMP`
    Temp = 10,
}

impl RsvType {
    /// The type with this number in our numbering; `None` for any other number.
    #[must_use]
    pub const fn from_u32(number: u32) -> Self {
        match number {
            1 => Self::Global,
            2 => Self::Delalloc,
            3 => Self::Trans,
            4 => Self::Chunk,
            5 => Self::DelayedOps,
            6 => Self::DelayedRefs,
            7 => Self::TreeLog,
            8 => Self::Remap,
            9 => Self::Empty,
            10 => Self::Temp,
            _ => Self::None,
        }
    }

    /// Whether a block_rsv of this type pays for tree blocks of metadata, which leave `bytes_may_use` of metadata when they are
    /// allocated. Those of the chunk tree and of the remap tree lie in space_infos of their own.
    #[must_use]
    pub const fn pays_metadata_blocks(self) -> bool {
        !matches!(self, Self::None | Self::Chunk | Self::Remap)
    }
}

/// The `type` strings of `btrfs_space_reservation` that the books follow as claims.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimType {
    /// `transaction`
    Transaction = 1,
    /// `local_delayed_refs_rsv`
    LocalDelayedRefs = 2,
    /// `delayed_item`
    DelayedItem = 3,
    /// `delayed_inode`
    DelayedInode = 4,
}

impl ClaimType {
    /// The type with this number, if there is one.
    #[must_use]
    pub const fn from_u32(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Transaction,
            2 => Self::LocalDelayedRefs,
            3 => Self::DelayedItem,
            4 => Self::DelayedInode,
            _ => return None,
        })
    }
}

/// `Claim::flags`: the claim was made (the tracepoint's `reserve` is 1). Not set: it was given back.
pub const CLAIM_RESERVE: u32 = 1;
/// `Claim::flags`: the task's transaction handle is of a JOIN type, which makes no claim of its own.
pub const CLAIM_JOIN: u32 = 2;
/// `Claim::flags`: `fs_info->flags` has `BTRFS_FS_LOG_RECOVERING`.
pub const CLAIM_LOG_RECOVERING: u32 = 4;

/// `Claim::flags`: a claim for delayed refs that its handle has not given back, sent because the thread makes the next one.
pub const CLAIM_NOT_GIVEN_BACK: u32 = 8;

/// `trace_btrfs_space_reservation` of a claim type.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Claim {
    /// Header.
    pub header: Header,
    /// [`ClaimType`] as a number.
    pub claim: u32,
    /// `CLAIM_*`
    pub flags: u32,
    /// The tracepoint's `val`: a transid or an inode number.
    pub value: u64,
    /// Bytes claimed or given back.
    pub bytes: u64,
    /// Address of the task's transaction handle (`journal_info`), used as identity only; 0 if none.
    pub handle: u64,
    /// [`RsvType`] of `handle->block_rsv`.
    pub payer: u32,
    /// Zero.
    pub reserved: u32,
    /// Subvolume of the paying inode if `payer` is [`RsvType::Delalloc`].
    pub payer_root: u64,
    /// Number of the paying inode if `payer` is [`RsvType::Delalloc`].
    pub payer_ino: u64,
    /// Zero (once the levels of the pool, which audits and commits show better).
    pub pool: crate::fs::Rsv,
    /// Stack id; 0 if none was taken.
    pub stack: u64,
}

#[cfg(test)]
mod tests {
    use super::RsvType;

    // Else each fsync on 6.18 and newer, whose handle allocates blocks of a log tree, ends in an over-release.
    #[test]
    fn a_block_of_a_log_tree_is_paid_for_by_a_block_rsv_of_metadata() {
        let pays = |number: u32| RsvType::from_u32(number).pays_metadata_blocks();
        assert!(pays(RsvType::TreeLog as u32) && pays(RsvType::Trans as u32) && pays(RsvType::Empty as u32));
        assert!(!pays(RsvType::Chunk as u32) && !pays(RsvType::Remap as u32) && !pays(RsvType::None as u32));
    }
}
