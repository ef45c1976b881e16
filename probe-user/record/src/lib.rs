//! The stream of records, as it comes from the ring of the kernel side and as it lies in a recording.
//!
//! Everything behind this crate sees a [`stream::Source`] and cannot tell which of the two it has. The crate judges
//! nothing: it decodes, carries, stores and counts. What could not be delivered is part of the stream, at its place.
#![forbid(unsafe_code)]
pub mod batch;
pub mod file;
pub mod record;
pub mod session;
pub mod stream;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]
mod test_records;
