//! Records of one inode: its block_rsv, its counters, the tree blocks that it pays for.
use crate::header::Header;

/// `Counters::flags`: the inode's pointer was known and checked (root and inode number match); the counters are valid.
pub const COUNTERS_VALID: u32 = 1;
/// `Counters::flags`: not a regular file; `csum_bytes` and `delalloc_bytes` are unions there and have another meaning.
pub const COUNTERS_NOT_REGULAR: u32 = 2;
/// `Counters::flags`: `BTRFS_INODE_NODATASUM`; set at closings only.
pub const COUNTERS_NODATASUM: u32 = 4;
/// `Counters::flags`: a free-space-cache inode, which has rules of its own.
pub const COUNTERS_FREE_SPACE: u32 = 8;

/// The kernel's counters of an inode, read without its locks in the order of the fields.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Counters {
    /// `block_rsv.reserved` in bytes.
    pub reserved: u64,
    /// `block_rsv.size` in bytes.
    pub size: u64,
    /// `csum_bytes` in bytes; 0 where it is a union with something else.
    pub csum_bytes: u64,
    /// `delalloc_bytes` in bytes; 0 where it is a union with something else.
    pub delalloc_bytes: u64,
    /// `outstanding_extents`
    pub outstanding_extents: u32,
    /// `COUNTERS_*`
    pub flags: u32,
}

/// `Delalloc::flags`: bytes were added (the tracepoint's `reserve` is 1). Not set: they were released.
pub const DELALLOC_RESERVE: u32 = 1;
/// `Delalloc::flags`: the subvolume is known, from the task's last `btrfs_inode_mod_outstanding_extents` with this inode
/// number.
pub const DELALLOC_ROOT_KNOWN: u32 = 2;
/// `Delalloc::flags`: the stack is a representative stack.
pub const DELALLOC_STACK_REPRESENTATIVE: u32 = 4;
/// `Delalloc::flags`: the `fund_*` fields are valid, because the task was followed since before the operation.
pub const DELALLOC_ORDER_KNOWN: u32 = 8;

/// `trace_btrfs_space_reservation(fs_info, "delalloc", ino, bytes, reserve)`: fires after the change, outside all locks.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Delalloc {
    /// Header.
    pub header: Header,
    /// Subvolume (root objectid); 0 if not known.
    pub root: u64,
    /// Inode number.
    pub ino: u64,
    /// Bytes added to or released from the inode's block_rsv.
    pub bytes: u64,
    /// For a reserve: metadata bytes that the task was granted **before** it published `outstanding_extents`. Equal to
    /// `bytes` on a correct kernel.
    pub fund_before: u64,
    /// For a reserve: metadata bytes that the task was granted **after** it published. 0 on a correct kernel.
    pub fund_after: u64,
    /// The inode's counters right after the event.
    pub counters: Counters,
    /// `DELALLOC_*`
    pub flags: u32,
    /// Extents in the last `btrfs_inode_mod_outstanding_extents` of this task.
    pub published: i32,
    /// Stack id; 0 if none was taken.
    pub stack: u64,
}

/// `Mod::flags`: `outstanding` is the kernel's value after the change.
pub const MOD_OUTSTANDING_KNOWN: u32 = 1;
/// `Mod::flags`: `outstanding - modification` is not what the change before it left.
pub const MOD_CHAIN_BREAK: u32 = 2;
/// `Mod::flags`: the counter went below zero.
pub const MOD_UNDERFLOW: u32 = 4;
/// `Mod::flags`: published during a reservation that has not succeeded; see [`crate::failure`].
pub const MOD_UNFUNDED: u32 = 8;

/// `trace_btrfs_inode_mod_outstanding_extents`: fires after the change, under `inode->lock`.
///
/// Sent for breaks, underflows and tasks that are followed closely; for every change if `Config::stream_all` is set.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Mod {
    /// Header.
    pub header: Header,
    /// Subvolume (root objectid).
    pub root: u64,
    /// Inode number.
    pub ino: u64,
    /// The change of `outstanding_extents`.
    pub modification: i32,
    /// `outstanding_extents` after the change, if `MOD_OUTSTANDING_KNOWN`.
    pub outstanding: u32,
    /// What the change before it left: in a break, the value that was expected before this change.
    pub expected: u32,
    /// `MOD_*`
    pub flags: u32,
    /// Links checked on this inode's chain so far.
    pub links: u64,
    /// Stack id; 0 if none was taken.
    pub stack: u64,
}

