//! Reservation tickets: what each was granted, and how it ended.
use crate::header::Header;

/// `TicketStep::step`: `bytes_may_use` rises for a ticket, under `space_info->lock`, just before the ticket leaves its list.
pub const TICKET_GRANTED: u32 = 1;
/// `TicketStep::step`: the owner goes on with the outcome.
pub const TICKET_ENDED: u32 = 2;
/// `TicketStep::step`: no ticket waits, and `reclaim_size` is not zero. Sent once for a filesystem.
pub const TICKET_NONE: u32 = 3;

/// `TicketStep::flags`: the change may be for `ticket`, for `other`, or for no ticket at all.
pub const TICKET_UNCLEAR: u32 = 1;
/// `TicketStep::flags`: the ticket may take its bytes from the global reserve (`reserve_ticket->steal`), which no event shows.
pub const TICKET_STEAL: u32 = 2;

/// One step of a ticket. A `struct reserve_ticket` lies on the kernel stack of its owner: its address is that of one ticket from
/// the moment when it is queued until its owner goes on.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct TicketStep {
    /// Header. The thread is the one that grants, or at the end the owner.
    pub header: Header,
    /// Address of the `struct btrfs_space_info`; 0 at the end, which does not show it.
    pub space: u64,
    /// `space_info->flags`
    pub space_flags: u64,
    /// Address of the `struct reserve_ticket`; 0 if there is none, or at the end if it was not found on the stack.
    pub ticket: u64,
    /// Another ticket that the change may be for; 0 if there is none.
    pub other: u64,
    /// `reserve_ticket->bytes`: at the grant what the ticket asks for, at the end 0 if it was granted.
    pub bytes: u64,
    /// At the grant what `bytes_may_use` rises by, at the end what the owner had asked for.
    pub moved: u64,
    /// At the end: when the ticket was queued, `CLOCK_MONOTONIC` ns; 0 if unknown.
    pub start: u64,
    /// At the end: subvolume of the owner's operation, as far as its thread shows it; else 0.
    pub root: u64,
    /// At the end: inode number of the owner's operation; else 0.
    pub ino: u64,
    /// At the grant: `space_info->reclaim_size`, the ticket included.
    pub reclaim_size: u64,
    /// Stack id; 0 if none was taken.
    pub stack: u64,
    /// `TICKET_GRANTED`, `TICKET_ENDED` or `TICKET_NONE`
    pub step: u32,
    /// `TICKET_UNCLEAR`, `TICKET_STEAL`
    pub flags: u32,
    /// At the grant `reserve_ticket->error`, at the end the errno that the owner gets.
    pub error: i32,
    /// At the end: `enum btrfs_reserve_flush_enum`
    pub flush: i32,
}
