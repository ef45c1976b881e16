//! Two sources of one stream of records: the live ring and the recording file.
//!
//! Everything after this layer sees a [`stream::Source`] and cannot tell which one it has. The layer judges nothing:
//! it decodes, carries, stores and counts. What it could not deliver is part of the stream, at its place.
pub mod batch;
pub mod file;
pub mod live;
pub mod record;
pub mod session;
pub mod stream;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]
mod test_records;
