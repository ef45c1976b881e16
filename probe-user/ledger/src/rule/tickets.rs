//! Tickets: each is granted exactly what it asks for, once, and only if its owner goes on without an error.
//!
//! Mirrors `btrfs_try_granting_tickets()`, `maybe_fail_all_tickets()` and `handle_reserve_ticket()` (`fs/btrfs/space-info.c`, 6.1 to
//! 7.3). The owner takes `space_info->lock` (from 7.x on the ticket's) after the grant and before it goes on, so in the stream a
//! grant is before the end of its ticket. The address of a ticket is that of one ticket from its first grant to its end.
//!
//! Masked: bytes that a ticket takes from the global reserve change nothing that a tracepoint shows, so of a ticket that may
//! do so it is not known whether it was granted too little. The same holds for a ticket whose grant looks like that of another.
use probe_common::ticket::{
    TICKET_ENDED, TICKET_GRANTED, TICKET_NONE, TICKET_STEAL, TICKET_UNCLEAR, TicketStep,
};
use rustc_hash::FxHashMap;

use crate::{
    book::filesystem::Fs,
    context::Context,
    vocabulary::{
        account::{Account, DATA_MAY_USE, METADATA_MAY_USE, SpaceCounter, space},
        finding::{FindingKind, Origin, Query, StackRef, Violation},
    },
};

/// Most tickets that are open at a time; each is a task that waits.
const MAX_OPEN: usize = 1 << 16;
/// Most stacks kept of one ticket.
const MAX_GRANTS: usize = 4;
/// Times of records are up to a jiffy too early, ns.
const JIFFY: u64 = 100_000_000;

/// What a ticket was granted so far.
#[derive(Debug, Default)]
struct Open {
    /// Epoch of its first step.
    epoch: u32,
    /// `space_info->flags`
    space_flags: u64,
    /// Bytes.
    granted: u64,
    /// Stacks that granted, with their bytes.
    grants: Vec<Origin>,
    /// Thread of the last grant.
    by: u32,
    /// A change may have been for this ticket or not.
    unclear: bool,
}

/// Tickets that were granted and whose owner has not gone on.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    /// By filesystem and address.
    open: FxHashMap<(u32, u64), Open>,
    /// The current epoch, and the time of its first record.
    epoch: u32,
    since: u64,
}

impl Tickets {
    /// Before each record: notes since when nothing was missed.
    pub(crate) const fn follow(&mut self, epoch: u32, time: u64) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.since = time;
        }
    }

    /// A step of a ticket.
    pub(crate) fn step(&mut self, context: &mut Context, fs: &mut Fs, step: &TicketStep) {
        match step.step {
            TICKET_GRANTED => self.granted(context, fs, step),
            TICKET_ENDED => self.ended(context, fs, step),
            TICKET_NONE => nobody_waits(context, fs, step),
            _ => {}
        }
    }

    fn granted(&mut self, context: &mut Context, fs: &mut Fs, step: &TicketStep) {
        if step.flags & TICKET_UNCLEAR != 0 {
            for ticket in [step.ticket, step.other] {
                if let Some(open) = self.open(context, fs.id, ticket) {
                    open.unclear = true;
                }
            }
            return;
        }
        let epoch = context.loss.epoch();
        if step.ticket == 0 {
            let text =
                format!("bytes_may_use rises by {} for a ticket, but no such ticket waits.", step.moved);
            return report(context, fs, step, epoch, Wrong::of(FindingKind::Leak, step.moved, text));
        }
        if step.error != 0 {
            let text = format!(
                "A ticket of {} bytes had ended with error {}, and then was granted {} bytes.",
                step.bytes, step.error, step.moved
            );
            return report(context, fs, step, epoch, Wrong::of(FindingKind::ErrorPathLeak, step.moved, text));
        }
        let Some(open) = self.open(context, fs.id, step.ticket) else { return };
        open.space_flags = step.space_flags;
        open.granted = open.granted.saturating_add(step.moved);
        open.by = step.header.tid;
        if open.grants.len() < MAX_GRANTS {
            let stack = StackRef { id: step.stack, representative: false };
            open.grants.push(Origin { bytes: step.moved, count: 1, stack });
        }
    }

    /// Tickets on such a space_info that were granted and whose owners have not gone on, and their bytes.
    pub(crate) fn granted_of(&self, fs: u32, space_flags: u64, epoch: u32) -> (u64, i64) {
        let of = |((id, _), open): &(&(u32, u64), &Open)| {
            *id == fs && open.space_flags == space_flags && open.epoch == epoch && open.granted > 0
        };
        let open = self.open.iter().filter(of);
        open.fold((0, 0), |(count, bytes), (_, open)| (count + 1, bytes + open.granted as i64))
    }

    /// The book of a ticket; begun anew if something was missed since it was begun.
    fn open(&mut self, context: &Context, fs: u32, ticket: u64) -> Option<&mut Open> {
        let key = (fs, ticket);
        if ticket == 0 || (self.open.len() >= MAX_OPEN && !self.open.contains_key(&key)) {
            return None;
        }
        let epoch = context.loss.epoch();
        let open = self.open.entry(key).or_default();
        if open.epoch != epoch {
            *open = Open { epoch, ..Open::default() };
        }
        Some(open)
    }

    fn ended(&mut self, context: &mut Context, fs: &mut Fs, step: &TicketStep) {
        if step.ticket == 0 {
            // It was one of those that are open, and the next ticket of its owner will lie in the same place.
            self.end(fs.id);
            self.since = step.header.time;
            context.statistics.tickets_unknown += 1;
            return;
        }
        let open = self.open.remove(&(fs.id, step.ticket)).unwrap_or_default();
        let (asked, granted) = (step.moved, open.granted);
        let right = granted == if step.error < 0 { 0 } else { asked };
        context.statistics.tickets += u64::from(right);
        let by = context.names.task_or_tid(open.by).map_or_else(String::new, |task| {
            format!(" The last grant was made by {}, tid {}.", task.comm, task.tid)
        });
        if step.error < 0 {
            if granted > 0 {
                let text = format!(
                    "A ticket of {asked} bytes was granted {granted} bytes, and its owner got error {}, so nobody \
                     gives them back.{by}",
                    step.error
                );
                let wrong = Wrong::of(FindingKind::ErrorPathLeak, granted, text);
                report(context, fs, step, open.epoch, wrong.with(open.grants));
            }
            return;
        }
        if granted > asked {
            let text = format!(
                "A ticket asked for {asked} bytes and was granted {granted} bytes, in {} steps; its owner knows of {asked}.{by}",
                open.grants.len()
            );
            let wrong = Wrong::of(FindingKind::Leak, granted - asked, text);
            return report(context, fs, step, open.epoch, wrong.with(open.grants));
        }
        if right {
            return;
        }
        if open.unclear {
            context.statistics.tickets_unknown += 1;
            return;
        }
        let text = format!(
            "The owner of a ticket of {asked} bytes goes on without an error, but the ticket was granted {granted} bytes.{by}"
        );
        let wrong = Wrong::of(FindingKind::OverRelease, asked - granted, text);
        if granted > 0 {
            report(context, fs, step, open.epoch, wrong.with(open.grants));
        } else if step.flags & TICKET_STEAL == 0 && step.start > self.since.saturating_add(JIFFY) {
            // Queued after the last loss, so its grant cannot have been missed.
            report(context, fs, step, self.epoch, wrong);
        } else {
            context.statistics.tickets_unknown += 1;
        }
    }

    /// The filesystem is gone, or the stream ends: nobody goes on with the tickets that are still open.
    pub(crate) fn end(&mut self, fs: u32) {
        self.open.retain(|(of, _), _| *of != fs);
    }
}

