//! From records to moves between reserves. Nothing is judged here.
//!
//! Functions tier: each call on a block_rsv says what it moved. `btrfs_block_rsv_release()` says what left the block_rsv and what of it
//! left `bytes_may_use`; the rest went to `delayed_refs_rsv`, or to the global one if a block_rsv of delayed refs was released.
//! `btrfs_update_delayed_refs_rsv()` has no record: what a handle got for delayed refs and no longer has when it ends went there.
//!
//! Tracepoints tier: the tree blocks with the block_rsv that pays, reservations of inodes, and what delayed items and inodes were
//! funded from. Where released bytes went, refills and steals are not visible.
use probe_common::{
    call::{CALL_RETURNED, CALL_RSV, CALL_UNBALANCED, CALL_UNFRAMED, Call, MOVED_KNOWN, MOVED_OF_FS},
    claim::{CLAIM_NOT_GIVEN_BACK, CLAIM_RESERVE, Claim, ClaimType, RsvType},
    draw::{Draw as DrawRecord, own_tree},
    fs::{LEVELS_UNMOUNT, Levels, Rsv},
    hook::HookId,
    inode::{BLOCK_DOUBTFUL, BLOCK_FALLBACK, BLOCK_FRESH, Block, DELALLOC_RESERVE, Delalloc},
};

use crate::{
    book::{
        draws::{Draw, Move},
        filesystem::Fs,
        node::stack_of,
    },
    context::Context,
    vocabulary::{
        draws::{MoveKind, Reserve},
        finding::StackRef,
    },
};

/// Largest error number that a pointer can stand for (`IS_ERR()`).
const MAX_ERRNO: i64 = 4095;

const fn is(record: &Call, hook: HookId) -> bool {
    record.header.hook == hook as u8
}

const fn stack(id: u64) -> StackRef {
    StackRef { id, representative: false }
}

/// What every move of a call has.
const fn of(record: &Call, from: Reserve, to: Reserve, kind: MoveKind, bytes: u64) -> Move {
    Move { caller: record.caller, stack: stack_of(record), ..Move::new(from, to, kind, bytes) }
}

/// A call has returned.
pub(crate) fn call(context: &Context, fs: &mut Fs, record: &Call) {
    let hook = record.header.hook;
    let first = HookId::BlockRsvAdd as u8;
    // By far the most calls are of other functions.
    let of_rsv = (first..=HookId::UseBlockRsv as u8).contains(&hook)
        || hook == HookId::StealFromGlobal as u8
        || hook == HookId::UpdateGlobalBlockRsv as u8
        || hook == HookId::RefillDelayedRefs as u8
        || hook == HookId::MigrateToDelayedRefs as u8;
    if !of_rsv || record.flags & (CALL_UNFRAMED | CALL_UNBALANCED) != 0 {
        return;
    }
    if !fs.draws().by_calls() {
        fs.draws().read_from_calls();
    }
    if record.flags & CALL_RETURNED == 0 {
        return;
    }
    let kind = RsvType::from_u32(record.rsv_type);
    let rsv = reserve(record, kind);
    let done = record.ret == 0;
    let [first, second, moved, known] = record.args;
    if is(record, HookId::UseBlockRsv) {
        used(context, fs, record, rsv);
    } else if is(record, HookId::BlockRsvRelease) {
        released(fs, record, kind, rsv);
    } else if is(record, HookId::BlockRsvMigrate) && done {
        let to = Reserve::of(RsvType::from_u32(known as u32));
        fs.draws().book(&of(record, rsv, to, MoveKind::Migrate, second));
        if rsv == Reserve::Global {
            drawn(context, fs, record, MoveKind::Migrate, 0, second);
        }
    } else if is(record, HookId::BlockRsvAdd) && done {
        fs.draws().book(&of(record, Reserve::Space, rsv, MoveKind::Reserve, first));
    } else if is(record, HookId::BlockRsvRefill) && done {
        let bytes = record.after.reserved.saturating_sub(record.before.reserved);
        fs.draws().book(&of(record, Reserve::Space, rsv, MoveKind::Reserve, bytes));
    } else if is(record, HookId::BlockRsvAddBytes) {
        added(fs, record, kind, rsv);
    } else if is(record, HookId::StealFromGlobal) && record.ret != 0 {
        fs.draws().book(&of(record, Reserve::Global, Reserve::Tickets, MoveKind::Steal, first));
        drawn(context, fs, record, MoveKind::Steal, 0, first);
    } else if is(record, HookId::UpdateGlobalBlockRsv) {
        resized(fs, record);
    } else if is(record, HookId::RefillDelayedRefs) || is(record, HookId::MigrateToDelayedRefs) {
        if known & MOVED_KNOWN != 0 {
            fs.draws().book(&of(record, Reserve::Space, Reserve::DelayedRefs, MoveKind::Reserve, moved));
        } else if done {
            fs.draws().gaps = true;
        }
    }
}

