//! Numbers and strings of a trace.dat, in the byte order of the machine that wrote it.
use std::io::{BufRead as _, BufReader, Read, Seek, SeekFrom};

use super::error::DatError;

/// Byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// The highest byte comes first.
    pub big: bool,
}

impl Order {
    /// A number of 1, 2, 4 or 8 bytes.
    #[must_use]
    pub fn number(self, bytes: &[u8]) -> Option<u64> {
        if !matches!(bytes.len(), 1 | 2 | 4 | 8) {
            return None;
        }
        let add = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        Some(if self.big { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
    }

    /// The number of `len` bytes at `at`.
    #[must_use]
    pub fn at(self, bytes: &[u8], at: usize, len: usize) -> Option<u64> {
        self.number(bytes.get(at..at.checked_add(len)?)?)
    }
}

/// Numbers and strings one after the other, of memory.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// What was not read yet.
    pub rest: &'a [u8],
    /// Byte order.
    pub order: Order,
}

impl<'a> Fields<'a> {
    /// The next bytes.
    pub fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    /// The next number, of `len` bytes.
    pub fn number(&mut self, len: usize) -> Option<u64> {
        let bytes = self.bytes(len)?;
        self.order.number(bytes)
    }

    /// The next number of 4 bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.number(4)?.try_into().ok()
    }

    /// The next string, up to its NUL.
    pub fn string(&mut self) -> Option<String> {
        let end = self.rest.iter().position(|byte| *byte == 0)?;
        let text = String::from_utf8_lossy(self.bytes(end)?).into_owned();
        self.bytes(1)?;
        Some(text)
    }
}

/// The same of a file.
#[derive(Debug)]
pub struct Reader<R> {
    inner: BufReader<R>,
    /// Byte order.
    pub order: Order,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads from the present place of `inner` on.
    pub fn new(inner: R) -> Self {
        // No larger than a page of events: those are read past the buffer.
        Self { inner: BufReader::with_capacity(4096, inner), order: Order { big: false } }
    }

    /// Length of the file.
    ///
    /// # Errors
    /// It cannot be told.
    pub fn length(&mut self) -> Result<u64, DatError> {
        let here = self.inner.stream_position()?;
        let length = self.inner.seek(SeekFrom::End(0))?;
        self.inner.seek(SeekFrom::Start(here))?;
        Ok(length)
    }

    /// Goes to a place.
    ///
    /// # Errors
    /// It cannot.
    pub fn go(&mut self, place: u64) -> Result<(), DatError> {
        self.inner.seek(SeekFrom::Start(place))?;
        Ok(())
    }

    /// Where it is.
    ///
    /// # Errors
    /// It cannot be told.
    pub fn place(&mut self) -> Result<u64, DatError> {
        Ok(self.inner.stream_position()?)
    }

    /// Passes over bytes.
    ///
    /// # Errors
    /// It cannot.
    pub fn skip(&mut self, len: u64) -> Result<(), DatError> {
        let len = i64::try_from(len).map_err(|_| DatError::Cut)?;
        self.inner.seek_relative(len)?;
        Ok(())
    }

    /// The next bytes, at most `most` of them.
    ///
    /// # Errors
    /// There are fewer, or `what` they are is larger than that.
    pub fn bytes(&mut self, len: u64, most: u64, what: &'static str) -> Result<Vec<u8>, DatError> {
        if len > most {
            return Err(DatError::Large(what));
        }
        // Grows with what is there, not with what is said to be there.
        let mut bytes = Vec::new();
        self.inner.by_ref().take(len).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < len { Err(DatError::Cut) } else { Ok(bytes) }
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    /// There are fewer.
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), DatError> {
        Ok(self.inner.read_exact(bytes)?)
    }

    /// The next number, of `N` bytes.
    ///
    /// # Errors
    /// The file ends.
    pub fn number<const N: usize>(&mut self) -> Result<u64, DatError> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.order.number(&bytes).ok_or(DatError::Cut)
    }

    /// The next number of 4 bytes.
    ///
    /// # Errors
    /// The file ends.
    pub fn u32(&mut self) -> Result<u32, DatError> {
        self.number::<4>()?.try_into().map_err(|_| DatError::Cut)
    }

    /// The next string, up to its NUL.
    ///
    /// # Errors
    /// It is longer than the name of anything.
    pub fn string(&mut self) -> Result<String, DatError> {
        const LONGEST: u64 = 256;
        let mut text = Vec::new();
        self.inner.by_ref().take(LONGEST).read_until(0, &mut text)?;
        match text.pop() {
            Some(0) => Ok(String::from_utf8_lossy(&text).into_owned()),
            Some(_) if text.len() as u64 + 1 == LONGEST => Err(DatError::Damaged("a name has no end")),
            _ => Err(DatError::Cut),
        }
    }
}
