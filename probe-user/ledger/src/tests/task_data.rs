//! Data that a task reserves: handed on, freed, or kept.
use probe_common::{
    call::{CALL_INODE, CALL_QUOTAS, CALL_RETURNED, CALL_SPECIAL_INODE, Call},
    chain::{CHAIN_OPEN, CHAIN_UNDERFLOW, Chain, ChainCounter},
    header::Header,
    hook::HookId,
    space::BLOCK_GROUP_DATA,
};

use super::{
    call_stream::Calls,
    stream::{FS, ROOT},
};
use crate::vocabulary::finding::Finding;

const LEN: u64 = 16384;

/// A direct write that allocates nothing, because it goes to existing extents.
fn direct_write_in_place(calls: &mut Calls) {
    calls.check(257, LEN, 0);
    calls.reserve(257, LEN, 0);
    calls.release_extents(257, LEN);
}

fn assert_is_of(finding: &Finding, ino: u64) {
    assert_eq!((finding.violation.ino, finding.violation.origins.len()), (Some(ino), 1), "{finding:#?}");
}

#[test]
fn a_direct_write_in_place_that_keeps_its_data_is_a_leak_when_the_task_goes_on() {
    let mut calls = Calls::new();
    direct_write_in_place(&mut calls);
    calls.free(257, LEN);
    calls.check(257, LEN, 0);
    calls.free(257, LEN);
    calls.silent();
    direct_write_in_place(&mut calls);
    calls.silent();
    calls.check(300, 4096, 0);
    assert_is_of(&calls.one("leak", "space.data.bytes_may_use", LEN), 257);
}

#[test]
fn data_that_a_task_keeps_is_a_leak_at_the_destroy_of_the_inode_and_at_unmount() {
    let mut calls = Calls::new();
    direct_write_in_place(&mut calls);
    calls.stream.destroy(258);
    calls.silent();
    let mut destroyed = calls.clone();
    destroyed.stream.destroy(257);
    assert_is_of(&destroyed.one("leak", "space.data.bytes_may_use", LEN), 257);
    // The level that it leaves is the same leak.
    calls.stream.unmount_with(|levels| levels.space[0].may_use = LEN);
    assert_is_of(&calls.one("leak", "space.data.bytes_may_use", LEN), 257);
}

const CLUSTER: u64 = 1 << 20;

/// `prealloc_file_extent_cluster()`: an inode of the data relocation tree.
fn reserve_cluster(calls: &mut Calls) {
    calls.call(HookId::AllocDataChunkOndemand, 257, [CLUSTER, 0, 0, 0], |call| {
        call.flags |= CALL_SPECIAL_INODE;
    });
}

/// `__btrfs_prealloc_file_range()` of an extent that is not there.
fn free_range(calls: &mut Calls, start: u64, len: u64) {
    calls.call(HookId::FreeReservedDataSpace, 257, [start, len, 0, 0], |call| {
        call.flags |= CALL_SPECIAL_INODE;
    });
}

/// A full filesystem: `btrfs_reserve_extent()` of an extent of the cluster fails.
#[test]
fn data_of_a_relocation_that_finds_no_extent_is_not_kept() {
    // 6.1 and 6.12 name no inode where the rest is given back, 7.x does.
    for names_the_inode in [false, true] {
        for first in [0, LEN] {
            let mut calls = Calls::new();
            reserve_cluster(&mut calls);
            calls.spend(first);
            free_range(&mut calls, first, LEN);
            calls.call(HookId::FreeReservedDataSpaceNoquota, 257, [CLUSTER - LEN - first, 0, 0, 0], |call| {
                call.flags =
                    if names_the_inode { call.flags | CALL_SPECIAL_INODE } else { call.flags & !CALL_INODE };
            });
            calls.system_call_ends();
            calls.silent();
        }
        let mut calls = Calls::new();
        reserve_cluster(&mut calls);
        free_range(&mut calls, 0, CLUSTER);
        calls.silent();
        let mut twice = calls.clone();
        calls.system_call_ends();
        calls.silent();
        free_range(&mut twice, 0, LEN);
        assert_is_of(&twice.one("over-release", "space.data.bytes_may_use", LEN), 257);
    }
}

#[test]
fn data_that_relocation_keeps_is_a_leak_when_it_goes_on() {
    let reserve = reserve_cluster;
    let mut calls = Calls::new();
    reserve(&mut calls);
    calls.spend(CLUSTER);
    // It fails halfway.
    reserve(&mut calls);
    calls.spend(LEN);
    calls.call(HookId::FreeReservedDataSpaceNoquota, 0, [CLUSTER - LEN, 0, 0, 0], |call| {
        call.flags &= !CALL_INODE;
    });
    reserve(&mut calls);
    calls.spend(LEN);
    calls.silent();
    calls.system_call_ends();
    assert_is_of(&calls.one("leak", "space.data.bytes_may_use", CLUSTER - LEN), 257);
}

#[test]
fn data_that_became_dirty_or_an_extent_is_not_kept() {
    let mut calls = Calls::new();
    calls.check(257, LEN, 0);
    calls.reserve(257, LEN, 0);
    calls.dirty(257, 4096);
    calls.free(257, 8192);
    calls.dirty(257, 4096);
    calls.release_extents(257, LEN);
    calls.check(258, LEN, 0);
    calls.spend(LEN - 4096);
    calls.free(258, 4096);
    calls.check(257, 4096, 0);
    calls.free(257, 4096);
    calls.silent();
}

