//! What ends gives back at once: a range that another one takes in, the head of delayed refs of an extent, the update of a block
//! group.
use probe_common::{
    call::{
        CALL_INODE, CALL_QUOTAS, CALL_QUOTAS_ENABLED, CALL_QUOTAS_SIMPLE, CALL_RETURNED, CALL_RSV,
        CALL_TREE_TORN, HEAD_DROPS_DATA, HEAD_KNOWN, HEAD_UNUSED_DATA, MOVED_BY_END, MOVED_KNOWN,
        MOVED_OF_FS,
    },
    claim::RsvType,
    hook::HookId::{
        self, AllocReservedFileExtent, BlockGroupInserted, BlockGroupUpdated, BlockRsvRelease,
        CommitDeviceSizes, MergeDelallocExtent, QgroupFreeRefroot, RefHeadEnd, SplitDelallocExtent,
    },
};
use probe_simulated::{I, M};

use super::{call_stream::Calls, stream::ROOT};

const LEN: u64 = 8192;
const EXTENTS: &str = "inode.outstanding_extents";
const REFS: &str = "fs.delayed_refs_rsv";
const SIMPLE: u32 = CALL_RETURNED | CALL_QUOTAS | CALL_QUOTAS_ENABLED | CALL_QUOTAS_SIMPLE;

/// Parts of a dirty range, and by how much the call changed `outstanding_extents`.
fn parts(hook: HookId, want: i64, got: i32) -> Calls {
    let mut calls = Calls::new();
    calls.call(hook, 300, [LEN, 2 * LEN, want as u64, 0], |call| call.extents = got);
    calls
}

#[test]
fn a_range_that_another_one_takes_in_must_give_its_extent_back() {
    parts(MergeDelallocExtent, -1, -1).silent();
    let finding = parts(MergeDelallocExtent, -1, 0).one("leak", EXTENTS, 1);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), Some(300)));
    parts(MergeDelallocExtent, -1, -2).one("over-release", EXTENTS, 1);
    // Together they begin as many extents of 128 MiB as before.
    parts(MergeDelallocExtent, 0, -1).one("over-release", EXTENTS, 1);
}

#[test]
fn a_range_that_becomes_two_needs_an_extent_more() {
    parts(SplitDelallocExtent, 1, 1).silent();
    parts(SplitDelallocExtent, 1, 0).one("over-release", EXTENTS, 1);
    parts(SplitDelallocExtent, 0, 1).one("leak", EXTENTS, 1);
}

/// `hook` with releases of these bytes of `delayed_refs_rsv` inside.
fn end(calls: &mut Calls, hook: HookId, state: u64, ret: u64, released: &[u64]) {
    let inside = |calls: &mut Calls, serial| {
        for bytes in released {
            let how = MOVED_KNOWN | MOVED_OF_FS | MOVED_BY_END;
            calls.call(BlockRsvRelease, 0, [*bytes, 0, *bytes, how], |call| {
                (call.parent, call.rsv_type) = (serial, RsvType::DelayedRefs as u32);
                call.flags |= CALL_RSV;
            });
        }
    };
    calls.around(hook, 0, [LEN, state, 0, 0], inside, |call| call.ret = ret as i64);
}

fn committed(calls: &mut Calls, left: u64) {
    calls.call(CommitDeviceSizes, 0, [8, 0, 0, 0], |call| {
        call.flags = CALL_RSV;
        call.before.size = left;
    });
}

#[test]
fn a_block_group_that_is_written_gives_its_unit_back() {
    for (hook, unit) in [(BlockGroupUpdated, M), (BlockGroupInserted, I)] {
        let mut calls = Calls::new();
        end(&mut calls, hook, 0, 0, &[unit]);
        calls.silent();
        end(&mut calls, hook, 0, 0, &[]);
        // The pool still holds it when its transaction ends; that is the same leak.
        committed(&mut calls, unit);
        calls.one("leak", REFS, unit);
        let mut calls = Calls::new();
        end(&mut calls, hook, 0, 0, &[unit, unit]);
        calls.one("over-release", REFS, unit);
    }
}

#[test]
fn a_head_of_dropped_data_gives_back_what_its_checksums_had() {
    let drops = HEAD_KNOWN | HEAD_DROPS_DATA;
    let of = |state, ret, released: &[u64]| {
        let mut calls = Calls::new();
        end(&mut calls, RefHeadEnd, state, ret, released);
        calls
    };
    of(HEAD_KNOWN, 0, &[]).silent();
    of(drops, 2 * M, &[2 * M]).silent();
    of(drops, 2 * M, &[]).one("leak", REFS, 2 * M);
    // What it says is no number of leaves.
    of(drops, 77, &[]).one("leak", REFS, M);
    of(drops, M, &[M, M]).one("over-release", REFS, M);
    // On 6.1 each head has a unit.
    of(0, 0, &[I]).silent();
    of(0, 0, &[]).one("leak", REFS, M);
}

#[test]
fn a_holder_that_ends_unseen_or_after_an_abort_is_not_judged() {
    let mut calls = Calls::new();
    calls.call(BlockGroupUpdated, 0, [0; 4], |call| call.flags |= CALL_TREE_TORN);
    calls.call(BlockGroupUpdated, 0, [0; 4], |call| call.flags |= probe_common::call::CALL_FS_ERROR);
    calls.call(MergeDelallocExtent, 300, [LEN, LEN, (-1i64) as u64, 0], |call| {
        call.flags = CALL_INODE | CALL_RETURNED | CALL_TREE_TORN;
    });
    calls.silent();
}

/// The head of an extent that was freed before it was inserted.
#[test]
fn a_head_that_never_ran_frees_what_its_extent_had_reserved_with_simple_quotas() {
    let unused = HEAD_KNOWN | HEAD_UNUSED_DATA;
    let head = |calls: &mut Calls, flags, freed| {
        let inside = |calls: &mut Calls, serial| {
            if freed {
                calls.call(QgroupFreeRefroot, 0, [ROOT, LEN, 0, RefHeadEnd as u64], |call| {
                    (call.parent, call.flags) = (serial, SIMPLE);
                });
            }
        };
        calls.around(RefHeadEnd, 0, [LEN, unused, LEN, 0], inside, |call| call.flags = flags);
    };
    let mut calls = Calls::new();
    calls.call(AllocReservedFileExtent, 0, [257, 0, LEN, 0], |call| call.flags = SIMPLE);
    let mut right = calls.clone();
    head(&mut right, SIMPLE, true);
    // Nothing was reserved while quotas were off, or before the session.
    head(&mut right, CALL_RETURNED | CALL_QUOTAS_SIMPLE, false);
    head(&mut right, SIMPLE, false);
    right.silent();
    head(&mut calls, SIMPLE, false);
    calls.call(CommitDeviceSizes, 0, [8, 0, 0, 0], |call| call.flags = SIMPLE);
    assert_eq!(calls.one("leak", "inode.qgroup_data", LEN).violation.root, Some(ROOT));
}
