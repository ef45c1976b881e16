//! What is kept of a thread.

/// Contexts of a thread: reserve and release of an inode, and of each kind of claim.
pub const CONTEXTS: usize = 10;

/// A representative stack of one context of the thread.
#[repr(C)]
pub struct ContextStack {
    /// Subvolume.
    pub root: u64,
    /// When it was taken, ns.
    pub taken: u64,
    /// Stack id.
    pub id: u64,
}

/// One thread. Written by the thread itself only, so without locks. Freed when the kernel frees the thread.
#[repr(C)]
pub struct TaskCell {
    /// Thread id; 0 while free.
    pub tid: u64,
    /// First eight bytes of `comm`, to see a change.
    pub comm: u64,
    /// Metadata bytes granted since the last publish.
    pub fund: u64,
    /// Metadata bytes granted last before the last publish.
    pub fund_before: u64,
    /// Metadata or system bytes granted by the very last change of `bytes_may_use`; 0 after anything else.
    pub fresh: u64,
    /// A nodesize request failed just before, so the next block is paid by the global reserve.
    pub fallback: u64,
    /// Data bytes reserved for the current operation and neither spent nor given back.
    pub data_held: u64,
    /// Bytes claimed for the local delayed refs of the thread's handle, not yet told.
    pub local_claim: u64,
    /// Root (address) of the last change of `outstanding_extents`.
    pub mod_root: u64,
    /// Inode number of the last change of `outstanding_extents`.
    pub mod_ino: u64,
    /// Its subvolume.
    pub mod_objectid: u64,
    /// Its address as far as known then; to be checked before use.
    pub mod_inode: u64,
    /// Its filesystem id.
    pub mod_fs: u32,
    /// Its cell's flags.
    pub mod_flags: u32,
    /// Subvolume of the last publish since the data reservation.
    pub window_root: u64,
    /// Inode number of the last publish since the data reservation.
    pub window_ino: u64,
    /// The last change of `outstanding_extents`, 0 after its reservation was logged.
    pub last_mod: i32,
    /// Extents published since the data reservation.
    pub window_published: i32,
    /// 1 if the data reservation of the operation was seen.
    pub window_known: u32,
    /// Events still to stream after a failed reservation.
    pub follow: u32,
    /// 1 if an inode's pointer is wanted at the next `clear_extent_bit`.
    pub want_pointer: u32,
    /// Hooks (bit by number) whose first program has run for the present event; for [`crate::hooks::fallback`].
    pub handled: u32,
    /// Where its calls are in [`crate::maps::FRAMES`]; see [`crate::cells::frame::NONE`].
    pub frames: u32,
    pub reserved: u32,
    /// By [`crate::stack::Context`].
    pub stacks: [ContextStack; CONTEXTS],
}
