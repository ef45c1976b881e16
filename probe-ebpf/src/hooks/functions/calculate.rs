//! `btrfs_calculate_inode_block_rsv_size`: runs under `inode->lock`, right after `outstanding_extents` or `csum_bytes`
//! changed. It is the only place where every change of `csum_bytes` can be seen as it happens.
use core::mem::offset_of;

use aya_ebpf::{
    EbpfContext as _,
    macros::{fentry, kprobe},
    programs::{FEntryContext, ProbeContext},
};
use probe_common::{
    call::{CALL_INODE, CALL_SIZE_TOO_SMALL, CALL_UNFRAMED, Call},
    claim::RsvType,
    header::RecordKind,
    hook::HookId,
    loss::LossClass,
    signature::{SOME_ARG, Signature},
};

use super::{
    context::{Entry, Traced},
    subject,
};
use crate::{
    cells::{self, frame},
    emit::Run,
    globals::{off, signature_byte},
    read, stack,
};

/// Entry by kprobe, see [`HookId::CalculateInodeRsv`].
#[kprobe]
pub fn calculate_inode_rsv_in(ctx: ProbeContext) -> u32 {
    calculated(&ctx);
    0
}

/// Entry by fentry.
#[fentry]
pub fn calculate_inode_rsv_fentry(ctx: FEntryContext) -> i32 {
    calculated(&Traced::of(ctx.as_ptr()));
    0
}

/// Whether the function takes other arguments than its source says.
#[inline(always)]
fn is_clone() -> bool {
    signature_byte(HookId::CalculateInodeRsv, offset_of!(Signature, subject)) == SOME_ARG
}

/// The inode among the arguments of a clone: that of the call around it, or else the first argument that is one, since those behind
/// the last argument are what others left in registers. 0 if there is none.
#[inline(always)]
fn found_inode(run: &Run, ctx: &impl Entry) -> u64 {
    let call = cells::task_cell(run).and_then(frame::of).and_then(frame::top);
    // SAFETY: the frame is this thread's.
    let around = call.map_or(0, |call| unsafe { (*call).inode });
    let (mut first, mut is_around) = (0, false);
    for position in 0..REGISTERS {
        let argument = ctx.argument(position);
        if argument != 0 && argument == around {
            is_around = true;
        }
        if first == 0 && is_inode(argument) != 0 {
            first = argument;
        }
    }
    if is_around { around } else { first }
}

/// Whether there is a `struct btrfs_inode`: its block_rsv is one of an inode, and its subvolume has a filesystem that its superblock
/// points back to.
///
/// A global function: see [`Run::number`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_inode(address: u64) -> u64 {
    let fs_info = read::root_fs_info(read::inode_root(address));
    let sb: u64 = read::at(fs_info, off!(fs_sb));
    let is_rsv =
        read::rsv_type(address.wrapping_add(off!(inode_block_rsv) as u64)) == RsvType::Delalloc as u32;
    u64::from(is_rsv && sb != 0 && read::at::<u64>(sb, off!(sb_s_fs_info)) == fs_info)
}

#[inline(always)]
fn calculated(ctx: &impl Entry) {
    let Some(run) = Run::begin(HookId::CalculateInodeRsv, ctx) else { return };
    let run = run.identify();
    let inode =
        if is_clone() { found_inode(&run, ctx) } else { subject::of(ctx, HookId::CalculateInodeRsv).inode };
    if is_clone() && inode == 0 {
        run.lost(LossClass::ReadFault);
        return;
    }
    let root = read::inode_root(inode);
    let ino = read::inode_ino(inode);
    let Some(cell) = cells::inode_cell(&run, root, ino) else { return };
    // Before the frame is looked up: with this call behind it, the program on 6.1 found no frame of the inode any more.
    check_size(&run, cell, inode);
    let Some(task) = cells::task_cell(&run) else { return };
    let call = frame::of(task).and_then(frame::top);
    let now: u64 = if read::is_regular(inode) { read::at(inode, off!(inode_csum_bytes)) } else { 0 };
    // SAFETY: `inode->lock` is held, so the cell's chain is ours; the frame is this thread's.
    unsafe {
        let ours = match call {
            Some(call) if (*call).inode == inode => Some(call),
            _ => None,
        };
        let before = if (*cell).csum_known != 0 {
            (*cell).csum_bytes
        } else if let Some(call) = ours {
            // First sight of the inode: the value at the entry of the call.
            (*call).before.csum_bytes
        } else {
            now
        };
        let change = now.wrapping_sub(before) as i64;
        (*cell).sized_extents = read::at(inode, off!(inode_outstanding_extents));
        (*cell).csum_bytes = now;
        (*cell).csum_known = 1;
        if change != 0 {
            (*cell).changes = (*cell).changes.wrapping_add(1);
            (*cell).releases = (*cell).releases.wrapping_add(u32::from(change < 0));
        }
        if let Some(call) = ours {
            (*call).calculations += 1;
            (*call).csum_bytes = (*call).csum_bytes.wrapping_add(change);
            if change != 0 {
                (*call).own_changes += 1;
                (*call).own_releases += u32::from(change < 0);
            }
        } else if change != 0 {
            unframed(&run, cell, inode, before, now);
        }
    }
}

