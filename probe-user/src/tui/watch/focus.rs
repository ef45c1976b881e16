//! The inode of the page Inode: every record of it, and its accounts over time.
use std::collections::VecDeque;

use probe_common::inode::{COUNTERS_VALID, Counters, DELALLOC_RESERVE, DELALLOC_STACK_REPRESENTATIVE};
use probe_ledger::{Ledger, Origin, StackRef};
use probe_record::record::Record;
use rustc_hash::FxHashMap;

use super::{
    describe::{describe, inode_of},
    samples::SAMPLE_NS,
};
use crate::tui::picture::{InodeId, RecordLine};

/// Records that are kept.
const MAX_RECORDS: usize = 500;
/// Points that are kept; at twice as many, each two become one.
const MAX_POINTS: usize = 512;
/// Stacks that are told apart; contexts are few.
const MAX_STACKS: usize = 64;

/// A record in words, without the name of its thread.
#[derive(Clone, Debug)]
struct Line {
    time: u64,
    tid: u32,
    text: String,
}

/// A moment of the accounts: meta_rsv, delalloc_bytes, csum_bytes, outstanding_extents.
type Point = (u64, [u64; 4]);

/// See the module.
#[derive(Debug)]
pub struct Focus {
    /// Which.
    pub id: InodeId,
    lines: VecDeque<Line>,
    points: Vec<Point>,
    /// Bytes and reservations by stack.
    reserved: FxHashMap<u64, Origin>,
}

impl Focus {
    /// Starts with what is already known of an inode.
    #[must_use]
    pub fn new(id: InodeId, trend: Vec<u64>, ledger: &Ledger) -> Self {
        let remembered = ledger.inode_records(id.fs, id.root, id.ino);
        let lines =
            remembered.into_iter().map(|line| Line { time: line.time, tid: line.tid, text: line.text });
        let now = ledger.span().1;
        let count = trend.len() as u64;
        let points = trend
            .into_iter()
            .enumerate()
            .map(|(at, held)| (now.saturating_sub((count - at as u64) * SAMPLE_NS), [held, 0, 0, 0]));
        let mut focus =
            Self { id, lines: lines.collect(), points: points.collect(), reserved: FxHashMap::default() };
        if let Some(values) = focus.current(ledger) {
            focus.points.push((now, values));
        }
        focus
    }

    /// The accounts as they are.
    fn current(&self, ledger: &Ledger) -> Option<[u64; 4]> {
        let book = ledger.inode(self.id.fs, self.id.root, self.id.ino)?;
        let counters = book.counters.unwrap_or_default();
        let held = u64::try_from(book.meta_rsv).unwrap_or(0);
        let extents = u64::from(counters.outstanding_extents);
        Some([held, counters.delalloc_bytes, counters.csum_bytes, extents])
    }

    /// A record of the stream; most are of other inodes.
    pub fn apply(&mut self, record: &Record, ledger: &Ledger) {
        let Some((root, ino, counters)) = inode_of(record) else { return };
        let header = record.header();
        if (header.fs, ino) != (self.id.fs, self.id.ino) || (root != self.id.root && root != 0) {
            return;
        }
        if let Some(text) = describe(record) {
            if self.lines.len() >= MAX_RECORDS {
                self.lines.pop_front();
            }
            self.lines.push_back(Line { time: header.time, tid: header.tid, text });
        }
        if let Record::Delalloc(body) = record
            && body.flags & DELALLOC_RESERVE != 0
        {
            let stack =
                StackRef { id: body.stack, representative: body.flags & DELALLOC_STACK_REPRESENTATIVE != 0 };
            if self.reserved.len() < MAX_STACKS || self.reserved.contains_key(&stack.id) {
                let origin = self.reserved.entry(stack.id).or_insert(Origin { bytes: 0, count: 0, stack });
                origin.bytes = origin.bytes.saturating_add(body.bytes);
                origin.count += 1;
            }
        }
        if let Some(counters) = counters.filter(|counters| counters.flags & COUNTERS_VALID != 0) {
            self.point(header.time, &counters, ledger);
        }
    }

    fn point(&mut self, time: u64, counters: &Counters, ledger: &Ledger) {
        let book = ledger.inode(self.id.fs, self.id.root, self.id.ino);
        let held = book.map_or(counters.reserved, |book| u64::try_from(book.meta_rsv).unwrap_or(0));
        let values =
            [held, counters.delalloc_bytes, counters.csum_bytes, u64::from(counters.outstanding_extents)];
        self.points.push((time, values));
        if self.points.len() >= 2 * MAX_POINTS {
            // The higher of two, so that no peak is lost.
            let highest = |pair: &[Point]| {
                pair.iter().skip(1).fold(pair[0], |(_, most), (time, values)| {
                    (*time, std::array::from_fn(|at| most[at].max(values[at])))
                })
            };
            self.points = self.points.chunks(2).map(highest).collect();
        }
    }

    /// The accounts at `count` moments alike far apart, the last of them now; and the time they span.
    #[must_use]
    pub fn histories(&self, count: usize, ledger: &Ledger) -> ([Vec<u64>; 4], u64) {
        let Some((first, _)) = self.points.first() else { return (Default::default(), 0) };
        let now = ledger.span().1;
        let span = now.saturating_sub(*first).max(1);
        let mut histories: [Vec<u64>; 4] = Default::default();
        let mut at = 0;
        let mut last = [0; 4];
        for slot in 1..=count.max(1) as u64 {
            let until = first + (u128::from(span) * u128::from(slot) / count.max(1) as u128) as u64;
            // What it held when the slot began, or more if more came within it.
            let mut most = last;
            while let Some((_, values)) = self.points.get(at).filter(|(time, _)| *time <= until) {
                last = *values;
                most = std::array::from_fn(|of| most[of].max(values[of]));
                at += 1;
            }
            // The last moment is what it is now; an inode without a book holds nothing.
            let shown = if slot == count as u64 { self.current(ledger).unwrap_or_default() } else { most };
            for (history, value) in histories.iter_mut().zip(shown) {
                history.push(value);
            }
        }
        (histories, span)
    }

    /// The stacks that reserved since it was opened, most bytes first.
    #[must_use]
    pub fn reserved(&self) -> Vec<Origin> {
        let mut all: Vec<Origin> = self.reserved.values().copied().collect();
        all.sort_by_key(|origin| (std::cmp::Reverse(origin.bytes), origin.stack.id));
        all
    }

    /// Its last records with the names of threads, oldest first.
    #[must_use]
    pub fn records(&self, ledger: &Ledger, since_start: &dyn Fn(u64) -> u64) -> Vec<RecordLine> {
        let named = |line: &Line| RecordLine {
            time_ns: since_start(line.time),
            tid: line.tid,
            comm: ledger.task(line.tid).map(|task| task.comm).unwrap_or_default(),
            text: line.text.clone(),
        };
        self.lines.iter().map(named).collect()
    }
}
