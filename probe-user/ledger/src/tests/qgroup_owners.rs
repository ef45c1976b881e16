//! Reservations in qgroups that no mark shows, and marks on which nothing is under way.
use probe_common::{
    call::{CALL_FS_ERROR, CALL_ORDERED, CALL_QUOTAS, CALL_QUOTAS_ENABLED, CALL_QUOTAS_SIMPLE, Call},
    hook::HookId::{
        self, AllocDataChunkOndemand, AllocReservedFileExtent, CheckDataFreeSpace, ClearDelallocExtent,
        ClearRecordBits, DelayedUpdateInode, InodeRsvRelease, QgroupAccountExtents, QgroupConvertMeta,
        QgroupEnd, QgroupFreeData, QgroupFreePertrans, QgroupFreeRefroot, QgroupReleaseData,
        QgroupReserveData, ReleaseExtents, SetRecordBits, StartTransaction,
    },
    inode::COUNTERS_VALID,
    loss::LossClass,
};

use super::{
    call_stream::Calls,
    stream::{ROOT, Stream},
};
use crate::ledger::Ledger;

const LEN: u64 = 8192;
const N: u64 = 16_384;
const DATA: &str = "inode.qgroup_data";
const PERTRANS: &str = "root.qgroup_meta_pertrans";
const QUOTAS: u32 = CALL_QUOTAS | CALL_QUOTAS_ENABLED;

/// What the counters of the inode show after a call: neither dirty data nor, without `ordered`, an ordered extent.
fn state(call: &mut Call, ordered: bool) {
    call.after.flags = COUNTERS_VALID;
    call.flags |= QUOTAS | if ordered { CALL_ORDERED } else { 0 };
}

/// A session that knows the subvolume's qgroup, and that its kernel shows ordered extents.
fn begin() -> Calls {
    let mut calls = Calls::new();
    calls.stream.commit(7);
    calls.call(DelayedUpdateInode, 999, [0, 0, 0, 0], |call| state(call, true));
    calls
}

/// A write of the inode marks its range.
fn mark(calls: &mut Calls, ino: u64) {
    calls.around(
        CheckDataFreeSpace,
        ino,
        [0, LEN, 0, 0],
        |calls, serial| reserve(calls, ino, serial),
        |call| state(call, false),
    );
    calls.free(ino, LEN);
}

fn reserve(calls: &mut Calls, ino: u64, parent: u32) {
    let inside = |calls: &mut Calls, serial| {
        calls.call(SetRecordBits, ino, [0, LEN - 1, 0x1000, LEN], |call| call.parent = serial);
    };
    calls.around(QgroupReserveData, ino, [0, LEN, 0, 0], inside, |call| {
        state(call, false);
        (call.qgroup_data, call.parent) = (LEN as i64, parent);
    });
}

fn unmark(calls: &mut Calls, hook: HookId, ino: u64) {
    let inside = |calls: &mut Calls, serial| {
        calls.call(ClearRecordBits, ino, [0, LEN - 1, 0x1000, LEN], |call| call.parent = serial);
    };
    calls.around(hook, ino, [0, LEN, 0, 0], inside, |call| {
        state(call, false);
        call.qgroup_data = if hook as u8 == QgroupFreeData as u8 { -(LEN as i64) } else { 0 };
    });
}

/// Marks a range and releases it for an ordered extent, which the inode has from then on.
fn release(calls: &mut Calls, ino: u64) {
    mark(calls, ino);
    unmark(calls, QgroupReleaseData, ino);
    calls.call(ClearDelallocExtent, ino, [0, LEN - 1, 0, 0], |call| state(call, true));
}

fn hand_over(calls: &mut Calls, ino: u64) {
    calls.call(AllocReservedFileExtent, 0, [ino, 0, LEN, 0], |call| call.flags |= QUOTAS);
}

