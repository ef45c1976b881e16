//! Reservations that failed for lack of space: counted by what failed, with the state of a few of them.
//!
//! A failed ticket comes first, then its state and devices, sent by the same program. A thread whose ticket failed also fires
//! `space_info:enospc`, which is the same failure. The kernel asks a qgroup twice, with a flush in between, so a refusal counts only
//! when the thread has gone on without the bytes.
use probe_common::{
    failure::{Enospc, LogLine, Ticket, Warn},
    header::Header,
    inode::COUNTERS_VALID,
    shortage::{
        FAILURE_ABORT, FAILURE_ALL_TICKETS, FailureDevices, FailureState, QGROUP_GRANTED, QgroupRefusal,
        SpaceState,
    },
    space::BLOCK_GROUP_TYPE_MASK,
};
use rustc_hash::FxHashMap;

use crate::{
    book::{filesystem::Fs, filesystems::Filesystems},
    context::{Context, names::Names},
    vocabulary::{
        draws::GlobalDraw,
        holders::PoolHolders,
        keys::InodeKey,
        shortage::{Shortage, ShortageEvent, ShortageHolder, ShortageKind, ShortageState},
        words::text,
    },
};

mod abort_line;

/// Most kinds of failures kept apart; more are only counted.
const MOST: usize = 1024;
/// Most threads whose failure waits for its state, or for what the thread does next.
const MOST_THREADS: usize = 1 << 14;
/// Most task names of one kind of failure.
const MOST_TASKS: usize = 8;
/// Draws on the global block_rsv that are shown.
const DRAWERS: usize = 3;
/// Inodes that are shown as holders.
const HOLDERS: usize = 3;
/// Most inodes that are searched for holders: the newest.
const MOST_SEARCHED: usize = 1 << 16;
/// `-EDQUOT`
const EDQUOT: i32 = -122;
/// `-ENOSPC`
const ENOSPC: i32 = -28;
/// A refused thread does not come back after this time of the stream, ns.
const GIVEN_UP: u64 = 10_000_000_000;

type Key = (u32, ShortageKind, i32, u64);

/// A refusal of a qgroup that the thread may still overcome.
#[derive(Debug)]
struct Refused {
    fs: Place,
    event: ShortageEvent,
    refusal: QgroupRefusal,
}

/// Where a failure happened.
#[derive(Clone, Debug)]
struct Place {
    fs: u32,
    fsid: [u8; 16],
    device: String,
}

