//! The books of calls: what each call of a hooked function did, against what it must do.
//!
//! Three books, each with its own rule of time. A *call* is judged at its return, with the calls inside it: its
//! arguments say what it must change, and the amounts in the record say what it changed. An *operation* is what a
//! task holds between `btrfs_delalloc_reserve_metadata` and `btrfs_delalloc_release_extents`: every caller of the
//! two does both in one function, so in one task (6.1 to 7.3: buffered write, direct IO, `btrfs_page_mkwrite`,
//! `btrfs_truncate_block`, defrag, inline reflink, encoded write, the fixup worker, and relocation). A *block_rsv* is
//! followed by its address.
//!
//! Policy: what began before all hooks were on, or before a loss, is not judged; nor is a call whose tree is torn,
//! nor one on a free-space-cache inode or the data relocation inode, which have rules of their own. All of it waits
//! in the pending: a missed return shows only at the next reading of the loss counters.
//!
//! Refuses to: require that `btrfs_delalloc_release_metadata` runs in the task that reserved (ordered extents finish
//! in workers), judge a level while another call on it may be in flight, and judge children by their number where a
//! flush in the same task can have run calls on other inodes.
pub(crate) mod books;
mod context;
mod contracts;
mod data;
mod failed;
mod handles;
mod operations;
mod owner;
mod published;
mod qgroup;
mod report;
mod rsvs;
mod tree;
