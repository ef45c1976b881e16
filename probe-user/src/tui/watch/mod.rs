//! Follows the stream beside the ledger and keeps what the screen needs and the books do not: who is active, what
//! was held when, which tickets waited, which window is open.
//!
//! Bounded in every part, whatever the stream does. Time is that of the stream, so a replay shows what the live
//! session showed.
mod active;
mod describe;
mod focus;
mod pools;
mod tickets;
mod windows;

use probe_common::{
    inode::{DELALLOC_RESERVE, DELALLOC_ROOT_KNOWN, MOMENT_DESTROY},
    suite::{NoteKind, TestNote},
    task::{Marker, MarkerKind},
};
use rustc_hash::FxHashMap;

pub use self::{
    active::{Active, Activity},
    describe::{describe, flush_name},
    focus::Focus,
    pools::{Pools, rows as pool_rows},
    tickets::Tickets,
    windows::{Counts, Windows},
};
use super::picture::InodeId;
use crate::{capture::record::Record, ledger::Ledger};

/// Time between two samples of the histories.
pub const SAMPLE_NS: u64 = 250_000_000;
/// Samples that are kept.
pub const SAMPLES: usize = 480;
/// Filesystems whose tickets and histories are kept; the oldest give way.
const MAX_FILESYSTEMS: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub struct Watch {
    /// Which inodes are active, and how.
    pub active: Active,
    /// Histories of pools by filesystem.
    pub pools: FxHashMap<u32, Pools>,
    /// Tickets and flushes by filesystem.
    pub tickets: FxHashMap<u32, Tickets>,
    /// Windows between markers.
    pub windows: Windows,
    /// The inode looked into.
    pub focus: Option<Focus>,
    /// Kernel WARNs.
    pub warnings: u64,
    next_sample: u64,
    records: u64,
    records_at_sample: u64,
    /// Records a second over the last samples, newest last.
    rates: std::collections::VecDeque<u64>,
}

impl Watch {
    /// The next record, after the ledger has it.
    pub fn apply(&mut self, record: &Record, ledger: &Ledger) {
        self.records += 1;
        let header = record.header();
        if header.time >= self.next_sample && header.time != 0 {
            self.sample(header.time, ledger);
        }
        match record {
            Record::Delalloc(body) if body.flags & DELALLOC_ROOT_KNOWN != 0 => {
                let id = InodeId { fs: header.fs, root: body.root, ino: body.ino };
                let reserved = if body.flags & DELALLOC_RESERVE != 0 { body.bytes } else { 0 };
                self.active.seen(id, header.time, reserved);
            }
            Record::InodeState(body) if body.moment == MOMENT_DESTROY => {
                self.active.gone(InodeId { fs: header.fs, root: body.root, ino: body.ino });
            }
            Record::FsEnd(_) => self.active.filesystem_gone(header.fs),
            Record::Ticket(_) | Record::Enospc(_) | Record::Flush(_) => {
                if self.tickets.len() >= MAX_FILESYSTEMS && !self.tickets.contains_key(&header.fs) {
                    oldest(&mut self.tickets);
                }
                self.tickets.entry(header.fs).or_default().apply(record);
            }
            Record::Warn(_) => self.warnings += 1,
            Record::Marker(marker) => self.mark(marker, ledger),
            Record::TestNote(note) => self.test(note, ledger),
            _ => {}
        }
        if let Some(focus) = &mut self.focus {
            focus.apply(record, ledger);
        }
    }

    fn mark(&mut self, marker: &Marker, ledger: &Ledger) {
        let counts = self.counts(ledger);
        let end = marker.text.iter().position(|byte| *byte == 0).unwrap_or(marker.text.len());
        let text = String::from_utf8_lossy(marker.text.get(..end).unwrap_or_default()).into_owned();
        let time = marker.header.time;
        let kind = |kind: MarkerKind| marker.kind == kind as u32;
        if kind(MarkerKind::CommandStart) {
            self.windows.open(false, text, time, counts);
        } else if kind(MarkerKind::TestStart) {
            self.windows.open(true, text, time, counts);
        } else if kind(MarkerKind::CommandEnd) {
            self.windows.close(false, &text, time, counts);
        } else if kind(MarkerKind::TestEnd) {
            self.windows.close(true, &text, time, counts);
        }
    }

    fn test(&mut self, note: &TestNote, ledger: &Ledger) {
        let counts = self.counts(ledger);
        let text = || {
            let end = note.text.iter().position(|byte| *byte == 0).unwrap_or(note.text.len());
            String::from_utf8_lossy(note.text.get(..end).unwrap_or_default()).into_owned()
        };
        if note.what == NoteKind::Begin as u32 {
            self.windows.open(true, text(), note.header.time, counts);
        } else if note.what == NoteKind::End as u32 {
            self.windows.close(true, &text(), note.header.time, counts);
        }
    }

    /// Takes a sample of everything that has a history. Also called when nothing comes, with the time that it is.
    fn sample(&mut self, time: u64, ledger: &Ledger) {
        if self.next_sample == 0 {
            self.next_sample = time;
            self.records_at_sample = self.records;
        }
        // A gap of the stream is as many samples, but never more than are kept.
        let due = ((time - self.next_sample) / SAMPLE_NS + 1).min(SAMPLES as u64);
        self.next_sample = time - (time - self.next_sample) % SAMPLE_NS + SAMPLE_NS;
        let records = self.records - self.records_at_sample;
        self.records_at_sample = self.records;
        for _ in 0..due {
            self.rates.push_back(records * 1_000_000_000 / SAMPLE_NS / due);
        }
        while self.rates.len() > 4 {
            self.rates.pop_front();
        }
        self.active.sample(time, due, ledger);
        for fs in ledger.pools() {
            if fs.ended {
                self.pools.remove(&fs.fs);
                continue;
            }
            if self.pools.len() >= MAX_FILESYSTEMS && !self.pools.contains_key(&fs.fs) {
                oldest(&mut self.pools);
            }
            self.pools.entry(fs.fs).or_default().sample(&fs, due);
        }
    }

    /// What is counted in windows, as of now.
    #[must_use]
    pub fn counts(&self, ledger: &Ledger) -> Counts {
        Counts {
            records: self.records,
            lost: ledger.touching_loss(),
            findings: ledger.findings().len() as u64,
        }
    }

    /// Records so far.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Records a second, lately.
    #[must_use]
    pub fn record_rate(&self) -> u64 {
        let count = self.rates.len() as u64;
        self.rates.iter().sum::<u64>().checked_div(count).unwrap_or(0)
    }

    /// Follows one inode closely from now on, or none.
    pub fn look_into(&mut self, id: Option<InodeId>, ledger: &Ledger) {
        if self.focus.as_ref().map(|focus| focus.id) == id {
            return;
        }
        self.focus = id.map(|id| Focus::new(id, self.active.trend(id), ledger));
    }
}

/// Removes the entry of the oldest filesystem: ids grow.
fn oldest<V>(map: &mut FxHashMap<u32, V>) {
    if let Some(oldest) = map.keys().copied().min() {
        map.remove(&oldest);
    }
}
