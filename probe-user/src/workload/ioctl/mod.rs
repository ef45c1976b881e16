//! The ioctls that the workloads need, so that no external tool but mkfs.btrfs is called.
//!
//! Layouts mirror `include/uapi/linux/{btrfs,loop,fs}.h` and are laid out by hand with their sizes asserted; the
//! raw calls stay private, the safe wrappers below are the only way to them.
pub mod btrfs;
pub mod file;
pub mod loopdev;
