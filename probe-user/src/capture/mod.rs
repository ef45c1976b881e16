//! Two sources of one stream of records: the live ring and the recording file.
pub mod record;
