//! Reads traces of any size line by line, in bounded memory.
use std::io::{self, BufRead, Read, Seek};

use super::{
    build::build,
    line::LONGEST_LINE,
    model::Imported,
    seen::Seen,
    trace_dat::{self, contents::MAGIC, error::DatError},
};

/// What a file is, if it is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `trace.dat` of trace-cmd.
    TraceCmd,
    /// `perf.data`
    Perf,
    /// A recording of this tool.
    Recording,
}

impl Binary {
    /// What the begin of a file says.
    #[must_use]
    pub fn of(start: &[u8]) -> Option<Self> {
        let begins = |magic: &[u8]| start.starts_with(magic);
        if begins(MAGIC) {
            Some(Self::TraceCmd)
        } else if begins(b"PERFILE2") || begins(b"PERFFILE") {
            Some(Self::Perf)
        } else if begins(&probe_record::file::layout::FILE_MAGIC) {
            Some(Self::Recording)
        } else {
            None
        }
    }
}

/// The traces so far, as one.
#[derive(Debug, Default)]
pub struct Input {
    seen: Seen,
}

impl Input {
    /// Takes a text; of a long line only the start counts. Stops at once if it is no text but what it says.
    ///
    /// # Errors
    /// The text cannot be read.
    pub fn read(&mut self, mut text: impl BufRead) -> io::Result<Option<Binary>> {
        let mut line = Vec::new();
        let mut first = true;
        loop {
            line.clear();
            if text.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            if first && let Some(binary) = Binary::of(&line) {
                return Ok(Some(binary));
            }
            first = false;
            if !line.ends_with(b"\n") {
                text.skip_until(b'\n')?;
            }
            self.line(&String::from_utf8_lossy(&line));
        }
    }

    /// Takes a trace.dat from its begin. Returns the names of instances whose events were left out.
    ///
    /// # Errors
    /// It cannot be read; what was read of it stays.
    pub fn read_dat(&mut self, file: impl Read + Seek) -> Result<Vec<String>, DatError> {
        trace_dat::read(file, &mut self.seen)
    }

    /// Takes a line.
    pub fn line(&mut self, line: &str) {
        self.seen.line(line.trim_end_matches(['\n', '\r']));
    }

    /// What the traces say.
    #[must_use]
    pub fn finish(self) -> Imported {
        build(self.seen)
    }
}
