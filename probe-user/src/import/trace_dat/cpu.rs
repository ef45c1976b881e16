//! The pages of a CPU, one after the other, packed or not.
use std::io::{Read, Seek};

use super::{
    bytes::Reader,
    contents::{Buffer, Contents, CpuData},
    error::DatError,
    page::{Entry, Missed, Next, Page, PageLayout},
    unpack::Packing,
};

/// Most bytes of pages and chunks in memory, of all CPUs together.
const MEMORY: u64 = 256 << 20;
/// Most bytes of a chunk, packed or not; trace-cmd makes chunks of ten pages.
const MOST_CHUNK: u64 = 1 << 20;

/// What is the same for all CPUs of a buffer.
#[derive(Debug)]
pub struct Shape {
    layout: PageLayout,
    packing: Packing,
    page: usize,
    most_chunk: u64,
    /// Bytes of the file that chunks may still have: no two CPUs have the same ones.
    budget: u64,
}

impl Shape {
    /// That of a buffer in a file of this many bytes.
    ///
    /// # Errors
    /// Its pages are none, or need too much memory.
    pub fn of(contents: &Contents, buffer: &Buffer, file: u64) -> Result<Self, DatError> {
        let most_chunk = MOST_CHUNK.min(MEMORY / (buffer.cpus.len().max(1) as u64));
        if buffer.page > most_chunk {
            return Err(DatError::Large("pages of events"));
        }
        // An entry fits.
        if buffer.page < contents.layout.data as u64 + 8 {
            return Err(DatError::Damaged("the size of a page is none"));
        }
        let used = buffer.cpus.iter().fold(0, |sum: u64, cpu| sum.saturating_add(clamped(cpu, file)));
        if used > file {
            return Err(DatError::Damaged("two CPUs have the same events"));
        }
        let page = usize::try_from(buffer.page).map_err(|_| DatError::Large("pages of events"))?;
        Ok(Self { layout: contents.layout, packing: contents.packing, page, most_chunk, budget: file })
    }
}

/// Bytes of a CPU that are in the file.
fn clamped(cpu: &CpuData, file: u64) -> u64 {
    cpu.size.min(file.saturating_sub(cpu.offset))
}

/// A CPU and its next event.
#[derive(Debug)]
pub struct Cpu {
    /// Which one.
    pub number: u32,
    /// Its next event.
    pub head: Option<Entry>,
    /// What was lost before it.
    pub missed: Missed,
    /// Place of what was not read yet.
    offset: u64,
    /// Bytes there.
    left: u64,
    /// Chunks there; none if nothing is packed.
    chunks: Option<u32>,
    /// Chunk and place in it.
    chunk: (Vec<u8>, usize),
    bytes: Vec<u8>,
    page: Option<Page>,
}

impl Cpu {
    /// Before its first event.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open<R: Read + Seek>(file: &mut Reader<R>, data: CpuData, packed: bool) -> Result<Self, DatError> {
        let length = file.length()?;
        let left = clamped(&data, length);
        let mut cpu = Self {
            number: data.cpu,
            head: None,
            missed: if left < data.size { Missed::Events(None) } else { Missed::No },
            offset: data.offset,
            left,
            chunks: None,
            chunk: (Vec::new(), 0),
            bytes: Vec::new(),
            page: None,
        };
        if packed {
            cpu.chunks = Some(0);
            if left >= 4 {
                file.go(data.offset)?;
                cpu.chunks = Some(file.u32()?);
                // The size does not count their number, so the file's end is what bounds them.
                cpu.offset += 4;
                cpu.left = length - cpu.offset;
            }
        }
        Ok(cpu)
    }

    /// The record of its next event.
    #[must_use]
    pub fn record(&self) -> &[u8] {
        let data = self.head.as_ref().map(|head| head.data.clone());
        data.and_then(|data| self.bytes.get(data)).unwrap_or_default()
    }

    /// Goes on to the next event.
    ///
    /// # Errors
    /// The file cannot be read, or is not what it says.
    pub fn advance<R: Read + Seek>(
        &mut self,
        file: &mut Reader<R>,
        shape: &mut Shape,
    ) -> Result<(), DatError> {
        self.head = None;
        loop {
            match self.page.as_mut().map(|page| page.next(&self.bytes)) {
                Some(Next::Event(entry)) => {
                    self.head = Some(entry);
                    return Ok(());
                }
                Some(Next::Damaged) => self.lost(Missed::Events(None)),
                Some(Next::End) | None => {}
            }
            self.page = None;
            if !self.next_page(file, shape)? {
                return Ok(());
            }
            match Page::begin(&self.bytes, shape.layout) {
                Some((page, missed)) => {
                    self.page = Some(page);
                    self.lost(missed);
                }
                None => self.lost(Missed::Events(None)),
            }
        }
    }

    fn lost(&mut self, more: Missed) {
        self.missed = match (self.missed, more) {
            (missed, Missed::No) | (Missed::No, missed) => missed,
            (Missed::Events(a), Missed::Events(b)) => {
                Missed::Events(a.zip(b).map(|(a, b)| a.saturating_add(b)))
            }
        };
    }

    /// Whether there is one more.
    fn next_page<R: Read + Seek>(
        &mut self,
        file: &mut Reader<R>,
        shape: &mut Shape,
    ) -> Result<bool, DatError> {
        if self.chunks.is_none() {
            let length = self.left.min(shape.page as u64);
            if length == 0 {
                return Ok(false);
            }
            file.go(self.offset)?;
            self.bytes.resize(usize::try_from(length).map_err(|_| DatError::Large("pages of events"))?, 0);
            file.fill(&mut self.bytes)?;
            self.offset += length;
            self.left -= length;
            return Ok(true);
        }
        while self.chunk.1 >= self.chunk.0.len() {
            if !self.next_chunk(file, shape)? {
                return Ok(false);
            }
        }
        let (chunk, at) = &mut self.chunk;
        let page = chunk.get(*at..).unwrap_or_default();
        let page = page.get(..shape.page).unwrap_or(page);
        self.bytes.clear();
        self.bytes.extend_from_slice(page);
        *at += page.len();
        Ok(true)
    }

    fn next_chunk<R: Read + Seek>(
        &mut self,
        file: &mut Reader<R>,
        shape: &mut Shape,
    ) -> Result<bool, DatError> {
        let Some(left) = self.chunks.unwrap_or_default().checked_sub(1) else { return Ok(false) };
        self.chunks = Some(left);
        if self.left < 8 {
            self.chunks = Some(0);
            self.lost(Missed::Events(None));
            return Ok(false);
        }
        file.go(self.offset)?;
        let (packed, unpacked) = (u64::from(file.u32()?), u64::from(file.u32()?));
        if unpacked > shape.most_chunk {
            return Err(DatError::Large("packed pages of events"));
        }
        let used = packed + 8;
        if used > self.left {
            self.chunks = Some(0);
            self.lost(Missed::Events(None));
            return Ok(false);
        }
        shape.budget =
            shape.budget.checked_sub(used).ok_or(DatError::Damaged("two CPUs have the same events"))?;
        self.offset += used;
        self.left -= used;
        let packed = file.bytes(packed, shape.most_chunk, "packed pages of events")?;
        let size = usize::try_from(unpacked).map_err(|_| DatError::Large("packed pages of events"))?;
        self.chunk = (shape.packing.unpack(&packed, size)?, 0);
        Ok(true)
    }
}
