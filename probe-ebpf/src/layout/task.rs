//! The cell of a thread.
use probe_common::hook::HOOK_IDS;

/// Contexts of a thread: reserve and release of an inode's bytes, of each kind of claim, and a draw on the global block_rsv.
pub const CONTEXTS: usize = 11;

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

/// One thread. Only the thread itself writes it, so it needs no locks. Freed when the kernel frees the thread.
#[repr(C)]
pub struct TaskCell {
    /// Thread id; 0 while free.
    pub tid: u64,
    /// First eight bytes of `comm`, to notice a change.
    pub comm: u64,
    /// Metadata bytes granted since the last publish.
    pub fund: u64,
    /// The last grant of metadata bytes before the last publish.
    pub fund_before: u64,
    /// Metadata or system bytes granted by the thread's very last change of `bytes_may_use`; 0 after anything else.
    pub fresh: u64,
    /// A request for one nodesize failed just before, so the global reserve pays for the next block.
    pub fallback: u64,
    /// Data bytes reserved for the current operation, and neither spent nor given back yet.
    pub data_held: u64,
    /// Bytes claimed for the local delayed refs of the thread's handle, and not sent yet.
    pub local_claim: u64,
    /// Address of the root of the last change of `outstanding_extents`.
    pub mod_root: u64,
    /// Inode number of the last change of `outstanding_extents`.
    pub mod_ino: u64,
    /// Subvolume of the last change of `outstanding_extents`.
    pub mod_objectid: u64,
    /// Address of that inode, as far as it was known then; to be checked before use.
    pub mod_inode: u64,
    /// Filesystem id of that inode.
    pub mod_fs: u32,
    /// Flags of that inode's cell.
    pub mod_flags: u32,
    /// Subvolume of the last publish since the data reservation.
    pub window_root: u64,
    /// Inode number of the last publish since the data reservation.
    pub window_ino: u64,
    /// The last change of `outstanding_extents`; 0 after the `delalloc` event of its reservation.
    pub last_mod: i32,
    /// Extents published since the data reservation.
    pub window_published: i32,
    /// 1 if the data reservation of the operation was seen.
    pub window_known: u32,
    /// Events that still become records after a failed reservation.
    pub follow: u32,
    /// 1 if the next `clear_extent_bit` event should give the inode's pointer.
    pub want_pointer: u32,
    /// Slot of its frames in [`crate::maps::FRAMES`]; see [`crate::cells::frame::NONE`].
    pub frames: u32,
    /// Filesystem of the last hooked call since the thread last returned from a system call; 0 if there was none.
    pub in_hand: u32,
    /// `MARK_*` of [`crate::cells::task`].
    pub marks: u32,
    /// Hooks (one bit each, by number) whose first program ran for the present event; for [`crate::hooks::fallback`].
    pub handled: [u64; HOOK_IDS as usize / 64],
    /// Representative stacks, by [`crate::stack::Context`].
    pub stacks: [ContextStack; CONTEXTS],
}