/// The block_rsv of a call. A handle's own one has the same type as `delayed_refs_rsv`.
const fn reserve(record: &Call, kind: RsvType) -> Reserve {
    let own = record.args[3] & MOVED_KNOWN != 0 && record.args[3] & MOVED_OF_FS == 0;
    let shows = is(record, HookId::BlockRsvRelease) || is(record, HookId::BlockRsvAddBytes);
    match kind {
        RsvType::DelayedRefs if shows && own => Reserve::Handles,
        RsvType::None if record.flags & CALL_RSV == 0 => Reserve::Unknown,
        kind => Reserve::of(kind),
    }
}

/// `btrfs_use_block_rsv()`
fn used(context: &Context, fs: &mut Fs, record: &Call, paid: Reserve) {
    if (-MAX_ERRNO..=0).contains(&record.ret) {
        return;
    }
    let [root, bytes, ..] = record.args;
    let moved = if paid == Reserve::Global && !own_tree(root) {
        Move { root, ..of(record, paid, Reserve::Blocks, MoveKind::FallBack, bytes) }
    } else if record.metadata >= 0 && record.metadata as u64 == bytes && bytes != 0 {
        let spot = of(record, Reserve::Space, Reserve::Blocks, MoveKind::OnTheSpot, bytes);
        Move { root, instead_of: Some(paid), ..spot }
    } else {
        Move { root, ..of(record, paid, Reserve::Blocks, MoveKind::Use, bytes) }
    };
    if moved.from == Reserve::Global {
        drawn(context, fs, record, moved.kind, root, bytes);
    }
    if moved.kind != MoveKind::FallBack {
        fs.draws().book(&moved);
    } else if let Some(before) = fs.draws().fallen_back.insert(record.header.tid, moved) {
        fs.draws().book(&before);
    }
}

/// `btrfs_block_rsv_release()`
fn released(fs: &mut Fs, record: &Call, kind: RsvType, rsv: Reserve) {
    let [_, _, freed, known] = record.args;
    if rsv == Reserve::Handles
        && let Some(got) = fs.draws().handles.remove(&record.rsv)
    {
        // What it no longer has, `btrfs_update_delayed_refs_rsv()` has moved.
        let moved = got.saturating_sub(record.before.reserved);
        let caller = Move { caller: 0, ..of(record, rsv, Reserve::DelayedRefs, MoveKind::Migrate, moved) };
        fs.draws().book(&caller);
    }
    if record.ret <= 0 {
        return;
    }
    let left = record.ret.unsigned_abs();
    let another_space = matches!(kind, RsvType::Chunk | RsvType::Remap);
    if known & MOVED_KNOWN == 0 && !another_space {
        fs.draws().unknown_releases.add(left);
        return;
    }
    let freed = if another_space { left } else { freed.min(left) };
    let to = if kind == RsvType::DelayedRefs { Reserve::Global } else { Reserve::DelayedRefs };
    fs.draws().book(&of(record, rsv, Reserve::Space, MoveKind::Release, freed));
    fs.draws().book(&of(record, rsv, to, MoveKind::Surplus, left - freed));
}

/// `btrfs_block_rsv_add_bytes()`: bytes that the caller has reserved, or those of a tree block that was not allocated.
fn added(fs: &mut Fs, record: &Call, kind: RsvType, rsv: Reserve) {
    let [bytes, ..] = record.args;
    if rsv == Reserve::Handles {
        fs.draws().handle_got(record.rsv, bytes);
    } else if kind == RsvType::DelayedRefs {
        // `btrfs_delayed_refs_rsv_refill()` of 6.1, whose own record shows it.
        return;
    }
    if bytes == fs.nodesize && bytes != 0 {
        fs.draws().book(&of(record, Reserve::Blocks, rsv, MoveKind::PutBack, bytes));
    } else {
        fs.draws().book(&of(record, Reserve::Space, rsv, MoveKind::Reserve, bytes));
    }
}

/// `btrfs_update_global_block_rsv()`
fn resized(fs: &mut Fs, record: &Call) {
    let [_, _, freed, known] = record.args;
    let (before, after) = (record.before.reserved, record.after.reserved);
    let (up, down) = if known & MOVED_KNOWN == 0 {
        (after.saturating_sub(before), before.saturating_sub(after))
    } else if freed > 0 {
        // What it freed may have granted tickets, so the sum of its changes of `bytes_may_use` says nothing.
        (0, freed)
    } else {
        (u64::try_from(record.metadata).unwrap_or(0), 0)
    };
    fs.draws().book(&of(record, Reserve::Space, Reserve::Global, MoveKind::Resize, up));
    fs.draws().book(&of(record, Reserve::Global, Reserve::Space, MoveKind::Resize, down));
    let level = Rsv { size: record.after.size, reserved: after };
    fs.draws().global_level(level, record.header.time);
}

/// Bytes of the global block_rsv went elsewhere in a call.
fn drawn(context: &Context, fs: &mut Fs, record: &Call, kind: MoveKind, root: u64, bytes: u64) {
    let (tid, time) = (record.header.tid, record.header.time);
    let stack = of(record, Reserve::Global, Reserve::Unknown, kind, bytes).stack;
    let draws = fs.draws();
    draws.draw(&Draw { kind, root, bytes, stack, tid, time }, || context.names.task_or_tid(tid));
    draws.global_level(Rsv { size: record.after.size, reserved: record.after.reserved }, time);
}

