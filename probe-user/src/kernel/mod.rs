//! What this kernel is: its types, our rights, its btrfs, its mounts and figures.
//!
//! Everything here reads text or BTF that the kernel publishes, below a root directory that tests replace by a
//! captured tree. Nothing here attaches, loads, mounts or opens a file on a filesystem under test, and nothing
//! here guesses: what cannot be read is absent, with the reason in a sentence.
pub mod btf;
pub mod btrfs;
pub mod caps;
pub mod clock;
pub mod config;
pub mod doctor;
mod files;
pub mod fsid;
pub mod kmsg;
pub mod machine;
pub mod mountinfo;
pub mod mounts;
pub mod paranoid;
pub mod preempt;
pub mod rights;
pub mod select;
pub mod sysfs;
pub mod sysfs_tree;