/// `InodeState::moment`: `btrfs_inode_evict`, the start of eviction; non-zero counters are normal.
pub const MOMENT_EVICT: u32 = 1;
/// `InodeState::moment`: the destroy signature after an evict; every counter must be zero.
pub const MOMENT_DESTROY: u32 = 2;
/// `InodeState::moment`: read on demand by the auditor.
pub const MOMENT_AUDIT: u32 = 3;
/// `InodeState::moment`: right after a failed reservation, at `btrfs_clear_extent_bit` when the task gives its data back.
pub const MOMENT_FAILED: u32 = 4;

/// All counters of one inode at one moment.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct InodeState {
    /// Header.
    pub header: Header,
    /// Address of the `struct btrfs_inode`; used as identity by the auditor.
    pub address: u64,
    /// Subvolume (root objectid).
    pub root: u64,
    /// Inode number.
    pub ino: u64,
    /// `generation` of the inode.
    pub generation: u64,
    /// The kernel's counters.
    pub counters: Counters,
    /// `block_rsv.qgroup_rsv_reserved` in bytes.
    pub qgroup_reserved: u64,
    /// `block_rsv.qgroup_rsv_size` in bytes.
    pub qgroup_size: u64,
    /// `new_delalloc_bytes` in bytes; 0 where it is a union with something else.
    pub new_delalloc_bytes: u64,
    /// Links of the `outstanding_extents` chain that the kernel side checked for this inode.
    pub links: u64,
    /// `MOMENT_*`
    pub moment: u32,
    /// `i_nlink`
    pub nlink: u32,
    /// Stack id; taken only if a counter that must be zero is not zero.
    pub stack: u64,
}

/// `Block::flags`: bytes reserved on the spot paid for the block (`bytes_may_use` += nodesize just before).
pub const BLOCK_FRESH: u32 = 1;
/// `Block::flags`: the global block_rsv paid for the block after a failed try.
pub const BLOCK_FALLBACK: u32 = 2;
/// `Block::flags`: blocks of `root` are paid from `trans->block_rsv`; not set: from `root->block_rsv` (`get_block_rsv()`).
pub const BLOCK_FROM_TRANS: u32 = 4;
/// `Block::flags`: unknown who paid. The task's last events say `BLOCK_FRESH` or `BLOCK_FALLBACK`, but the payer holds
/// enough to have paid; one of the two readings is stale.
pub const BLOCK_DOUBTFUL: u32 = 8;

/// A tree block is allocated: `find_free_extent` for metadata, after `btrfs_use_block_rsv` has charged it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Block {
    /// Header.
    pub header: Header,
    /// Tree the block is for (root objectid).
    pub root: u64,
    /// Bytes (nodesize).
    pub bytes: u64,
    /// Subvolume of the paying inode if `payer` is [`crate::claim::RsvType::Delalloc`].
    pub payer_root: u64,
    /// Number of the paying inode if `payer` is [`crate::claim::RsvType::Delalloc`].
    pub payer_ino: u64,
    /// [`crate::claim::RsvType`] of the block_rsv that pays, in our numbering.
    pub payer: u32,
    /// `BLOCK_*`
    pub flags: u32,
}

/// Bytes kept of a name, NUL padding included.
pub const NAME_LEN: usize = 192;

/// The name of an inode, from its first dentry: the last components of its path.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Name {
    /// Header.
    pub header: Header,
    /// Subvolume (root objectid).
    pub root: u64,
    /// Inode number.
    pub ino: u64,
    /// Up to 4 components, innermost first, each NUL-padded to 48 bytes; raw bytes, not always UTF-8.
    pub components: [[u8; 48]; 4],
}
