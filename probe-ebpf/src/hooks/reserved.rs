//! Extents of data between their reservation and the extent tree. Only the functions tier has rules for them.
//!
//! None of these events fires under a lock, and each does little. Kernels that preempt tracepoint programs are left out by the plan:
//! an event that is skipped there would take an extent from its owner.
use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use probe_common::{
    extent::Extent,
    header::RecordKind,
    hook::HookId,
    loss::LossClass,
    space::{BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA},
};

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

/// `trace_btrfs_reserve_extent(block_group, ffe_ctl)`, before 6.3 `(block_group, start, len)`: `bytes_reserved` has the extent.
#[raw_tracepoint(tracepoint = "btrfs_reserve_extent")]
pub fn reserve_extent(ctx: RawTracePointContext) -> i32 {
    let Some(run) = Run::begin(HookId::ReserveExtent, &ctx) else { return 0 };
    let group: u64 = ctx.arg(0);
    let flags: u64 = read::at(group, off!(block_group_flags));
    // In mixed block groups a tree block looks like data, and has owners of another kind.
    if flags & (BLOCK_GROUP_DATA | BLOCK_GROUP_METADATA) != BLOCK_GROUP_DATA {
        return 0;
    }
    let second: u64 = ctx.arg(1);
    let range = if off!(reserve_extent_has_ctl) == 1 {
        Range { start: read::at(second, off!(ffe_search_start)), len: read::at(second, off!(ffe_num_bytes)) }
    } else {
        Range { start: second, len: ctx.arg(2) }
    };
    let stack = stack::exact(&run);
    let of = Of { stack, ..Of::default() };
    send(&run, read::at(group, off!(block_group_fs_info)), range, of);
    0
}

/// `trace_btrfs_reserved_extent_alloc(fs_info, start, len)`: after `bytes_reserved` went down and `bytes_used` up.
#[raw_tracepoint(tracepoint = "btrfs_reserved_extent_alloc")]
pub fn reserved_extent_alloc(ctx: RawTracePointContext) -> i32 {
    ended(HookId::ReservedExtentAlloc, &ctx);
    0
}

/// `trace_btrfs_reserved_extent_free(fs_info, start, len)`: after `bytes_reserved` went down. Another task may have reserved the range
/// again before this event.
#[raw_tracepoint(tracepoint = "btrfs_reserved_extent_free")]
pub fn reserved_extent_free(ctx: RawTracePointContext) -> i32 {
    ended(HookId::ReservedExtentFree, &ctx);
    0
}

#[inline(always)]
fn ended(hook: HookId, ctx: &RawTracePointContext) {
    let Some(run) = Run::begin(hook, ctx) else { return };
    let (fs_info, range): (u64, _) = (ctx.arg(0), Range { start: ctx.arg(1), len: ctx.arg(2) });
    // Tree blocks are freed all the time, data that is only reserved hardly ever.
    let tree_block = range.len == u64::from(read::at::<u32>(fs_info, off!(fs_nodesize)));
    let rare = hook as u8 == HookId::ReservedExtentFree as u8 && !tree_block;
    let stack = if rare { stack::exact(&run) } else { 0 };
    send(&run, fs_info, range, Of { stack, ..Of::default() });
}

/// `trace_btrfs_ordered_extent_add(btrfs_inode, ordered)`: before the inode has it, so before any other task can see it.
#[raw_tracepoint(tracepoint = "btrfs_ordered_extent_add")]
pub fn ordered_extent_add(ctx: RawTracePointContext) -> i32 {
    ordered(HookId::OrderedExtentAdd, &ctx);
    0
}

/// `trace_btrfs_ordered_extent_remove(btrfs_inode, ordered)`: at the end of `btrfs_remove_ordered_extent()`.
#[raw_tracepoint(tracepoint = "btrfs_ordered_extent_remove")]
pub fn ordered_extent_remove(ctx: RawTracePointContext) -> i32 {
    ordered(HookId::OrderedExtentRemove, &ctx);
    0
}

#[inline(always)]
fn ordered(hook: HookId, ctx: &RawTracePointContext) {
    let Some(run) = Run::begin(hook, ctx) else { return };
    let (inode, ordered): (u64, u64) = (ctx.arg(0), ctx.arg(1));
    let root = read::inode_root(inode);
    let range = Range {
        start: read::at(ordered, off!(ordered_disk_bytenr)),
        len: read::at(ordered, off!(ordered_disk_num_bytes)),
    };
    let of = Of { root: read::root_objectid(root), ino: read::inode_ino(inode), ..Of::default() };
    send(&run, read::root_fs_info(root), range, of);
}

/// `trace_add_delayed_data_ref(fs_info, ref_node, ...)`: after the head has the reference. Another task may have run the head already, so
/// that the extent is in the extent tree before this event.
#[raw_tracepoint(tracepoint = "add_delayed_data_ref")]
pub fn delayed_data_ref(ctx: RawTracePointContext) -> i32 {
    let Some(run) = Run::begin(HookId::DelayedDataRef, &ctx) else { return 0 };
    let node: u64 = ctx.arg(1);
    let range = Range { start: read::at(node, off!(ref_bytenr)), len: read::at(node, off!(ref_num_bytes)) };
    send(&run, ctx.arg(0), range, Of::default());
    0
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
