//! A simulated btrfs for tests: makes streams of a correct kernel, and streams with one fault.
//!
//! [`tracepoints`] makes the records of raw tracepoints, of many tasks on two filesystems. [`functions`] makes records of
//! calls of the delalloc and block_rsv functions. Both take a list of operations and a seed, so that a property test can
//! shrink them. [`size`] makes the first as big as wanted, for measurements.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]
pub mod functions;
pub mod size;
pub mod tracepoints;

/// `nodesize` of all simulated filesystems, bytes.
pub const N: u64 = 16384;
/// `btrfs_calc_metadata_size(1)`, bytes.
pub const M: u64 = 8 * N;
/// `btrfs_calc_insert_metadata_size(1)`, bytes.
pub const I: u64 = 16 * N;
/// `BTRFS_BLOCK_GROUP_DATA`
pub const DATA: u64 = 1;
/// `BTRFS_BLOCK_GROUP_METADATA`
pub const METADATA: u64 = 4;
