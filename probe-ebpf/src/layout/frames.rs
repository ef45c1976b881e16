//! Frames: the open calls of hooked functions of a thread. `cells/frame.rs` has their functions.
use probe_common::{call::MAX_DEPTH, inode::Counters};

/// Representative stacks per thread. A load that makes, writes and removes files needs 25 of them at a time.
pub const ORIGINS: usize = 64;

/// One call that has not returned.
///
/// A field without a comment has the meaning of the field of the same name in [`probe_common::call::Call`].
#[repr(C)]
pub struct Frame {
    pub serial: u32,
    pub parent: u32,
    /// [`HookId`](probe_common::hook::HookId) as a number.
    pub hook: u32,
    pub flags: u32,
    pub rsv_type: u32,
    /// Filesystem id.
    pub fs: u32,
    pub fs_info: u64,
    /// [`crate::cells::frame::StackPosition::height`]
    pub height: u64,
    /// Address of the `struct btrfs_inode`; 0 if none.
    pub inode: u64,
    /// Address of its root.
    pub root_address: u64,
    pub root: u64,
    pub ino: u64,
    pub rsv: u64,
    /// The subject of the call, as it was passed.
    pub subject: u64,
    /// Address at which the function stores bytes that it does not return; 0 if nowhere.
    pub result: u64,
    pub args: [u64; 4],
    pub before: Counters,
    pub extents: i32,
    pub calculations: u32,
    pub csum_bytes: i64,
    pub data: i64,
    pub metadata: i64,
    pub qgroup_data: i64,
    /// [`HookId`](probe_common::hook::HookId) of the call around this one; 0 if there is none.
    pub around: u32,
    /// Zero.
    pub reserved: u32,
    /// Changes of the inode by this thread since the entry, inner calls included.
    pub own_changes: u32,
    pub own_releases: u32,
    /// The inode's change counts at entry.
    pub at_changes: u32,
    pub at_releases: u32,
    pub entered: u64,
    pub caller: u64,
    /// Address of the function, as seen at entry.
    pub function: u64,
    pub stack: u64,
    pub stack_representative: u64,
    /// `POOLS_*`
    pub pools: u32,
    /// [`Frames::reserves`] at entry.
    pub at_reserves: u32,
    /// Points of other threads in the filesystem at entry, see [`super::fs::FsCell::pool_points`].
    pub at_points: u32,
    /// Zero.
    pub unused: u32,
    /// Bytes in all block_rsvs that this call can change, at entry.
    pub at_held: u64,
    /// [`Frames::reserved`] at entry.
    pub at_reserved: u64,
    /// [`Frames::freed`] at entry.
    pub at_freed: u64,
    /// Block_rsvs besides those of the filesystem that this call can change; 0 if none.
    pub own_rsvs: [u64; 2],
}

/// `Frame::pools`: the call is counted in `pool_open` of its filesystem and thread.
pub const POOLS_COUNTED: u32 = 1;
/// `Frame::pools`: so it is, and no other thread was inside such a call at entry.
pub const POOLS_ALONE: u32 = 2;

/// All frames of a thread.
#[repr(C)]
pub struct Frames {
    /// Thread id of the owner; 0 while free.
    pub owner: u64,
    /// Frames in use.
    pub depth: u32,
    /// Serial of the last call.
    pub serial: u32,
    /// Calls in [`super::fs::FsCell::pool_open`] that are this thread's.
    pub pool_open: u32,
    /// Points in [`super::fs::FsCell::pool_points`] that are this thread's.
    pub pool_points: u32,
    /// Bytes that this thread has added to `bytes_may_use` of metadata, wrapping.
    pub reserved: u64,
    /// Bytes that it has taken out.
    pub freed: u64,
    /// How often it has added some.
    pub reserves: u32,
    /// 1 if `blocks` is known.
    pub blocks_known: u32,
    /// Bytes that it has taken out of block_rsvs for tree blocks, and neither allocated nor put back.
    pub blocks: i64,
    pub frames: [Frame; MAX_DEPTH as usize],
    /// Representative stacks, by function and caller.
    pub origins: [Origin; ORIGINS],
}

/// The representative stack of the calls of one function from one place.
#[repr(C)]
pub struct Origin {
    /// Function and return address of the calls, see [`crate::stack::origin`].
    pub calls: u32,
    /// When it was taken, in units of 2^20 ns.
    pub taken: u32,
    /// Stack id.
    pub id: u64,
}
