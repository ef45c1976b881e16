//! Reservations in qgroups, call by call.
use probe_common::{
    call::{BYTES_UNKNOWN, CALL_CLOSING, CALL_FOREIGN, CALL_FS_ERROR, CALL_QUOTAS, CALL_RSV, Call},
    claim::RsvType,
    hook::HookId,
};
use probe_simulated::M;

use super::{call_stream::Calls, stream::ROOT};
use crate::ledger::Ledger;

const N: u64 = 16_384;
const LEN: u64 = 8192;
const PREALLOC: u64 = 2;
const NO_SPACE: i64 = -28;
const OVER_LIMIT: i64 = -122;

/// Calls inside another one: each takes or gives back prealloc.
#[derive(Clone, Copy)]
enum Meta {
    Reserve(u64),
    Refuse(u64),
    Free(u64),
    Convert(u64),
}

fn meta(calls: &mut Calls, parent: u32, changes: &[Meta]) {
    for change in changes {
        let (hook, args, ret) = match *change {
            Meta::Reserve(bytes) => (HookId::QgroupReserveMeta, [bytes, PREALLOC, 1, 0], 0),
            Meta::Refuse(bytes) => (HookId::QgroupReserveMeta, [bytes, PREALLOC, 1, 0], OVER_LIMIT),
            Meta::Free(bytes) => (HookId::QgroupFreeMeta, [bytes, PREALLOC, 0, 0], 0),
            Meta::Convert(bytes) => (HookId::QgroupConvertMeta, [bytes, 0, 0, 0], 0),
        };
        calls.call(hook, 0, args, |call| (call.parent, call.ret) = (parent, ret));
    }
}

fn quotas(call: &mut Call) {
    call.flags |= CALL_QUOTAS;
}

fn reserve(calls: &mut Calls, ino: u64, ret: i64, changes: &[Meta]) {
    let inside = |calls: &mut Calls, serial| {
        meta(calls, serial, changes);
        if ret == 0 {
            calls.call(HookId::BlockRsvAddBytes, ino, [M, 0, 0, 0], |call| call.parent = serial);
        }
    };
    calls.around(HookId::ReserveMetadata, ino, [LEN, LEN, 0, 0], inside, |call| {
        quotas(call);
        call.ret = ret;
        if ret == 0 {
            (call.extents, call.csum_bytes, call.calculations) = (1, LEN as i64, 1);
        }
    });
}

/// `btrfs_inode_rsv_release` whose block_rsv has `due` bytes of its qgroup half to release.
fn shed(calls: &mut Calls, ino: u64, due: u64, changes: &[Meta]) {
    let inside = |calls: &mut Calls, serial| {
        calls.call(HookId::BlockRsvRelease, ino, [0, due, 0, 0], |call| {
            (call.parent, call.rsv_type) = (serial, RsvType::Delalloc as u32);
            call.flags |= CALL_RSV;
        });
        meta(calls, serial, changes);
    };
    calls.around(HookId::InodeRsvRelease, ino, [1, 0, 0, 0], inside, quotas);
}

const ACCOUNT: &str = "root.qgroup_meta_prealloc";

#[test]
fn a_failed_reservation_gives_its_prealloc_back_once() {
    let mut calls = Calls::new();
    reserve(&mut calls, 257, NO_SPACE, &[Meta::Reserve(N), Meta::Free(N)]);
    reserve(&mut calls, 257, OVER_LIMIT, &[Meta::Refuse(N), Meta::Refuse(N)]);
    calls.silent();
    reserve(&mut calls, 257, NO_SPACE, &[Meta::Reserve(N)]);
    let finding = calls.one("error-path-leak", ACCOUNT, N);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), Some(257)));
    assert!(!finding.violation.origins.is_empty());

    let mut calls = Calls::new();
    reserve(&mut calls, 258, NO_SPACE, &[Meta::Reserve(N), Meta::Free(N), Meta::Free(N)]);
    calls.one("error-path-over-release", ACCOUNT, N);

    let mut calls = Calls::new();
    reserve(&mut calls, 258, NO_SPACE, &[Meta::Reserve(2 * N), Meta::Free(N)]);
    calls.one("error-path-leak", ACCOUNT, N);
}

