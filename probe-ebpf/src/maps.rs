//! All maps: who writes and reads each, its size and the reason.
use aya_ebpf::{
    helpers::generated::bpf_get_smp_processor_id,
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray, RingBuf},
};
use probe_common::{
    cell::{ChainCell, INODE_CELLS, InodeCell, InodeKey},
    hook::HOOK_SLOTS,
    loss::LOSS_SLOTS,
    table,
    task::Stack,
};

use crate::layout::{
    frames::Frames,
    fs::FsCell,
    task::TaskCell,
    types::{TYPE_CELLS, TypeCell},
};

/// All records of all CPUs. The size is set by the user side.
#[map]
pub static RING: RingBuf = RingBuf::with_byte_size(1 << 24, 0);

/// `BPF_F_MMAPABLE`: the user side maps it into its memory. Each system call that reads a map keeps all kprobe programs from running on its
/// CPU meanwhile (`bpf_disable_instrumentation()`), and where tasks can be preempted inside the kernel that takes long.
const MAPPED: u32 = 1 << 10;

/// Counters and scratch of one CPU; on cache lines of its own.
#[repr(C, align(64))]
pub struct CpuCell {
    /// Runs by hook. Only one program writes each slot, and it cannot interrupt itself.
    pub hits: [u64; HOOK_SLOTS as usize],
    /// Losses by class; several programs on one CPU may count.
    pub lost: [u64; LOSS_SLOTS],
    /// Inodes that were checked at their destroy and found clean, without a record.
    pub closed: u64,
    /// Coarse clock: the jiffy of `time`.
    pub jiffy: u64,
    /// Coarse clock: `CLOCK_MONOTONIC` ns read in that jiffy.
    pub time: u64,
}

/// One entry per CPU; the user side sets how many, and reads them.
#[map]
pub static CPU: Array<CpuCell> = Array::with_max_entries(1, MAPPED);

/// The cell of the CPU that runs this.
#[inline(always)]
pub fn this_cpu() -> Option<*mut CpuCell> {
    // SAFETY: plain helper.
    CPU.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })
}

/// Entry 0: records lost so far, on all CPUs. Its low bits are in every record's header.
#[map]
pub static LOST: Array<u64> = Array::with_max_entries(1, 0);

/// Entry 0: lines that `diagnose.rs` made, on all CPUs.
#[map]
pub static DIAGNOSED: Array<u64> = Array::with_max_entries(1, 0);

/// Filesystems, by a hash of the `fs_info` address.
#[map]
pub static FILESYSTEMS: Array<FsCell> = Array::with_max_entries(table::FILESYSTEMS.cells(), 0);

/// Chained counters of qgroups, by a hash of the object address.
#[map]
pub static QGROUPS: Array<ChainCell> = Array::with_max_entries(table::QGROUPS.cells(), MAPPED);

/// Chained counters of space_infos, by a hash of the object address. The user side reads `links` and `value` of those that
/// it knows.
#[map]
pub static CHAINS: Array<ChainCell> = Array::with_max_entries(table::CHAINS.cells(), MAPPED);

/// Threads, by a hash of the thread id. A cell belongs to one live thread and is written by it alone.
#[map]
pub static TASKS: Array<TaskCell> = Array::with_max_entries(table::TASKS.cells(), 0);

/// Frames (open calls of hooked functions) by thread. The tracepoints tier makes it with one entry.
#[map]
pub static FRAMES: Array<Frames> = Array::with_max_entries(table::FRAMES.cells(), 0);

/// Inodes with delalloc accounting. The least recently used cells give way: their chain then opens anew.
#[map]
pub static INODES: LruHashMap<InodeKey, InodeCell> = LruHashMap::with_max_entries(INODE_CELLS, 0);

/// Entry 0: cells of [`INODES`] that were made and not removed, including those that gave way.
#[map]
pub static INODE_COUNT: Array<u64> = Array::with_max_entries(1, 0);

/// Type strings of `btrfs_space_reservation`, by a hash of their address.
#[map]
pub static TYPES: Array<TypeCell> = Array::with_max_entries(TYPE_CELLS, 0);

/// Stacks whose frames were sent.
#[map]
pub static STACKS_SENT: LruHashMap<u64, u64> = LruHashMap::with_max_entries(16_384, 0);

/// Living processes that were taken for a test of a test suite at their exec. If the end of one was missed, its entry
/// gives way to others.
#[map]
pub static TEST_PIDS: LruHashMap<u32, u32> = LruHashMap::with_max_entries(4096, 0);

/// Room to walk a stack: one per program, so that a program that interrupts another does not share it.
#[map]
pub static STACK_SCRATCH: PerCpuArray<Stack> = PerCpuArray::with_max_entries(HOOK_SLOTS, 0);
