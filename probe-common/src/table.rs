//! Tables of the kernel side: in which cells a key may lie, and when a cell may be taken from its owner.
//!
//! A table is an array of cells. Each key has a sequence of cells in which it may lie; it takes the first free one by
//! compare-and-swap. BPF's hash maps would cost every event several times as much. The rules are here, and not in the BPF
//! programs, so that a test can run them over more filesystems than a machine mounts.
use crate::fs;

/// Size of a table and the number of cells in which a key may lie.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    bits: u32,
    /// Cells in which a key may lie. In a table that is three quarters full, one key in ten thousand finds all 32 taken.
    pub probes: u32,
}

/// Filesystems: as many as a host with thousands of loop mounts has at once.
pub const FILESYSTEMS: Shape = Shape { bits: fs::SLOT_BITS, probes: 32 };
/// Counters of space_infos: two counters for each of three or four space_infos of a filesystem.
pub const CHAINS: Shape = Shape { bits: 14, probes: 32 };
/// Counters of qgroups, three per qgroup. A counter that is zero gives up its cell when another needs it.
pub const QGROUPS: Shape = Shape { bits: 15, probes: 32 };
/// Live threads that have made an event.
pub const TASKS: Shape = Shape { bits: 14, probes: 32 };
/// Live threads that have called a hooked function.
pub const FRAMES: Shape = Shape { bits: 13, probes: 32 };

/// Cells that a program looks at inline; a function looks at the others.
pub const NEAR_PROBES: u32 = 2;

/// How long the counters of a filesystem stay after its work queues are destroyed. The release of the global block_rsv
/// follows within milliseconds, or later if a loaded machine delays the task.
pub const CHAIN_GRACE_NS: u64 = 2_000_000_000;
/// How long the cell of a filesystem stays after its work queues are destroyed. A `struct btrfs_fs_info` met at the same
/// address after that is another filesystem.
pub const FS_GRACE_NS: u64 = 10_000_000_000;

impl Shape {
    /// Number of cells.
    #[must_use]
    pub const fn cells(self) -> u32 {
        1 << self.bits
    }

    /// Keeps a number below [`Shape::cells`].
    #[inline(always)]
    #[must_use]
    pub const fn mask(self) -> u32 {
        self.cells() - 1
    }

    /// The `probe`th cell of an address or id. The step to the next cell depends on the key, so that two keys that share one
    /// cell do not share all.
    #[inline(always)]
    #[must_use]
    pub const fn slot(self, key: u64, probe: u32) -> u32 {
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let first = (hash >> (64 - self.bits)) as u32;
        first.wrapping_add(probe.wrapping_mul(step(hash))) & self.mask()
    }

    /// The same for thread ids, which are mostly consecutive: the id itself spreads them best.
    #[inline(always)]
    #[must_use]
    pub const fn slot_of_tid(self, tid: u64, probe: u32) -> u32 {
        let hash = tid.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (tid as u32).wrapping_add(probe.wrapping_mul(step(hash))) & self.mask()
    }
}

/// Step between the cells of a key: odd, so that it reaches every cell of a table whose size is a power of two.
#[inline(always)]
const fn step(hash: u64) -> u32 {
    (hash >> 24) as u32 | 1
}

/// True if a filesystem's cell may be given to another filesystem. `died`: when its work queues were destroyed; 0: not yet.
#[inline(always)]
#[must_use]
pub const fn filesystem_is_gone(died: u64, now: u64, lives: u32) -> bool {
    died != 0 && now.wrapping_sub(died) > FS_GRACE_NS && lives < fs::MAX_LIVES
}

/// True if the counters of filesystem `id` may be given to others: its slot has another filesystem, or it has died.
#[inline(always)]
#[must_use]
pub const fn counters_are_gone(id: u32, in_slot: u32, died: u64, now: u64) -> bool {
    id != in_slot || (died != 0 && now.wrapping_sub(died) > CHAIN_GRACE_NS)
}
