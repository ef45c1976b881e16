//! A batch: consecutive records in one reused buffer.
use probe_common::header::{HEADER_LEN, Header};
use zerocopy::FromBytes;

use crate::record::{DecodeError, Record};

/// Consecutive records, exactly as in the ring.
///
/// The batch keeps the count and the time span up to date, so that no caller has to walk it for them.
#[derive(Clone, Debug)]
pub struct RecordBatch {
    bytes: Vec<u8>,
    records: u64,
    first_time: u64,
    last_time: u64,
}

impl Default for RecordBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// What `RecordBatch::sift` removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sifted {
    /// Records of a kind that is not known.
    pub unknown: u64,
    /// Records whose body does not fit their kind.
    pub damaged: u64,
    /// Bytes at the end that are no record.
    pub tail: u64,
}

impl RecordBatch {
    /// An empty batch.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), records: 0, first_time: u64::MAX, last_time: 0 }
    }

    /// An empty batch with room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::new() }
    }

    /// Takes raw bytes as they are. [`Self::sift`] then finds count and times.
    pub(super) fn fill(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        self.clear();
        fill(&mut self.bytes);
    }

    /// Appends one record.
    ///
    /// # Errors
    /// The bytes are not one whole record by their own header; they are not appended. The kind is not checked.
    #[inline]
    pub fn push(&mut self, record: &[u8]) -> Result<(), DecodeError> {
        let header = whole(record)?;
        self.bytes.extend_from_slice(record);
        self.count(&header);
        Ok(())
    }

    /// Appends a record made by the capture layer.
    pub fn push_record(&mut self, record: &Record) {
        // `Record::bytes` and the length in the header agree, unless somebody set a wrong length.
        if self.push(record.bytes()).is_err() {
            log::debug!("a record of the capture layer has a wrong length: {:?}", record.header());
        }
    }

    /// Appends all records of another batch.
    pub fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes);
        self.records += other.records;
        self.first_time = self.first_time.min(other.first_time);
        self.last_time = self.last_time.max(other.last_time);
    }

    #[inline]
    fn count(&mut self, header: &Header) {
        self.records += 1;
        self.first_time = self.first_time.min(header.time);
        self.last_time = self.last_time.max(header.time);
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records = 0;
        self.first_time = u64::MAX;
        self.last_time = 0;
    }

    /// The records' bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of records.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// True if there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Earliest and latest time, `CLOCK_MONOTONIC` ns; `None` if empty.
    #[must_use]
    pub fn span(&self) -> Option<(u64, u64)> {
        (self.records > 0).then_some((self.first_time, self.last_time))
    }

    /// Every record, decoded, or the reason why it cannot be. Ends at bytes that are no record, because the next record
    /// cannot be found after them.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.bytes }
    }

    /// Every record that can be decoded; adds the number of the others to `undecodable`.
    pub fn decoded<'a>(&'a self, undecodable: &'a mut u64) -> impl Iterator<Item = Record> + 'a {
        self.iter().filter_map(move |record| record.inspect_err(|_| *undecodable += 1).ok())
    }

    /// The bytes of every record; the last item is an error if the batch ends with bytes that are no record.
    #[must_use]
    pub fn raw(&self) -> RawIter<'_> {
        RawIter { rest: &self.bytes }
    }

    /// The bytes of every record, up to `most` records at a time, but at least one.
    #[must_use]
    pub fn groups(&self, most: usize) -> Groups<'_> {
        Groups { rest: self.raw(), most: most.max(1) }
    }

    /// Removes what cannot be decoded, counts anew, and passes every remaining record to `visit`, which may alter its body.
    pub(super) fn sift(&mut self, mut visit: impl FnMut(&Header, &mut [u8])) -> Sifted {
        let mut out = Sifted::default();
        let (mut from, mut to) = (0, 0);
        (self.records, self.first_time, self.last_time) = (0, u64::MAX, 0);
        while from < self.bytes.len() {
            let Ok(header) = first(&self.bytes[from..]) else {
                out.tail = (self.bytes.len() - from) as u64;
                break;
            };
            let len = usize::from(header.len);
            match Record::decode(&self.bytes[from..from + len]) {
                Ok(_) => {
                    if from != to {
                        self.bytes.copy_within(from..from + len, to);
                    }
                    visit(&header, &mut self.bytes[to..to + len]);
                    self.count(&header);
                    to += len;
                }
                Err(DecodeError::Kind(_)) => out.unknown += 1,
                Err(_) => out.damaged += 1,
            }
            from += len;
        }
        self.bytes.truncate(to);
        out
    }
}

impl<'a> IntoIterator for &'a RecordBatch {
    type Item = Result<Record, DecodeError>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The header at the start of `bytes`, if the whole record is there.
#[inline]
fn first(bytes: &[u8]) -> Result<Header, DecodeError> {
    let (header, _) = Header::read_from_prefix(bytes).map_err(|_| DecodeError::Short(bytes.len()))?;
    let len = usize::from(header.len);
    if len < HEADER_LEN || len > bytes.len() {
        return Err(DecodeError::Length { kind: header.kind, len: bytes.len() });
    }
    Ok(header)
}

/// The header of `bytes`, which must be exactly one record.
#[inline]
fn whole(bytes: &[u8]) -> Result<Header, DecodeError> {
    let header = first(bytes)?;
    if usize::from(header.len) == bytes.len() {
        Ok(header)
    } else {
        Err(DecodeError::Length { kind: header.kind, len: bytes.len() })
    }
}

/// See [`RecordBatch::raw`].
#[derive(Clone, Debug)]
pub struct RawIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for RawIter<'a> {
    type Item = Result<&'a [u8], DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match first(self.rest) {
            Ok(header) => {
                let (record, rest) = self.rest.split_at(usize::from(header.len));
                self.rest = rest;
                Some(Ok(record))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

/// See [`RecordBatch::groups`].
#[derive(Clone, Debug)]
pub struct Groups<'a> {
    rest: RawIter<'a>,
    most: usize,
}

impl<'a> Iterator for Groups<'a> {
    type Item = RawIter<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let all = self.rest.rest;
        self.rest.by_ref().take(self.most).for_each(drop);
        let (group, _) = all.split_at(all.len() - self.rest.rest.len());
        (!group.is_empty()).then_some(RawIter { rest: group })
    }
}

/// See [`RecordBatch::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl Iterator for Iter<'_> {
    type Item = Result<Record, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let mut raw = RawIter { rest: self.rest };
        let bytes = raw.next()?;
        self.rest = raw.rest;
        Some(bytes.and_then(Record::decode))
    }
}

#[cfg(test)]
mod tests;
