//! The books: what is held where, as far as the stream has shown it. They are changed by rules, and judge nothing.
pub(crate) mod audits;
pub(crate) mod chains;
pub(crate) mod claims;
pub(crate) mod filesystem;
pub(crate) mod filesystems;
pub(crate) mod inode;
pub(crate) mod loss;
pub(crate) mod node;
pub(crate) mod reported;
pub(crate) mod reserving_stacks;
pub(crate) mod sums;
pub(crate) mod thread;
