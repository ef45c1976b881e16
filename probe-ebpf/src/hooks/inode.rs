//! `outstanding_extents`, and the start and end of inodes.
use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use probe_common::{
    cell::{INODE_DYING, InodeCell},
    header::RecordKind,
    hook::HookId,
    inode::{
        COUNTERS_FREE_SPACE, Counters, InodeState, MOD_CHAIN_BREAK, MOD_OUTSTANDING_KNOWN, MOD_UNDERFLOW,
        MOD_UNFUNDED, MOMENT_DESTROY, Mod,
    },
    loss::LossClass,
};

use super::{event::Arguments, fallback::with_fallback, functions, name};
use crate::{
    cells,
    emit::Run,
    globals::{config, off},
    layout::task::TaskCell,
    read, stack,
};

/// `trace_btrfs_inode_mod_outstanding_extents(root, ino, mod[, outstanding])`: under `inode->lock`, after the change.
///
/// 6.1 does not show the counter. There we read it from the inode, once the inode's pointer is known.
#[raw_tracepoint(tracepoint = "btrfs_inode_mod_outstanding_extents")]
pub fn mod_outstanding_extents(ctx: RawTracePointContext) -> i32 {
    if let Some(run) = Run::begin(HookId::ModOutstanding, &ctx) {
        let run = run.identify();
        let outstanding = if off!(mod_has_outstanding) == 1 { Some(ctx.arg::<u64>(3) as u32) } else { None };
        change(&run, ctx.arg(0), ctx.arg(1), ctx.arg::<u64>(2) as i32, outstanding);
    }
    0
}

#[inline(always)]
fn change(run: &Run, root: u64, ino: u64, modification: i32, shown: Option<u32>) {
    let Some(cell) = cells::inode_cell(run, root, ino) else { return };
    let task = cells::task_cell(run);
    let outstanding = shown.or_else(|| {
        // SAFETY: a live entry.
        let inode = cells::checked_pointer(unsafe { (*cell).inode }, root, ino);
        if inode == 0 { None } else { read::try_at(inode, off!(inode_outstanding_extents)) }
    });
    let mut flags = 0;
    let mut expected = 0;
    // SAFETY: `inode->lock` is held, so the chain of this inode is ours; the entry stays readable.
    unsafe {
        if let Some(now) = outstanding {
            flags |= MOD_OUTSTANDING_KNOWN;
            let before = now.wrapping_sub(modification as u32);
            expected = if (*cell).chained == 0 { before } else { (*cell).outstanding };
            if expected != before {
                flags |= MOD_CHAIN_BREAK;
            }
            if modification < 0 && (now as i32) < 0 {
                flags |= MOD_UNDERFLOW;
            }
            (*cell).outstanding = now;
            (*cell).chained = 1;
        } else {
            // 6.1 without the pointer: the next value that we know does not link to the last one.
            (*cell).chained = 0;
        }
        (*cell).links += 1;
        if config!(functions) != 0 {
            (*cell).changes = (*cell).changes.wrapping_add(1);
            (*cell).releases = (*cell).releases.wrapping_add(u32::from(modification < 0));
        }
    }
    let mut followed = false;
    if let Some(task) = task {
        // SAFETY: the cell is this thread's.
        unsafe {
            followed = (*task).follow != 0;
            (*task).follow = (*task).follow.saturating_sub(1);
            publish(task, cell, root, ino, modification);
        }
        functions::count::extents(task, root, ino, modification);
    }
    if followed {
        flags |= MOD_UNFUNDED;
    }
    // SAFETY: a live entry.
    if unsafe { (*cell).links } == name::AT_LINK {
        name::send(run, cell, root, ino);
    }
    if flags & (MOD_CHAIN_BREAK | MOD_UNDERFLOW | MOD_UNFUNDED) != 0 || config!(stream_all) != 0 {
        let seen = Seen { ino, modification, outstanding: outstanding.unwrap_or(0), expected, flags };
        show(run, cell, &seen);
    }
}

/// Notes in the thread's cell what it published now, and what it had been granted before.
///
/// # Safety
/// `task` is the current thread's cell, `cell` a live entry.
#[inline(always)]
unsafe fn publish(task: *mut TaskCell, cell: *mut InodeCell, root: u64, ino: u64, modification: i32) {
    // SAFETY: as promised.
    unsafe {
        cells::paid_elsewhere(task);
        (*task).mod_root = root;
        (*task).mod_ino = ino;
        (*task).mod_objectid = (*cell).root;
        (*task).mod_inode = (*cell).inode;
        (*task).mod_fs = (*cell).fs;
        (*task).mod_flags = (*cell).flags;
        (*task).last_mod = modification;
        if modification > 0 {
            (*task).fund_before = (*task).fund;
            (*task).fund = 0;
            if (*task).data_held != 0 {
                (*task).window_published = (*task).window_published.wrapping_add(modification);
                (*task).window_root = (*cell).root;
                (*task).window_ino = ino;
            }
        }
        if (*cell).inode == 0 {
            (*task).want_pointer = 1;
        }
    }
}