/// `reclaim_size` is the bytes of all tickets that wait.
fn nobody_waits(context: &mut Context, fs: &mut Fs, step: &TicketStep) {
    let text = format!("No ticket waits, but reclaim_size is {}.", step.reclaim_size);
    let epoch = context.loss.epoch();
    report(context, fs, step, epoch, Wrong::of(FindingKind::CounterMismatch, step.reclaim_size, text));
}

struct Wrong {
    kind: FindingKind,
    amount: u64,
    text: String,
    grants: Vec<Origin>,
}

impl Wrong {
    const fn of(kind: FindingKind, amount: u64, text: String) -> Self {
        Self { kind, amount, text, grants: Vec::new() }
    }

    fn with(self, grants: Vec<Origin>) -> Self {
        Self { grants, ..self }
    }
}

/// Files a violation, if nothing was missed since `epoch`.
fn report(context: &mut Context, fs: &mut Fs, step: &TicketStep, epoch: u32, wrong: Wrong) {
    let Some(account) = space(step.space_flags, SpaceCounter::BytesMayUse) else { return };
    if !context.loss.exact(epoch) {
        return;
    }
    let Wrong { kind, amount, text, grants } = wrong;
    let off = match kind {
        FindingKind::CounterMismatch => 0,
        FindingKind::OverRelease => (amount as i64).saturating_neg(),
        _ => amount as i64,
    };
    note(context, fs, account, off);
    context.defer_call(Violation {
        root: (step.root != 0).then_some(step.root),
        ino: (step.ino != 0).then_some(step.ino),
        amount,
        stack: StackRef { id: step.stack, representative: false },
        origins: grants,
        explanation: text,
        query: Query::Task { fs: fs.id, tid: step.header.tid },
        ..Violation::new(kind, account, fs.id, (step.header.time, step.header.tid))
    });
}

/// Notes how far the counter is off now, so that the level at unmount is not told again.
fn note(context: &mut Context, fs: &mut Fs, account: Account, off: i64) {
    let reported = &mut fs.reported;
    let counts = match account {
        DATA_MAY_USE => [&mut reported.data, &mut reported.tickets.0],
        METADATA_MAY_USE => [&mut reported.metadata, &mut reported.tickets.1],
        _ => return,
    };
    for count in counts {
        *count = count.saturating_add(off);
    }
    context.pending.absorb(fs.id, None, account, off.unsigned_abs());
}
