//! Rules of the functions tier: what each call of a hooked function did, compared with what it must do.
//!
//! There are three kinds of rules. A *call* is judged at its return, together with the calls inside it: its arguments say
//! what it must change, and the amounts in the record say what it changed. An *operation* is what a task holds between
//! `btrfs_delalloc_reserve_metadata` and `btrfs_delalloc_release_extents`. Every caller of the two does both in one
//! function, so in one task (6.1 to 7.3: buffered write, direct IO, `btrfs_page_mkwrite`, `btrfs_truncate_block`, defrag,
//! inline reflink, encoded write, the fixup worker, and relocation). A temporary *block_rsv* is followed by its address.
//!
//! When the system call of a task ends, the task has nothing in hand any more: see `returned`.
//!
//! Policy: what began before all hooks were attached, or before a loss, is not judged. Nor is a call with a missing call
//! inside it, nor a call on a free-space-cache inode or the data relocation inode, which have rules of their own. All
//! violations become pending findings, because a missed return shows only at the next reading of the loss counters.
//!
//! These rules do not require that `btrfs_delalloc_release_metadata` runs in the task that reserved (ordered extents finish
//! in workers). They do not judge a level while another call on it may be in flight. They do not count inner calls where a
//! flush in the same task can have made calls on other inodes.
mod balance;
pub(crate) mod books;
mod commit;
mod context;
mod contracts;
mod data;
mod delayed;
mod events;
mod extents;
mod failed;
mod handles;
mod operations;
mod owner;
mod pools;
mod prealloc;
mod published;
mod qgroup;
mod refs;
mod report;
mod returned;
mod rsvs;
mod size;
mod tree;
pub(crate) mod writeback;
