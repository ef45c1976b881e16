//! The stream, followed record by record.
use probe_common::{
    inode::{DELALLOC_RESERVE, DELALLOC_ROOT_KNOWN, MOMENT_DESTROY},
    task::{Marker, MarkerKind},
};
use probe_ledger::Ledger;
use probe_record::record::Record;
use rustc_hash::FxHashMap;

use super::{
    active::Active,
    commands::{Commands, Counts},
    focus::Focus,
    pools::Pools,
    samples::{SAMPLE_NS, SAMPLES},
    tickets::Tickets,
};
use crate::tui::picture::InodeId;

/// Filesystems whose tickets and histories are kept; the oldest give way.
const MAX_FILESYSTEMS: usize = 256;

/// What the screen needs and the ledger does not keep.
#[derive(Debug, Default)]
pub struct Watch {
    /// Which inodes are active, and how.
    pub active: Active,
    /// Histories of pools by filesystem.
    pub pools: FxHashMap<u32, Pools>,
    /// Tickets and flushes by filesystem.
    pub tickets: FxHashMap<u32, Tickets>,
    /// Commands that ran.
    pub commands: Commands,
    /// The inode of the page Inode.
    pub focus: Option<Focus>,
    next_sample: u64,
    records_at_sample: u64,
    /// Records a second over the last samples, newest last.
    rates: std::collections::VecDeque<u64>,
}

impl Watch {
    /// The next record, after the ledger has it.
    pub fn apply(&mut self, record: &Record, ledger: &Ledger) {
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
            Record::Marker(marker) => self.mark(marker, ledger),
            _ => {}
        }
        if let Some(focus) = &mut self.focus {
            focus.apply(record, ledger);
        }
    }

    fn mark(&mut self, marker: &Marker, ledger: &Ledger) {
        let counts = counts(ledger);
        let end = marker.text.iter().position(|byte| *byte == 0).unwrap_or(marker.text.len());
        let text = String::from_utf8_lossy(marker.text.get(..end).unwrap_or_default()).into_owned();
        let time = marker.header.time;
        if marker.kind == MarkerKind::CommandStart as u32 {
            self.commands.begin(text, time, counts);
        } else if marker.kind == MarkerKind::CommandEnd as u32 {
            self.commands.end(&text, time, counts);
        }
    }

    /// Takes a sample of everything that has a history. Also called when nothing comes, with the time that it is.
    fn sample(&mut self, time: u64, ledger: &Ledger) {
        if self.next_sample == 0 {
            self.next_sample = time;
            self.records_at_sample = ledger.record_count();
        }
        // A gap of the stream is as many samples, but never more than are kept.
        let due = ((time - self.next_sample) / SAMPLE_NS + 1).min(SAMPLES as u64);
        self.next_sample = time - (time - self.next_sample) % SAMPLE_NS + SAMPLE_NS;
        let records = ledger.record_count() - self.records_at_sample;
        self.records_at_sample = ledger.record_count();
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

/// What is counted in windows, as of now.
#[must_use]
pub fn counts(ledger: &Ledger) -> Counts {
    Counts {
        records: ledger.record_count(),
        lost: ledger.touching_loss(),
        instances: u32::try_from(ledger.findings().len()).unwrap_or(u32::MAX),
    }
}
