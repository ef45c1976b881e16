//! Filesystems: identity, life, and the levels of their pools.
use crate::header::Header;

/// Bits of a filesystem id that hold the slot of its cell. The bits above hold the number of its life in that slot, from 1
/// on, so that no id is given twice in a session.
pub const SLOT_BITS: u32 = 12;
/// Lives that a slot can have. The last one keeps its slot for good.
pub const MAX_LIVES: u32 = (1 << (32 - SLOT_BITS)) - 1;

/// The id of the `life`th filesystem in a slot; lives count from 1.
#[inline(always)]
#[must_use]
pub const fn id(slot: u32, life: u32) -> u32 {
    slot | life << SLOT_BITS
}

/// The slot of an id.
#[inline(always)]
#[must_use]
pub const fn slot_of(id: u32) -> u32 {
    id & ((1 << SLOT_BITS) - 1)
}

/// `FsSeen::flags`: the filesystem was met at its birth (`btrfs_workqueue_alloc`), so every opening balance is zero.
pub const FS_BORN: u32 = 1;
/// `FsSeen::flags`: log replay was running (`BTRFS_FS_LOG_RECOVERING`) when the filesystem was met.
pub const FS_LOG_RECOVERING: u32 = 2;

/// First sight of a filesystem. Sent again when more is known (mount finished, fsid changed).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct FsSeen {
    /// Header; `fs` is the new id.
    pub header: Header,
    /// Address of the `struct btrfs_fs_info`.
    pub fs_info: u64,
    /// `fs_devices->fsid`.
    pub fsid: [u8; 16],
    /// `sb->s_id`: name of a device, NUL-padded; empty early in mount.
    pub s_id: [u8; 32],
    /// `FS_*` flags.
    pub flags: u32,
    /// `fs_info->nodesize` in bytes; 0 while unknown.
    pub nodesize: u32,
    /// `fs_info->sectorsize` in bytes; 0 while unknown.
    pub sectorsize: u32,
    /// `sb->s_dev`; 0 while unknown.
    pub s_dev: u32,
}

/// `FsEnd::why`: `btrfs_workqueue_destroy` was seen; only the release of the global block_rsv can follow.
pub const FS_END_WORKQUEUES: u32 = 1;
/// `FsEnd::why`: a new filesystem uses the address of this `struct btrfs_fs_info`, so this filesystem is gone.
pub const FS_END_REPLACED: u32 = 2;

/// A filesystem is being torn down.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct FsEnd {
    /// Header.
    pub header: Header,
    /// `FS_END_*`.
    pub why: u32,
    /// Low 32 bits of `fs_info->fs_state`; show whether the filesystem was aborted.
    pub fs_state: u32,
}

/// Size and reserved bytes of one `struct btrfs_block_rsv`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Rsv {
    /// `block_rsv->size`: bytes that it may hold.
    pub size: u64,
    /// `block_rsv->reserved`: bytes held.
    pub reserved: u64,
}

/// Levels of one `struct btrfs_space_info`, in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct SpaceLevels {
    /// `space_info->flags` (block group type); 0 if this entry is empty.
    pub flags: u64,
    /// `total_bytes`
    pub total: u64,
    /// `bytes_used`
    pub used: u64,
    /// `bytes_may_use`
    pub may_use: u64,
    /// `bytes_reserved`
    pub reserved: u64,
    /// `bytes_pinned`
    pub pinned: u64,
}

/// `Levels::why`: a transaction commit completed.
pub const LEVELS_COMMIT: u32 = 1;
/// `Levels::why`: the global block_rsv is released at unmount (read under its lock): everything must be zero.
pub const LEVELS_UNMOUNT: u32 = 2;
/// `Levels::why`: an audit asked for them.
pub const LEVELS_AUDIT: u32 = 3;

/// `Levels::fs_flags`: `BTRFS_FS_CLOSING_START` is set.
pub const LEVELS_CLOSING: u32 = 1;
/// `Levels::fs_flags`: the filesystem was aborted or has `fs_error` set; rules for the whole filesystem do not apply.
pub const LEVELS_ERROR: u32 = 2;
/// `Levels::fs_flags`: log replay is running (`BTRFS_FS_LOG_RECOVERING`).
pub const LEVELS_LOG_RECOVERING: u32 = 4;
/// `Levels::fs_flags`: the log cleanup failed (`BTRFS_FS_STATE_LOG_CLEANUP_ERROR`).
pub const LEVELS_LOG_CLEANUP_ERROR: u32 = 8;
/// `Levels::fs_flags`, with [`LEVELS_COMMIT`]: no transaction was running while the levels were read.
pub const LEVELS_QUIET: u32 = 16;

/// Levels of all pools of a filesystem.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Levels {
    /// Header.
    pub header: Header,
    /// `LEVELS_COMMIT`, `LEVELS_UNMOUNT` or `LEVELS_AUDIT`.
    pub why: u32,
    /// `LEVELS_*` state flags.
    pub fs_flags: u32,
    /// Generation of the running or just committed transaction; 0 if not known.
    pub transid: u64,
    /// `fs_info->global_block_rsv`
    pub global: Rsv,
    /// `fs_info->trans_block_rsv`
    pub trans: Rsv,
    /// `fs_info->chunk_block_rsv`
    pub chunk: Rsv,
    /// `fs_info->delayed_block_rsv`
    pub delayed: Rsv,
    /// `fs_info->delayed_refs_rsv`
    pub delayed_refs: Rsv,
    /// Levels of the data, metadata, system and at most one more space_info, in the order of `fs_info->space_info`. With
    /// `LEVELS_UNMOUNT`, `may_use` of metadata is the value after the final release.
    pub space: [SpaceLevels; 4],
}

/// `/sys/fs/btrfs/UUID/allocation/TYPE/`, bytes. The capture layer reads it between two readings of the chain.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct SysfsLevels {
    /// Header.
    pub header: Header,
    /// Block group type: 1 data, 2 system, 4 metadata, 5 mixed.
    pub flags: u64,
    /// `bytes_may_use` of sysfs.
    pub may_use: u64,
    /// `bytes_pinned` of sysfs.
    pub pinned: u64,
    /// `bytes_reserved` of sysfs.
    pub reserved: u64,
    /// `bytes_may_use` by the chain at the same moment; `u64::MAX` if the chain has no link yet.
    pub chain_may_use: u64,
    /// `bytes_pinned` by the chain at the same moment; `u64::MAX` if the chain has no link yet.
    pub chain_pinned: u64,
    /// 1 if the chain had as many links after the sysfs reading as before it, so that sysfs and chain must agree.
    pub stable: u64,
}

/// `AuditMark::phase`: an audit begins.
pub const AUDIT_BEGIN: u32 = 0;
/// `AuditMark::phase`: an audit ends.
pub const AUDIT_END: u32 = 1;
/// `AuditMark::phase`: a look begins: it shows who holds the pools, and no rule judges what it reads.
pub const LOOK_BEGIN: u32 = 2;
/// `AuditMark::phase`: a look ends.
pub const LOOK_END: u32 = 3;

/// An audit or a look begins or ends; its [`Levels`], [`crate::inode::InodeState`] and [`SysfsLevels`] records lie between.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct AuditMark {
    /// Header; `fs` is the audited filesystem.
    pub header: Header,
    /// `AUDIT_BEGIN`, `AUDIT_END`, `LOOK_BEGIN` or `LOOK_END`
    pub phase: u32,
    /// Audits of this filesystem so far; 0 for a look.
    pub round: u32,
    /// Chain links so far of all space_info counters of the filesystem. If two audits show the same number, no space_info
    /// changed between them.
    pub links: u64,
}
