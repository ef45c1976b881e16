//! The qgroup data of an inode when the last task that changed it has ended its system call or work item.
use probe_common::{
    call::{CALL_INODE, CALL_ORDERED, CALL_QUOTAS, CALL_QUOTAS_ENABLED, Call, STATE_DELALLOC, STATE_KNOWN},
    hook::HookId::{
        self, ClearDelallocExtent, ClearRecordBits, QgroupFreeData, QgroupReleaseData, QgroupReserveData,
        SetDelallocExtent, SetRecordBits,
    },
    inode::{COUNTERS_VALID, Counters},
};

use super::{call_stream::Calls, stream::ROOT};

const LEN: u64 = 16384;
const DATA: &str = "inode.qgroup_data";
const WORKER: u32 = 900;

/// The state of the inode when the call returns.
fn shows(call: &mut Call, dirty: u64, ordered: bool) {
    let counters = Counters { delalloc_bytes: dirty, flags: COUNTERS_VALID, ..Counters::default() };
    (call.before, call.after) = (counters, counters);
    call.flags |= CALL_INODE | if ordered { CALL_ORDERED } else { 0 };
}

/// A call that sets or takes off the marks of `LEN` bytes of the inode.
fn marks(calls: &mut Calls, hook: HookId, counter: i64, (dirty, ordered): (u64, bool)) {
    let bits = if hook == QgroupReserveData { SetRecordBits } else { ClearRecordBits };
    let inside = |calls: &mut Calls, serial| {
        calls.call(bits, 257, [0, LEN - 1, 0x1000, LEN], |call| call.parent = serial);
    };
    calls.around(hook, 257, [0, LEN, 0, 0], inside, |call| {
        shows(call, dirty, ordered);
        call.flags |= CALL_QUOTAS | CALL_QUOTAS_ENABLED;
        call.qgroup_data = counter;
    });
}

fn range(calls: &mut Calls, hook: HookId, dirty: u64) {
    let state = STATE_KNOWN | if hook == ClearDelallocExtent { STATE_DELALLOC } else { 0 };
    calls.call(hook, 257, [0, LEN - 1, 1 << 5, state], |call| shows(call, dirty, false));
}

/// Marks of a range that is dirty now.
fn written(calls: &mut Calls) {
    marks(calls, QgroupReserveData, LEN as i64, (0, false));
    range(calls, SetDelallocExtent, LEN);
    calls.system_call_ends();
}

#[test]
fn what_is_dirty_keeps_its_marks() {
    let mut calls = Calls::new();
    written(&mut calls);
    calls.silent();
}

/// `cow_file_range_inline()` clears the range, and after that frees its marks.
#[test]
fn marks_that_are_freed_after_the_range_are_no_leak() {
    let mut calls = Calls::new();
    written(&mut calls);
    range(&mut calls, ClearDelallocExtent, 0);
    marks(&mut calls, QgroupFreeData, -(LEN as i64), (0, false));
    calls.work_item_ends();
    calls.silent();
}

#[test]
fn marks_of_a_range_that_is_gone_are_told_when_its_task_ends() {
    let mut calls = Calls::new();
    written(&mut calls);
    range(&mut calls, ClearDelallocExtent, 0);
    calls.silent();
    calls.work_item_ends();
    let finding = calls.one("leak", DATA, LEN);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), Some(257)));
    assert!(finding.violation.explanation.contains("the work item that changed it last"), "{finding:#?}");
    // The end of the inode shows the same bytes.
    calls.stream.destroy(257);
    calls.one("leak", DATA, LEN);
}

/// A worker is between the range and its marks when another task ends.
#[test]
fn a_task_does_not_judge_what_another_one_is_in_the_middle_of() {
    let mut calls = Calls::new();
    written(&mut calls);
    let own = calls.stream.tid;
    calls.stream.tid = WORKER;
    range(&mut calls, ClearDelallocExtent, 0);
    calls.stream.tid = own;
    range(&mut calls, ClearDelallocExtent, 0);
    calls.system_call_ends();
    calls.silent();
    calls.stream.tid = WORKER;
    marks(&mut calls, QgroupFreeData, -(LEN as i64), (0, false));
    calls.work_item_ends();
    calls.silent();
}

/// Marks go to an ordered extent, which ends in a worker. The bytes are in the qgroup until a delayed ref has them.
#[test]
fn what_an_extent_took_over_is_told_when_its_worker_ends() {
    for kept in [false, true] {
        let mut calls = Calls::new();
        written(&mut calls);
        marks(&mut calls, QgroupReleaseData, 0, (LEN, false));
        range(&mut calls, ClearDelallocExtent, 0);
        calls.call(HookId::ReleaseMetadata, 257, [0, 0, 0, 0], |call| shows(call, 0, true));
        calls.system_call_ends();
        calls.silent();
        calls.stream.tid = WORKER;
        if !kept {
            calls.call(HookId::AllocReservedFileExtent, 257, [257, 0, LEN, 0], |call| {
                call.flags |= CALL_QUOTAS | CALL_QUOTAS_ENABLED;
            });
        }
        let metadata = |calls: &mut Calls, serial| {
            calls.call(HookId::ReleaseMetadata, 257, [LEN, 0, 0, 0], |call| {
                shows(call, 0, false);
                (call.parent, call.csum_bytes) = (serial, -(LEN as i64));
            });
        };
        calls.around(HookId::RemoveOrderedExtent, 257, [0, LEN, 0, 0], metadata, |call| {
            shows(call, 0, false);
            (call.extents, call.csum_bytes) = (-1, -(LEN as i64));
        });
        calls.work_item_ends();
        if kept {
            let finding = calls.one("leak", DATA, LEN);
            assert!(finding.violation.explanation.contains("the work item that changed it last"));
        } else {
            calls.silent();
        }
    }
}
