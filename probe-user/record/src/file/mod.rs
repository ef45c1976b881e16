//! The recording file: the stream of a session, for later use or on another machine.
//!
//! A recording is a header and a sequence of blocks, each compressed and checksummed separately; `docs/file-format.md` has
//! the tables. The policy:
//!
//! * What was flushed stays. A block without valid checksums is ignored, and damage to one block costs that block only.
//!   A recorder that is killed leaves `FILE.tmp`, which can be read like any recording up to its last block.
//! * What is missing is counted, and put into the stream as a [`probe_common::loss::LossSample`] at its place. So a
//!   damaged recording can make a verdict inconclusive, but never makes a finding.
//! * A full disk ends the writing, not the session. The records that found no room are counted.
//! * Older and newer minor versions can read each other's files. A newer major version is refused: a guess at its layouts
//!   could make false findings.
//! * Reading needs memory for one block, whatever the file contains.
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
