//! The books: what each account holds, as far as the stream shows it. Rules change books; books judge nothing.
pub(crate) mod audits;
pub(crate) mod chains;
pub(crate) mod claims;
pub(crate) mod delayed;
pub(crate) mod filesystem;
pub(crate) mod filesystems;
pub(crate) mod flushes;
pub(crate) mod inode;
pub(crate) mod lengths_of_time;
pub(crate) mod loss;
pub(crate) mod node;
pub(crate) mod reported;
pub(crate) mod reserving_stacks;
pub(crate) mod sums;
pub(crate) mod thread;
pub(crate) mod waits;