#[test]
fn what_the_inode_books_is_what_was_reserved() {
    let mut calls = Calls::new();
    reserve(&mut calls, 257, 0, &[Meta::Reserve(N)]);
    shed(&mut calls, 257, N, &[Meta::Convert(N)]);
    calls.silent();
    calls.stream.by(101);
    reserve(&mut calls, 258, 0, &[]);
    calls.one("over-release", ACCOUNT, N);

    let mut calls = Calls::new();
    reserve(&mut calls, 257, 0, &[Meta::Reserve(N)]);
    shed(&mut calls, 257, N, &[]);
    let finding = calls.one("leak", ACCOUNT, N);
    assert_eq!(finding.violation.ino, Some(257));

    let mut calls = Calls::new();
    shed(&mut calls, 257, N, &[Meta::Free(N), Meta::Convert(N)]);
    calls.one("over-release", ACCOUNT, N);
}

/// Quotas were switched on or off during the call, so a part of it is missing.
#[test]
fn calls_across_a_switch_of_quotas_are_not_judged() {
    let mut calls = Calls::new();
    let inside = |calls: &mut Calls, serial| meta(calls, serial, &[Meta::Free(N)]);
    calls.around(HookId::StartTransaction, 0, [1, 0, 0, 0], inside, |call| call.root = ROOT);
    calls.silent();
}

#[test]
fn a_transaction_converts_what_it_reserved() {
    let start = |calls: &mut Calls, ret: i64, changes: &[Meta]| {
        let inside = |calls: &mut Calls, serial| meta(calls, serial, changes);
        calls.around(HookId::StartTransaction, 0, [2, 0, 0, 0], inside, |call| {
            quotas(call);
            call.ret = ret;
        });
    };
    let mut calls = Calls::new();
    start(&mut calls, 0, &[Meta::Reserve(2 * N), Meta::Convert(2 * N)]);
    start(&mut calls, NO_SPACE, &[Meta::Reserve(2 * N), Meta::Free(2 * N)]);
    start(&mut calls, 0, &[]);
    calls.silent();
    start(&mut calls, NO_SPACE, &[Meta::Reserve(2 * N), Meta::Free(N)]);
    let finding = calls.one("error-path-leak", ACCOUNT, N);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), None));
}

#[test]
fn a_delayed_node_gives_back_what_it_holds() {
    let release = |calls: &mut Calls, released: u64, changes: &[Meta]| {
        let inside = |calls: &mut Calls, serial| {
            calls.call(HookId::BlockRsvRelease, 0, [released, 0, 0, 0], |call| {
                (call.parent, call.rsv, call.rsv_type) = (serial, 0x30, RsvType::DelayedOps as u32);
                call.flags |= CALL_RSV;
            });
            meta(calls, serial, changes);
        };
        calls.around(HookId::DelayedInodeRelease, 0, [257, M, 0, 0], inside, quotas);
    };
    let update = |calls: &mut Calls, ret: i64, changes: &[Meta]| {
        let inside = |calls: &mut Calls, serial| meta(calls, serial, changes);
        calls.around(HookId::DelayedUpdateInode, 257, [0; 4], inside, |call| {
            quotas(call);
            call.ret = ret;
        });
    };
    let mut calls = Calls::new();
    update(&mut calls, 0, &[Meta::Reserve(M)]);
    update(&mut calls, 0, &[]);
    update(&mut calls, NO_SPACE, &[Meta::Reserve(M), Meta::Free(M)]);
    // Converts also what was migrated and never taken as prealloc.
    release(&mut calls, M, &[Meta::Convert(M)]);
    release(&mut calls, M, &[Meta::Free(M)]);
    calls.silent();
    release(&mut calls, M, &[]);
    calls.one("leak", ACCOUNT, M);

    let mut calls = Calls::new();
    release(&mut calls, M - N, &[Meta::Convert(M)]);
    let finding = calls.one("leak", "fs.delayed_rsv", N);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), Some(257)));

    let mut calls = Calls::new();
    update(&mut calls, NO_SPACE, &[Meta::Reserve(M)]);
    calls.one("error-path-leak", ACCOUNT, M);
}

