//! The cell of a filesystem.

/// One filesystem. Claimed by whoever meets it first; flags are set by mount, commit and unmount only.
///
/// No cell is freed: when a filesystem has been gone for a while, a new one can take its cell.
#[repr(C)]
pub struct FsCell {
    /// Address of the `fs_info`; 0 while free.
    pub fs_info: u64,
    /// When its work queues were destroyed, ns; 0 before.
    pub died: u64,
    /// Number of filesystems that lived in this slot before.
    pub epoch: u32,
    /// `STATE_*`; 0 while it is being decided.
    pub state: u32,
    /// `FLAG_*`
    pub flags: u32,
    /// 1 if one of its qgroup counters gave its cell to another.
    pub qgroup_gave_way: u32,
}