/// Outside of the commit's accounting.
fn free(calls: &mut Calls, bytes: u64) {
    calls.call(QgroupFreeRefroot, 0, [ROOT, bytes, 0, 0], |call| call.flags |= QUOTAS);
}

/// The inode's last ordered extent is removed.
fn remove(calls: &mut Calls, ino: u64) {
    calls.call(DelayedUpdateInode, ino, [0; 4], |call| state(call, false));
}

fn account(calls: &mut Calls, bytes: u64) {
    let inside = |calls: &mut Calls, serial| {
        if bytes != 0 {
            calls.call(QgroupFreeRefroot, 0, [ROOT, bytes, 0, QgroupAccountExtents as u64], |call| {
                (call.parent, call.flags) = (serial, call.flags | QUOTAS);
            });
        }
    };
    calls.around(QgroupAccountExtents, 0, [0; 4], inside, |call| call.flags |= QUOTAS);
}

#[test]
fn released_bytes_that_are_handed_over_and_accounted_are_silent() {
    let mut calls = begin();
    for generation in 8..14 {
        release(&mut calls, 257);
        // A long write: its ordered extent outlives transactions.
        calls.stream.commit(2 * generation).commit(2 * generation + 1);
        hand_over(&mut calls, 257);
        remove(&mut calls, 257);
        account(&mut calls, LEN);
    }
    release(&mut calls, 258);
    free(&mut calls, LEN);
    remove(&mut calls, 258);
    calls.stream.commit(40).commit(41).commit(42).destroy(257).destroy(258);
    calls.silent();
}

#[test]
fn an_ordered_extent_that_ends_without_either_is_a_leak_of_its_inode_told_once() {
    let mut calls = begin();
    release(&mut calls, 257);
    remove(&mut calls, 257);
    calls.stream.commit(8);
    calls.silent();
    calls.stream.commit(9).commit(10).destroy(257);
    calls.call(QgroupEnd, 0, [ROOT, LEN, 0, 0], |call| call.flags |= probe_common::call::CALL_CLOSING);
    let finding = calls.one("leak", DATA, LEN);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), Some(257)));
    assert!(!finding.violation.origins.is_empty());

    let mut calls = begin();
    release(&mut calls, 257);
    remove(&mut calls, 257);
    calls.stream.destroy(257);
    calls.one("leak", DATA, LEN);
}

/// `fallocate` waits for space between the release and the delayed ref, and other tasks use the inode.
#[test]
fn a_task_that_still_has_what_it_released_is_no_leak() {
    let mut calls = begin();
    calls.call(AllocDataChunkOndemand, 257, [LEN, 0, 0, 0], |call| state(call, false));
    calls.spend(LEN);
    reserve(&mut calls, 257, 0);
    unmark(&mut calls, QgroupReleaseData, 257);
    let tid = calls.stream.tid;
    calls.stream.by(7);
    calls.call(DelayedUpdateInode, 257, [0; 4], |call| state(call, false));
    calls.stream.by(tid);
    calls.stream.commit(8).commit(9).commit(10).commit(11);
    calls.call(StartTransaction, 0, [1, 0, 0, 0], |call| call.flags |= QUOTAS);
    calls.stream.commit(12).commit(13);
    calls.silent();
    let mut failed = calls.clone();
    hand_over(&mut calls, 257);
    account(&mut calls, LEN);
    calls.stream.commit(14).commit(15).commit(16).destroy(257);
    calls.silent();
    free(&mut failed, LEN);
    failed.stream.commit(14).commit(15).commit(16).destroy(257);
    failed.silent();
}

#[test]
fn a_fallocate_that_fails_and_keeps_its_bytes_is_a_leak_when_its_task_goes_on() {
    let mut calls = begin();
    reserve(&mut calls, 257, 0);
    unmark(&mut calls, QgroupReleaseData, 257);
    calls.free(257, 0);
    calls.call(ClearDelallocExtent, 257, [0; 4], |call| state(call, false));
    calls.stream.commit(8).commit(9);
    calls.one("leak", DATA, LEN);
}

