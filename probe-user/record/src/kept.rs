//! The last records of a stream, in memory.
use std::{collections::VecDeque, time::Duration};

use probe_common::header::{HEADER_LEN, Header};
use zerocopy::FromBytes as _;

use crate::{batch::RecordBatch, preface::Preface};

/// How much is kept: whichever is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Time of the stream.
    pub span: Duration,
    /// Bytes of records.
    pub bytes: u64,
}

/// The last records of a stream, oldest first, and what must be known of those before them.
///
/// It keeps and drops whole batches, so it can hold one batch more than its bound.
#[derive(Debug)]
pub struct Kept {
    batches: VecDeque<RecordBatch>,
    bytes: u64,
    newest: u64,
    bound: Bound,
    preface: Preface,
}

impl Kept {
    /// Keeps nothing yet.
    #[must_use]
    pub fn new(bound: Bound) -> Self {
        Self { batches: VecDeque::new(), bytes: 0, newest: 0, bound, preface: Preface::default() }
    }

    /// Takes the next records and drops the oldest ones that are beyond the bound. `batch` is empty afterwards.
    pub fn push(&mut self, batch: &mut RecordBatch) {
        self.add(batch);
        let span = u64::try_from(self.bound.span.as_nanos()).unwrap_or(u64::MAX);
        let from = self.newest.saturating_sub(span);
        while self.batches.len() > 1
            && let Some(oldest) = self.batches.front()
            && (self.bytes > self.bound.bytes || oldest.span().is_some_and(|(_, last)| last < from))
        {
            self.pop();
        }
    }

    /// Takes the next records and drops nothing: those before them are being written.
    pub fn add(&mut self, batch: &mut RecordBatch) {
        if let Some((_, last)) = batch.span() {
            self.newest = self.newest.max(last);
            self.bytes += batch.bytes().len() as u64;
            self.batches.push_back(std::mem::take(batch));
        }
    }

    /// Removes the oldest batch. What must be known of it is remembered.
    pub fn pop(&mut self) -> Option<RecordBatch> {
        let batch = self.batches.pop_front()?;
        self.bytes -= batch.bytes().len() as u64;
        self.preface.learn(&batch);
        Some(batch)
    }

    /// Bytes of records that are kept.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Records that were dropped or taken out: those that a recording which begins now does not have.
    #[must_use]
    pub const fn gone(&self) -> u64 {
        self.preface.learned()
    }

    /// What a recording that begins with the oldest record must begin with. Call it before [`Self::pop`].
    #[must_use]
    pub fn preface(&self) -> RecordBatch {
        let first = self.batches.front().and_then(|batch| Header::read_from_prefix(batch.bytes()).ok());
        self.preface.records(&first.map(|(header, _)| header).unwrap_or_default())
    }