#[test]
fn a_part_that_is_kept_is_told_with_its_bytes() {
    let mut calls = Calls::new();
    calls.check(257, LEN, 0);
    calls.spend(4096);
    calls.free(257, 4096);
    calls.check(257, LEN, 0);
    calls.one("leak", "space.data.bytes_may_use", LEN - 8192);
}

#[test]
fn a_direct_write_may_first_write_back_what_is_dirty_in_its_range() {
    let mut calls = Calls::new();
    calls.check(257, LEN, 0);
    // Dirty before.
    calls.spend(2 * LEN);
    calls.free(257, LEN);
    calls.check(257, 4096, 0);
    calls.free(257, 4096);
    calls.silent();
}

#[test]
fn data_that_is_freed_after_its_range_became_dirty_is_an_over_release() {
    let mut calls = Calls::new();
    calls.check(257, LEN, 0);
    calls.reserve(257, LEN, 0);
    calls.dirty(257, LEN);
    calls.release_extents(257, LEN);
    calls.free(257, 4096);
    assert_is_of(&calls.one("over-release", "space.data.bytes_may_use", 4096), 257);
}

#[test]
fn data_of_other_filesystems_and_of_an_older_recording_is_not_judged() {
    let mut calls = Calls::new();
    direct_write_in_place(&mut calls);
    calls.check(300, 4096, 0);
    let mut setup = super::calls::functions();
    setup.attached.retain(|hook| *hook != HookId::SetDelallocExtent);
    let mut ledger = crate::ledger::Ledger::new(setup);
    calls.stream.records.iter().for_each(|record| ledger.apply(record));
    ledger.finish();
    assert_eq!(ledger.findings(), []);
}

#[test]
fn the_first_call_after_the_attach_is_judged() {
    let mut stream = super::stream::Stream::born();
    let header = Header { hook: HookId::FreeReservedDataSpace as u8, ..stream.header(FS) };
    let (entered, flags) = (header.time, CALL_RETURNED | CALL_INODE);
    stream.push(Call {
        header,
        serial: 1,
        flags,
        root: ROOT,
        ino: 257,
        args: [0, 4096, 0, 0],
        data: -8192,
        entered,
        ..Call::default()
    });
    let ledger = super::calls::run(&stream.records);
    let amounts: Vec<_> = ledger.findings().iter().map(|of| of.amount).collect();
    assert_eq!(amounts, [4096]);
}

/// A call with marks set or taken off inside it, `depth` calls below.
fn with_marks(calls: &mut Calls, outer: HookId, inner: HookId, marks: HookId, bytes: u64) {
    let quotas = |call: &mut Call| call.flags |= CALL_QUOTAS;
    let deepest = |calls: &mut Calls, parent: u32| {
        if bytes > 0 {
            calls.call(marks, 257, [0, LEN - 1, 1 << 12, bytes], |call| call.parent = parent);
        }
    };
    let middle = |calls: &mut Calls, parent: u32| {
        calls.around(inner, 257, [0, LEN, 0, 0], deepest, |call| {
            call.parent = parent;
            call.qgroup_data = if marks == HookId::SetRecordBits { bytes as i64 } else { -(bytes as i64) };
            quotas(call);
        });
    };
    calls.around(outer, 257, [0, LEN, 0, 0], middle, |call| {
        call.data = if marks == HookId::SetRecordBits { LEN as i64 } else { -(LEN as i64) };
    });
}

#[test]
fn a_failed_rewrite_that_frees_the_marks_of_the_write_before_is_an_over_release() {
    use HookId::{
        CheckDataFreeSpace, ClearRecordBits, FreeReservedDataSpace, QgroupFreeData, QgroupReserveData,
        SetRecordBits,
    };
    let mut calls = Calls::new();
    with_marks(&mut calls, CheckDataFreeSpace, QgroupReserveData, SetRecordBits, LEN);
    calls.reserve(257, LEN, 0);
    calls.dirty(257, LEN);
    calls.release_extents(257, LEN);
    // A rewrite of the dirty range marks nothing, so its failure frees no mark.
    with_marks(&mut calls, CheckDataFreeSpace, QgroupReserveData, SetRecordBits, 0);
    with_marks(&mut calls, FreeReservedDataSpace, QgroupFreeData, ClearRecordBits, 0);
    calls.silent();
    with_marks(&mut calls, CheckDataFreeSpace, QgroupReserveData, SetRecordBits, 0);
    with_marks(&mut calls, FreeReservedDataSpace, QgroupFreeData, ClearRecordBits, LEN);
    assert_is_of(&calls.one("over-release", "inode.qgroup_data", LEN), 257);
}

/// The counter holds too little for one of two reasons: the task frees what its extent has taken, or somebody else freed too much
/// before, and the task only gives back what it did not need.
#[test]
fn an_underflow_says_whether_the_task_frees_what_its_extent_has_taken() {
    for (spent, freed, twice) in
        [(LEN, LEN, true), (4096, LEN - 4096, false), (0, LEN, false), (4096, LEN, true)]
    {
        let mut calls = Calls::new();
        calls.check(257, LEN, 0);
        calls.reserve(257, LEN, 0);
        if spent > 0 {
            calls.spend(spent);
        }
        let counter = Chain {
            object_flags: BLOCK_GROUP_DATA,
            counter: ChainCounter::BytesMayUse as u32,
            ..Chain::default()
        };
        calls.stream.chain(Chain { event: CHAIN_OPEN, ..counter });
        calls.stream.chain(Chain { event: CHAIN_UNDERFLOW, diff: -(freed as i64), ..counter });
        let finding = calls.one("underflow", "space.data.bytes_may_use", freed);
        assert_eq!(finding.violation.twice, twice, "{spent} {freed}");
    }
}
