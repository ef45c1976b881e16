//! Failed delalloc metadata reservations on the tracepoints tier: what the failing task must not do, and what it must give
//! back.
//!
//! On a correct kernel the task publishes and releases nothing, and gives its data bytes back at once. It does nothing else
//! in between, so every other record of the task between failure and return of the data is a violation. If the data bytes
//! are not known, the failure is counted as undecided and not judged.
//! a failure whose data bytes are not known is counted as undecided, never judged.
use probe_common::space::is_delalloc_request;
use probe_common::{
    chain::Bmu,
    failure::{ENOSPC_PUBLISHED, ENOSPC_WINDOW_KNOWN, Enospc, Ticket},
    header::Header,
    inode::{DELALLOC_RESERVE, Delalloc, Mod},
};
use rustc_hash::FxHashMap;

use crate::{
    book::filesystem::Fs,
    context::Context,
    vocabulary::{
        account::{Account, SpaceCounter, is_data, is_metadata},
        failed_reservations::FailedReservations,
        finding::{Confidence, FindingKind, Query, StackRef, Violation},
    },
};

/// Most failures followed at a time.
const MAX_PENDING: usize = 1 << 16;
/// `BTRFS_RESERVE_FLUSH_EVICT` (`fs/btrfs/space-info.h`, 6.1 to 7.3): `evict_refill_and_join` asks for an odd multiple
/// of `M` too, and its task holds no data of its own.
const FLUSH_EVICT: i32 = 2;
/// `-ENOSPC`; other errors do not fire `space_info:enospc`.
const ENOSPC: i32 = -28;

/// A failed reservation that is waiting for its undo.
#[derive(Clone, Copy, Debug)]
struct Pending {
    fs: u32,
    epoch: u32,
    bytes: u64,
    root: u64,
    ino: u64,
    held: u64,
    returned: u64,
    stack: u64,
    /// Reported by a ticket; the `space_info:enospc` with the same bytes is still to come and is the same failure.
    by_ticket: bool,
    /// A violation was reported, so the failure is neither balanced nor undecided.
    wrong: bool,
    /// The task was granted metadata since, so it is past the failure.
    moved_on: bool,
    /// Extents that the task has published for the reservation and not taken back.
    published: i32,
    /// The task has published extents, taken back or not.
    has_published: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Failures {
    /// True on the functions tier, which judges failures by their calls.
    pub off: bool,
    pending: FxHashMap<u32, Pending>,
    /// Failed tickets of evictions, by thread: filesystem and bytes. The `space_info:enospc` with the same bytes is skipped.
    evicting: FxHashMap<u32, (u32, u64)>,
    totals: FailedReservations,
}

/// The common part of [`Enospc`] and a failed [`Ticket`].
struct FailedRequest<'a> {
    header: &'a Header,
    space_flags: u64,
    bytes: u64,
    held: u64,
    root: u64,
    ino: u64,
    published: i32,
    flags: u32,
    stack: u64,
    by_ticket: bool,
}

/// The fields that both records have.
macro_rules! failed_request {
    ($record:ident, $by_ticket:literal) => {
        FailedRequest {
            header: &$record.header,
            space_flags: $record.space_flags,
            bytes: $record.bytes,
            held: $record.data_held,
            root: $record.root,
            ino: $record.ino,
            published: $record.published,
            flags: $record.flags,
            stack: $record.stack,
            by_ticket: $by_ticket,
        }
    };
}

impl Failures {
    pub(crate) fn new(off: bool) -> Self {
        Self { off, ..Self::default() }
    }

    /// `btrfs_space_reservation` of type `space_info:enospc`.
    pub(crate) fn enospc(&mut self, context: &mut Context, fs: &mut Fs, record: &Enospc) {
        context.recent.enospc(record);
        fs.enospc += 1;
        if self.evicting.remove(&record.header.tid) == Some((fs.id, record.bytes)) {
            return;
        }
        self.failed(context, fs, &failed_request!(record, false));
    }

    /// The outcome of a ticket.
    pub(crate) fn ticket(&mut self, context: &mut Context, fs: &mut Fs, record: &Ticket) {
        context.recent.ticket(record);
        self.evicting.remove(&record.header.tid);
        if record.error >= 0 {
            fs.tickets.0 += 1;
            if is_data(record.space_flags) {
                self.new_operation(context, &record.header);
            } else if let Some(pending) = self.pending.get_mut(&record.header.tid) {
                pending.moved_on = true;
            }
            return;
        }
        fs.tickets.1 += 1;
        if record.flush == FLUSH_EVICT {
            if !self.off && record.error == ENOSPC && self.evicting.len() < MAX_PENDING {
                self.evicting.insert(record.header.tid, (fs.id, record.bytes));
            }
            return;
        }
        self.failed(context, fs, &failed_request!(record, true));
    }

