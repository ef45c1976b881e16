//! The known kernel bugs. `docs/known/README.md` says how to add one.
use probe_ledger::{Account, FindingKind, SpaceCounter};

use super::{
    KernelBug,
    Step::{In, Inlined},
};

/// All of them. Each has a page in `docs/known/`.
pub const CATALOGUE: &[KernelBug] = &[SNAPSHOT_PREALLOC, DIRECT_COW_ERROR, TREE_BLOCK_ERROR];

/// `create_snapshot()` is inlined into `btrfs_mksubvol()` on the kernels that we know. It must be the direct caller: what
/// it calls, such as the commit of a transaction, gives back META_PREALLOC of others.
const SNAPSHOT_PREALLOC: KernelBug = KernelBug {
    id: "snapshot-prealloc-wrong-subvolume",
    title: "create_snapshot() reserves META_PREALLOC in the qgroup of the subvolume that the snapshot is put into, and \
            gives it back to that of the subvolume that it is made of",
    kind: FindingKind::WrongOwner,
    account: Account::RootQgroupMetaPrealloc,
    freed: &[
        &[
            In("btrfs_qgroup_convert_reserved_meta"),
            Inlined("create_snapshot"),
            Inlined("btrfs_mksubvol"),
            In("btrfs_mksnapshot"),
        ],
        // The snapshot failed before it was converted.
        &[
            In("__btrfs_qgroup_free_meta"),
            Inlined("create_snapshot"),
            Inlined("btrfs_mksubvol"),
            In("btrfs_mksnapshot"),
        ],
    ],
    reserved: &[&[
        In("btrfs_qgroup_reserve_meta"),
        Inlined("__btrfs_qgroup_reserve_meta"),
        In("btrfs_subvolume_reserve_metadata"),
        Inlined("create_snapshot"),
        Inlined("btrfs_mksubvol"),
        In("btrfs_mksnapshot"),
    ]],
    twice: false,
    versions: "6.1.192 and 6.12.117 of Debian (others were not read)",
    evidence: "seen on Debian's 6.1.0-56 and 6.12.117 in the functions tier, at `btrfs subvolume snapshot` with quotas on",
    upstream_fix: None,
    heals: "by chance, or not before unmount",
};

/// The counter of a `space_info` is everybody's, so nobody knows who reserved. The same call of the same function also gives
/// back what a write did not need, and finds too little there if somebody else has freed too much before: so it must be more than
/// the write's extent has left of what the write had reserved. That is known on the functions tier only.
const DIRECT_COW_ERROR: KernelBug = KernelBug {
    id: "direct-cow-error-frees-data-twice",
    title: "btrfs_dio_iomap_begin() frees the data space of a direct write that copies and fails after its extent was \
            reserved, which has taken that space already",
    kind: FindingKind::Underflow,
    account: Account::SpaceData(SpaceCounter::BytesMayUse),
    freed: &[
        &[
            Inlined("btrfs_free_reserved_data_space_noquota"),
            In("btrfs_free_reserved_data_space"),
            In("btrfs_dio_iomap_begin"),
            In("iomap_iter"),
        ],
        // 7.x
        &[
            Inlined("btrfs_free_reserved_data_space_noquota"),
            In("btrfs_free_reserved_data_space"),
            Inlined("btrfs_dio_iomap_begin"),
            In("btrfs_dio_iomap_next"),
            In("iomap_iter"),
        ],
    ],
    reserved: &[],
    twice: true,
    versions: "6.1.192, 6.12.117 and 7.3.4 of Debian (others were not read)",
    evidence: "seen on Debian's 6.1.0-56 and 6.12.117 in both tiers, where no memory was left for the extent map of a direct write",
    upstream_fix: None,
    heals: "no: bytes_may_use of data is too low until the unmount, or stops at 0",
};

/// `btrfs_unuse_block_rsv()` is inlined. It is right where no extent was reserved, and is not reported there.
const TREE_BLOCK_ERROR: KernelBug = KernelBug {
    id: "tree-block-error-frees-metadata-twice",
    title: "btrfs_alloc_tree_block() gives the bytes of a tree block back to the block_rsv after its extent has taken them out of \
            bytes_may_use",
    kind: FindingKind::OverRelease,
    account: Account::SpaceMetadata(SpaceCounter::BytesMayUse),
    freed: &[&[
        In("btrfs_block_rsv_add_bytes"),
        Inlined("btrfs_unuse_block_rsv"),
        In("btrfs_alloc_tree_block"),
    ]],
    reserved: &[],
    twice: false,
    versions: "6.1.192, 6.12.117 and 7.3.4 of Debian (others were not read)",
    evidence: "seen on Debian's 6.1.0-56 and 6.12.117 in the functions tier, where no memory was left for a tree block of a balance; on \
               7.3.4 in the tracepoints tier and by the kernel's own warning",
    upstream_fix: None,
    heals: "no: bytes_may_use of metadata is too low by the block until the unmount, or stops at 0",
};
