//! Finds the valid blocks of a recording, whatever lies between them.
//!
//! A block is valid if magic, limits and both checksums are right, it has the file's id, and its number is higher than those
//! of all blocks before. All other bytes are skipped up to the next valid block, and counted.
use std::io::{self, Read};

use super::layout::{BLOCK_HEADER_LEN, BLOCK_MAGIC, BlockHeader, MAX_STORED_LEN};

/// Bytes to read ahead. Together with the longest block, it bounds the buffer.
const CHUNK: usize = 256 << 10;

/// After this many payloads in a row with wrong checksums, the search does not look inside payloads any more. A forged file
/// could otherwise nest headers so that each byte is checked thousands of times.
const MAX_NESTED: u32 = 64;

/// What was skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// Skipped stretches between valid blocks.
    pub regions: u64,
    /// Bytes in these stretches.
    pub bytes: u64,
    /// Blocks with a valid header and a damaged payload.
    pub blocks: u64,
    /// Number of records in the file up to and including the last such block, by its header.
    pub records_until: u64,
    /// The file ends in the middle of a block.
    pub cut: bool,
}

pub(super) struct Scanner<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at_eof: bool,
    file_id: Option<u64>,
    next_sequence: u64,
    nested: u32,
    in_damage: bool,
    payload: std::ops::Range<usize>,
    /// What was skipped so far.
    pub damage: Damage,
    /// Why reading stopped, if it was not the end of the file.
    pub error: Option<io::Error>,
}

impl<R: Read> Scanner<R> {
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; CHUNK],
            start: 0,
            end: 0,
            at_eof: false,
            file_id: None,
            next_sequence: 0,
            nested: 0,
            in_damage: false,
            payload: 0..0,
            damage: Damage::default(),
            error: None,
        }
    }

    /// Accepts only blocks with this id from here on. Without this call, the first valid block decides.
    pub fn expect_id(&mut self, file_id: u64) {
        self.file_id = Some(file_id);
    }

    /// Up to `len` bytes from the current position, without moving on; fewer only at the end of the input.
    pub fn peek(&mut self, len: usize) -> &[u8] {
        self.fill(len);
        &self.buffer[self.start..self.end.min(self.start + len)]
    }

    /// Moves on over bytes that [`Self::peek`] returned.
    pub fn consume(&mut self, len: usize) {
        self.start = self.end.min(self.start + len);
    }

    /// The next valid block, `None` at the end. [`Self::payload`] returns its payload.
    pub fn next_block(&mut self) -> Option<BlockHeader> {
        loop {
            if !self.fill(BLOCK_HEADER_LEN) {
                let rest = self.end - self.start;
                self.damage.cut |= rest > 0 && !self.in_damage;
                self.pass_over(rest);
                return None;
            }
            match BlockHeader::parse(&self.buffer[self.start..self.end])
                .filter(|header| self.expected(header))
            {
                Some(header) => {
                    if self.take(&header) {
                        return Some(header);
                    }
                }
                None => self.seek_magic(),
            }
        }
    }

    /// True if the bytes just before were skipped.
    pub const fn in_damage(&self) -> bool {
        self.in_damage
    }

    /// Payload of the last block, as stored.
    pub fn payload(&self) -> &[u8] {
        &self.buffer[self.payload.clone()]
    }

    fn expected(&self, header: &BlockHeader) -> bool {
        header.sequence.get() >= self.next_sequence
            && self.file_id.is_none_or(|id| id == header.file_id.get())
    }

    /// Takes the block at `start` if its payload is valid; otherwise skips its header, or all of it.
    fn take(&mut self, header: &BlockHeader) -> bool {
        let whole = self.fill(header.total_len());
        let payload = self.start + BLOCK_HEADER_LEN..self.end.min(self.start + header.total_len());
        if whole && crc32fast::hash(&self.buffer[payload.clone()]) == header.payload_crc.get() {
            self.file_id = Some(header.file_id.get());
            self.next_sequence = header.sequence.get().saturating_add(1);
            self.nested = 0;
            self.in_damage = false;
            self.start = payload.end;
            self.payload = payload;
            return true;
        }
        self.damage.blocks += 1;
        self.damage.cut |= !whole;
        let until = header.records_before.get().saturating_add(header.records.get().into());
        self.damage.records_until = self.damage.records_until.max(until);
        self.nested += 1;
        let inside = self.nested <= MAX_NESTED;
        self.pass_over(if inside { BLOCK_HEADER_LEN } else { payload.end - self.start });
        false
    }

    /// Skips at least one byte, up to the next possible block.
    fn seek_magic(&mut self) {
        let window = &self.buffer[self.start + 1..self.end];
        let hit = window
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == BLOCK_MAGIC[0])
            .find(|(at, _)| {
                let candidate = &window[*at..window.len().min(at + BLOCK_MAGIC.len())];
                // At the end of the buffer, a part of the magic is enough to keep it until more is read.
                BLOCK_MAGIC.starts_with(candidate)
            })
            .map_or(window.len(), |(at, _)| at);
        self.pass_over(1 + hit);
    }

    fn pass_over(&mut self, len: usize) {
        if len > 0 {
            self.damage.regions += u64::from(!self.in_damage);
            self.damage.bytes += len as u64;
            self.in_damage = true;
            self.start += len;
        }
    }

    /// Makes `len` bytes available from `start`, unless the input ends before. `len` is bounded by the callers.
    fn fill(&mut self, len: usize) -> bool {
        debug_assert!(len <= BLOCK_HEADER_LEN + MAX_STORED_LEN);
        if self.end - self.start >= len {
            return true;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < len {
            self.buffer.resize(len + CHUNK, 0);
        }
        while self.end < len && !self.at_eof {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.at_eof = true,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.at_eof = true;
                    self.error = Some(error);
                }
            }
        }
        self.end >= len
    }
}