/// Where ordered extents are seen as they come, it is told when the system call ends.
#[test]
fn released_bytes_that_no_ordered_extent_has_are_lost_when_the_system_call_ends() {
    for added in [false, true] {
        let mut calls = begin();
        reserve(&mut calls, 257, 0);
        unmark(&mut calls, QgroupReleaseData, 257);
        let hook = if added { HookId::OrderedExtentAdd } else { HookId::ReserveExtent };
        calls.extent(hook, 257, 1 << 30, LEN);
        if !added {
            calls.extent(HookId::ReservedExtentFree, 0, 1 << 30, LEN);
        }
        calls.free(257, 0);
        calls.call(ClearDelallocExtent, 257, [0; 4], |call| state(call, added));
        calls.system_call_ends();
        if added {
            calls.silent();
        } else {
            let finding = calls.one("leak", DATA, LEN);
            assert_eq!(finding.violation.ino, Some(257));
        }
    }
}

/// The call that was missed may have freed them.
#[test]
fn after_a_missed_return_nothing_that_was_released_is_lost() {
    let mut calls = begin();
    reserve(&mut calls, 257, 0);
    unmark(&mut calls, QgroupReleaseData, 257);
    calls.extent(HookId::ReserveExtent, 257, 1 << 30, LEN);
    calls.extent(HookId::ReservedExtentFree, 0, 1 << 30, LEN);
    calls.call(HookId::ReleaseMetadata, 257, [0; 4], |call| call.parent = 1 << 20);
    calls.system_call_ends();
    calls.system_call_ends();
    calls.silent();
}

/// The destroy of an inode that only `fallocate` has used is not in the stream.
#[test]
fn what_an_inode_still_has_at_unmount_is_told_with_the_inode() {
    let mut calls = begin();
    reserve(&mut calls, 257, 0);
    unmark(&mut calls, QgroupReleaseData, 257);
    let end = |calls: &mut Calls, bytes: u64| {
        calls.call(QgroupEnd, 0, [ROOT, bytes, 0, 0], |call| call.flags |= probe_common::call::CALL_CLOSING);
    };
    let mut empty = calls.clone();
    end(&mut calls, LEN);
    let finding = calls.one("leak", DATA, LEN);
    assert_eq!(finding.violation.ino, Some(257));
    // The qgroup shows that they were freed.
    end(&mut empty, 0);
    empty.silent();
}

#[test]
fn more_freed_than_the_extent_had_is_an_over_release_of_its_inode() {
    let mut calls = begin();
    release(&mut calls, 257);
    free(&mut calls, 2 * LEN);
    remove(&mut calls, 257);
    let finding = calls.one("over-release", DATA, LEN);
    assert_eq!(finding.violation.ino, Some(257));

    let mut calls = begin();
    reserve(&mut calls, 257, 0);
    unmark(&mut calls, QgroupReleaseData, 257);
    free(&mut calls, LEN + 4096);
    calls.one("over-release", DATA, 4096);
}

#[test]
fn what_a_commit_does_not_free_of_its_heads_is_a_leak_of_the_subvolume() {
    let mut calls = begin();
    release(&mut calls, 257);
    hand_over(&mut calls, 257);
    remove(&mut calls, 257);
    let mut unseen = calls.clone();
    account(&mut calls, 0);
    calls.stream.commit(8).commit(9).commit(10);
    let finding = calls.one("leak", DATA, LEN);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), None));
    // The commit does not account at all.
    unseen.stream.commit(8);
    unseen.silent();
    unseen.stream.commit(9).commit(10);
    unseen.one("leak", DATA, LEN);

    let mut calls = begin();
    calls.stream.commit(8);
    account(&mut calls, LEN);
    calls.one("over-release", DATA, LEN);
}

