//! The thread that owns the probe: ring to batches, requests to records.
use std::{
    mem::offset_of,
    ops::Range,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use aya::maps::{MapData, RingBuf};
use probe_common::{
    call::Call,
    chain::QgroupLevel,
    failure::Warn,
    fs::{AUDIT_BEGIN, AUDIT_END, LOOK_BEGIN, LOOK_END},
    header::{Header, RecordKind},
    hook::HookId,
    loss::{LOSS_CLASSES, LOSS_SLOTS, LossClass, LossSample},
    suite::TestSign,
    task::{Marker, MarkerKind, STACK_FIXED_LEN},
};
use probe_record::{
    batch::RecordBatch,
    record::Record,
    session::{HookCount, SessionEnd},
    stream::{BatchSender, Closed},
};
use rustc_hash::FxHashSet;
use zerocopy::FromBytes;

use super::{
    BUSY, IDLE, LiveOptions, Request, audit, filesystems::Filesystems, gauges::Timing, looks::Looks,
    waits::Waits,
};
use crate::{
    hooks::{Diagnostics, InodeTarget, Probe},
    kernel::clock::{monotonic_ns as now, wall_ns},
};

/// A batch is handed over when it has this size, at the latest.
const BATCH_BYTES: usize = 256 << 10;
/// How often we check for a new loss.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// How often all losses are read and put into the stream, changed or not. Pending findings wait for that, and the clock
/// on the screen is that of the stream.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// Readings that must all show a skipped event before it counts as a loss.
const CONFIRMING_LOOKS: u32 = 4;
/// Pause between them: far longer than the time from the first program of an event to its fallback.
const CONFIRMING_PAUSE: Duration = Duration::from_millis(2);
/// Between the two audits at the end: long enough for an operation under way to show as a change.
const AUDIT_PAUSE: Duration = Duration::from_millis(120);
/// Audits at the end, so that the last two can be compared.
const FINAL_AUDITS: u32 = 3;
/// Bytes of the place that a [`Call`] was made from.
const CALLER: Range<usize> = offset_of!(Call, caller)..offset_of!(Call, stack);
/// Bytes of the address in a [`Warn`].
const WARN_ADDRESS: Range<usize> = offset_of!(Warn, address)..offset_of!(Warn, detector);
/// Most addresses that are named: a bound for a damaged stream.
const MAX_NAMED: usize = 1 << 20;

/// The draining thread's state.
pub struct Drain {
    probe: Probe,
    ring: RingBuf<MapData>,
    /// Read together with the ring, if `-vv` asked for it.
    diagnostics: Option<Diagnostics>,
    sender: BatchSender,
    options: LiveOptions,
    batch: RecordBatch,
    filesystems: Filesystems,
    named: FxHashSet<u64>,
    fresh: Vec<u64>,
    /// Losses as the programs counted them at the last reading, and all losses as last put into the stream.
    last_counts: [u64; LOSS_CLASSES],
    losses: [u64; LOSS_CLASSES],
    /// Events that were skipped and not rescued, confirmed by several looks.
    misses: u64,
    /// Detaching has begun: a hook may lack its fallback, so what is skipped from here on is not a loss.
    detaching: bool,
    records: u64,
    /// When the losses were last put into the stream.
    said: Instant,
    timing: Timing,
    ring_peak: u64,
    waits: Waits,
    looks: Looks,
}

impl Drain {
    /// Takes over the probe and its ring.
    pub fn new(
        probe: Probe,
        ring: RingBuf<MapData>,
        diagnostics: Option<Diagnostics>,
        sender: BatchSender,
        options: LiveOptions,
    ) -> Self {
        Self {
            probe,
            ring,
            diagnostics,
            sender,
            options,
            batch: RecordBatch::with_capacity(BATCH_BYTES + (8 << 10)),
            filesystems: Filesystems::default(),
            named: FxHashSet::default(),
            fresh: Vec::new(),
            last_counts: [0; LOSS_CLASSES],
            losses: [0; LOSS_CLASSES],
            misses: 0,
            detaching: false,
            records: 0,
            said: Instant::now(),
            timing: Timing::default(),
            ring_peak: 0,
            waits: Waits::default(),
            looks: Looks::default(),
        }
    }

    /// Runs until it is asked to stop, or until the stream has no consumer.
    pub fn run(mut self, requests: &Receiver<Request>) {
        // What is in the ring now may be from before the last hook was attached, so it comes before the marker.
        if self.drain().is_err() {
            return;
        }
        self.mark(MarkerKind::Attached, "");
        // With the levels of what was held before.
        let met = self.probe.meet_mounted();
        log::info!("{met} btrfs are mounted and followed");
        let mut sampled = Instant::now();
        let mut wait = BUSY;
        loop {
            let request = match requests.recv_timeout(wait) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let Ok(drained) = self.drain() else { return };
            if let Some(diagnostics) = &mut self.diagnostics {
                diagnostics.forward();
            }
            wait = if drained == 0 { (wait * 2).min(IDLE) } else { BUSY };
            if sampled.elapsed() >= SAMPLE_EVERY {
                sampled = Instant::now();
                self.sample(false);
            }
            if self.waits.is_due(self.filesystems.count()) && self.walk_tickets().is_err() {
                return;
            }
            let result = match request {
                None => self.flush(),
                Some(Request::Marker(kind, text)) => {
                    self.mark(kind, &text);
                    self.flush()
                }
                Some(Request::Note(note)) => {
                    // With the losses until now, so that they are counted in the right window.
                    self.sample(true);
                    self.push(&Record::from(*note));
                    self.flush()
                }
                Some(Request::Follow { pid, done }) => {
                    self.probe.follow_process(pid);
                    // Who asked may have stopped waiting.
                    let _ = done.try_send(());
                    self.flush()
                }
                Some(Request::Audit) => self.audit().and_then(|()| self.flush()),
                Some(Request::Levels { inodes }) => self.levels(inodes),
                Some(Request::Gauges { timed, answer }) => {
                    let ring_bytes = self.options.ring_bytes as u64;
                    let peak = std::mem::take(&mut self.ring_peak);
                    // The asker may be gone.
                    let _ = answer.try_send(self.timing.read(&self.probe, timed, ring_bytes, peak));
                    self.flush()
                }
                Some(Request::Stop(end)) => {
                    // If it fails, nobody is left to tell.
                    let _ = self.stop(*end);
                    return;
                }
            };
            if result.is_err() {
                return;
            }
        }
    }

    /// Empties the ring into batches, but takes no more than it can hold once: a ring that fills as fast as it is
    /// emptied must not keep requests waiting. Returns the number of records.
    fn drain(&mut self) -> Result<u64, Closed> {
        let before = self.records;
        let mut taken = 0;
        loop {
            let mut more = false;
            while let Some(item) = self.ring.next() {
                let bytes: &[u8] = &item;
                if let Ok((header, _)) = Header::read_from_prefix(bytes) {
                    // The ring rounds lengths up to eight; the header has the true one.
                    let whole = bytes.get(..usize::from(header.len)).unwrap_or(bytes);
                    self.filesystems.see(&header, whole);
                    self.waits.see(&header, whole);
                    if header.kind == RecordKind::TestSign as u8 {
                        pass_on(whole, self.options.signs.as_ref());
                    }
                    if header.kind == RecordKind::Stack as u8 {
                        note_addresses(whole.get(STACK_FIXED_LEN..), &mut self.named, &mut self.fresh);
                    }
                    if header.kind == RecordKind::Warn as u8 {
                        // The address of a WARN need not be a frame of the stack.
                        note_addresses(whole.get(WARN_ADDRESS), &mut self.named, &mut self.fresh);
                    }
                    if header.kind == RecordKind::Call as u8 {
                        note_addresses(whole.get(CALLER), &mut self.named, &mut self.fresh);
                    }
                    if self.batch.push(whole).is_ok() {
                        self.records += 1;
                    }
                }
                if self.batch.bytes().len() >= BATCH_BYTES {
                    more = true;
                    break;
                }
            }
            taken += self.batch.bytes().len();
            if more {
                self.flush()?;
            }
            if !more || taken >= self.options.ring_bytes {
                self.ring_peak = self.ring_peak.max(taken as u64);
                self.qgroup_levels();
                for (fs, fs_info) in self.filesystems.take_aborts() {
                    // One that is gone has no state.
                    let _ = self.probe.audit_abort(fs_info, fs);
                }
                return Ok(self.records - before);
            }
        }
    }

    fn flush(&mut self) -> Result<(), Closed> {
        if !self.fresh.is_empty() {
            let rows = self.fresh.drain(..).map(|address| (self.options.namer)(address)).collect();
            self.sender.send_symbols(rows)?;
        }
        self.sender.send(&mut self.batch)
    }

    fn push(&mut self, record: &Record) {
        self.batch.push_record(record);
        self.records += 1;
    }

    fn mark(&mut self, kind: MarkerKind, text: &str) {
        let mut marker = Marker {
            header: Header { time: now(), ..Header::default() },
            kind: kind as u32,
            reserved: 0,
            text: [0; 64],
        };
        for (to, from) in marker.text.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        self.push(&Record::from(marker));
    }

    /// Counts skipped events when repeated readings still show them: by then the fallback would have rescued them.
    fn look_for_misses(&mut self) {
        let look = |probe: &Probe| {
            let misses = probe.recursion_misses();
            misses.iter().filter(|(hook, _)| !hook.only_informs()).map(|(_, misses)| misses).sum::<u64>()
        };
        let mut misses = look(&self.probe);
        for _ in 0..CONFIRMING_LOOKS {
            if misses <= self.misses || !self.probe.has_fallbacks() {
                break;
            }
            std::thread::sleep(CONFIRMING_PAUSE);
            misses = misses.min(look(&self.probe));
        }
        if misses > self.misses {
            for (hook, count) in self.probe.recursion_misses().into_iter().filter(|(_, count)| *count > 0) {
                log::info!("{}: the kernel skipped {count} runs so far", hook.name());
            }
        }
        self.misses = self.misses.max(misses);
    }

    /// Puts the loss counters into the stream if they changed, if a while has passed, or if `always`.
    ///
    /// Skipped events are read only when all losses are: that takes a file per program, more than everything else that is
    /// done so often.
    fn sample(&mut self, always: bool) {
        // Time first: what is missed after this moment belongs to the next reading.
        let time = now();
        let mut counts = self.probe.counts().lost;
        if !always && counts == self.last_counts && self.said.elapsed() < SAY_EVERY {
            return;
        }
        self.last_counts = counts;
        if !self.detaching {
            self.look_for_misses();
        }
        counts[LossClass::Recursion as usize] += self.misses;
        self.losses = counts;
        self.said = Instant::now();
        let mut sample = LossSample { header: Header { time, ..Header::default() }, counts: [0; LOSS_SLOTS] };
        for (to, from) in sample.counts.iter_mut().zip(counts) {
            *to = from;
        }
        self.push(&Record::from(sample));
    }

    /// Asks for the levels of all filesystems, which come as records, and with `inodes` for the counters of the inodes that may
    /// have dirty data, if that is cheap enough. No rule judges them.
    fn levels(&mut self, inodes: bool) -> Result<(), Closed> {
        let began = Instant::now();
        let mut dirty = if inodes { self.looks.dirty_inodes(&self.probe) } else { None };
        for fs in self.filesystems.ids() {
            let Some(live) = self.filesystems.find(fs).cloned() else { continue };
            let Some(dirty) = &mut dirty else {
                // A filesystem that is gone has no levels.
                let _ = self.probe.audit_fs(live.fs_info, fs);
                continue;
            };
            self.drain()?;
            let links = audit::links(&self.probe, fs, &live);
            self.push(&Record::from(audit::mark(fs, now(), LOOK_BEGIN, 0, links)));
            let _ = self.probe.audit_fs(live.fs_info, fs);
            for target in dirty.remove(&fs).unwrap_or_default() {
                // An inode that is gone has no counters.
                let _ = self.probe.audit_inode(target);
            }
            self.drain()?;
            let links = audit::links(&self.probe, fs, &live);
            self.push(&Record::from(audit::mark(fs, now(), LOOK_END, 0, links)));
        }
        if dirty.is_some() {
            self.looks.over(began);
        }
        self.flush()
    }

    /// Puts into the stream what the qgroups hold of which btrfs has said that they hold something. At unmount their counters
    /// do not change any more.
    fn qgroup_levels(&mut self) {
        let filesystems = self.filesystems.take_complaints();
        if filesystems.is_empty() {
            return;
        }
        for level in self.probe.qgroups_of(&filesystems) {
            self.push(&Record::from(QgroupLevel {
                header: Header { fs: level.fs, time: now(), ..Header::default() },
                object: level.object,
                qgroupid: level.object_flags,
                value: level.value,
                links: level.links,
                counter: level.counter as u32,
                reserved: 0,
            }));
        }
    }

    /// Puts the tickets that wait into the stream, and now and then what the threads behind a long wait do.
    fn walk_tickets(&mut self) -> Result<(), Closed> {
        if self.waits.looks_for_stalled() {
            self.probe.meet_stalled();
            self.drain()?;
        }
        let round = self.waits.begin();
        for fs in self.filesystems.ids() {
            let Some(fs_info) = self.filesystems.find(fs).map(|live| live.fs_info) else { continue };
            let began = now();
            let (waiting, complete) = self.probe.audit_tickets(fs_info, fs, round);
            if !self.waits.has_news(fs, waiting) {
                self.waits.idle(fs, began);
                continue;
            }
            self.drain()?;
            let header = Header { fs, time: now(), ..Header::default() };
            let record = self.waits.round(header, waiting, complete, began);
            self.push(&Record::from(record));
            if let Some(ticket) = self.waits.wants_threads(fs, now()) {
                self.probe.find_threads(fs_info, fs, ticket);
                self.drain()?;
                for stack in self.waits.stacks(&self.options.root, fs) {
                    self.push(&Record::from(stack));
                }
            }
        }
        self.flush()
    }

    fn audit(&mut self) -> Result<(), Closed> {
        let inodes = self.probe.inodes().unwrap_or_default();
        if self.losses[LossClass::ChainRecord as usize] > 0 {
            // A lost record may have been the first sight of a pool.
            for level in self.probe.chains() {
                self.filesystems.has_pool(level.fs, level.object, level.counter);
            }
        }
        for fs in self.filesystems.ids() {
            let Some(live) = self.filesystems.next_round(fs) else { continue };
            let links = audit::links(&self.probe, fs, &live);
            self.push(&Record::from(audit::mark(fs, now(), AUDIT_BEGIN, live.rounds, links)));
            if self.probe.audit_fs(live.fs_info, fs) {
                let targets: Vec<InodeTarget> = inodes
                    .iter()
                    .filter(|((owner, ..), _)| *owner == fs)
                    .map(|(_, target)| *target)
                    .take(self.options.audit_inodes)
                    .collect();
                for chunk in targets.chunks(64) {
                    for target in chunk {
                        // An inode that is gone needs no audit.
                        let _ = self.probe.audit_inode(*target);
                    }
                    self.drain()?;
                }
                let levels = audit::sysfs_levels(&self.probe, &self.options.root, fs, &live, now());
                // A filesystem exists before it is in sysfs. If the figures were those of a later life, that shows by now.
                self.drain()?;
                if self.filesystems.find(fs).is_some() {
                    for level in levels {
                        self.push(&Record::from(level));
                    }
                }
            }
            self.drain()?;
            let links = audit::links(&self.probe, fs, &live);
            self.push(&Record::from(audit::mark(fs, now(), AUDIT_END, live.rounds, links)));
            self.flush()?;
        }
        Ok(())
    }

    fn stop(mut self, mut end: SessionEnd) -> Result<(), Closed> {
        // What waits now never ended while we watched.
        self.walk_tickets()?;
        // Losses until now make the audits themselves doubtful, not only what follows from them.
        self.sample(true);
        for round in 0..FINAL_AUDITS {
            if round > 0 {
                std::thread::sleep(AUDIT_PAUSE);
                self.drain()?;
            }
            self.audit()?;
        }
        self.mark(MarkerKind::Detaching, "");
        self.drain()?;
        let misses = self.probe.recursion_misses();
        self.look_for_misses();
        self.probe.show_run_times();
        self.detaching = true;
        self.probe.detach();
        // The hooks are off, so nobody writes any more.
        while self.drain()? > 0 {}
        if let Some(diagnostics) = self.diagnostics.take() {
            diagnostics.close(&self.probe);
        }
        self.sample(true);
        self.flush()?;
        let counts = self.probe.counts();
        for class in LossClass::ALL {
            end.add_loss(class, self.losses[class as usize]);
        }
        end.hooks = counts.hits.iter().map(|(hook, hits)| hook_count(*hook, *hits, &misses)).collect();
        end.records = self.records;
        end.ended_at_ns = wall_ns();
        let Self { sender, probe, .. } = self;
        // Closing the programs costs the kernel grace periods; the consumer need not wait for that.
        let result = sender.finish(end);
        drop(probe);
        result
    }
}

fn hook_count(hook: HookId, hits: u64, misses: &[(HookId, u64)]) -> HookCount {
    let missed = misses.iter().filter(|(of, _)| *of == hook).map(|(_, misses)| *misses).sum();
    HookCount { id: hook.name().to_owned(), hits, missed }
}

/// Passes a sign of a test on to whoever follows tests.
fn pass_on(record: &[u8], signs: Option<&std::sync::mpsc::Sender<TestSign>>) {
    if let (Some(signs), Ok(Record::TestSign(sign))) = (signs, Record::decode(record)) {
        // The follower may be gone.
        let _ = signs.send(sign);
    }
}

/// Notes the addresses in this part of a record that have no name yet.
fn note_addresses(part: Option<&[u8]>, named: &mut FxHashSet<u64>, fresh: &mut Vec<u64>) {
    for word in part.unwrap_or_default().chunks_exact(8) {
        let Ok(word) = <[u8; 8]>::try_from(word) else { continue };
        let address = u64::from_le_bytes(word);
        if named.len() < MAX_NAMED && named.insert(address) {
            fresh.push(address);
        }
    }
}
