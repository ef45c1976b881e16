//! Claims on shared pools, and tree blocks with the block_rsv that pays for them.
use probe_common::{
    claim::{
        CLAIM_JOIN, CLAIM_LOG_RECOVERING, CLAIM_NOT_GIVEN_BACK, CLAIM_RESERVE, Claim, ClaimType, RsvType,
    },
    fs::Rsv,
    header::RecordKind,
    inode::{BLOCK_DOUBTFUL, BLOCK_FALLBACK, BLOCK_FRESH, BLOCK_FROM_TRANS, Block},
    loss::LossClass,
    space::BLOCK_GROUP_METADATA,
};

use super::{draw, event::Arguments, fallback::with_fallback, levels};
use crate::{
    cells,
    emit::Run,
    globals::{ABSENT, config, off},
    read,
    stack::{self, Context},
};

/// `BTRFS_UUID_TREE_OBJECTID`
const UUID_TREE: u64 = 9;
/// `BTRFS_CSUM_TREE_OBJECTID`
const CSUM_TREE: u64 = 7;
/// `__TRANS_JOIN` where it is a macro: `fs/btrfs/transaction.h`, 6.1. In later kernels it is an enumerator with another
/// value.
const TRANS_JOIN_6_1: u32 = 1 << 11;

/// The owner of a block_rsv.
struct Payer {
    /// [`RsvType`]
    kind: u32,
    root: u64,
    ino: u64,
}

/// Type of a block_rsv, and its inode if it is an inode's.
#[inline(always)]
fn payer(fs_info: u64, rsv: u64) -> Payer {
    let kind = if rsv == 0 {
        RsvType::None as u32
    } else if rsv == fs_info + off!(fs_trans_block_rsv) as u64 {
        // By far the most frequent one, recognised by its address.
        RsvType::Trans as u32
    } else {
        read::rsv_type(rsv)
    };
    if kind == RsvType::Delalloc as u32 {
        let inode = rsv.wrapping_sub(off!(inode_block_rsv) as u64);
        return Payer {
            kind,
            root: read::root_objectid(read::inode_root(inode)),
            ino: read::inode_ino(inode),
        };
    }
    Payer { kind, root: 0, ino: 0 }
}

/// A claim as the tracepoint shows it.
#[derive(Clone, Copy)]
pub struct Event {
    /// Filesystem id.
    pub fs: u32,
    /// Which pool.
    pub claim: ClaimType,
    /// Address of the fs_info.
    pub fs_info: u64,
    /// The tracepoint's `val`.
    pub value: u64,
    /// Bytes.
    pub bytes: u64,
    /// Claimed, or given back.
    pub reserve: bool,
}

/// Sends a claim.
///
/// A thread gives back a claim of `local_delayed_refs_rsv` whole, so such a pair of claim and return tells nothing and is
/// not sent. If anything else comes instead, the claim that was held back is sent first.
#[inline(never)]
pub fn claim(run: &Run, event: &Event) {
    let mut first = 0;
    let mut second = true;
    if event.claim as u32 == ClaimType::LocalDelayedRefs as u32
        && config!(stream_all) == 0
        && let Some(task) = cells::task_cell(run)
    {
        // SAFETY: the cell is this thread's.
        unsafe {
            cells::paid_elsewhere(task);
            let held_back = (*task).local_claim;
            if !event.reserve && held_back == event.bytes {
                second = false;
            } else {
                first = held_back;
                second = !event.reserve;
            }
            (*task).local_claim = if event.reserve { event.bytes } else { 0 };
        }
    }
    // Two calls of `send` and not one per case: the verifier walks through `send` for each call.
    if first != 0 {
        let more = if event.reserve { CLAIM_NOT_GIVEN_BACK } else { 0 };
        send(run, &Event { bytes: first, reserve: true, ..*event }, more);
    }
    if second {
        send(run, event, 0);
    }
}