    fn failed(&mut self, context: &mut Context, fs: &Fs, failure: &FailedRequest<'_>) {
        if self.off || !is_metadata(failure.space_flags) || !is_delalloc_request(failure.bytes, fs.nodesize) {
            return;
        }
        let tid = failure.header.tid;
        if !failure.by_ticket
            && let Some(pending) = self.pending.get_mut(&tid)
            && pending.by_ticket
            && pending.bytes == failure.bytes
            && pending.fs == fs.id
            && pending.returned == 0
        {
            // The same failure: reported first by the ticket, then by `space_info:enospc`.
            pending.by_ticket = false;
            return;
        }
        self.resolve_undecided(tid);
        self.totals.total += 1;
        let judged = context.loss.judges() && failure.flags & ENOSPC_WINDOW_KNOWN != 0;
        let pending = Pending {
            fs: fs.id,
            epoch: context.loss.epoch(),
            bytes: failure.bytes,
            root: failure.root,
            ino: failure.ino,
            held: failure.held,
            returned: 0,
            stack: failure.stack,
            by_ticket: failure.by_ticket,
            wrong: false,
            moved_on: false,
            published: 0,
            has_published: false,
        };
        if judged && failure.flags & ENOSPC_PUBLISHED != 0 && failure.published > 0 {
            let mut published = pending;
            self.report_publish(
                context,
                &mut published,
                failure.header,
                failure.published,
                Confidence::Exact,
            );
            if failure.held == 0 {
                return;
            }
            self.pending.insert(tid, published);
            return;
        }
        if !judged || failure.held == 0 || self.pending.len() >= MAX_PENDING {
            self.totals.undecided += 1;
            return;
        }
        self.pending.insert(tid, pending);
    }

    /// A change of `bytes_may_use` by a followed task.
    pub(crate) fn bmu(&mut self, context: &mut Context, record: &Bmu) {
        context.recent.bmu(record);
        let tid = record.header.tid;
        let Some(pending) = self.pending.get_mut(&tid) else { return };
        if !is_data(record.object_flags) {
            pending.moved_on |= record.diff > 0;
            return;
        }
        if record.diff > 0 {
            self.new_operation(context, &record.header);
            return;
        }
        pending.returned = pending.returned.saturating_add(record.diff.unsigned_abs());
        if pending.returned < pending.held {
            return;
        }
        let pending = *pending;
        self.pending.remove(&tid);
        if !context.loss.exact(pending.epoch) {
            self.totals.undecided += u64::from(!pending.wrong);
            return;
        }
        let over = pending.returned - pending.held;
        if over == 0 {
            self.totals.balanced += u64::from(!pending.wrong);
            return;
        }
        let text = format!(
            "The reservation of {} metadata bytes failed; its task held {} data bytes and gave back {}.",
            pending.bytes, pending.held, pending.returned
        );
        let account = Account::SpaceData(SpaceCounter::BytesMayUse);
        context.defer(pending.violation(
            &record.header,
            FindingKind::ErrorPathOverRelease,
            account,
            over,
            Confidence::Exact,
            text,
        ));
    }

    /// The task reserves data for its next operation, so it never gives back what it still holds for the last one.
    fn new_operation(&mut self, context: &mut Context, header: &Header) {
        let Some(pending) = self.pending.remove(&header.tid) else { return };
        if !context.loss.exact(pending.epoch) {
            self.totals.undecided += u64::from(!pending.wrong);
            return;
        }
        let kept = pending.held - pending.returned.min(pending.held);
        let text = format!(
            "The reservation of {} metadata bytes failed; its task held {} data bytes, gave back {} and began \
             another operation.",
            pending.bytes, pending.held, pending.returned
        );
        let account = Account::SpaceData(SpaceCounter::BytesMayUse);
        let kind = FindingKind::ErrorPathLeak;
        context.defer(pending.violation(header, kind, account, kept, Confidence::Exact, text));
    }

