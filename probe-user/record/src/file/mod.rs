//! The recording file: what came out of the ring, kept for another day and another machine.
//!
//! A recording is a header and a row of blocks, each compressed and checked on its own; `docs/file-format.md` has
//! the tables. The policy:
//!
//! * What was flushed stays. A block without valid checksums never existed, and damage to one block costs that block.
//!   A recorder that is killed leaves `FILE.tmp`, which reads like any recording up to its last block.
//! * What is missing is counted, and put into the stream as a [`probe_common::loss::LossSample`] at its place, so a
//!   damaged recording can make a verdict inconclusive but never make a finding.
//! * A full disk ends the writing, not the session. The records that found no room are counted.
//! * Older and newer minor versions read one another; a newer major version is refused, since guessing at layouts
//!   would make findings out of nothing.
//! * Reading needs memory for one block whatever the file says.
mod error;
pub mod layout;
mod notes;
mod reader;
mod scan;
mod sink;
mod writer;

pub use error::FileError;
pub use reader::{RecordingReader, Skipped};
pub use writer::{Finished, RecordingWriter, WriteStatus, WriterOptions};

/// Suffix of a recording in progress, or of one whose recorder was killed.
pub const TMP_SUFFIX: &str = ".tmp";

#[cfg(test)]
mod tests;
