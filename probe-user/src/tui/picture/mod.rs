//! One moment of a session as plain data: everything that the views draw.
//!
//! Made on the thread of the books, at a bounded rate, and handed to the screen as a whole. Rows that a screen has no room
//! for (of a million inodes) are counted here and not carried.
mod failure;
mod health;
mod inode;
mod inode_id;
mod moment;
mod pool;
mod replay;
mod session;
mod window;

pub use self::{
    failure::{FailureRow, FailuresView},
    health::{HealthView, HookLine},
    inode::{InodeDetail, InodeRow, InodesView, OriginView, RecordLine, Rest},
    inode_id::InodeId,
    moment::Picture,
    pool::{FsView, History, PoolKey, PoolRow, SysfsComparisons, TicketLine, TicketOutcome},
    replay::ReplayView,
    session::SessionView,
    window::{TestView, WindowView, WindowsView},
};
