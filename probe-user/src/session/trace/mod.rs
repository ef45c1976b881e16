//! Collects what a trace shows from the records of a session, live or not, in memory that does not grow with its length.
//!
//! The bound, for any session: 256 counters of 4,096 intervals, 100,000 slices, 50,000 instants, 65,536 threads: some
//! 110 MB at worst, and a file of some 100 MB; a day of a usual load has a few MB of both. What finds no room is counted.
mod kept;
mod series;

use std::collections::BTreeMap;

use probe_common::{
    chain::ChainCounter,
    fs::{LEVELS_COMMIT, Levels, Rsv, SpaceLevels},
    loss::{LOSS_SLOTS, LossSample},
    space::BLOCK_GROUP_TYPE_MASK,
    wait::{FLUSH_BEGINS, FLUSH_STATE_DONE, FlushState},
};
use probe_record::{batch::RecordBatch, record::Record, session::SessionHeader};

use self::{
    kept::{Instants, Slices},
    series::Series,
};
use super::{books::Books, consume::Onlooker, facts, plan::ReportPlan};
use crate::{
    format,
    report::{
        output::Format,
        trace::{Counter, Instant, InstantKind, Slice, SliceKind, Timeline, Track},
    },
};

/// `ENOSPC`
const ENOSPC: i32 = 28;
/// Most counters.
const MAX_SERIES: usize = 256;
/// Most threads whose names are kept.
const MAX_TASKS: usize = 65_536;
/// Most threads and runs whose last step of a flush is kept.
const MAX_STEPS: usize = 4096;
/// Most objects whose place among those of their type is kept.
const MAX_OBJECTS: usize = 4096;