/// One change, for a record.
struct Seen {
    ino: u64,
    modification: i32,
    outstanding: u32,
    expected: u32,
    flags: u32,
}

#[inline(never)]
fn show(run: &Run, cell: *mut InodeCell, seen: &Seen) {
    let Seen { ino, modification, outstanding, expected, flags } = *seen;
    let stack = if flags & !MOD_OUTSTANDING_KNOWN != 0 { stack::exact(run) } else { 0 };
    // SAFETY: a live entry.
    let (fs, root, links) = unsafe { ((*cell).fs, (*cell).root, (*cell).links) };
    run.emit::<Mod>(RecordKind::Mod, LossClass::BooksRecord, fs, |record| {
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).root = root;
            (*record).ino = ino;
            (*record).modification = modification;
            (*record).outstanding = outstanding;
            (*record).expected = expected;
            (*record).flags = flags;
            (*record).links = links;
            (*record).stack = stack;
        }
    });
}

with_fallback! {
    /// `trace_btrfs_inode_evict(vfs_inode)`: at the start of `btrfs_evict_inode`; counters still change after it.
    ///
    /// An inode that has no cell and holds nothing needs no check at its destroy: a drop of caches evicts a million of them.
    /// The exception: its cell may have given way to another. Then the books have an account that its destroy must close.
    "btrfs_inode_evict" InodeEvict inode_evict inode_evict_fallback inode_evict_iter evicted
}

#[inline(always)]
fn evicted(run: &Run, ctx: &impl Arguments) {
    let inode = read::inode_of_vfs(ctx.arg(0));
    let root = read::inode_root(inode);
    // Inodes that lost a create race, and the btree inode at the end of unmount, have no usable root.
    if root == 0 {
        return;
    }
    let ino = read::inode_ino(inode);
    let cell = match cells::find_inode(root, ino) {
        Some(cell) => Some(cell),
        None if cells::inodes_crowded() || holds_something(inode) => cells::inode_cell(run, root, ino),
        None => None,
    };
    match cell {
        // SAFETY: a live entry; pointer and flags are written whole.
        Some(cell) => unsafe {
            (*cell).inode = inode;
            (*cell).flags |= INODE_DYING;
        },
        None => run.closed(),
    }
}

#[inline(always)]
fn holds_something(inode: u64) -> bool {
    let Counters { reserved, size, csum_bytes, delalloc_bytes, outstanding_extents, .. } =
        read::counters(inode, read::is_regular(inode));
    reserved | size | csum_bytes | delalloc_bytes | u64::from(outstanding_extents) != 0
}

/// The destroy of an inode: `btrfs_qgroup_check_reserved_leak` in `btrfs_destroy_inode`. Every counter must be zero.
#[inline(never)]
pub fn destroyed(run: &Run, inode: u64) {
    let root = read::inode_root(inode);
    let ino = read::inode_ino(inode);
    let Some(cell) = cells::find_inode(root, ino) else { return };
    // SAFETY: a live entry.
    let known = unsafe { *cell };
    // Without an evict before, the same bits can be cleared on a living inode.
    if known.flags & INODE_DYING == 0 || known.inode != inode {
        return;
    }
    let counters = read::counters_closing(inode);
    let block_rsv = inode + off!(inode_block_rsv) as u64;
    let qgroup_reserved: u64 = read::at(block_rsv, off!(rsv_qgroup_rsv_reserved));
    let qgroup_size: u64 = read::at(block_rsv, off!(rsv_qgroup_rsv_size));
    let regular = counters.flags & probe_common::inode::COUNTERS_NOT_REGULAR == 0;
    let new_delalloc: u64 = if regular { read::at(inode, off!(inode_new_delalloc_bytes)) } else { 0 };
    let left = counters.reserved
        | counters.size
        | counters.csum_bytes
        | counters.delalloc_bytes
        | u64::from(counters.outstanding_extents)
        | qgroup_reserved
        | qgroup_size
        | new_delalloc;
    if left == 0 && known.links == 0 && !cells::inodes_crowded() && config!(stream_all) == 0 {
        // It never held anything: counting it is enough.
        run.closed();
    } else {
        let stack =
            if left != 0 && counters.flags & COUNTERS_FREE_SPACE == 0 { stack::exact(run) } else { 0 };
        run.emit::<InodeState>(RecordKind::InodeState, LossClass::BooksRecord, known.fs, |record| {
            // SAFETY: the ring gave this room.
            unsafe {
                (*record).address = inode;
                (*record).root = known.root;
                (*record).ino = ino;
                (*record).generation = read::at(inode, off!(inode_generation));
                (*record).counters = counters;
                (*record).qgroup_reserved = qgroup_reserved;
                (*record).qgroup_size = qgroup_size;
                (*record).new_delalloc_bytes = new_delalloc;
                (*record).links = known.links;
                (*record).moment = MOMENT_DESTROY;
                (*record).nlink = read::at(inode, off!(inode_vfs_inode) + off!(vfs_i_nlink));
                (*record).stack = stack;
            }
        });
    }
    cells::remove_inode(root, ino);
}