/// A tree block.
pub(crate) fn block(fs: &mut Fs, record: &Block) {
    let should = Reserve::of(RsvType::from_u32(record.payer));
    if fs.draws().by_calls() {
        // The call has said who paid; this says in place of which.
        if let Some(moved) = fs.draws().fallen_back.remove(&record.header.tid) {
            let same = moved.root == record.root && moved.bytes == record.bytes;
            let instead_of = if same { Some(should) } else { moved.instead_of };
            fs.draws().book(&Move { instead_of, ..moved });
        }
        return;
    }
    let (root, bytes) = (record.root, record.bytes);
    let new = |from, kind| Move { root, ..Move::new(from, Reserve::Blocks, kind, bytes) };
    let moved = if record.flags & BLOCK_DOUBTFUL != 0 {
        new(Reserve::Unknown, MoveKind::Use)
    } else if record.flags & BLOCK_FRESH != 0 {
        Move { instead_of: Some(should), ..new(Reserve::Space, MoveKind::OnTheSpot) }
    } else if record.flags & BLOCK_FALLBACK != 0 && should != Reserve::Global {
        Move { instead_of: Some(should), ..new(Reserve::Global, MoveKind::FallBack) }
    } else {
        new(should, MoveKind::Use)
    };
    fs.draws().book(&moved);
}

/// The global block_rsv paid for a tree block (tracepoints tier).
pub(crate) fn paid(context: &Context, fs: &mut Fs, record: &DrawRecord) {
    let DrawRecord { header, root, bytes, global, payer, flags, stack: id } = *record;
    let own = RsvType::from_u32(payer) == RsvType::Global;
    // Reserved on the spot instead.
    if flags & (BLOCK_FRESH | BLOCK_DOUBTFUL) == 0 {
        let kind = if own { MoveKind::Use } else { MoveKind::FallBack };
        let draw = Draw { kind, root, bytes, stack: stack(id), tid: header.tid, time: header.time };
        fs.draws().draw(&draw, || context.names.task_or_tid(header.tid));
    }
    fs.draws().global_level(global, header.time);
}

/// Bytes of an inode's block_rsv (tracepoints tier).
pub(crate) fn delalloc(fs: &mut Fs, record: &Delalloc) {
    if fs.draws().by_calls() {
        return;
    }
    if record.flags & DELALLOC_RESERVE == 0 {
        fs.draws().unknown_releases.add(record.bytes);
        return;
    }
    let reserved = Move::new(Reserve::Space, Reserve::Inodes, MoveKind::Reserve, record.bytes);
    fs.draws().book(&Move { stack: stack(record.stack), ..reserved });
}

/// A claim (tracepoints tier): `btrfs_delayed_item_reserve_metadata()` and `btrfs_delayed_inode_reserve_metadata()` migrate the bytes from
/// the block_rsv of the handle; where that is none to migrate from, the latter reserves them.
pub(crate) fn claim(fs: &mut Fs, record: &Claim) {
    if fs.draws().by_calls() || record.flags & (CLAIM_RESERVE | CLAIM_NOT_GIVEN_BACK) != CLAIM_RESERVE {
        return;
    }
    let payer = RsvType::from_u32(record.payer);
    let moved = match ClaimType::from_u32(record.claim) {
        Some(ClaimType::DelayedItem) => (Reserve::of(payer), Reserve::Delayed, MoveKind::Migrate),
        Some(ClaimType::DelayedInode) if matches!(payer, RsvType::Trans | RsvType::Delalloc) => {
            (Reserve::of(payer), Reserve::Delayed, MoveKind::Migrate)
        }
        Some(ClaimType::DelayedInode) => (Reserve::Space, Reserve::Delayed, MoveKind::Reserve),
        Some(ClaimType::Transaction) if payer == RsvType::None => {
            (Reserve::Space, Reserve::Trans, MoveKind::Reserve)
        }
        _ => return,
    };
    let (from, to, kind) = moved;
    fs.draws().book(&Move { stack: stack(record.stack), ..Move::new(from, to, kind, record.bytes) });
}

/// The levels of a filesystem were read.
pub(crate) fn levels(context: &Context, fs: &mut Fs, record: &Levels) {
    let idle = context.loss.complete();
    let draws = fs.draws();
    if !idle {
        draws.idle.missed();
    }
    draws.idle.levels(record);
    if record.why != LEVELS_UNMOUNT {
        draws.levels(context.loss.epoch(), record);
    }
}

/// A thread came with a record of a reservation.
pub(crate) fn worked(context: &Context, fs: &mut Fs, tid: u32) {
    if !fs.draws().idle.busy {
        fs.draws().idle.busy = !context.names.is_worker(tid);
    }
}

/// A task has waited for space, or waits: it is inside its call.
pub(crate) fn waited(fs: &mut Fs) {
    fs.draws().idle.missed();
}