/// A counter of a filesystem: its position, what has it (with its place among those of the type), and its name.
type SeriesKey = (usize, String, &'static str);

/// Collects a trace.
#[derive(Debug)]
pub struct Tracer {
    started: u64,
    flush_states: BTreeMap<i32, String>,
    filesystems: Vec<([u8; 16], String)>,
    /// Position by id of the stream; an id is given anew after each mount.
    of_id: BTreeMap<u32, usize>,
    /// Objects by filesystem and type, in the order of their first record.
    objects: BTreeMap<(usize, u64), Vec<u64>>,
    known_objects: usize,
    tasks: BTreeMap<u32, (u32, String)>,
    series: BTreeMap<SeriesKey, Series>,
    series_left_out: u64,
    slices: Slices,
    instants: Instants,
    /// The last step of each thread that flushes, and when a worker was told to begin: time by (thread, or filesystem and flags).
    last_step: BTreeMap<u32, u64>,
    begun: BTreeMap<(u32, u64, bool), u64>,
    /// The end of the last commit, by filesystem.
    committed: BTreeMap<usize, u64>,
    lost: [u64; LOSS_SLOTS],
}

impl Tracer {
    /// A tracer, if a report of the plan needs one.
    #[must_use]
    pub fn wanted(plan: &ReportPlan, header: &SessionHeader) -> Option<Self> {
        let wanted = plan.outputs.iter().any(|output| output.format == Format::Trace);
        wanted.then(|| Self::new(header))
    }

    fn new(header: &SessionHeader) -> Self {
        Self {
            started: facts::started(header, 0),
            flush_states: header.flush_states.clone(),
            filesystems: Vec::new(),
            of_id: BTreeMap::new(),
            objects: BTreeMap::new(),
            known_objects: 0,
            tasks: BTreeMap::new(),
            series: BTreeMap::new(),
            series_left_out: 0,
            slices: Slices::default(),
            instants: Instants::default(),
            last_step: BTreeMap::new(),
            begun: BTreeMap::new(),
            committed: BTreeMap::new(),
            lost: [0; LOSS_SLOTS],
        }
    }

    /// The next record.
    pub fn record(&mut self, record: &Record) {
        let header = record.header();
        if self.started == 0 {
            // A recording whose begin is damaged.
            self.started = header.time;
        }
        let (at, tid, fs) = (self.since(header.time), header.tid, header.fs);
        match record {
            Record::FsSeen(seen) => {
                let device = String::from_utf8_lossy(until_nul(&seen.s_id)).into_owned();
                self.filesystem(fs, seen.fsid, &device);
            }
            Record::TaskSeen(seen) if self.tasks.len() < MAX_TASKS || self.tasks.contains_key(&tid) => {
                let comm = String::from_utf8_lossy(until_nul(&seen.comm)).into_owned();
                self.tasks.insert(tid, (seen.pid, comm));
            }
            Record::Levels(levels) => self.levels(at, levels),
            Record::Chain(link) => {
                let name = match ChainCounter::from_u32(link.counter) {
                    Some(ChainCounter::BytesMayUse) => "bytes_may_use",
                    Some(ChainCounter::BytesPinned) => "pinned",
                    _ => return,
                };
                let of = self.object(fs, link.object, link.object_flags);
                if link.peak > 0 {
                    self.note(fs, &of, name, at.saturating_sub(1), link.peak as i64);
                }
                self.note(fs, &of, name, at, (link.old as i64).wrapping_add(link.diff));
            }
            Record::Bmu(change) => {
                let of = self.object(fs, change.object, change.object_flags);
                self.note(fs, &of, "bytes_may_use", at, (change.old as i64).wrapping_add(change.diff));
            }
            Record::Ticket(ticket) => {
                let ended = if ticket.ended == 0 { header.time } else { ticket.ended };
                let (space_flags, bytes, error) = (ticket.space_flags, ticket.bytes, ticket.error);
                let filesystem = self.position(fs);
                if ticket.start != 0 {
                    self.slices.add(Slice {
                        track: Track::Thread(tid),
                        from: self.since(ticket.start),
                        to: self.since(ended),
                        filesystem,
                        what: SliceKind::Wait { space_flags, bytes, flush: ticket.flush, error },
                    });
                }
                self.last_step.remove(&tid);
                // Of -ENOSPC there is an event of its own.
                if error != 0 && error != -ENOSPC {
                    let what = InstantKind::Failed { space_flags, bytes, error: error.saturating_neg() };
                    self.instant(tid, self.since(ended), fs, what);
                }
            }
            Record::Enospc(failed) => {
                let what = InstantKind::Failed {
                    space_flags: failed.space_flags,
                    bytes: failed.bytes,
                    error: ENOSPC,
                };
                self.instant(tid, at, fs, what);
            }
            Record::QgroupRefusal(refusal) => {
                let what = InstantKind::Refused { qgroup: refusal.qgroupid, bytes: refusal.bytes };
                self.instant(tid, self.since(refusal.at), fs, what);
            }
            Record::FlushState(step) => self.flush(step),
            Record::Warn(_) => self.instant(tid, at, fs, InstantKind::Warned),
            Record::LossSample(sample) => self.loss(at, sample),
            _ => {}
        }
    }

    const fn since(&self, time: u64) -> u64 {
        time.saturating_sub(self.started)
    }

    fn filesystem(&mut self, id: u32, fsid: [u8; 16], device: &str) {
        let at = self.filesystems.iter().position(|(known, _)| *known == fsid).unwrap_or_else(|| {
            let device = if device.is_empty() { String::new() } else { format!(" ({device})") };
            self.filesystems.push((fsid, format!("btrfs {}{device}", format::uuid(&fsid))));
            self.filesystems.len() - 1
        });
        self.of_id.insert(id, at);
    }

    fn position(&self, id: u32) -> Option<usize> {
        self.of_id.get(&id).copied()
    }

    /// The name of a space_info: its type, and its number if it is not the first of it.
    fn object(&mut self, fs: u32, object: u64, flags: u64) -> String {
        let kind = flags & BLOCK_GROUP_TYPE_MASK;
        let Some(at) = self.position(fs) else { return format::space_name(flags, 0) };
        let known = self.objects.entry((at, kind)).or_default();
        let nth = known.iter().position(|of| *of == object).unwrap_or_else(|| {
            if self.known_objects < MAX_OBJECTS {
                self.known_objects += 1;
                known.push(object);
                known.len() - 1
            } else {
                0
            }
        });
        format::space_name(flags, u32::try_from(nth).unwrap_or(0))
    }

    fn note(&mut self, fs: u32, of: &str, name: &'static str, at: u64, value: i64) {
        let Some(filesystem) = self.position(fs) else { return };
        let key = (filesystem, of.to_owned(), name);
        if self.series.len() >= MAX_SERIES && !self.series.contains_key(&key) {
            self.series_left_out += 1;
            return;
        }
        self.series.entry(key).or_insert_with(Series::new).note(at, value);
    }

    fn levels(&mut self, at: u64, levels: &Levels) {
        let fs = levels.header.fs;
        let mut seen = [0_u32; 8];
        for space in levels.space.iter().filter(|space| space.flags & BLOCK_GROUP_TYPE_MASK != 0) {
            let kind = &mut seen[(space.flags & BLOCK_GROUP_TYPE_MASK) as usize & 7];
            let of = format::space_name(space.flags, *kind);
            *kind += 1;
            let SpaceLevels { flags: _, total, used, may_use, reserved, pinned } = *space;
            for (name, value) in [
                ("bytes_may_use", may_use),
                ("reserved", reserved),
                ("pinned", pinned),
                ("used", used),
                ("total", total),
            ] {
                self.note(fs, &of, name, at, value as i64);
            }
        }
        let Levels { global, trans, chunk, delayed, delayed_refs, .. } = levels;
        for (of, Rsv { size: _, reserved }) in [
            ("global_block_rsv", global),
            ("trans_block_rsv", trans),
            ("chunk_block_rsv", chunk),
            ("delayed_block_rsv", delayed),
            ("delayed_refs_rsv", delayed_refs),
        ] {
            self.note(fs, of, "reserved", at, *reserved as i64);
        }
        let Some(position) = self.position(fs).filter(|_| levels.why == LEVELS_COMMIT) else { return };
        let what = SliceKind::Transaction { transid: levels.transid };
        if let Some(from) = self.committed.insert(position, at) {
            let track = Track::Transactions(position);
            self.slices.add(Slice { track, from, to: at, filesystem: Some(position), what });
        }
        self.instant(levels.header.tid, at, fs, InstantKind::Committed { transid: levels.transid });
    }

    /// A state begins where the one before it on the same thread ended, or where a worker was told to begin.
    fn flush(&mut self, step: &FlushState) {
        let (tid, fs, preemptive) = (step.header.tid, step.header.fs, step.preemptive != 0);
        let run = (fs, step.space_flags, preemptive);
        let end = self.since(step.at);
        match step.moment {
            FLUSH_BEGINS if self.begun.len() < MAX_STEPS || self.begun.contains_key(&run) => {
                self.begun.insert(run, end);
            }
            FLUSH_STATE_DONE => {
                let kernel_thread = self.tasks.get(&tid).is_some_and(|(_, comm)| comm.starts_with("kworker"));
                let begun = if kernel_thread { self.begun.remove(&run) } else { None };
                let from = begun.or_else(|| self.last_step.get(&tid).copied());
                if self.last_step.len() >= MAX_STEPS {
                    self.last_step.clear();
                }
                self.last_step.insert(tid, end);
                // Of the first step of a task that flushes for itself only the end is known.
                let from = from.filter(|from| *from <= end).unwrap_or(end);
                let FlushState { space_flags, bytes, state, ret, .. } = *step;
                let what = SliceKind::Flush { space_flags, bytes, state, ret, preemptive };
                let filesystem = self.position(fs);
                self.slices.add(Slice { track: Track::Thread(tid), from, to: end, filesystem, what });
            }
            _ => {}
        }
    }

    fn instant(&mut self, tid: u32, at: u64, fs: u32, what: InstantKind) {
        let filesystem = self.position(fs);
        self.instants.add(Instant { track: Track::Thread(tid), at, filesystem, what });
    }

    fn loss(&mut self, at: u64, sample: &LossSample) {
        for (class, (before, now)) in (0_u32..).zip(self.lost.iter_mut().zip(sample.counts)) {
            let count = now.saturating_sub(*before);
            *before = now;
            if count > 0 {
                let what = InstantKind::Lost { class, count };
                self.instants.add(Instant { track: Track::Losses, at, filesystem: None, what });
            }
        }
    }

    /// What was collected.
    #[must_use]
    pub fn into_timeline(self) -> Timeline {
        let coalesced_ns = self.series.values().map(Series::width).max().unwrap_or(0);
        let counters = self.series.into_iter().map(|((filesystem, of, name), series)| Counter {
            filesystem,
            of,
            name,
            points: series.points(),
        });
        Timeline {
            filesystems: self.filesystems.into_iter().map(|(_, name)| name).collect(),
            tasks: self.tasks,
            // A block_rsv that was never used has nothing to show.
            counters: counters.filter(|of| of.points.iter().any(|(_, value)| *value != 0)).collect(),
            slices: self.slices.list,
            instants: self.instants.list,
            flush_states: self.flush_states,
            slices_left_out: self.slices.left_out,
            instants_left_out: self.instants.left_out,
            counters_left_out: self.series_left_out,
            coalesced_ns,
        }
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Shows each record to a tracer, if there is one, and everything to another onlooker.
#[derive(Debug)]
pub struct Tracing<'a, O> {
    /// The tracer.
    pub tracer: Option<&'a mut Tracer>,
    /// The other one.
    pub other: O,
}

impl<S, O: Onlooker<S>> Onlooker<S> for Tracing<'_, O> {
    fn record(&mut self, record: &Record) {
        if let Some(tracer) = &mut self.tracer {
            tracer.record(record);
        }
        self.other.record(record);
    }

    fn batch(&mut self, batch: &mut RecordBatch, books: &Books) {
        self.other.batch(batch, books);
    }

    fn now_and_then(&mut self, books: &Books, source: &S) {
        self.other.now_and_then(books, source);
    }

    fn over(&mut self, books: &Books) {
        self.other.over(books);
    }
}

#[cfg(test)]
mod tests;
