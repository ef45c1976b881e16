//! Tables of the kernel side: where a key may lie, and which cell may be taken from its owner.
//!
//! A table is an array of cells. A key has a row of cells where it may lie; the first that is free becomes its cell, by
//! compare-and-swap. BPF's own hash maps would cost every event several times as much. The rules stand here, and not
//! beside the programs that follow them, so that a test can run them over more filesystems than a machine mounts.
use crate::fs;

/// Size of a table and the number of cells in which a key may lie.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    bits: u32,
    /// Cells in which a key may lie. At a table three quarters full, one key in ten thousand finds all of 32 taken.
    pub probes: u32,
}

/// Filesystems: as many as a host with thousands of loop mounts has at a time.
pub const FILESYSTEMS: Shape = Shape { bits: fs::SLOT_BITS, probes: 32 };
/// Counters of space_infos: two for each of three or four objects of a filesystem.
pub const CHAINS: Shape = Shape { bits: 14, probes: 32 };
/// Counters of qgroups, three a qgroup. Those that are zero give way.
pub const QGROUPS: Shape = Shape { bits: 15, probes: 32 };
/// Threads that have made an event and live.
pub const TASKS: Shape = Shape { bits: 14, probes: 32 };
/// Threads that have called a hooked function and live.
pub const FRAMES: Shape = Shape { bits: 13, probes: 32 };

/// Probes that programs make in place; what lies further is looked for by a function.
pub const NEAR_PROBES: u32 = 2;

/// How long a filesystem's counters are kept after its work queues are gone: the release of the global reserve follows
/// within milliseconds, or when a loaded machine lets the task run.
pub const CHAIN_GRACE_NS: u64 = 2_000_000_000;
/// How long its cell is kept. Whoever is met after that is somebody else.
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

    /// The `probe`th cell of an address or id. The step from one to the next depends on the key, so that keys that share
    /// one cell do not share all.
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

/// Odd, so that it meets every cell of a table whose size is a power of two.
#[inline(always)]
const fn step(hash: u64) -> u32 {
    (hash >> 24) as u32 | 1
}

/// True if the cell of a filesystem may be given to another: its work queues went at `died` (0: they are there).
#[inline(always)]
#[must_use]
pub const fn filesystem_is_gone(died: u64, now: u64, lives: u32) -> bool {
    died != 0 && now.wrapping_sub(died) > FS_GRACE_NS && lives < fs::MAX_LIVES
}

/// True if the counters of filesystem `id` may be given to others: it is not the one in its slot, or has died.
#[inline(always)]
#[must_use]
pub const fn counters_are_gone(id: u32, in_slot: u32, died: u64, now: u64) -> bool {
    id != in_slot || (died != 0 && now.wrapping_sub(died) > CHAIN_GRACE_NS)
}