impl Place {
    fn of(fs: &Fs) -> Self {
        Self { fs: fs.id, fsid: fs.fsid, device: fs.device.clone() }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Shortages {
    groups: Vec<Shortage>,
    index: FxHashMap<Key, usize>,
    /// Failures that found no room in `groups`.
    pub beyond: u64,
    /// The last failure of a thread, which waits for its state.
    open: FxHashMap<u32, (Key, ShortageEvent)>,
    /// Bytes of a thread's failed ticket: the next `space_info:enospc` is the same failure.
    by_ticket: FxHashMap<u32, u64>,
    /// The last state at `btrfs_fail_all_tickets`, by filesystem and type.
    decided: FxHashMap<(u32, u64), ShortageState>,
    refused: FxHashMap<u32, Refused>,
    /// Refusals of qgroups that were overcome.
    pub overcome: u64,
    /// Filesystems with an abort that waits for its state.
    aborted: FxHashMap<u32, Key>,
    /// Thread and stack of the last WARN: an abort prints one.
    warned: (u32, u64),
}

impl Shortages {
    /// The outcome of a ticket.
    pub(crate) fn ticket(&mut self, context: &Context, fs: &Fs, record: &Ticket) {
        let header = &record.header;
        self.by_ticket.remove(&header.tid);
        if record.error >= 0 {
            return;
        }
        if record.error == ENOSPC && self.by_ticket.len() < MOST_THREADS {
            self.by_ticket.insert(header.tid, record.bytes);
        }
        let event = ShortageEvent {
            start: record.start,
            bytes: record.bytes,
            flush: record.flush,
            root: record.root,
            ino: record.ino,
            stack: record.stack,
            ..event(&context.names, header)
        };
        let object = record.space_flags & BLOCK_GROUP_TYPE_MASK;
        self.failed(&context.names, &Place::of(fs), (ShortageKind::Ticket, record.error, object), event);
    }

    /// `space_info:enospc`
    pub(crate) fn enospc(&mut self, context: &Context, fs: &Fs, record: &Enospc) {
        let header = &record.header;
        if self.by_ticket.remove(&header.tid) == Some(record.bytes) {
            return;
        }
        let event = ShortageEvent {
            bytes: record.bytes,
            root: record.root,
            ino: record.ino,
            stack: record.stack,
            ..event(&context.names, header)
        };
        let object = record.space_flags & BLOCK_GROUP_TYPE_MASK;
        self.failed(&context.names, &Place::of(fs), (ShortageKind::NoWait, ENOSPC, object), event);
    }

    fn failed(
        &mut self,
        names: &Names,
        place: &Place,
        what: (ShortageKind, i32, u64),
        mut event: ShortageEvent,
    ) {
        if event.ino != 0 {
            event.path = names.path(place.fs, InodeKey { root: event.root, ino: event.ino }).cloned();
        }
        let (kind, error, object) = what;
        let key = (place.fs, kind, error, object);
        let Some(at) = self.group(place, key, &event) else {
            self.beyond += 1;
            return;
        };
        let group = &mut self.groups[at];
        group.count += 1;
        group.largest_bytes = group.largest_bytes.max(event.bytes);
        group.seen.1 = group.seen.1.max(event.time);
        if group.fsid == [0; 16] {
            group.fsid = place.fsid;
        }
        let comm = event.task.as_ref().map(|task| task.comm.clone()).unwrap_or_default();
        if let Some((_, count)) = group.tasks.iter_mut().find(|(name, _)| *name == comm) {
            *count += 1;
        } else if group.tasks.len() < MOST_TASKS {
            group.tasks.push((comm, 1));
        } else {
            group.other_tasks += 1;
        }
        let tid = event.task.as_ref().map_or(0, |task| task.tid);
        if kind == ShortageKind::Qgroup {
            keep(group, event);
        } else if self.open.len() < MOST_THREADS || self.open.contains_key(&tid) {
            self.open.insert(tid, (key, event));
        }
    }

    fn group(&mut self, place: &Place, key: Key, first: &ShortageEvent) -> Option<usize> {
        if let Some(at) = self.index.get(&key) {
            return Some(*at);
        }
        if self.groups.len() >= MOST {
            return None;
        }
        let (fs, kind, error, object) = key;
        self.groups.push(Shortage {
            fs,
            fsid: place.fsid,
            device: place.device.clone(),
            kind,
            error,
            object,
            count: 0,
            with_state: 0,
            largest_bytes: 0,
            seen: (first.time, first.time),
            tasks: Vec::new(),
            other_tasks: 0,
            first: first.clone(),
            largest: None,
            last: None,
        });
        let at = self.groups.len() - 1;
        self.index.insert(key, at);
        Some(at)
    }

    /// The state behind a failure.
    pub(crate) fn state(
        &mut self,
        filesystems: &Filesystems,
        record: &FailureState,
        holders: Option<Box<PoolHolders>>,
    ) {
        let drained_by = drained_by(filesystems, record);
        let state = ShortageState { state: *record, devices: None, decided: false, holders };
        let tid = record.header.tid;
        match record.why {
            FAILURE_ALL_TICKETS => {
                let key = (record.header.fs, record.space_flags & BLOCK_GROUP_TYPE_MASK);
                if self.decided.len() < MOST_THREADS {
                    self.decided.insert(key, ShortageState { decided: true, ..state });
                }
            }
            FAILURE_ABORT => {
                let Some(key) = self.aborted.remove(&record.header.fs) else { return };
                let Some(group) = self.index.get(&key).map(|at| &mut self.groups[*at]) else { return };
                group.with_state += 1;
                group.first.state = Some(Box::new(state));
                group.first.drained_by = drained_by;
            }
            _ => {
                let Some((key, mut event)) = self.open.remove(&tid) else { return };
                let decided = self.decided.get(&(key.0, key.3));
                event.state = Some(Box::new(at_decision(state, &event, decided)));
                event.drained_by = drained_by;
                if let Some(at) = self.index.get(&key) {
                    keep(&mut self.groups[*at], event);
                }
            }
        }
    }

    /// The devices behind a state.
    pub(crate) fn devices(&mut self, record: &FailureDevices) {
        let (fs, at) = (record.header.fs, record.at);
        let of_groups = self.groups.iter_mut().filter(|group| group.fs == fs).flat_map(|group| {
            let kept = [Some(&mut group.first), group.largest.as_mut(), group.last.as_mut()];
            kept.into_iter().flatten().filter_map(|event| event.state.as_deref_mut())
        });
        for state in of_groups.chain(self.decided.values_mut()) {
            if state.state.at == at && state.state.header.fs == fs {
                state.devices = Some(*record);
            }
        }
    }

    /// The limit of a qgroup refuses a reservation, or it was made after all.
    pub(crate) fn refusal(&mut self, context: &Context, fs: &Fs, record: &QgroupRefusal) {
        let tid = record.header.tid;
        if record.outcome == QGROUP_GRANTED {
            self.overcome += u64::from(self.refused.remove(&tid).is_some());
            return;
        }
        if let Some(before) = self.refused.remove(&tid) {
            let same = |a: &QgroupRefusal| (a.header.fs, a.root, a.bytes, a.kind);
            // The second try of one reservation, behind a flush.
            if same(&before.refusal) != same(record) {
                self.settle_one(&context.names, before);
            }
        }
        if self.refused.len() >= MOST_THREADS {
            self.beyond += 1;
            return;
        }
        let key = (fs.id, ShortageKind::Qgroup, EDQUOT, record.qgroupid);
        let before = self.index.get(&key).map_or(0, |at| self.groups[*at].count);
        // A walk over inodes: now and then.
        let holders =
            if (before + 1).is_power_of_two() { holders(context, fs, record.root) } else { Vec::new() };
        let event = ShortageEvent {
            bytes: record.bytes,
            root: record.root,
            ino: record.ino,
            stack: record.stack,
            qgroup: Some(Box::new(*record)),
            holders,
            ..event(&context.names, &record.header)
        };
        self.refused.insert(tid, Refused { fs: Place::of(fs), event, refusal: *record });
    }

    fn settle_one(&mut self, names: &Names, refused: Refused) {
        let Refused { fs, event, refusal } = refused;
        self.failed(names, &fs, (ShortageKind::Qgroup, EDQUOT, refusal.qgroupid), event);
    }

    /// Counts the refusals of threads that have not come back by `now`.
    pub(crate) fn settle(&mut self, names: &Names, now: u64) {
        let over = |refused: &Refused| now.saturating_sub(refused.event.time) >= GIVEN_UP;
        let mut tids: Vec<u32> =
            self.refused.iter().filter(|(_, refused)| over(refused)).map(|(tid, _)| *tid).collect();
        tids.sort_unstable();
        for tid in tids {
            if let Some(refused) = self.refused.remove(&tid) {
                self.settle_one(names, refused);
            }
        }
    }

    /// End of the stream.
    pub(crate) fn finish(&mut self, names: &Names) {
        self.settle(names, u64::MAX);
    }

    /// A WARN. The one of an aborted transaction has its stack.
    pub(crate) const fn warned(&mut self, record: &Warn) {
        self.warned = (record.header.tid, record.stack);
    }

    /// A line of the log: it may say that a transaction was aborted.
    pub(crate) fn line(&mut self, context: &Context, filesystems: &Filesystems, record: &LogLine) {
        let line = text(&record.text);
        let Some(abort) = abort_line::parse(&line) else { return };
        let named = |fs: &&Fs| !fs.ended && fs.device == abort.device;
        let Some(fs) = filesystems.iter().filter(named).last() else { return };
        if self.groups.iter().any(|group| group.fs == fs.id && group.kind == ShortageKind::Abort) {
            // A filesystem is aborted for good. What comes later follows from that, such as the line of `cleanup_transaction()`.
            return;
        }
        let header = &record.header;
        let stack = if self.warned.0 == header.tid { self.warned.1 } else { 0 };
        let line = Some(abort.place.to_owned());
        let event = ShortageEvent { stack, line, ..event(&context.names, header) };
        let (place, what) = (Place::of(fs), (ShortageKind::Abort, abort.error, 0));
        let key = (place.fs, what.0, what.1, what.2);
        self.failed(&context.names, &place, what, event);
        self.open.remove(&header.tid);
        if self.index.get(&key).is_some_and(|at| self.groups[*at].count == 1) {
            self.aborted.insert(place.fs, key);
        }
    }

    /// Failures of one kind each, in the order of their first.
    pub(crate) fn list(&self) -> &[Shortage] {
        &self.groups
    }
}

/// Who had drawn on the global block_rsv when it held less than it should.
fn drained_by(filesystems: &Filesystems, record: &FailureState) -> Vec<GlobalDraw> {
    let [global, ..] = record.rsvs;
    let draws = filesystems.find(record.header.fs).and_then(|fs| fs.draws.as_ref());
    let draws = draws.filter(|_| global.reserved < global.size && record.why != FAILURE_ALL_TICKETS);
    draws.map(|draws| draws.drained_by(DRAWERS)).unwrap_or_default()
}

/// What every failure has.
fn event(names: &Names, header: &Header) -> ShortageEvent {
    ShortageEvent {
        time: header.time,
        task: names.task_or_tid(header.tid),
        flush: -1,
        ..ShortageEvent::default()
    }
}

/// Keeps an event that is complete, if it is the first, the largest or the last.
fn keep(group: &mut Shortage, event: ShortageEvent) {
    group.with_state += u64::from(event.state.is_some());
    let same =
        |a: &ShortageEvent, b: &ShortageEvent| (a.time, &a.task, a.bytes) == (b.time, &b.task, b.bytes);
    if group.count == 1 || same(&group.first, &event) && group.first.state.is_none() {
        group.first = event;
        return;
    }
    if event.bytes > group.largest.as_ref().unwrap_or(&group.first).bytes {
        group.largest = Some(event.clone());
    }
    group.last = Some(event);
}

/// The state to explain a failed ticket with. All tickets of a space_info are failed under its lock; by the time that the task
/// sees its outcome, something may have been freed.
fn at_decision(own: ShortageState, event: &ShortageEvent, decided: Option<&ShortageState>) -> ShortageState {
    let Some(decided) = decided else { return own };
    let of_type = |space: &&SpaceState| (space.flags ^ own.state.space_flags) & BLOCK_GROUP_TYPE_MASK == 0;
    let fits =
        own.state.space.iter().find(of_type).is_some_and(|space| free(space) >= i128::from(event.bytes));
    let within = event.start != 0 && (event.start..=own.state.at).contains(&decided.state.at);
    if !fits || !within {
        return own;
    }
    let FailureState { header, why, error, flush, bytes, space_flags, root, ino, stack, left_out, .. } =
        own.state;
    let at_decision = decided.state;
    let state = FailureState {
        header,
        why,
        error,
        flush,
        bytes,
        space_flags,
        root,
        ino,
        stack,
        left_out,
        ..at_decision
    };
    ShortageState { state, ..decided.clone() }
}

fn free(space: &SpaceState) -> i128 {
    let SpaceState { flags: _, total, used, pinned, reserved, may_use, readonly, zone_unusable } = *space;
    let taken: i128 =
        [used, pinned, reserved, may_use, readonly, zone_unusable].into_iter().map(i128::from).sum();
    i128::from(total) - taken
}

/// The inodes of a subvolume that hold most.
fn holders(context: &Context, fs: &Fs, root: u64) -> Vec<ShortageHolder> {
    let of_root = fs.inodes.iter().rev().take(MOST_SEARCHED).filter(|(key, _)| key.root == root);
    let mut found: Vec<ShortageHolder> = of_root
        .map(|(key, book)| {
            let seen = book.counters;
            let valid = seen.flags & COUNTERS_VALID != 0;
            let (delalloc_bytes, meta_rsv) =
                if valid { (seen.delalloc_bytes, seen.reserved as i64) } else { (0, book.balance) };
            ShortageHolder { ino: key.ino, path: None, delalloc_bytes, meta_rsv }
        })
        .filter(|holder| holder.delalloc_bytes != 0 || holder.meta_rsv != 0)
        .collect();
    found.sort_by_key(|holder| (std::cmp::Reverse((holder.delalloc_bytes, holder.meta_rsv)), holder.ino));
    found.truncate(HOLDERS);
    for holder in &mut found {
        holder.path = context.names.path(fs.id, InodeKey { root, ino: holder.ino }).cloned();
    }
    found
}