#[test]
fn an_operation_on_subvolumes_gives_back_to_the_subvolume_that_it_took_from() {
    let mut calls = Calls::new();
    meta(&mut calls, 0, &[Meta::Reserve(3 * N), Meta::Convert(3 * N)]);
    // Taken before the session, and all that a deleted subvolume has.
    meta(&mut calls, 0, &[Meta::Free(3 * N), Meta::Reserve(N), Meta::Convert(i32::MAX as u64)]);
    calls.silent();
    meta(&mut calls, 0, &[Meta::Reserve(3 * N), Meta::Free(4 * N)]);
    calls.one("over-release", ACCOUNT, N);

    let mut calls = Calls::new();
    meta(&mut calls, 0, &[Meta::Reserve(3 * N)]);
    calls.call(HookId::QgroupConvertMeta, 0, [3 * N, 0, 0, 0], |call| call.root = 300);
    let finding = calls.one("wrong-owner", ACCOUNT, 3 * N);
    assert_eq!(finding.violation.root, Some(300));

    let mut calls = Calls::new();
    meta(&mut calls, 0, &[Meta::Reserve(3 * N)]);
    calls.stream.unmount();
    calls.one("leak", ACCOUNT, 3 * N);
}

/// A call that changes the qgroup's counter by `counter` and marks of `bytes`.
fn data(calls: &mut Calls, hook: HookId, ino: u64, bytes: u64, counter: i64, ret: i64) {
    let mark = if hook as u8 == QgroupReserveData as u8 { SetRecordBits } else { ClearRecordBits };
    let inside = |calls: &mut Calls, serial| {
        calls.call(mark, ino, [0, LEN - 1, 0x1000, bytes], |call| call.parent = serial);
    };
    calls.around(hook, ino, [0, LEN, 0, 0], inside, |call| {
        quotas(call);
        (call.qgroup_data, call.ret) = (counter, ret);
    });
}

use HookId::{ClearRecordBits, QgroupFreeData, QgroupReleaseData, QgroupReserveData, SetRecordBits};

const DATA: &str = "inode.qgroup_data";
const BYTES: i64 = LEN as i64;

#[test]
fn marks_and_the_counter_of_the_qgroup_move_together() {
    let mut calls = Calls::new();
    data(&mut calls, QgroupReserveData, 257, LEN, BYTES, 0);
    data(&mut calls, QgroupReserveData, 257, 0, 0, 0);
    data(&mut calls, QgroupFreeData, 257, LEN, -BYTES, 0);
    data(&mut calls, QgroupReserveData, 257, LEN, BYTES, 0);
    data(&mut calls, QgroupReleaseData, 257, LEN, 0, 0);
    calls.stream.destroy(257);
    calls.silent();
    data(&mut calls, QgroupReserveData, 257, LEN, BYTES, 0);
    data(&mut calls, QgroupFreeData, 257, LEN, 0, 0);
    let finding = calls.one("leak", DATA, LEN);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), Some(257)));

    for (hook, counter, ret, kind) in [
        (QgroupFreeData, -2 * BYTES, 0, "over-release"),
        (QgroupFreeData, 4096 - BYTES, 0, "leak"),
        (QgroupReserveData, 0, 0, "over-release"),
        (QgroupReserveData, 2 * BYTES, 0, "leak"),
        (QgroupReserveData, BYTES, OVER_LIMIT, "error-path-leak"),
        (QgroupReleaseData, -BYTES, 0, "over-release"),
    ] {
        let mut calls = Calls::new();
        data(&mut calls, QgroupReserveData, 257, LEN, BYTES, 0);
        data(&mut calls, hook, 257, LEN, counter, ret);
        calls.one(kind, DATA, if counter == 4096 - BYTES { 4096 } else { LEN });
    }
}

