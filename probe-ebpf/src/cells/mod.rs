//! State between events: one cell per filesystem, thread, counter, inode and type string, in maps.
//!
//! The maps are arrays indexed by a hash, and a cell is claimed by compare-and-swap, so a lookup takes a few
//! instructions. The comment at each type says who may write a cell; none needs a lock of ours.
pub mod chain;
pub mod frame;
mod fs;
mod inode;
pub mod pinned;
pub mod pools;
mod slot;
mod task;
mod types;

pub use fs::{
    failure_due, fs_begin, fs_cell, fs_dying, fs_end, fs_id, fs_named, fs_reclaim_left, fs_young,
    limit_refused, limits_refuse,
};
pub use inode::{
    adopt_pointer, checked_pointer, crowded as inodes_crowded, find as find_inode,
    find_or_create as inode_cell, remove as remove_inode,
};
pub use task::{
    FOLLOW_EVENTS, MARK_QGROUP_REFUSED, MARK_TICKET_FAILED, announce as announce_task, free as free_task,
    get as task_cell, known as known_task, other as other_task, paid_elsewhere,
};
pub use types::{TypeClass, classify};
