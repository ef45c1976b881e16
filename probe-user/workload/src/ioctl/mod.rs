//! The ioctls that the workloads need, so that no external tool but mkfs.btrfs is called.
//!
//! Layouts mirror `include/uapi/linux/{btrfs,loop,fs}.h` and are laid out by hand with their sizes asserted; the
//! raw calls stay private, the safe wrappers below are the only way to them.
//!
//! Every function fails with the errno of its system call and with nothing else, EINVAL for a name that does not fit
//! excepted; where one errno means something special, its documentation says so.
#![expect(clippy::missing_errors_doc, reason = "said once above for all of them")]
pub mod btrfs;
pub mod file;
pub mod loopdev;