/// Two tasks write one range. One marks it, the other frees the marks and returns first.
#[test]
fn a_free_of_marks_that_returns_before_their_reservation_is_no_leak() {
    let mut calls = Calls::new();
    data(&mut calls, QgroupReserveData, 258, LEN, BYTES, 0);
    data(&mut calls, QgroupFreeData, 257, LEN, -BYTES, 0);
    data(&mut calls, QgroupReserveData, 257, LEN, BYTES, 0);
    data(&mut calls, QgroupFreeData, 258, LEN, -BYTES, 0);
    calls.stream.destroy(257).destroy(258);
    calls.silent();
}

/// The call met the limit and flushed, meanwhile quotas were switched off and on, and another task has reserved in the new qgroup.
#[test]
fn a_reservation_that_outlives_its_qgroup_is_not_judged() {
    let mut calls = Calls::new();
    data(&mut calls, QgroupReserveData, 258, LEN, BYTES, 0);
    let inside = |calls: &mut Calls, serial| {
        calls.call(HookId::QgroupEnd, 0, [ROOT, LEN, 0, 0], |_| {});
        data(calls, QgroupReserveData, 259, LEN, BYTES, 0);
        calls.call(SetRecordBits, 257, [0, LEN - 1, 0x1000, LEN], |call| call.parent = serial);
    };
    calls.around(QgroupReserveData, 257, [0, LEN, 0, 0], inside, |call| {
        quotas(call);
        // Before the end of the qgroup.
        call.entered -= 4_500;
    });
    calls.stream.destroy(257);
    calls.silent();
}

/// The subvolume has no qgroup (it was deleted, or quotas are being set up), so marks count nowhere.
#[test]
fn marks_without_a_qgroup_are_not_judged() {
    let mut calls = Calls::new();
    data(&mut calls, QgroupReserveData, 257, LEN, 0, 0);
    data(&mut calls, QgroupFreeData, 257, LEN, 0, 0);
    data(&mut calls, QgroupReserveData, 257, LEN, 0, 0);
    calls.stream.destroy(257);
    calls.silent();
    // The qgroup is deleted with marks on an inode.
    data(&mut calls, QgroupReserveData, 258, LEN, BYTES, 0);
    calls.call(HookId::QgroupEnd, 0, [ROOT, LEN, 0, 0], |_| {});
    data(&mut calls, QgroupFreeData, 258, LEN, 0, 0);
    calls.silent();
    // The kernel did not keep how much it was, also if the reservation returns later.
    data(&mut calls, QgroupReserveData, 259, LEN, BYTES, 0);
    data(&mut calls, QgroupFreeData, 259, BYTES_UNKNOWN, -BYTES, 0);
    data(&mut calls, QgroupReserveData, 259, LEN, BYTES, 0);
    calls.stream.destroy(259);
    calls.silent();
}

/// Also if the range was thrown away, and the marks with it.
#[test]
fn marks_that_are_left_at_the_end_of_the_inode_are_a_leak() {
    let mut calls = Calls::new();
    data(&mut calls, QgroupReserveData, 257, LEN, BYTES, 0);
    calls.stream.destroy(257);
    let finding = calls.one("leak", DATA, LEN);
    assert_eq!(finding.violation.ino, Some(257));
    // More is freed than was seen to be marked: marks from before the session.
    let mut calls = Calls::new();
    data(&mut calls, QgroupReserveData, 258, LEN, BYTES, 0);
    data(&mut calls, QgroupFreeData, 258, 2 * LEN, -2 * BYTES, 0);
    calls.stream.destroy(258);
    calls.silent();
}

