//! Failed reservations, tickets, flushes, and the kernel's own warnings.
use crate::header::Header;

/// `Enospc::flags`: the task had published `outstanding_extents` since its operation began.
pub const ENOSPC_PUBLISHED: u32 = 1;
/// Bytes of text in a [`LogLine`]: more than the longest complaint of btrfs with the longest name of a device.
pub const LINE_TEXT: usize = 256;

/// `Enospc::flags`: the start of the operation (its data reservation) was seen.
pub const ENOSPC_WINDOW_KNOWN: u32 = 2;

/// `trace_btrfs_space_reservation(fs_info, "space_info:enospc", flags, bytes, 1)`: nothing was reserved.
/// From here on the kernel side sends every change by this task ([`crate::chain::Bmu`], [`crate::inode::Mod`]), until the
/// task has given back its data bytes or begins another operation.
/// data bytes back or began another operation.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Enospc {
    /// Header.
    pub header: Header,
    /// `space_info->flags` of the failed request.
    pub space_flags: u64,
    /// Bytes that were asked for.
    pub bytes: u64,
    /// Data bytes that this task reserved for the same operation and still holds; 0 if none or unknown.
    pub data_held: u64,
    /// Subvolume that the task last published for in this operation; 0 if none.
    pub root: u64,
    /// Inode number that the task last published for in this operation; 0 if none.
    pub ino: u64,
    /// Extents published in this operation.
    pub published: i32,
    /// `ENOSPC_*`
    pub flags: u32,
    /// Stack id; 0 if none was taken.
    pub stack: u64,
}

/// `trace_btrfs_reserve_ticket`: fires in the task that owns the ticket, after the outcome.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Ticket {
    /// Header.
    pub header: Header,
    /// `space_info->flags`
    pub space_flags: u64,
    /// Bytes of the ticket.
    pub bytes: u64,
    /// When the ticket was queued, `CLOCK_MONOTONIC` ns (`ktime_get_ns()`); 0 if unknown.
    pub start: u64,
    /// `enum btrfs_reserve_flush_enum`
    pub flush: i32,
    /// 0 or a negative errno.
    pub error: i32,
    /// Data bytes that this task reserved for the same operation and still holds; 0 if none or unknown.
    pub data_held: u64,
    /// Subvolume that the task last published for in this operation; 0 if none.
    pub root: u64,
    /// Inode number that the task last published for in this operation; 0 if none.
    pub ino: u64,
    /// Extents published in this operation.
    pub published: i32,
    /// `ENOSPC_*`
    pub flags: u32,
    /// Stack id; 0 if none was taken.
    pub stack: u64,
    /// When its outcome was known to the task, `CLOCK_MONOTONIC` ns, exact; 0 if unknown (before ABI version 5).
    pub ended: u64,
}

/// `trace_error_report_end`: a WARN_ON (or KASAN and the like) printed its report.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Warn {
    /// Header; `fs` is 0.
    pub header: Header,
    /// Address of the WARN.
    pub address: u64,
    /// `enum error_detector`
    pub detector: u64,
    /// Stack id; 0 if none was taken.
    pub stack: u64,
}

/// `trace_console`: a line that btrfs wrote to the kernel's log, or a line that says how many of its lines were suppressed.
///
/// The text has no level, time or caller. Anybody who may write to `/dev/kmsg` can write such a line too; nothing tells it
/// apart.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct LogLine {
    /// Header; `fs` is 0: the line itself names a device.
    pub header: Header,
    /// Length of the whole line, bytes.
    pub length: u32,
    /// Zero.
    pub reserved: u32,
    /// Text, NUL-padded; the end of a longer line is cut off.
    pub text: [u8; LINE_TEXT],
}

/// `trace_btrfs_trigger_flush` or `trace_btrfs_fail_all_tickets`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Flush {
    /// Header; `hook` says which.
    pub header: Header,
    /// `space_info->flags`
    pub space_flags: u64,
    /// Bytes asked for; 0 for `btrfs_fail_all_tickets`.
    pub bytes: u64,
    /// `enum btrfs_reserve_flush_enum`; -1 for `btrfs_fail_all_tickets`.
    pub flush: i32,
    /// Zero.
    pub reserved: u32,
    /// Reason, NUL-padded.
    pub reason: [u8; 24],
}
