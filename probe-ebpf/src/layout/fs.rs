//! What is kept of a filesystem.

/// One filesystem. Claimed by whoever meets it first; flags are set by mount, commit and unmount only.
///
/// Nothing frees a cell: one whose filesystem has been gone for a while is taken by the next that has none.
#[repr(C)]
pub struct FsCell {
    /// Address of the `fs_info`; 0 while free.
    pub fs_info: u64,
    /// When its work queues went, ns; 0 while they are there.
    pub died: u64,
    /// Counts the filesystems that lived in this slot before.
    pub epoch: u32,
    /// `STATE_*`; 0 while it is being decided.
    pub state: u32,
    /// `FLAG_*`
    pub flags: u32,
    /// 1 if a qgroup's counter of it gave its cell to another.
    pub qgroup_gave_way: u32,
}
