//! Settings that the user side gives to the kernel side once, before loading.

/// Most filesystems in one filter.
pub const MAX_FILTER_FS: usize = 16;

/// `Config::stacks`: take no stacks.
pub const STACKS_OFF: u32 = 0;
/// `Config::stacks`: an exact stack for rare and decisive events, one representative stack per context for the others.
pub const STACKS_AUTO: u32 = 1;
/// `Config::stacks`: an exact stack for every record.
pub const STACKS_ALL: u32 = 2;

/// Session settings, read-only while the programs run.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// [`crate::ABI_VERSION`]
    pub abi: u32,
    /// `STACKS_*`
    pub stacks: u32,
    /// How often a context's representative stack is renewed, in ms.
    pub stack_renew_ms: u32,
    /// How often the level of an unbroken chain is shown, in ms.
    pub level_ms: u32,
    /// 1: stream every change of the chained counters.
    pub stream_all: u32,
    /// Number of valid entries in `filter_fsid`; 0 follows every filesystem.
    pub filter_fs: u32,
    /// Only these filesystems (`fs_devices->fsid`).
    pub filter_fsid: [[u8; 16]; MAX_FILTER_FS],
    /// 1: the functions tier is on, so tasks may have frames of hooked calls.
    pub filter_ino: u64,
    /// Only this subvolume; 0 follows all.
    pub filter_root: u64,
    /// 1: send the signs of a test suite's tests.
    pub own_pid: u32,
    /// Return address of a function while a return probe waits for its return: `arch_rethook_trampoline`.
    pub functions: u32,
    /// 1: programs that can be preempted have a fallback program, see `hooks/fallback.rs` of the kernel side.
    pub fallbacks: u32,
    /// 1: signs of the tests of a test suite are wanted.
    pub suite: u32,
    /// Where a function returns to while a return probe waits for it: `arch_rethook_trampoline`.
    pub return_trampoline: u64,
    /// Where `btrfs_try_granting_tickets` begins; 0: tickets are not followed.
    pub granting: u64,
    /// Its length, bytes.
    pub granting_len: u64,
    /// 1: every program returns at once, to measure what only their attachment costs.
    pub empty: u64,
}
