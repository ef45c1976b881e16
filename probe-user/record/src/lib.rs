//! The stream of records, from the ring of the kernel side or from a recording.
//!
//! Code above this crate uses a [`stream::Source`] and cannot tell which of the two it is. The crate decodes, carries,
//! stores and counts records; it judges nothing. What could not be delivered is in the stream as a loss, at its place.
#![forbid(unsafe_code)]
pub mod batch;
pub mod file;
pub mod kept;
pub mod preface;
pub mod record;
pub mod session;
pub mod stream;
pub mod why;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]
mod test_records;
