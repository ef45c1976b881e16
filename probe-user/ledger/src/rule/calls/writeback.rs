//! Data that was reserved for a dirty range: when the range is no longer dirty, an extent was allocated for it, or it was freed.
//!
//! `cow_file_range()` and the writeback of compressed data allocate extents for a range, which takes its bytes out of
//! `bytes_may_use` (`btrfs_add_reserved_bytes()`). After that the same task clears the range without
//! `EXTENT_CLEAR_DATA_RESV`. Every other path frees the bytes with the range. So a task that clears without freeing must have
//! allocated as much, and what it has allocated it must not free as well.
//!
//! The allocation comes after the range became dirty. So a range is judged if its inode was seen without dirty ranges since all
//! hooks were attached, or since a loss. What a task allocates for other things (a free space cache) may stay in its sum, which
//! hides a range but never makes a finding.
use probe_common::{
    call::{STATE_DELALLOC, STATE_KNOWN, STATE_NORESERVE},
    hook::HookId,
};
use rustc_hash::FxHashSet;

use super::{context::CallContext, contracts::frees_data, report::Deviation};
use crate::{
    book::{
        node::Node,
        thread::{Allocated, Thread},
    },
    vocabulary::{account::DATA_MAY_USE, keys::InodeKey},
};

/// Most inodes whose ranges are judged.
const MAX_INODES: usize = 1 << 16;

/// Inodes that were seen without a dirty range.
#[derive(Debug, Default)]
pub(crate) struct SeenClean {
    inodes: FxHashSet<(u32, InodeKey)>,
}

impl SeenClean {
    pub(crate) fn forget(&mut self) {
        self.inodes.clear();
    }

    /// A range of the inode becomes dirty. `dirty`: its bytes that were dirty before.
    pub(crate) fn dirtied(&mut self, node: &Node, dirty: u64) {
        if dirty == 0 && self.inodes.len() < MAX_INODES {
            self.inodes.insert((node.fs, node.key));
        }
    }

    pub(crate) fn destroyed(&mut self, fs: u32, key: InodeKey) {
        if !self.inodes.is_empty() {
            self.inodes.remove(&(fs, key));
        }
    }

    pub(crate) fn unmounted(&mut self, fs: u32) {
        self.inodes.retain(|(of, _)| *of != fs);
    }

    pub(crate) fn contains(&self, node: &Node) -> bool {
        self.inodes.contains(&(node.fs, node.key))
    }
}

impl Thread {
    /// The task took data out of `bytes_may_use` for an extent. `own`: bytes that may be of data that it had reserved itself.
    pub(crate) fn allocated(&mut self, fs: u32, bytes: u64, own: u64) {
        if self.allocated.fs != fs {
            self.allocated = Allocated { fs, ..Allocated::default() };
        }
        self.allocated.bytes = self.allocated.bytes.saturating_add(bytes);
        self.allocated.sure = self.allocated.sure.saturating_add(bytes.saturating_sub(own));
    }

    /// `btrfs_clear_delalloc_extent` has returned. `already_reported`: it broke its contract.
    pub(crate) fn cleared(&mut self, context: &mut CallContext<'_>, node: &Node, already_reported: bool) {
        let state = STATE_KNOWN | STATE_DELALLOC;
        let reserved = node.args[3] & (state | STATE_NORESERVE) == state;
        // In a flush inside another call, the allocation is part of that call.
        let alone = node.parent == 0 && context.follows.data && context.judged(node);
        if already_reported || !reserved || node.extents >= 0 || !alone || context.fs.aborted {
            return;
        }
        let len = node.args[1].wrapping_sub(node.args[0]).wrapping_add(1);
        let allocated = &mut self.allocated;
        if frees_data(node.args[2]) {
            if allocated.fs == node.fs && allocated.sure > 0 {
                allocated.freed = allocated.freed.saturating_add(len);
                allocated.at = Some(*node);
            }
            return;
        }
        let covered = if allocated.fs == node.fs { allocated.bytes.min(len) } else { 0 };
        allocated.bytes -= covered;
        allocated.sure = allocated.sure.saturating_sub(covered);
        if allocated.sure == 0 {
            (allocated.freed, allocated.at) = (0, None);
        }
        let kept = len - covered;
        if kept == 0 || !node.seen_clean {
            return;
        }
        context.checked.contracts += 1;
        let text = format!(
            "A dirty range of {len} bytes was cleared without freeing its data, and the task had allocated extents for \
             {covered} bytes of it."
        );
        context.report(node, Deviation::of(DATA_MAY_USE, kept as i64, text));
    }

    /// The task is past its writeback. What it has allocated and neither cleared nor used for anything else by now, it freed as
    /// well, if it has freed ranges since.
    pub(crate) fn past_writeback(&mut self, context: &mut CallContext<'_>, node: &Node) {
        let past = [
            HookId::ReserveMetadata,
            HookId::CheckDataFreeSpace,
            HookId::AllocDataChunkOndemand,
            HookId::RemoveOrderedExtent,
        ];
        if self.allocated.bytes == 0 || node.parent != 0 || !past.into_iter().any(|hook| node.is(hook)) {
            return;
        }
        let Allocated { fs, bytes: _, sure, freed, at } = std::mem::take(&mut self.allocated);
        let over = sure.min(freed);
        let Some(at) = at.filter(|at| over > 0 && at.seen_clean) else { return };
        if fs != context.fs.id || context.fs.aborted || !context.judges {
            return;
        }
        let text = format!(
            "A dirty range was cleared and {freed} bytes of its data were freed; the task had already allocated extents for \
             {over} bytes of it, which takes them out of bytes_may_use."
        );
        context.report(&at, Deviation::of(DATA_MAY_USE, (over as i64).saturating_neg(), text));
    }
}
