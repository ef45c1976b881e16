//! Samples of histories.

/// Time between two samples of the histories.
pub const SAMPLE_NS: u64 = 250_000_000;
/// Samples that are kept.
pub const SAMPLES: usize = 480;