/// Sends a claim with the handle's block_rsv, which shows from where a delayed inode is funded.
#[inline(never)]
fn send(run: &Run, event: &Event, more: u32) {
    let Event { fs, claim, fs_info, value, bytes, reserve } = *event;
    let handle = read::handle(fs_info);
    let payer = payer(fs_info, handle.block_rsv);
    let mut flags = more | if reserve { CLAIM_RESERVE } else { 0 };
    let join = if off!(trans_join_mask) == ABSENT { TRANS_JOIN_6_1 } else { off!(trans_join_mask) as u32 };
    if handle.address != 0 && handle.kind & join != 0 {
        flags |= CLAIM_JOIN;
    }
    if cells::fs_young(fs) && levels::log_recovering(fs_info) {
        flags |= CLAIM_LOG_RECOVERING;
    }
    let stack = match cells::task_cell(run) {
        Some(task) => {
            // SAFETY: the cell is this thread's.
            unsafe { cells::paid_elsewhere(task) };
            stack::ordinary(run, task, Context::claim(claim, reserve), 0).0
        }
        None => 0,
    };
    run.emit::<Claim>(RecordKind::Claim, LossClass::BooksRecord, fs, |record| {
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).claim = claim as u32;
            (*record).flags = flags;
            (*record).value = value;
            (*record).bytes = bytes;
            (*record).handle = handle.address;
            (*record).payer = payer.kind;
            (*record).reserved = 0;
            (*record).payer_root = payer.root;
            (*record).payer_ino = payer.ino;
            (*record).pool = Rsv::default();
            (*record).stack = stack;
        }
    });
}

with_fallback! {
    /// `trace_(btrfs_)find_free_extent`: after `btrfs_use_block_rsv` has charged a tree block.
    ///
    /// 6.1 passes numbers (root, num_bytes, empty_size, flags), later kernels the `find_free_extent_ctl`.
    "btrfs_find_free_extent" FindFreeExtent find_free_extent find_free_extent_fallback find_free_extent_iter allocation
}

#[inline(always)]
fn allocation(run: &Run, ctx: &impl Arguments) {
    let root: u64 = ctx.arg(0);
    let (bytes, space_flags): (u64, u64) = if off!(ffe_has_ctl) == 1 {
        let ctl: u64 = ctx.arg(1);
        (read::at(ctl, off!(ffe_ctl_num_bytes)), read::at(ctl, off!(ffe_ctl_flags)))
    } else {
        (ctx.arg(1), ctx.arg(3))
    };
    if space_flags & BLOCK_GROUP_METADATA == 0 {
        return;
    }
    let fs_info = read::root_fs_info(root);
    let Some(fs) = cells::fs_id(run, fs_info) else { return };
    block(run, fs, fs_info, root, bytes);
}

/// `get_block_rsv()`, `fs/btrfs/block-rsv.c`: the same rule from 6.1 to 7.3.
#[inline(always)]
fn block(run: &Run, fs: u32, fs_info: u64, root: u64, bytes: u64) {
    let handle = read::handle(fs_info);
    let objectid = read::root_objectid(root);
    let state: u64 = read::at(root, off!(root_state));
    let shareable = state >> (off!(root_shareable_bit) & 63) & 1 != 0;
    let from_trans = shareable || objectid == UUID_TREE || (handle.adding_csums && objectid == CSUM_TREE);
    let rsv: u64 = if from_trans { handle.block_rsv } else { read::at(root, off!(root_block_rsv)) };
    let payer = payer(fs_info, rsv);
    let mut flags = if from_trans { BLOCK_FROM_TRANS } else { 0 };
    if let Some(task) = cells::task_cell(run) {
        // SAFETY: the cell is this thread's.
        unsafe {
            if (*task).fresh == bytes {
                flags |= BLOCK_FRESH;
            } else if (*task).fallback != 0 {
                flags |= BLOCK_FALLBACK;
            }
            cells::paid_elsewhere(task);
        }
    }
    if flags & (BLOCK_FRESH | BLOCK_FALLBACK) != 0 && payer.kind as u32 == RsvType::Delalloc as u32 {
        // A block is reserved on the spot only if its payer holds too little or has size 0.
        let held = read::rsv(rsv);
        if held.size != 0 && held.reserved >= bytes {
            flags |= BLOCK_DOUBTFUL;
        }
    }
    if config!(functions) == 0 && (payer.kind == RsvType::Global as u32 || flags & BLOCK_FALLBACK != 0) {
        draw::paid(run, &draw::Paid { fs, fs_info, root: objectid, bytes, payer: payer.kind, flags });
    }
    run.emit::<Block>(RecordKind::Block, LossClass::BooksRecord, fs, |record| {
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).root = objectid;
            (*record).bytes = bytes;
            (*record).payer_root = payer.root;
            (*record).payer_ino = payer.ino;
            (*record).payer = payer.kind;
            (*record).flags = flags;
        }
    });
}