/// Of an extent that was handed over before the session.
#[test]
fn the_first_commit_may_free_what_was_handed_over_before() {
    let mut calls = Calls::new();
    account(&mut calls, LEN);
    calls.stream.commit(7);
    account(&mut calls, LEN);
    calls.silent();
}

#[test]
fn owners_are_not_judged_with_simple_quotas_while_quotas_end_or_after_an_abort() {
    for (flags, end) in [(CALL_QUOTAS_SIMPLE, false), (0, true), (CALL_FS_ERROR, false)] {
        let mut calls = begin();
        release(&mut calls, 257);
        calls.call(AllocReservedFileExtent, 0, [257, 0, LEN, 0], |call| {
            call.flags |= CALL_QUOTAS | flags | if end { 0 } else { CALL_QUOTAS_ENABLED };
        });
        remove(&mut calls, 257);
        calls.stream.commit(8).commit(9).commit(10).destroy(257);
        calls.silent();
    }
    // The qgroup is deleted.
    let mut calls = begin();
    release(&mut calls, 257);
    remove(&mut calls, 257);
    calls.call(QgroupEnd, 0, [ROOT, LEN, 0, 0], |_| {});
    calls.stream.commit(8).commit(9).destroy(257);
    calls.silent();
}

#[test]
fn nothing_from_before_a_loss_is_judged() {
    let mut calls = begin();
    release(&mut calls, 257);
    remove(&mut calls, 257);
    start(&mut calls, N);
    mark(&mut calls, 258);
    calls.stream.lose(LossClass::BooksRecord, 1).sample();
    calls.stream.commit(8).commit(9).commit(10).destroy(257).sample();
    assert_eq!(calls.stream.findings(), []);
}

/// The hooks of a session without those for owners.
#[test]
fn owners_are_not_judged_where_their_calls_are_not_hooked() {
    let mut calls = begin();
    release(&mut calls, 257);
    remove(&mut calls, 257);
    start(&mut calls, N);
    calls.stream.commit(8).commit(9).destroy(257);
    let mut setup = super::calls::functions();
    setup.attached.retain(|hook| *hook as u8 <= 62);
    let mut ledger = Ledger::new(setup);
    calls.stream.records.iter().for_each(|record| ledger.apply(record));
    ledger.finish();
    assert_eq!(ledger.findings(), []);
}

/// A start of a transaction that adds these bytes to `META_PERTRANS`.
fn start(calls: &mut Calls, bytes: u64) {
    let inside = |calls: &mut Calls, serial| convert(calls, bytes, serial);
    calls.around(StartTransaction, 0, [1, 0, 0, 0], inside, |call| {
        (call.root, call.flags) = (ROOT, call.flags | QUOTAS);
    });
}

fn convert(calls: &mut Calls, bytes: u64, parent: u32) {
    if parent != 0 {
        calls.call(HookId::QgroupReserveMeta, 0, [bytes, 2, 1, 0], |call| {
            call.parent = parent;
        });
    }
    calls.call(QgroupConvertMeta, 0, [bytes, 0, 0, 0], |call| {
        (call.parent, call.flags, call.qgroup_data) = (parent, call.flags | QUOTAS, bytes as i64);
    });
}

fn free_pertrans(calls: &mut Calls, bytes: u64) {
    calls.call(QgroupFreePertrans, 0, [0; 4], |call| {
        (call.flags, call.qgroup_data) = (call.flags | QUOTAS, -(bytes as i64));
    });
}

#[test]
fn a_commit_frees_what_transactions_converted() {
    let mut calls = begin();
    for generation in 8..12 {
        start(&mut calls, N);
        start(&mut calls, 2 * N);
        free_pertrans(&mut calls, 3 * N);
        calls.stream.commit(generation);
    }
    // After the commit of its transaction: stays until the subvolume is changed again.
    convert(&mut calls, N, 0);
    calls.stream.commit(12).commit(13).commit(14);
    calls.silent();
    start(&mut calls, N);
    calls.stream.commit(15).commit(15);
    calls.silent();
    calls.stream.commit(16);
    let finding = calls.one("leak", PERTRANS, 2 * N);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), None));
}