    /// A header with the time of the newest record, for a record that is to come after it.
    #[must_use]
    pub fn after(&self) -> Header {
        Header { time: self.newest, len: HEADER_LEN as u16, ..Header::default() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]
mod tests {
    use probe_common::{
        fs::{FS_BORN, FsEnd, FsSeen},
        loss::{LossClass, LossSample},
        task::{Marker, MarkerKind, TaskSeen},
    };

    use super::*;
    use crate::record::Record;

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64, fs: u32, tid: u32) -> Header {
        Header { time: seconds * SECOND, fs, tid, ..Header::default() }
    }

    fn of(records: &[Record]) -> RecordBatch {
        let mut batch = RecordBatch::new();
        for record in records {
            batch.push_record(record);
        }
        batch
    }

    fn thread(seconds: u64, tid: u32, comm: &[u8; 16]) -> Record {
        TaskSeen { header: at(seconds, 0, tid), comm: *comm, ..TaskSeen::default() }.into()
    }

    fn kept(seconds: u64, bytes: u64) -> Kept {
        Kept::new(Bound { span: Duration::from_secs(seconds), bytes })
    }

    fn held(kept: &mut Kept) -> Vec<u64> {
        std::iter::from_fn(|| kept.pop()).map(|batch| batch.span().unwrap().0 / SECOND).collect()
    }

    #[test]
    fn the_oldest_records_go_when_the_time_is_over() {
        let mut kept = kept(3, u64::MAX);
        for second in 1..=10 {
            kept.push(&mut of(&[thread(second, 1, b"fsstress\0\0\0\0\0\0\0\0")]));
        }
        assert_eq!(kept.gone(), 6);
        assert_eq!(held(&mut kept), [7, 8, 9, 10]);
        assert_eq!((kept.bytes(), kept.gone()), (0, 10));
    }

    #[test]
    fn the_oldest_records_go_when_there_is_no_room() {
        let one = of(&[thread(1, 1, &[0; 16])]).bytes().len() as u64;
        let mut kept = kept(1000, 2 * one);
        for second in 1..=5 {
            kept.push(&mut of(&[thread(second, 1, &[0; 16])]));
        }
        assert_eq!(held(&mut kept), [4, 5]);
    }

    /// What is being written must not be dropped behind the writer's back.
    #[test]
    fn nothing_goes_while_it_is_written() {
        let mut kept = kept(1, 1);
        for second in 1..=5 {
            kept.add(&mut of(&[thread(second, 1, &[0; 16])]));
        }
        assert_eq!(held(&mut kept), [1, 2, 3, 4, 5]);
    }

    fn preface_of(earlier: &[Record]) -> Vec<Record> {
        let mut kept = kept(1, u64::MAX);
        kept.push(&mut of(earlier));
        kept.push(&mut of(&[thread(100, 9, &[0; 16])]));
        kept.preface().iter().map(Result::unwrap).collect()
    }

    #[test]
    fn a_stream_that_begins_later_still_has_its_names() {
        let seen = FsSeen { header: at(1, 256, 0), flags: FS_BORN, nodesize: 16384, ..FsSeen::default() };
        let gone = FsSeen { header: at(1, 257, 0), ..FsSeen::default() };
        let end = FsEnd { header: at(2, 257, 0), ..FsEnd::default() };
        let old = thread(1, 7, b"bash\0\0\0\0\0\0\0\0\0\0\0\0");
        let new = thread(2, 7, b"dd\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let preface = preface_of(&[seen.into(), gone.into(), old, end.into(), new]);
        // The filesystem that lives, the thread's last name, the losses before and with what is missing.
        assert_eq!(preface.len(), 4, "{preface:?}");
        let Record::FsSeen(first) = preface[0] else { panic!("{:?}", preface[0]) };
        assert_eq!((first.header.fs, first.nodesize), (256, 16384));
        assert_eq!(first.flags & FS_BORN, 0, "what it held before is not known");
        let Record::TaskSeen(second) = preface[1] else { panic!("{:?}", preface[1]) };
        assert_eq!(second.comm[..2], *b"dd");
        assert!(preface.iter().all(|record| record.header().time == 100 * SECOND));
    }

    #[test]
    fn what_is_missing_is_counted_after_the_hooks_were_attached() {
        let marker = |kind: MarkerKind| -> Record {
            Marker { header: at(1, 0, 0), kind: kind as u32, reserved: 0, text: [0; 64] }.into()
        };
        let mut sample = LossSample { header: at(1, 0, 0), ..LossSample::default() };
        sample.counts[LossClass::Stack as usize] = 3;
        let preface = preface_of(&[marker(MarkerKind::Attached), sample.into(), thread(2, 7, &[0; 16])]);
        let attached = preface.iter().position(
            |record| matches!(record, Record::Marker(of) if of.kind == MarkerKind::Attached as u32),
        );
        let Some(Record::LossSample(last)) = preface.last() else { panic!("{preface:?}") };
        assert_eq!(attached, Some(preface.len() - 2));
        assert_eq!(last.counts[LossClass::NotKept as usize], 3);
        assert_eq!(last.counts[LossClass::Stack as usize], 3);
    }

    #[test]
    fn a_stream_that_is_kept_whole_needs_no_preface() {
        let mut kept = kept(60, u64::MAX);
        kept.push(&mut of(&[thread(1, 7, &[0; 16])]));
        assert!(kept.preface().is_empty());
    }
}
