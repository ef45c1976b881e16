//! Reservations that wait for space, and what is done to get them some.
//!
//! The kernel has no event for a ticket that is queued. The capture layer therefore asks a program to walk the tickets of a
//! filesystem now and then, without its locks: what [`Waiting`] says was true a moment before.
use crate::header::Header;

/// Tickets of one list that become records. The first ones have waited longest.
pub const MAX_WAITING: u32 = 16;
/// Tickets of one list that are counted.
pub const MAX_COUNTED: u32 = 256;
/// Threads that one search looks at.
pub const MAX_THREADS: u32 = 8192;

/// Set in what the program returns: a list changed under the walk, or has more than [`MAX_COUNTED`] tickets.
pub const WALK_CUT: u32 = 1 << 16;

/// `Waiting::flags`: the ticket is in `priority_tickets`, so its task flushes for itself and does not sleep in the queue.
pub const WAITING_PRIORITY: u32 = 1;
/// `Waiting::flags`: `ticket->steal`: it may be granted from the global reserve.
pub const WAITING_STEAL: u32 = 1 << 1;
/// `Waiting::flags`: `space_info->flush`: a worker was told to reclaim, and has not finished.
pub const WAITING_FLUSHER: u32 = 1 << 2;

/// One ticket that waits.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Waiting {
    /// Header; `tid` is that of the reader, not of the task that waits.
    pub header: Header,
    /// Address of the `struct reserve_ticket`, on the stack of its task.
    pub ticket: u64,
    /// `space_info->flags`
    pub space_flags: u64,
    /// Bytes that it waits for.
    pub bytes: u64,
    /// `space_info->reclaim_size`: bytes of all tickets of this space_info.
    pub reclaim_size: u64,
    /// Subvolume of the reservation; 0 if not known.
    pub root: u64,
    /// Inode number of the reservation; 0 if not known.
    pub ino: u64,
    /// Thread that waits; 0 if not known.
    pub tid: u32,
    /// Its process; 0 if not known.
    pub pid: u32,
    /// Its name, NUL-padded.
    pub comm: [u8; 16],
    /// Number of the walk.
    pub round: u32,
    /// `WAITING_*`
    pub flags: u32,
}

/// End of a walk over the tickets of a filesystem, which had some in this walk or the one before. Added by the capture layer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct WaitRound {
    /// Header; `fs` and `time` are those of the walk.
    pub header: Header,
    /// Number of the walk.
    pub round: u32,
    /// Tickets that were counted.
    pub waiting: u32,
    /// When the walk before began, `CLOCK_MONOTONIC` ns: a ticket that is new in this one was queued after that; 0 if there
    /// was none.
    pub before: u64,
    /// 1: all tickets were seen, so one without a record is over or beyond the first [`MAX_WAITING`] of its list.
    pub complete: u32,
    /// Zero.
    pub reserved: u32,
}

/// `ThreadFound::what`: the worker that reclaims metadata (`fs_info->async_reclaim_work`).
pub const FOUND_METADATA: u32 = 1;
/// `ThreadFound::what`: the worker that reclaims data (`fs_info->async_data_reclaim_work`).
pub const FOUND_DATA: u32 = 2;
/// `ThreadFound::what`: the worker that reclaims before somebody has to wait (`fs_info->preempt_reclaim_work`).
pub const FOUND_PREEMPT: u32 = 3;
/// `ThreadFound::what`: the task whose stack holds the ticket.
pub const FOUND_OWNER: u32 = 4;

/// A thread that has to do with a wait, found by a search through all threads.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct ThreadFound {
    /// Header; `tid` is that of the reader.
    pub header: Header,
    /// `FOUND_*`
    pub what: u32,
    /// Thread id.
    pub tid: u32,
    /// Its process.
    pub pid: u32,
    /// Zero.
    pub reserved: u32,
    /// Address of the ticket of an owner, else 0.
    pub ticket: u64,
    /// Its name, NUL-padded.
    pub comm: [u8; 16],
}

/// Bytes of text in a [`ThreadStack`].
pub const STACK_TEXT: usize = 384;

/// Where a thread is, by `/proc/TID/stack`. Added by the capture layer.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct ThreadStack {
    /// Header; `tid` is the thread.
    pub header: Header,
    /// `FOUND_*` of the thread, 0 for one that waits.
    pub what: u32,
    /// Zero.
    pub reserved: u32,
    /// Inode number behind the file descriptor of the system call that it is in; 0 if not known.
    pub ino: u64,
    /// Names of functions, innermost first, separated by newlines, NUL-padded. Only whole names.
    pub text: [u8; STACK_TEXT],
}

/// `FlushState::moment`: a state of the flush is over (`btrfs_flush_space`).
pub const FLUSH_STATE_DONE: u32 = 1;
/// `FlushState::moment`: a worker was told to reclaim (`btrfs_trigger_flush`); `state` is 0.
pub const FLUSH_BEGINS: u32 = 2;
/// `FlushState::moment`: preemptive reclaim has done enough (`btrfs_done_preemptive_reclaim`); `state` is 0.
pub const FLUSH_PREEMPTIVE_DONE: u32 = 3;

/// One step of a flush.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct FlushState {
    /// Header.
    pub header: Header,
    /// `space_info->flags`
    pub space_flags: u64,
    /// Bytes that it was to win.
    pub bytes: u64,
    /// `CLOCK_MONOTONIC` ns, exact.
    pub at: u64,
    /// `FLUSH_*` moment.
    pub moment: u32,
    /// `enum btrfs_flush_state`, whose numbers differ between kernels.
    pub state: i32,
    /// What it returned: 0, a negative errno, or a positive number that says nothing to us.
    pub ret: i32,
    /// 1: preemptive.
    pub preemptive: u32,
    /// `space_info->reclaim_size` at this moment; `u64::MAX` if not known.
    pub reclaim_size: u64,
    /// `space_info->bytes_may_use` at this moment; `u64::MAX` if not known.
    pub may_use: u64,
}