/// Each byte is told once, also at unmount, and what was freed after all hides nothing there.
#[test]
fn pertrans_that_was_told_is_not_told_again_at_unmount() {
    let end = |calls: &mut Calls, bytes: u64| {
        calls.call(QgroupEnd, 0, [ROOT, 0, bytes, 0], |call| call.flags |= probe_common::call::CALL_CLOSING);
    };
    let amounts = |calls: &Calls| calls.findings().iter().map(|of| of.amount).collect::<Vec<_>>();
    let mut calls = begin();
    start(&mut calls, N);
    calls.stream.commit(8).commit(9);
    let mut healed = calls.clone();
    end(&mut calls, 3 * N);
    assert_eq!(amounts(&calls).iter().sum::<u64>(), 3 * N, "{:#?}", calls.findings());
    free_pertrans(&mut healed, N);
    end(&mut healed, 2 * N);
    assert_eq!(amounts(&healed).iter().sum::<u64>(), 3 * N, "{:#?}", healed.findings());
}

#[test]
fn a_commit_that_leaves_pertrans_in_the_counter_is_a_leak() {
    for (freed, left) in [(0, 2 * N), (N, N)] {
        let mut calls = begin();
        start(&mut calls, 2 * N);
        free_pertrans(&mut calls, freed);
        calls.stream.commit(8).commit(9);
        calls.one("leak", PERTRANS, left);
    }
    // While quotas are being switched off the kernel frees nothing.
    let mut calls = begin();
    start(&mut calls, N);
    calls.call(QgroupFreePertrans, 0, [0; 4], |call| call.flags |= CALL_QUOTAS);
    calls.stream.commit(8).commit(9);
    calls.silent();
}

#[test]
fn the_end_of_an_operation_frees_prealloc_and_does_not_convert_it() {
    let shed = |calls: &mut Calls, bytes: u64| {
        let inside = |calls: &mut Calls, serial| {
            let inside = |calls: &mut Calls, serial| {
                calls.call(HookId::BlockRsvRelease, 257, [0, bytes, 0, 0], |call| {
                    (call.parent, call.rsv_type) = (serial, probe_common::claim::RsvType::Delalloc as u32);
                    call.flags |= probe_common::call::CALL_RSV;
                });
                if bytes != 0 {
                    convert(calls, bytes, serial);
                    let last = calls.stream.records.len() - 2;
                    calls.stream.records.remove(last);
                }
            };
            calls.around(InodeRsvRelease, 257, [0; 4], inside, |call| call.parent = serial);
        };
        calls.around(ReleaseExtents, 257, [LEN, 0, 0, 0], inside, |call| {
            (call.extents, call.calculations, call.flags) = (-1, 1, call.flags | QUOTAS);
        });
    };
    let mut calls = begin();
    calls.reserve(257, LEN, 0);
    shed(&mut calls, 0);
    calls.silent();
    calls.reserve(257, LEN, 0);
    shed(&mut calls, N);
    let finding = calls.one("leak", "root.qgroup_meta_prealloc", N);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), Some(257)));
}

/// The write is over: its range is dirty, and then not any more.
fn written(calls: &mut Calls, ino: u64) {
    mark(calls, ino);
    calls.reserve(ino, LEN, 0);
    calls.release_extents(ino, LEN);
    calls.call(ClearDelallocExtent, ino, [0, LEN - 1, 0, 0], |call| state(call, false));
}

#[test]
fn marks_of_an_inode_on_which_nothing_happens_are_a_leak_told_once() {
    let mut calls = begin();
    written(&mut calls, 257);
    calls.stream.commit(8).commit(8);
    calls.silent();
    calls.stream.commit(9).commit(10).commit(11).destroy(257);
    let finding = calls.one("leak", DATA, LEN);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), Some(257)));
    assert!(finding.violation.stack.id != 0 && !finding.violation.origins.is_empty());
}