/// Arguments that are in registers on every machine.
const REGISTERS: u8 = 6;

/// Most extents of an inode that are not a counter that has wrapped.
const MAX_EXTENTS: u32 = 1 << 20;

/// Compares the size that the last calculation has set with the least that it may be: `btrfs_calc_insert_metadata_size()` of
/// `outstanding_extents` and of one leaf of checksums, and one update of an item (`fs/btrfs/delalloc-space.c`, 6.1 to 7.3).
/// Nothing else sets the size, and this runs under `inode->lock`, as that calculation did.
#[inline(never)]
fn check_size(run: &Run, cell: *mut probe_common::cell::InodeCell, inode: u64) {
    // SAFETY: a live entry, whose chain is ours.
    let (known, extents, csum_bytes) =
        unsafe { ((*cell).csum_known, (*cell).sized_extents, (*cell).csum_bytes) };
    if known == 0 || extents > MAX_EXTENTS || (extents == 0 && csum_bytes == 0) {
        return;
    }
    let fs_info = read::root_fs_info(read::inode_root(inode));
    let insert = 16 * u64::from(read::at::<u32>(fs_info, off!(fs_nodesize)));
    let mut least = u64::from(extents) * insert;
    if extents != 0 {
        least += insert / 2;
    }
    if csum_bytes != 0 && read::at::<u32>(inode, off!(inode_flags)) & read::INODE_NODATASUM == 0 {
        least += insert;
    }
    let size = read::rsv(inode.wrapping_add(off!(inode_block_rsv) as u64)).size;
    if size >= least {
        return;
    }
    // SAFETY: a live entry.
    let (fs, root) = unsafe { ((*cell).fs, (*cell).root) };
    run.emit::<Call>(RecordKind::Call, LossClass::BooksRecord, fs, |record| {
        // SAFETY: the ring gave this room; all-zero bytes are a record.
        unsafe {
            let words = record.cast::<u64>();
            for word in 0..size_of::<Call>() / 8 {
                core::ptr::write_volatile(words.add(word), 0);
            }
            (*record).flags = CALL_SIZE_TOO_SMALL | CALL_INODE;
            (*record).address = inode;
            (*record).root = root;
            (*record).ino = read::inode_ino(inode);
            (*record).args[0] = least;
            (*record).before.size = size;
            (*record).before.csum_bytes = csum_bytes;
            (*record).before.outstanding_extents = extents;
        }
    });
}

/// Sends a record: `csum_bytes` was changed outside all hooked calls.
#[inline(never)]
fn unframed(run: &Run, cell: *mut probe_common::cell::InodeCell, inode: u64, before: u64, now: u64) {
    let stack = stack::exact(run);
    // SAFETY: a live entry.
    let (fs, root) = unsafe { ((*cell).fs, (*cell).root) };
    run.emit::<Call>(RecordKind::Call, LossClass::BooksRecord, fs, |record| {
        // SAFETY: the ring gave this room; all-zero bytes are a record.
        unsafe {
            let words = record.cast::<u64>();
            for word in 0..size_of::<Call>() / 8 {
                core::ptr::write_volatile(words.add(word), 0);
            }
            (*record).flags = CALL_UNFRAMED | CALL_INODE;
            (*record).address = inode;
            (*record).root = root;
            (*record).ino = read::inode_ino(inode);
            (*record).before.csum_bytes = before;
            (*record).after.csum_bytes = now;
            (*record).csum_bytes = now.wrapping_sub(before) as i64;
            (*record).calculations = 1;
            (*record).stack = stack;
        }
    });
}