#[test]
fn a_qgroup_holds_nothing_at_unmount() {
    let end = |calls: &mut Calls, flags: u32, args: [u64; 4]| {
        calls.call(HookId::QgroupEnd, 0, args, |call| call.flags |= flags);
    };
    let mut calls = Calls::new();
    end(&mut calls, CALL_CLOSING, [ROOT, 0, 0, 0]);
    end(&mut calls, 0, [256, LEN, N, N]);
    calls.silent();
    for (args, account, amount) in [
        ([ROOT, LEN, 0, 0], DATA, LEN),
        ([ROOT, 0, N, 0], "root.qgroup_meta_pertrans", N),
        ([ROOT, 0, 0, N], ACCOUNT, N),
    ] {
        let mut calls = Calls::new();
        end(&mut calls, CALL_CLOSING, args);
        // Its parent counts the same bytes.
        end(&mut calls, CALL_CLOSING, [1 << 48 | 7, args[1], args[2], args[3]]);
        let finding = calls.one("leak", account, amount);
        assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), None));
    }
    // After an abort the kernel gives up what is left.
    let mut calls = Calls::new();
    end(&mut calls, CALL_CLOSING | CALL_FS_ERROR, [ROOT, LEN, N, N]);
    calls.silent();
    // A call has named the same bytes before.
    let mut calls = Calls::new();
    reserve(&mut calls, 257, NO_SPACE, &[Meta::Reserve(N)]);
    end(&mut calls, CALL_CLOSING, [ROOT, 0, 0, N]);
    calls.one("error-path-leak", ACCOUNT, N);
}

/// Two bugs of one subvolume are two findings, so that one that is known does not hide the other.
#[test]
fn two_paths_of_one_subvolume_are_two_findings() {
    let mut calls = Calls::new();
    for stack in [7, 8, 8] {
        let inside = |calls: &mut Calls, serial| meta(calls, serial, &[Meta::Reserve(N)]);
        calls.around(HookId::StartTransaction, 0, [1, 0, 0, 0], inside, |call| {
            quotas(call);
            (call.ret, call.stack) = (NO_SPACE, stack);
        });
    }
    let counts: Vec<u64> = calls.findings().iter().map(|finding| finding.count).collect();
    assert_eq!(counts.len(), 2);
    assert_eq!(counts.iter().sum::<u64>(), 3);
}

/// A kernel on which the frees are inlined: what was taken seems never to come back.
#[test]
fn prealloc_is_not_judged_where_its_frees_are_not_seen() {
    let mut calls = Calls::new();
    meta(&mut calls, 0, &[Meta::Reserve(3 * N)]);
    reserve(&mut calls, 257, NO_SPACE, &[Meta::Reserve(N)]);
    calls.stream.unmount();
    let mut setup = super::calls::functions();
    setup.attached.retain(|hook| *hook != HookId::QgroupFreeMeta);
    let mut ledger = Ledger::new(setup);
    calls.stream.records.iter().for_each(|record| ledger.apply(record));
    ledger.finish();
    assert_eq!(ledger.findings(), []);
}

#[test]
fn prealloc_that_goes_back_to_the_qgroup_of_another_subvolume_is_of_the_wrong_owner() {
    let mut calls = Calls::new();
    let free = |calls: &mut Calls, flags: u32| {
        calls.call(HookId::QgroupFreeMeta, 0, [N, PREALLOC, 0, 0], |call| call.flags |= flags);
    };
    free(&mut calls, 0);
    calls.silent();
    free(&mut calls, CALL_FOREIGN);
    assert_eq!(calls.one("wrong-owner", ACCOUNT, N).violation.root, Some(ROOT));
}