#[test]
fn marks_are_kept_by_dirty_data_ordered_extents_and_open_operations() {
    let commits = |stream: &mut Stream| {
        stream.commit(8).commit(9).commit(10).commit(11);
    };
    for (dirty, ordered) in [(LEN, false), (0, true)] {
        let mut calls = begin();
        written(&mut calls, 257);
        calls.call(ClearDelallocExtent, 257, [0, LEN - 1, 0, 0], |call| {
            state(call, ordered);
            call.after.delalloc_bytes = dirty;
        });
        commits(&mut calls.stream);
        unmark(&mut calls, QgroupFreeData, 257);
        calls.silent();
    }
    // A write and a preallocation wait for space.
    let mut calls = begin();
    mark(&mut calls, 257);
    commits(&mut calls.stream);
    unmark(&mut calls, QgroupFreeData, 257);
    let mut other = begin();
    reserve(&mut other, 257, 0);
    commits(&mut other.stream);
    unmark(&mut other, QgroupFreeData, 257);
    calls.silent();
    other.silent();
}

/// What was told and then given back must not hide what a qgroup holds at unmount.
#[test]
fn marks_that_were_told_and_freed_later_hide_no_other_leak() {
    let mut calls = begin();
    written(&mut calls, 257);
    calls.stream.commit(8).commit(9).commit(10);
    unmark(&mut calls, QgroupFreeData, 257);
    calls.stream.destroy(257);
    calls.call(QgroupEnd, 0, [ROOT, LEN, 0, 0], |call| call.flags |= probe_common::call::CALL_CLOSING);
    assert_eq!(calls.findings().len(), 2, "{:#?}", calls.findings());
}

/// `btrfs_commit_device_sizes` runs after the commit has freed all of them, and before another transaction can start.
#[test]
fn what_a_commit_does_not_free_of_its_transaction_is_told_at_its_end() {
    let end = |calls: &mut Calls, quotas| {
        calls.call(HookId::CommitDeviceSizes, 0, [8, 0, 0, 0], |call| call.flags = quotas);
    };
    let mut calls = begin();
    start(&mut calls, N);
    // Quotas are being switched off: the commit frees nothing, and that is right.
    let mut switched = calls.clone();
    end(&mut switched, 0);
    switched.silent();
    let mut freed = calls.clone();
    free_pertrans(&mut freed, N);
    end(&mut freed, QUOTAS);
    // Of the next transaction, while this one is not quite over.
    start(&mut freed, N);
    freed.stream.commit(9);
    free_pertrans(&mut freed, N);
    end(&mut freed, QUOTAS);
    freed.stream.commit(9);
    freed.silent();
    end(&mut calls, QUOTAS);
    calls.stream.commit(8).commit(9).commit(10);
    let finding = calls.one("leak", PERTRANS, N);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), None));
    assert!(finding.violation.explanation.contains("transaction 8"), "{finding:#?}");
}

/// With simple quotas a head of delayed refs frees the data when it runs.
#[test]
fn what_heads_keep_of_simple_quotas_is_told_at_the_end_of_their_transaction() {
    let simple = QUOTAS | CALL_QUOTAS_SIMPLE;
    let end = |calls: &mut Calls| {
        calls.call(HookId::CommitDeviceSizes, 0, [8, 0, 0, 0], |call| call.flags = simple);
    };
    let mut calls = Calls::new();
    calls.call(AllocReservedFileExtent, 0, [257, 0, LEN, 0], |call| (call.root, call.flags) = (ROOT, simple));
    let mut freed = calls.clone();
    freed.call(QgroupFreeRefroot, 0, [ROOT, LEN, 0, 0], |call| call.flags = simple);
    end(&mut freed);
    freed.silent();
    end(&mut calls);
    end(&mut calls);
    assert_eq!(calls.one("leak", DATA, LEN).violation.root, Some(ROOT));
}
