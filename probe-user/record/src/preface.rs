//! What a stream that begins in the middle of a session must begin with.
//!
//! Some records are sent once and used for the rest of the session: which filesystem an id means, the name of a thread, the
//! frames of a stack. If earlier records are not kept, these are, so that what is kept can still be read.
use std::collections::BTreeMap;

use probe_common::{
    fs::FS_BORN,
    header::{Header, RecordKind},
    inode::Name,
    loss::{LOSS_SLOTS, LossClass, LossSample},
    suite::{NoteKind, TestNote},
    task::{Marker, MarkerKind},
};

use zerocopy::FromBytes as _;

use crate::{batch::RecordBatch, record::Record};

/// Most records that are kept: about 40 MiB.
const MOST: usize = 1 << 17;

/// What a kept record is about. A newer record about the same thing replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Filesystem(u32),
    Thread(u32),
    Stack(u64),
    Inode(u32, u64, u64),
    /// A test that has not ended, and which of its facts.
    Test(u32, u32),
}

#[derive(Clone, Debug)]
struct Said {
    /// Its place among the records learned.
    place: u64,
    bytes: Box<[u8]>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Preface {
    said: BTreeMap<About, Said>,
    /// Records learned from, kept or not.
    learned: u64,
    /// Time and loss count of the last record learned from.
    newest: (u64, u16),
    /// All hooks were attached.
    attached: bool,
    /// The last loss sample.
    losses: [u64; LOSS_SLOTS],
}

impl Preface {
    /// Learns from records that are not kept.
    pub fn learn(&mut self, batch: &RecordBatch) {
        for bytes in batch.raw().flatten() {
            self.learned += 1;
            self.learn_one(bytes);
        }
    }

    /// Records learned from: those that are missing before the stream that follows.
    #[must_use]
    pub const fn learned(&self) -> u64 {
        self.learned
    }

    /// A header with the time and loss count of the last record learned from, for [`Self::records`] when what follows has not
    /// come yet.
    #[must_use]
    pub fn newest(&self) -> Header {
        let (time, lost) = self.newest;
        Header { time, lost, ..Header::default() }
    }

    fn learn_one(&mut self, bytes: &[u8]) {
        if let Ok((header, _)) = Header::read_from_prefix(bytes) {
            self.newest = (header.time, header.lost);
        }
        let Some(kind) = bytes.first().copied().and_then(RecordKind::from_u8) else { return };
        match kind {
            RecordKind::FsSeen
            | RecordKind::FsEnd
            | RecordKind::TaskSeen
            | RecordKind::Stack
            | RecordKind::Name
            | RecordKind::Marker
            | RecordKind::LossSample
            | RecordKind::TestNote => {}
            _ => return,
        }
        match Record::decode(bytes) {
            Ok(Record::FsSeen(mut seen)) => {
                // What it held before the stream that follows is not in there.
                seen.flags &= !FS_BORN;
                self.keep(About::Filesystem(seen.header.fs), Record::from(seen).bytes());
            }
            Ok(Record::FsEnd(end)) => self.forget_filesystem(end.header.fs),
            Ok(Record::TaskSeen(seen)) => self.keep(About::Thread(seen.header.tid), bytes),
            Ok(Record::Stack(stack)) => self.keep(About::Stack(stack.id), bytes),
            Ok(Record::Name(Name { header, root, ino, .. })) => {
                self.keep(About::Inode(header.fs, root, ino), bytes);
            }
            Ok(Record::Marker(marker)) => self.attached |= marker.kind == MarkerKind::Attached as u32,
            Ok(Record::LossSample(sample)) => self.losses = sample.counts,
            Ok(Record::TestNote(note)) => self.note(&note, bytes),
            _ => {}
        }
    }

    fn note(&mut self, note: &TestNote, bytes: &[u8]) {
        if note.what == NoteKind::End as u32 {
            self.said.retain(|about, _| !matches!(about, About::Test(test, _) if *test == note.test));
        } else {
            self.keep(About::Test(note.test, note.what), bytes);
        }
    }

    fn forget_filesystem(&mut self, fs: u32) {
        self.said.remove(&About::Filesystem(fs));
        self.said.retain(|about, _| !matches!(about, About::Inode(of, ..) if *of == fs));
    }

    fn keep(&mut self, about: About, bytes: &[u8]) {
        if self.said.len() >= MOST && !self.said.contains_key(&about) {
            self.make_room();
        }
        self.said.insert(about, Said { place: self.learned, bytes: bytes.into() });
    }

    /// Drops the older half of what only describes.
    fn make_room(&mut self) {
        let mut places: Vec<u64> = self.said.values().map(|said| said.place).collect();
        let middle = places.len() / 2;
        let (_, median, _) = places.select_nth_unstable(middle);
        let median = *median;
        self.said.retain(|about, said| said.place > median || matches!(about, About::Filesystem(_)));
    }

    /// The records to begin with. `first` is the header of the first record that follows: nothing here claims to be from an
    /// earlier time. If any record is missing, a loss of class [`LossClass::NotKept`] says so.
    #[must_use]
    pub fn records(&self, first: &Header) -> RecordBatch {
        let mut batch = RecordBatch::new();
        let header = Header { time: first.time, lost: first.lost, ..Header::default() };
        let mut said: Vec<&Said> = self.said.values().collect();
        said.sort_unstable_by_key(|said| said.place);
        for Said { bytes, .. } in said {
            if let Ok(mut record) = Record::decode(bytes) {
                let of = record.header_mut();
                (of.time, of.lost) = (header.time, header.lost);
                batch.push_record(&record);
            }
        }
        if self.learned == 0 {
            return batch;
        }
        // What was lost before belongs to what is not kept.
        batch.push_record(&LossSample { header, counts: self.losses }.into());
        if self.attached {
            batch.push_record(&marker(header, MarkerKind::Attached));
        }
        let mut counts = self.losses;
        self.count(&mut counts);
        batch.push_record(&LossSample { header, counts }.into());
        batch
    }

    /// Adds what is not kept to loss counters.
    pub const fn count(&self, counts: &mut [u64; LOSS_SLOTS]) {
        let missing = &mut counts[LossClass::NotKept as usize];
        *missing = missing.saturating_add(self.learned);
    }
}

/// A marker without a text.
#[must_use]
pub fn marker(header: Header, kind: MarkerKind) -> Record {
    Marker { header, kind: kind as u32, reserved: 0, text: [0; 64] }.into()
}
