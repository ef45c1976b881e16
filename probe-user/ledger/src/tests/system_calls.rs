//! Ends of system calls: what a task has in hand then was forgotten.
use probe_common::{
    call::{CALL_QUOTAS, CALL_RSV, CALL_SPECIAL_INODE, Call},
    claim::RsvType,
    hook::HookId,
    inode::{COUNTERS_VALID, Counters},
};
use probe_simulated::{M, N};

use super::{
    call_stream::Calls,
    stream::{FS, ROOT},
};

const LEN: u64 = 16384;
/// `BTRFS_QGROUP_RSV_META_PREALLOC`
const PREALLOC: u64 = 2;
const ALL: [u64; 4] = [u64::MAX, 0, 0, 0];

/// A buffered write.
fn write(calls: &mut Calls) {
    calls.check(257, LEN, 0);
    calls.reserve(257, LEN, 0);
    calls.dirty(257, LEN);
    calls.release_extents(257, LEN);
}

#[test]
fn a_task_that_has_handed_on_everything_returns_silently() {
    let mut calls = Calls::new();
    for _ in 0..3 {
        write(&mut calls);
        calls.system_call_ends();
    }
    // The ordered extent ends in a worker, and the inode goes.
    calls.system_call_ends();
    calls.stream.unmount();
    calls.silent();
}

#[test]
fn extents_that_were_not_released_are_told_when_the_system_call_ends() {
    let mut calls = Calls::new();
    calls.check(257, LEN, 0);
    calls.reserve(257, LEN, 0);
    calls.dirty(257, LEN);
    calls.silent();
    calls.system_call_ends();
    let finding = calls.one("leak", "inode.outstanding_extents", 1);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), Some(257)));
    assert!(finding.violation.explanation.contains("when its system call ended"), "{finding:#?}");
    // Its next write is right, and the destroy of the inode shows what was told.
    write(&mut calls);
    calls.system_call_ends();
    let flags = COUNTERS_VALID;
    calls.stream.destroy_with(257, Counters { outstanding_extents: 1, flags, ..Counters::default() });
    calls.one("leak", "inode.outstanding_extents", 1);
}

/// A balance: the inode of the relocation tree has data of its own kind, and extents like all others.
#[test]
fn extents_that_relocation_keeps_are_told_when_its_system_call_ends() {
    for kept in [false, true] {
        let mut calls = Calls::new();
        let relocation = |call: &mut Call| {
            call.root = -9_i64 as u64;
            call.flags |= CALL_SPECIAL_INODE;
        };
        calls.call(HookId::ReserveMetadata, 257, [LEN, LEN, 0, 0], |call| {
            relocation(call);
            (call.extents, call.csum_bytes, call.calculations) = (1, LEN as i64, 1);
        });
        if !kept {
            calls.call(HookId::ReleaseExtents, 257, [LEN, 0, 0, 0], |call| {
                relocation(call);
                call.extents = -1;
            });
        }
        calls.system_call_ends();
        if kept {
            let finding = calls.one("leak", "inode.outstanding_extents", 1);
            assert_eq!((finding.violation.root, finding.violation.ino), (Some(-9_i64 as u64), Some(257)));
        } else {
            calls.silent();
        }
    }
}

/// Page faults: no system call of the thread ends between them.
#[test]
fn extents_that_were_not_released_are_told_when_the_next_operation_begins() {
    let mut calls = Calls::new();
    calls.reserve(257, LEN, 0);
    calls.dirty(257, LEN);
    calls.silent();
    write(&mut calls);
    let finding = calls.one("leak", "inode.outstanding_extents", 1);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), Some(257)));
    assert!(finding.violation.explanation.ends_with("when it began another operation."), "{finding:#?}");
    calls.system_call_ends();
    let flags = COUNTERS_VALID;
    calls.stream.destroy_with(257, Counters { outstanding_extents: 1, flags, ..Counters::default() });
    calls.one("leak", "inode.outstanding_extents", 1);
}

/// The last page fault of a thread.
#[test]
fn extents_that_were_not_released_are_told_when_the_thread_ends() {
    let mut calls = Calls::new();
    write(&mut calls);
    calls.thread_ends();
    calls.silent();
    calls.reserve(257, LEN, 0);
    calls.dirty(257, LEN);
    calls.thread_ends();
    let finding = calls.one("leak", "inode.outstanding_extents", 1);
    assert!(finding.violation.explanation.ends_with("when its thread ended."), "{finding:#?}");
}

