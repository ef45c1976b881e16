//! Reads texts of any size line by line, in bounded memory.
use std::io::{self, BufRead, Read as _};

use super::{
    build, case,
    line::{LONGEST_LINE, kernel_line},
    log::Log,
    model::{Explanation, SCHEMA_VERSION},
    usage,
};

/// What several texts say together.
#[derive(Debug, Default)]
pub struct Input {
    log: Log,
    usage: usage::Reader,
    lines: u64,
    recognised: u64,
}

impl Input {
    /// Takes a text. A line may be anything; of a long one only the start counts.
    ///
    /// # Errors
    /// The text cannot be read.
    pub fn read(&mut self, mut text: impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let most = LONGEST_LINE as u64;
            if text.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if !line.ends_with(b"\n") {
                text.skip_until(b'\n')?;
            }
            self.line(&String::from_utf8_lossy(&line));
        }
    }

    /// Takes a line.
    pub fn line(&mut self, line: &str) {
        let line = line.trim_end_matches(['\n', '\r']);
        self.lines = self.lines.saturating_add(1);
        let recognised = match kernel_line(line) {
            Some(message) => self.log.message(message),
            None => {
                self.log.other(line);
                self.usage.line(line)
            }
        };
        self.recognised = self.recognised.saturating_add(u64::from(recognised));
    }

    /// Derives why there is no space.
    #[must_use]
    pub fn finish(self) -> Explanation {
        let lines_left_out = self.log.left_out;
        let cases = case::pair(self.log.finish(), self.usage.finish());
        Explanation {
            schema_version: SCHEMA_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            lines: self.lines,
            lines_recognised: self.recognised,
            filesystems: cases.iter().map(build::filesystem).collect(),
            lines_left_out,
        }
    }
}
