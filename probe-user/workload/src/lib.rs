//! Real btrfs workloads on throw-away filesystems: what `btrfs-probe demo` and the live tests drive.
//!
//! [`loopfs::LoopFs`] makes, mounts and removes a loop-backed btrfs; [`ops`] holds one small operation per way into
//! the reservation code; [`mix`] runs them from many threads; [`script`] is the fixed tour of the demo.
//!
//! Policy: nothing here knows that anybody is tracing. Running out of space or quota is an outcome, not an error,
//! since those are the paths worth watching. A run is repeatable from its seed as far as scheduling allows.
//! Whatever is made (temp folder, image, loop device, mount) is removed again: on drop, on an error, and, once
//! [`cleanup::install`] is armed, on SIGINT, SIGTERM and SIGHUP; [`loopfs::stale::cleanup_stale`] removes what a
//! SIGKILL left.
//!
//! It refuses to write with O_DIRECT, or into nodatacow or preallocated extents, in a subvolume that has a qgroup
//! limit: 6.12 kernels can crash on that. It refuses to balance a filesystem with quotas: seen on 6.18, a snapshot
//! taken during a balance with quotas on aborted the transaction (EUCLEAN in `qgroup_account_snapshot`).
pub mod cleanup;
pub mod error;
pub mod ioctl;
pub mod loopfs;
pub mod mix;
pub mod mounts;
pub mod ops;
pub mod rng;
pub mod script;

pub use error::{Error, Result};
