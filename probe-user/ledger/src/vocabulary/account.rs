//! Accounts: what holds reserved bytes or counts, and which accounts the counters of a `space_info` are.
use probe_common::{
    chain::ChainCounter,
    space::{BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA, BLOCK_GROUP_SYSTEM},
};

/// Something that holds reserved bytes or counts. Its id is the same in filters, JSON, screen and docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// `block_rsv.reserved` of an inode (delalloc), bytes.
    InodeMetaRsv,
    /// `outstanding_extents` of an inode, a count.
    InodeOutstandingExtents,
    /// `csum_bytes` of an inode, bytes.
    InodeCsumBytes,
    /// `delalloc_bytes` of an inode: dirty data, bytes.
    InodeDelallocBytes,
    /// Data that an inode has reserved in its qgroups (`EXTENT_QGROUP_RESERVED`), bytes.
    InodeQgroupData,
    /// `BTRFS_QGROUP_RSV_META_PREALLOC` of a subvolume, bytes.
    RootQgroupMetaPrealloc,
    /// `BTRFS_QGROUP_RSV_META_PERTRANS` of a subvolume, bytes.
    RootQgroupMetaPertrans,
    /// `trans_block_rsv`
    TransRsv,
    /// `delayed_rsv` of a transaction handle, 6.12 on.
    TransDelayedRefsRsv,
    /// `delayed_block_rsv`
    FsDelayedRsv,
    /// `delayed_refs_rsv`
    FsDelayedRefsRsv,
    /// `global_block_rsv`
    FsGlobalRsv,
    /// `chunk_block_rsv`
    FsChunkRsv,
    /// Temporary block_rsvs (`BTRFS_BLOCK_RSV_TEMP`).
    TempRsv,
    /// `space_info` of data.
    SpaceData(SpaceCounter),
    /// `space_info` of metadata (and of mixed block groups).
    SpaceMetadata(SpaceCounter),
    /// `space_info` of system.
    SpaceSystem(SpaceCounter),
}

/// Which counter of a `space_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpaceCounter {
    /// `bytes_may_use`
    BytesMayUse,
    /// `bytes_reserved`
    BytesReserved,
    /// `bytes_pinned`
    BytesPinned,
}

impl Account {
    /// Id, for example `space.metadata.bytes_may_use`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        use SpaceCounter::{BytesMayUse, BytesPinned, BytesReserved};
        match self {
            Self::InodeMetaRsv => "inode.meta_rsv",
            Self::InodeOutstandingExtents => "inode.outstanding_extents",
            Self::InodeCsumBytes => "inode.csum_bytes",
            Self::InodeDelallocBytes => "inode.delalloc_bytes",
            Self::InodeQgroupData => "inode.qgroup_data",
            Self::RootQgroupMetaPrealloc => "root.qgroup_meta_prealloc",
            Self::RootQgroupMetaPertrans => "root.qgroup_meta_pertrans",
            Self::TransRsv => "trans.rsv",
            Self::TransDelayedRefsRsv => "trans.delayed_refs_rsv",
            Self::FsDelayedRsv => "fs.delayed_rsv",
            Self::FsDelayedRefsRsv => "fs.delayed_refs_rsv",
            Self::FsGlobalRsv => "fs.global_rsv",
            Self::FsChunkRsv => "fs.chunk_rsv",
            Self::TempRsv => "temp.rsv",
            Self::SpaceData(BytesMayUse) => "space.data.bytes_may_use",
            Self::SpaceData(BytesReserved) => "space.data.bytes_reserved",
            Self::SpaceData(BytesPinned) => "space.data.bytes_pinned",
            Self::SpaceMetadata(BytesMayUse) => "space.metadata.bytes_may_use",
            Self::SpaceMetadata(BytesReserved) => "space.metadata.bytes_reserved",
            Self::SpaceMetadata(BytesPinned) => "space.metadata.bytes_pinned",
            Self::SpaceSystem(BytesMayUse) => "space.system.bytes_may_use",
            Self::SpaceSystem(BytesReserved) => "space.system.bytes_reserved",
            Self::SpaceSystem(BytesPinned) => "space.system.bytes_pinned",
        }
    }

    /// `bytes`, or `count` for `inode.outstanding_extents`.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        if matches!(self, Self::InodeOutstandingExtents) { "count" } else { "bytes" }
    }
}

/// `bytes_may_use` of the data `space_info`.
pub(crate) const DATA_MAY_USE: Account = Account::SpaceData(SpaceCounter::BytesMayUse);
/// `bytes_reserved` of the data `space_info`.
pub(crate) const DATA_RESERVED: Account = Account::SpaceData(SpaceCounter::BytesReserved);
/// `bytes_may_use` of metadata.
pub(crate) const METADATA_MAY_USE: Account = Account::SpaceMetadata(SpaceCounter::BytesMayUse);

/// The account of a chained counter. `None` for a space_info that has no account (remap tree).
pub(crate) const fn of_chain(counter: ChainCounter, flags: u64) -> Option<Account> {
    match counter {
        ChainCounter::BytesMayUse => space(flags, SpaceCounter::BytesMayUse),
        ChainCounter::BytesPinned => space(flags, SpaceCounter::BytesPinned),
        ChainCounter::QgroupData => Some(Account::InodeQgroupData),
        ChainCounter::QgroupMetaPertrans => Some(Account::RootQgroupMetaPertrans),
        ChainCounter::QgroupMetaPrealloc => Some(Account::RootQgroupMetaPrealloc),
    }
}

/// The account of a counter of a `space_info` with these flags.
pub(crate) const fn space(flags: u64, counter: SpaceCounter) -> Option<Account> {
    if flags & BLOCK_GROUP_METADATA != 0 {
        Some(Account::SpaceMetadata(counter))
    } else if flags & BLOCK_GROUP_DATA != 0 {
        Some(Account::SpaceData(counter))
    } else if flags & BLOCK_GROUP_SYSTEM != 0 {
        Some(Account::SpaceSystem(counter))
    } else {
        None
    }
}

/// True for a data `space_info` (mixed ones count as metadata).
pub(crate) const fn is_data(flags: u64) -> bool {
    flags & BLOCK_GROUP_DATA != 0 && flags & BLOCK_GROUP_METADATA == 0
}

/// True for a metadata or mixed `space_info`.
pub(crate) const fn is_metadata(flags: u64) -> bool {
    flags & BLOCK_GROUP_METADATA != 0
}
