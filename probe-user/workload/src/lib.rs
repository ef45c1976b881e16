//! Real btrfs workloads on temporary filesystems, for `btrfs-probe demo` and the live tests.
//!
//! [`loopfs::LoopFs`] makes, mounts and removes a btrfs on a loop device. [`ops`] has one small operation per way into the
//! reservation code. [`mix`] runs them from many threads. [`script`] is the fixed sequence of the demo.
//!
//! Policy: a workload does not know whether it is traced. Running out of space or quota is an outcome, not an error, because
//! those are the paths worth watching. A seed makes a run repeatable as far as scheduling allows. Whatever is made (temp
//! folder, image, loop device, mount) is removed again: on drop, on an error, and, once [`cleanup::install`] was called, on
//! SIGINT, SIGTERM and SIGHUP. [`loopfs::stale::cleanup_stale`] removes what a SIGKILL left.
//!
//! No workload writes with O_DIRECT, or into nodatacow or preallocated extents, in a subvolume that has a qgroup limit: 6.12
//! kernels can crash on that. None balances a filesystem with quotas: on 6.18, a snapshot taken during a balance with quotas
//! on aborted the transaction (EUCLEAN in `qgroup_account_snapshot`).
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
