//! `btrfs_clear_extent_bit`: it marks the destroy of an inode, and gives the pointer of the inode that a task works on.
use probe_common::{
    header::RecordKind,
    inode::{InodeState, MOMENT_FAILED},
    loss::LossClass,
};

use super::{event::Arguments, fallback::with_fallback, inode};
use crate::{cells, emit::Run, extent_bits::extent_qgroup_reserved, globals::off, read};

with_fallback! {
    /// `trace_btrfs_clear_extent_bit(tree, start, len, bits)`: at function entry, before any change.
    "btrfs_clear_extent_bit" ClearExtentBit clear_extent_bit clear_extent_bit_fallback clear_extent_bit_iter clear
}

#[inline(always)]
fn clear(run: &Run, ctx: &impl Arguments) {
    let bits: u64 = ctx.arg(3);
    if bits as u32 == extent_qgroup_reserved() {
        qgroup_reserved(run, ctx.arg(0), ctx.arg(1), ctx.arg(2));
    } else if let Some(task) = cells::task_cell(run) {
        // SAFETY: the cell is this thread's.
        unsafe {
            if (*task).want_pointer != 0
                && let Some(found) = read::inode_of_tree(ctx.arg(0))
                && cells::adopt_pointer(found, (*task).mod_root, (*task).mod_ino)
            {
                (*task).want_pointer = 0;
            }
        }
    }
}

#[inline(always)]
fn qgroup_reserved(run: &Run, tree: u64, start: u64, len: u64) {
    let Some(found) = read::inode_of_tree(tree) else { return };
    // The whole range (end is U64_MAX): its length wraps to zero.
    if start == 0 && len == 0 {
        inode::destroyed(run, found);
        return;
    }
    let Some(task) = cells::task_cell(run) else { return };
    // SAFETY: the cell is this thread's.
    if unsafe { (*task).follow } != 0 {
        failed(run, found);
    }
}

/// When a failed reservation gives its data bytes back, this event names the inode: sends the counters of that moment.
#[inline(never)]
fn failed(run: &Run, inode: u64) {
    let root = read::inode_root(inode);
    let Some(fs) = cells::fs_id(run, read::root_fs_info(root)) else { return };
    run.emit::<InodeState>(RecordKind::InodeState, LossClass::BooksRecord, fs, |record| {
        let block_rsv = inode + off!(inode_block_rsv) as u64;
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).address = inode;
            (*record).root = read::root_objectid(root);
            (*record).ino = read::inode_ino(inode);
            (*record).generation = read::at(inode, off!(inode_generation));
            (*record).counters = read::counters_closing(inode);
            (*record).qgroup_reserved = read::at(block_rsv, off!(rsv_qgroup_rsv_reserved));
            (*record).qgroup_size = read::at(block_rsv, off!(rsv_qgroup_rsv_size));
            (*record).new_delalloc_bytes = 0;
            (*record).links = 0;
            (*record).moment = MOMENT_FAILED;
            (*record).nlink = read::at(inode, off!(inode_vfs_inode) + off!(vfs_i_nlink));
            (*record).stack = 0;
        }
    });
}
