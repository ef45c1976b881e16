//! Extents of data between their reservation and the extent tree. Only the functions tier has rules for them.
//!
//! None of these events fires under a lock. One that is skipped would take an extent from its owner, so each has a fallback program.
use probe_common::{
    extent::Extent,
    header::RecordKind,
    hook::HookId,
    loss::LossClass,
    space::{BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA},
};

use super::{event::Arguments, fallback::with_fallback};
use crate::{cells, emit::Run, globals::off, read, stack};

/// A range on disk.
#[derive(Clone, Copy)]
struct Range {
    start: u64,
    len: u64,
}

/// What else is known of it; zeroes for what is not.
#[derive(Clone, Copy, Default)]
struct Of {
    root: u64,
    ino: u64,
    stack: u64,
}

with_fallback! {
    /// `trace_btrfs_reserve_extent(block_group, ffe_ctl)`, before 6.3 `(block_group, start, len)`: `bytes_reserved` has the extent.
    "btrfs_reserve_extent" ReserveExtent reserve_extent reserve_extent_fallback reserve_extent_iter reserved
}

#[inline(always)]
fn reserved(run: &Run, ctx: &impl Arguments) {
    let group: u64 = ctx.arg(0);
    let flags: u64 = read::at(group, off!(block_group_flags));
    // In mixed block groups a tree block looks like data, and has owners of another kind.
    if flags & (BLOCK_GROUP_DATA | BLOCK_GROUP_METADATA) != BLOCK_GROUP_DATA {
        return;
    }
    let second: u64 = ctx.arg(1);
    let range = if off!(reserve_extent_has_ctl) == 1 {
        Range { start: read::at(second, off!(ffe_search_start)), len: read::at(second, off!(ffe_num_bytes)) }
    } else {
        Range { start: second, len: ctx.arg(2) }
    };
    let stack = stack::exact(run);
    let of = Of { stack, ..Of::default() };
    send(run, read::at(group, off!(block_group_fs_info)), range, of);
}

with_fallback! {
    /// `trace_btrfs_reserved_extent_alloc(fs_info, start, len)`: after `bytes_reserved` went down and `bytes_used` up.
    "btrfs_reserved_extent_alloc" ReservedExtentAlloc reserved_extent_alloc reserved_extent_alloc_fallback reserved_extent_alloc_iter ended
}

with_fallback! {
    /// `trace_btrfs_reserved_extent_free(fs_info, start, len)`: after `bytes_reserved` went down. Another task may have reserved the
    /// range again before this event.
    "btrfs_reserved_extent_free" ReservedExtentFree reserved_extent_free reserved_extent_free_fallback reserved_extent_free_iter ended
}

#[inline(always)]
fn ended(run: &Run, ctx: &impl Arguments) {
    let (fs_info, range): (u64, _) = (ctx.arg(0), Range { start: ctx.arg(1), len: ctx.arg(2) });
    // Tree blocks are freed all the time, data that is only reserved hardly ever.
    let tree_block = range.len == u64::from(read::at::<u32>(fs_info, off!(fs_nodesize)));
    let rare = run.hook == HookId::ReservedExtentFree as u32 && !tree_block;
    let stack = if rare { stack::exact(run) } else { 0 };
    send(run, fs_info, range, Of { stack, ..Of::default() });
}

with_fallback! {
    /// `trace_btrfs_ordered_extent_add(btrfs_inode, ordered)`: before the inode has it, so before any other task can see it.
    "btrfs_ordered_extent_add" OrderedExtentAdd ordered_extent_add ordered_extent_add_fallback ordered_extent_add_iter ordered
}

with_fallback! {
    /// `trace_btrfs_ordered_extent_remove(btrfs_inode, ordered)`: at the end of `btrfs_remove_ordered_extent()`.
    "btrfs_ordered_extent_remove" OrderedExtentRemove ordered_extent_remove ordered_extent_remove_fallback ordered_extent_remove_iter ordered
}

#[inline(always)]
fn ordered(run: &Run, ctx: &impl Arguments) {
    let (inode, ordered): (u64, u64) = (ctx.arg(0), ctx.arg(1));
    let root = read::inode_root(inode);
    let range = Range {
        start: read::at(ordered, off!(ordered_disk_bytenr)),
        len: read::at(ordered, off!(ordered_disk_num_bytes)),
    };
    let of = Of { root: read::root_objectid(root), ino: read::inode_ino(inode), ..Of::default() };
    send(run, read::root_fs_info(root), range, of);
}

with_fallback! {
    /// `trace_add_delayed_data_ref(fs_info, ref_node, ...)`: after the head has the reference. Another task may have run the head
    /// already, so that the extent is in the extent tree before this event.
    "add_delayed_data_ref" DelayedDataRef delayed_data_ref delayed_data_ref_fallback delayed_data_ref_iter delayed
}

#[inline(always)]
fn delayed(run: &Run, ctx: &impl Arguments) {
    let node: u64 = ctx.arg(1);
    let range = Range { start: read::at(node, off!(ref_bytenr)), len: read::at(node, off!(ref_num_bytes)) };
    send(run, ctx.arg(0), range, Of::default());
}

#[inline(always)]
fn send(run: &Run, fs_info: u64, range: Range, of: Of) {
    let Some(fs) = cells::fs_id(run, fs_info) else { return };
    run.emit::<Extent>(RecordKind::Extent, LossClass::BooksRecord, fs, |record| {
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).start = range.start;
            (*record).len = range.len;
            (*record).root = of.root;
            (*record).ino = of.ino;
            (*record).stack = of.stack;
        }
    });
}
