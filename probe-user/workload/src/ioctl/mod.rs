//! The ioctls that the workloads need, so that mkfs.btrfs is the only external tool.
//!
//! Layouts mirror `include/uapi/linux/{btrfs,loop,fs}.h`, written by hand, with their sizes asserted. The raw calls are
//! private; only the safe wrappers below use them.
//!
//! Every function returns the errno of its system call, or EINVAL for a name that does not fit. Where an errno means
//! something special, the function's documentation says so.
#![expect(clippy::missing_errors_doc, reason = "said once above for all of them")]
pub mod btrfs;
pub mod file;
pub mod loopdev;
