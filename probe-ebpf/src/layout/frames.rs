//! Frames: the open calls of hooked functions of a thread. `cells/frame.rs` has their functions.
use probe_common::{call::MAX_DEPTH, inode::Counters};

/// Representative stacks per thread.
pub const ORIGINS: usize = 32;

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
}

/// All frames of a thread.
#[repr(C)]
pub struct Frames {
    /// Thread id of the owner; 0 while free.
    pub owner: u64,
    /// Frames in use.
    pub depth: u32,
    /// Serial of the last call.
    pub serial: u32,
    pub frames: [Frame; MAX_DEPTH as usize],
    /// Representative stacks, by function and caller.
    pub origins: [Origin; ORIGINS],
}

/// The representative stack of the calls of one function from one place.
#[repr(C)]
pub struct Origin {
    /// Return address of the calls.
    pub caller: u64,
    /// When it was taken, ns.
    pub taken: u64,
    /// Stack id.
    pub id: u64,
}