#[test]
fn data_that_was_neither_freed_nor_handed_on_is_told_when_the_system_call_ends() {
    let mut calls = Calls::new();
    calls.check(257, LEN, 0);
    calls.reserve(257, LEN, 0);
    calls.release_extents(257, LEN);
    calls.system_call_ends();
    let finding = calls.one("leak", "space.data.bytes_may_use", LEN);
    assert_eq!(finding.violation.ino, Some(257));
    calls.check(257, LEN, 0);
    calls.free(257, LEN);
    calls.system_call_ends();
    calls.one("leak", "space.data.bytes_may_use", LEN);
}

#[test]
fn data_that_a_failing_write_keeps_is_told_when_the_system_call_ends() {
    let mut calls = Calls::new();
    calls.check(257, LEN, 0);
    calls.fail(257, LEN, 0, -28);
    calls.silent();
    calls.system_call_ends();
    assert_eq!(calls.one("error-path-leak", "space.data.bytes_may_use", LEN).violation.ino, Some(257));
}

#[test]
fn prealloc_of_a_subvolume_that_was_kept_is_told_when_the_system_call_ends() {
    let mut calls = Calls::new();
    let mut meta = |hook: HookId, bytes: u64| {
        calls.call(hook, 0, [bytes, PREALLOC, 0, 0], |call| call.flags |= CALL_QUOTAS);
    };
    meta(HookId::QgroupReserveMeta, 3 * N);
    meta(HookId::QgroupFreeMeta, N);
    calls.system_call_ends();
    let finding = calls.one("leak", "root.qgroup_meta_prealloc", 2 * N);
    assert_eq!(finding.violation.root, Some(ROOT));
}

#[test]
fn a_temporary_block_rsv_that_was_forgotten_is_told_when_the_system_call_ends() {
    let mut calls = Calls::new();
    calls.temp(HookId::BlockRsvAdd, 0x10, [M, 0, 0, 0], 0, M);
    calls.temp(HookId::BlockRsvRelease, 0x10, ALL, M, 0);
    calls.system_call_ends();
    calls.silent();
    calls.temp(HookId::BlockRsvAdd, 0x10, [M, 0, 0, 0], 0, M);
    calls.system_call_ends();
    calls.one("leak", "temp.rsv", M);
    // The memory is used again for another one.
    calls.temp(HookId::BlockRsvAdd, 0x10, [M, 0, 0, 0], 0, M);
    calls.temp(HookId::BlockRsvRelease, 0x10, ALL, M, 0);
    calls.system_call_ends();
    calls.one("leak", "temp.rsv", M);
}

/// A truncate fills its block_rsv from that of its handle.
#[test]
fn a_temporary_block_rsv_that_was_filled_from_a_handle_belongs_to_the_task() {
    let migrate = |calls: &mut Calls, from: RsvType| {
        calls.call(HookId::BlockRsvMigrate, 0, [0x10, M, 0, RsvType::Temp as u64], |call| {
            (call.rsv, call.rsv_type) = (0x7000, from as u32);
            call.flags |= CALL_RSV;
        });
    };
    let mut calls = Calls::new();
    migrate(&mut calls, RsvType::Trans);
    calls.temp(HookId::BlockRsvRelease, 0x10, ALL, M, 0);
    calls.system_call_ends();
    // Into the block_rsv of a relocation, from that of a snapshot.
    migrate(&mut calls, RsvType::Temp);
    calls.system_call_ends();
    calls.silent();
    migrate(&mut calls, RsvType::Trans);
    calls.system_call_ends();
    calls.one("leak", "temp.rsv", M);
}

/// A balance owns a block_rsv for as long as it runs, and others pay for blocks of its trees from it.
#[test]
fn the_block_rsv_of_another_task_is_not_forgotten_by_a_task_that_used_it() {
    let mut calls = Calls::new();
    calls.call(HookId::UseBlockRsv, 0, [ROOT, N, 0, 0], |call| {
        (call.rsv, call.rsv_type, call.ret) = (0x9000, RsvType::Temp as u32, 0x9000);
        call.flags |= CALL_RSV;
        call.after.reserved = M;
    });
    calls.system_call_ends();
    calls.silent();
}

#[test]
fn a_task_whose_call_was_not_seen_to_return_is_not_judged() {
    let mut calls = Calls::new();
    calls.check(257, LEN, 0);
    calls.reserve(257, LEN, 0);
    // A call inside one whose return was missed.
    calls.call(HookId::FreeReservedDataSpace, 257, [0, 4096, 0, 0], |call| call.parent = 4711);
    calls.system_call_ends();
    calls.silent();
}

#[test]
fn another_filesystem_is_not_judged_by_the_end_of_the_call() {
    let mut calls = Calls::new();
    calls.check(257, LEN, 0);
    let mut header = calls.stream.header(FS);
    header.fs = FS + 1;
    calls.stream.push(probe_common::task::Returned { header, ret: 0 });
    calls.silent();
}
