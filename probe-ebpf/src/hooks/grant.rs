//! Tickets: who is granted what, and which ticket a task had.
//!
//! A ticket lies on the kernel stack of its owner, and other threads grant it, under `space_info->lock`. Its address tells both
//! sides that it is the same ticket. At the grant it is the first of one of the two lists. At the end it is found on the
//! owner's stack, where it looks like nothing else: both of its list heads are empty, so each points to itself.
//!
//! A reservation that needs no ticket also changes `bytes_may_use` while others wait. Only a change that is made inside
//! `btrfs_try_granting_tickets()` is a grant; the stack shows that.
use probe_common::{
    header::RecordKind,
    loss::LossClass,
    ticket::{TICKET_ENDED, TICKET_GRANTED, TICKET_NONE, TICKET_STEAL, TICKET_UNCLEAR, TicketStep},
};

use super::event::Arguments;
use crate::{
    cells::{self, frame},
    emit::Run,
    globals::{config, off},
    layout::task::TaskCell,
    maps::STACK_SCRATCH,
    read, stack,
};

/// Words of a stack that are read at a time.
const WORDS: usize = 32;
/// How often: `__reserve_bytes()` has the ticket in its frame, a few frames above the tracepoint.
const READS: u64 = 4;

/// The lists of a `space_info`, `priority_tickets` first, each as `next` and `prev`, and `reclaim_size`. Tickets are followed only
/// where these lie one after the other.
type Lists = [u64; 5];

/// Whether tickets are followed on this kernel. The user side decides.
#[inline(always)]
fn followed() -> bool {
    config!(granting) != 0
}

/// Bytes are added to `bytes_may_use`, under `space_info->lock`, before the change.
#[inline(always)]
pub fn added(run: &Run, fs: u32, space: u64, space_flags: u64, bytes: u64) {
    if !followed() {
        return;
    }
    let lists: Lists = read::at(space, off!(sinfo_priority_tickets));
    let priority = space + off!(sinfo_priority_tickets) as u64;
    if lists[0] == priority && lists[2] == priority + 16 {
        if lists[4] != 0 && cells::fs_reclaim_left(fs) {
            nobody_waits(run, fs, space, space_flags);
        }
    } else if lists[0] != 0 {
        waited_for(run, fs, space, space_flags, bytes);
    }
}

/// Bytes are added while tickets wait.
#[inline(never)]
fn waited_for(run: &Run, fs: u32, space: u64, space_flags: u64, bytes: u64) {
    let lists: Lists = read::at(space, off!(sinfo_priority_tickets));
    let list = space + off!(sinfo_priority_tickets) as u64;
    let first = if lists[0] == list { 0 } else { lists[0] - off!(ticket_list) as u64 };
    let second = if lists[2] == list + 16 { 0 } else { lists[2] - off!(ticket_list) as u64 };
    let first_fits = first != 0 && read::at::<u64>(first, off!(ticket_bytes)) == bytes;
    let second_fits = second != 0 && read::at::<u64>(second, off!(ticket_bytes)) == bytes;
    let walked = stack::take(run);
    let grants = stack::passes(run.slot, config!(granting), config!(granting_len)) != 0;
    let (mut ticket, mut other, mut flags) = (0, 0, 0);
    if first_fits || second_fits {
        ticket = if first_fits { first } else { second };
        if first_fits && second_fits {
            other = second;
        }
        if other != 0 || !grants {
            flags = TICKET_UNCLEAR;
        }
    } else if !grants {
        return;
    } else if first == 0 || second == 0 {
        ticket = first | second;
    }
    let stack = stack::known(run, walked);
    run.emit::<TicketStep>(RecordKind::TicketStep, LossClass::BooksRecord, fs, |record| {
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).space = space;
            (*record).space_flags = space_flags;
            (*record).ticket = ticket;
            (*record).other = other;
            (*record).bytes = read::at(ticket, off!(ticket_bytes));
            (*record).moved = bytes;
            (*record).start = 0;
            (*record).root = 0;
            (*record).ino = 0;
            (*record).reclaim_size = lists[4];
            (*record).stack = stack;
            (*record).step = TICKET_GRANTED;
            (*record).flags = flags;
            (*record).error = read::at(ticket, off!(ticket_error));
            (*record).flush = 0;
        }
    });
}