    /// A change of `outstanding_extents` by a followed task.
    pub(crate) fn modification(&mut self, context: &mut Context, record: &Mod) {
        let tid = record.header.tid;
        let Some(mut pending) = self.pending.get(&tid).copied() else { return };
        if pending.moved_on || pending.fs != record.header.fs || !context.loss.exact(pending.epoch) {
            return;
        }
        let confidence = pending.confidence(record.root, record.ino);
        pending.learn(record.root, record.ino);
        if record.modification > 0 {
            self.report_publish(context, &mut pending, &record.header, record.modification, confidence);
        } else if pending.published >= record.modification.saturating_neg() {
            // The task undoes what it published; to have published is the violation, and was reported.
            pending.published = pending.published.saturating_add(record.modification);
        } else {
            pending.wrong = true;
            let extents = u64::from(record.modification.unsigned_abs());
            let text = format!(
                "The reservation of {} bytes failed and had published nothing, yet its task took {extents} \
                 outstanding extents back.",
                pending.bytes
            );
            let account = Account::InodeOutstandingExtents;
            let kind = FindingKind::ErrorPathOverRelease;
            context.defer(pending.violation(&record.header, kind, account, extents, confidence, text));
        }
        self.pending.insert(tid, pending);
    }

    /// A reserve or release of an inode by a followed task.
    pub(crate) fn delalloc(&mut self, context: &mut Context, record: &Delalloc) {
        if self.pending.is_empty() {
            return;
        }
        let tid = record.header.tid;
        let Some(mut pending) = self.pending.get(&tid).copied() else { return };
        if record.flags & DELALLOC_RESERVE != 0 {
            // A reservation succeeded, so the task is past the failure.
            pending.moved_on = true;
        } else if !pending.moved_on && pending.fs == record.header.fs && context.loss.exact(pending.epoch) {
            pending.wrong = true;
            let mut confidence = pending.confidence(record.root, record.ino);
            pending.learn(record.root, record.ino);
            let mut text = format!(
                "The reservation of {} bytes failed and reserved nothing, yet its task released {} bytes of the inode.",
                pending.bytes, record.bytes
            );
            if pending.has_published {
                // Right if a release raced with the task after it published and left these bytes. This tier does not see
                // that.
                confidence = Confidence::OneSided;
                text.push_str(
                    " If a release of another task had left them for what was published, that was right.",
                );
            }
            let account = Account::InodeMetaRsv;
            let kind = FindingKind::ErrorPathOverRelease;
            context.defer(pending.violation(&record.header, kind, account, record.bytes, confidence, text));
        }
        self.pending.insert(tid, pending);
    }

    fn report_publish(
        &self,
        context: &mut Context,
        pending: &mut Pending,
        header: &Header,
        extents: i32,
        confidence: Confidence,
    ) {
        pending.wrong = true;
        pending.published = pending.published.saturating_add(extents);
        pending.has_published = true;
        let text = format!(
            "The task published {extents} outstanding extents for a reservation of {} bytes that failed.",
            pending.bytes
        );
        let account = Account::InodeOutstandingExtents;
        let amount = u64::from(extents.unsigned_abs());
        context.defer(pending.violation(
            header,
            FindingKind::PublishBeforeReserve,
            account,
            amount,
            confidence,
            text,
        ));
    }

    /// The thread is gone, or fails again before its undo was seen.
    pub(crate) fn resolve_undecided(&mut self, tid: u32) {
        if !self.evicting.is_empty() {
            self.evicting.remove(&tid);
        }
        if self.pending.is_empty() {
            return;
        }
        if let Some(pending) = self.pending.remove(&tid) {
            self.totals.undecided += u64::from(!pending.wrong);
        }
    }

    /// End of the stream.
    pub(crate) fn finish(&mut self) {
        for (_, pending) in self.pending.drain() {
            self.totals.undecided += u64::from(!pending.wrong);
        }
    }

    /// Counts so far. Failures whose undo was not seen are undecided.
    pub(crate) fn so_far(&self) -> FailedReservations {
        let mut totals = self.totals;
        totals.undecided += self.pending.values().filter(|pending| !pending.wrong).count() as u64;
        totals
    }
}

impl Pending {
    fn confidence(&self, root: u64, ino: u64) -> Confidence {
        if self.ino != 0 && self.ino == ino && (self.root == root || root == 0) {
            Confidence::Exact
        } else {
            Confidence::OneSided
        }
    }

    const fn learn(&mut self, root: u64, ino: u64) {
        if self.ino == 0 {
            self.root = root;
            self.ino = ino;
        }
    }

    fn violation(
        &self,
        header: &Header,
        kind: FindingKind,
        account: Account,
        amount: u64,
        confidence: Confidence,
        explanation: String,
    ) -> Violation {
        Violation {
            root: (self.root != 0).then_some(self.root),
            ino: (self.ino != 0).then_some(self.ino),
            amount,
            balance_before: Some(self.held.min(i64::MAX as u64) as i64),
            stack: StackRef { id: self.stack, representative: false },
            confidence,
            explanation,
            query: Query::Task { fs: self.fs, tid: header.tid },
            ..Violation::new(kind, account, self.fs, (header.time, header.tid))
        }
    }
}