/// No ticket waits, yet some bytes of tickets are still counted.
#[inline(never)]
fn nobody_waits(run: &Run, fs: u32, space: u64, space_flags: u64) {
    let stack = stack::exact(run);
    run.emit::<TicketStep>(RecordKind::TicketStep, LossClass::BooksRecord, fs, |record| {
        // SAFETY: the ring gave this room, and every field is an integer.
        unsafe {
            record.write_bytes(0, 1);
            (*record).space = space;
            (*record).space_flags = space_flags;
            (*record).reclaim_size = read::at(space, off!(sinfo_reclaim_size));
            (*record).stack = stack;
            (*record).step = TICKET_NONE;
        }
    });
}

/// The owner of a ticket goes on. `task`: its cell.
#[inline(always)]
pub fn ended(run: &Run, fs: u32, ctx: &impl Arguments, task: Option<*mut TaskCell>) {
    if !followed() {
        return;
    }
    let error = ctx.arg(5) as i32;
    let ticket = ticket_on_stack(run.slot, ctx.stack(), error as u32);
    let stack = stack::exact(run);
    let (root, ino) = operation(task);
    run.emit::<TicketStep>(RecordKind::TicketStep, LossClass::BooksRecord, fs, |record| {
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).space = 0;
            (*record).space_flags = ctx.arg(1);
            (*record).ticket = ticket;
            (*record).other = 0;
            (*record).bytes = read::at(ticket, off!(ticket_bytes));
            (*record).moved = ctx.arg(2);
            (*record).start = ctx.arg(3);
            (*record).root = root;
            (*record).ino = ino;
            (*record).reclaim_size = 0;
            (*record).stack = stack;
            (*record).step = TICKET_ENDED;
            let steals = read::at::<u8>(ticket, off!(ticket_steal)) & 1 != 0;
            (*record).flags = if steals { TICKET_STEAL } else { 0 };
            (*record).error = error;
            (*record).flush = ctx.arg(4) as i32;
        }
    });
}

/// Subvolume and inode number of the innermost open call of the thread; zeroes if there is none.
#[inline(always)]
fn operation(task: Option<*mut TaskCell>) -> (u64, u64) {
    if config!(functions) == 0 {
        return (0, 0);
    }
    // SAFETY: the frames are this thread's.
    match task.and_then(frame::of).and_then(frame::top) {
        Some(call) => unsafe { ((*call).root, (*call).ino) },
        None => (0, 0),
    }
}

/// The ticket in the frames above this address that has ended with this error and is on no list; 0 if there is none.
///
/// A global function: see [`Run::number`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn ticket_on_stack(slot: u32, from: u64, error: u32) -> u64 {
    let Some(scratch) = STACK_SCRATCH.get_ptr_mut(slot) else { return 0 };
    // SAFETY: this program's scratch on this CPU.
    let words = unsafe { (&raw mut (*scratch).addresses).cast::<[u64; WORDS]>() };
    for part in 0..READS {
        let base = from + part * (WORDS as u64 - 1) * 8;
        // SAFETY: the scratch has that room.
        unsafe { read::into(words, base, 0) };
        for word in 0..WORDS - 1 {
            let here = base + word as u64 * 8;
            // SAFETY: below the array's length.
            let (next, prev) = unsafe { ((*words)[word], (*words)[word + 1]) };
            if next == here && prev == here {
                let ticket = here - off!(ticket_list) as u64;
                let wait = ticket + off!(ticket_wait_head) as u64;
                if read::at::<u64>(wait, 0) == wait && read::at::<u32>(ticket, off!(ticket_error)) == error {
                    return ticket;
                }
            }
        }
    }
    0
}
