//! Extents on disk, from their reservation to the extent tree.
use probe_common::{
    call::CALL_FS_ERROR,
    hook::HookId::{
        self, ClearDelallocExtent, DelayedDataRef, OrderedExtentAdd, OrderedExtentRemove,
        RemoveOrderedExtent, ReserveExtent, ReservedExtentAlloc, ReservedExtentFree,
    },
};

use super::{call_stream::Calls, stream::ROOT};

const LEN: u64 = 65536;
const AT: u64 = 1 << 30;
const INO: u64 = 257;
const WORKER: u32 = 200;
const RESERVED: &str = "space.data.bytes_reserved";

/// The extent is in the hands of a task.
fn reserved() -> Calls {
    let mut calls = Calls::new();
    calls.check(INO, LEN, 0);
    calls.extent(ReserveExtent, 0, AT, LEN);
    calls
}

/// A worker has the ordered extent.
fn ordered() -> Calls {
    let mut calls = Calls::new();
    calls.extent(ReserveExtent, 0, AT, LEN);
    calls.extent(OrderedExtentAdd, INO, AT, LEN);
    calls.call(ClearDelallocExtent, INO, [0, LEN - 1, 0, 0], |_| {});
    calls.work_item_ends();
    calls.stream.tid = WORKER;
    calls
}

fn remove(calls: &mut Calls) {
    let inside = |calls: &mut Calls, _| calls.extent(OrderedExtentRemove, INO, AT, LEN);
    calls.around(RemoveOrderedExtent, INO, [0, LEN, LEN, 0], inside, |_| {});
    calls.work_item_ends();
}

fn findings(calls: &Calls) -> Vec<(String, u64)> {
    let named = |of: &crate::vocabulary::finding::Finding| {
        (format!("{} {}", of.violation.kind.name(), of.violation.account.name()), of.amount)
    };
    calls.findings().iter().filter(|of| of.violation.account.name() == RESERVED).map(named).collect()
}

#[test]
fn an_extent_that_gets_into_the_extent_tree_is_silent() {
    let mut calls = ordered();
    calls.extent(DelayedDataRef, 0, AT, LEN);
    remove(&mut calls);
    calls.extent(ReservedExtentAlloc, 0, AT, LEN);
    calls.stream.unmount();
    assert_eq!(findings(&calls), []);
}

/// The head ran before the event of its reference came.
#[test]
fn a_reference_whose_head_has_run_already_is_silent() {
    let mut calls = ordered();
    calls.extent(ReservedExtentAlloc, 0, AT, LEN);
    calls.extent(DelayedDataRef, 0, AT, LEN);
    remove(&mut calls);
    assert_eq!(findings(&calls), []);
}

#[test]
fn an_ordered_extent_that_fails_and_keeps_its_extent_is_a_leak_of_its_inode_at_its_removal() {
    let mut calls = ordered();
    remove(&mut calls);
    let found = calls.findings();
    let finding = found.iter().find(|of| of.violation.account.name() == RESERVED).unwrap();
    assert_eq!(finding.amount, LEN);
    assert_eq!((finding.violation.root, finding.violation.ino), (Some(ROOT), Some(INO)));
    assert_eq!(
        finding.violation.origins.first().map(|origin| origin.stack.id),
        Some(900 + ReserveExtent as u64)
    );
    // The level at unmount shows the same bytes.
    calls.stream.unmount_with(|levels| {
        if let Some(data) = levels.space.iter_mut().find(|space| space.flags == 1) {
            data.reserved = LEN;
        }
    });
    assert_eq!(findings(&calls), [(format!("leak {RESERVED}"), LEN)]);
}

#[test]
fn an_ordered_extent_that_frees_its_extent_is_silent() {
    let mut calls = ordered();
    calls.extent(ReservedExtentFree, 0, AT, LEN);
    remove(&mut calls);
    assert_eq!(findings(&calls), []);
}

/// A direct write splits its ordered extent where its bio ends.
#[test]
fn each_part_of_a_split_ordered_extent_is_judged_for_itself() {
    for kept in [false, true] {
        let mut calls = ordered();
        calls.extent(DelayedDataRef, 0, AT, LEN / 4);
        if !kept {
            calls.extent(ReservedExtentFree, 0, AT + LEN / 4, LEN / 4 * 3);
        }
        for (start, len) in [(AT, LEN / 4), (AT + LEN / 4, LEN / 4 * 3)] {
            let inside = |calls: &mut Calls, _| calls.extent(OrderedExtentRemove, INO, start, len);
            calls.around(RemoveOrderedExtent, INO, [0, len, len, 0], inside, |_| {});
        }
        let expected = if kept { vec![(format!("leak {RESERVED}"), LEN / 4 * 3)] } else { Vec::new() };
        assert_eq!(findings(&calls), expected);
    }
}

#[test]
fn what_a_task_still_has_when_its_system_call_ends_is_a_leak_of_the_inode_that_it_worked_on() {
    let mut calls = reserved();
    calls.system_call_ends();
    let found = calls.findings();
    let finding = found.iter().find(|of| of.violation.account.name() == RESERVED).unwrap();
    assert_eq!((finding.violation.ino, finding.amount), (Some(INO), LEN));
    assert!(finding.violation.explanation.contains("when its system call ended"), "{finding:#?}");
}

/// Writeback reserves nothing for the inode itself; the range that it gives up names it.
#[test]
fn what_writeback_keeps_is_a_leak_of_the_inode_whose_range_it_cleared() {
    let mut calls = Calls::new();
    calls.extent(ReserveExtent, 0, AT, LEN);
    calls.call(ClearDelallocExtent, INO, [0, LEN - 1, 0, 0], |_| {});
    calls.work_item_ends();
    let found = calls.findings();
    let finding = found.iter().find(|of| of.violation.account.name() == RESERVED).unwrap();
    assert_eq!((finding.violation.ino, finding.amount), (Some(INO), LEN));
}

#[test]
fn a_task_that_hands_its_extent_on_or_frees_it_is_silent() {
    for hook in [OrderedExtentAdd, DelayedDataRef, ReservedExtentFree] {
        let mut calls = reserved();
        calls.extent(hook, INO, AT, LEN);
        calls.system_call_ends();
        assert_eq!(findings(&calls), [], "{hook:?}");
    }
}

#[test]
fn an_extent_that_is_freed_twice_is_an_over_release() {
    let mut calls = reserved();
    calls.extent(ReservedExtentFree, 0, AT, LEN);
    calls.extent(ReservedExtentFree, 0, AT, LEN);
    assert_eq!(findings(&calls), [(format!("over-release {RESERVED}"), LEN)]);
}

/// The range is given back before the event: another task can have it by then.
#[test]
fn a_range_that_is_reserved_again_before_the_event_of_its_free_is_silent() {
    let mut calls = reserved();
    let first = calls.stream.tid;
    calls.stream.tid = WORKER;
    calls.extent(ReserveExtent, 0, AT, LEN);
    calls.stream.tid = first;
    calls.extent(ReservedExtentFree, 0, AT, LEN);
    calls.system_call_ends();
    calls.stream.tid = WORKER;
    calls.extent(OrderedExtentAdd, INO, AT, LEN);
    calls.extent(ReservedExtentFree, 0, AT, LEN);
    remove(&mut calls);
    assert_eq!(findings(&calls), []);
}

/// A worker frees the extent of a write that failed, and another task writes to the same range before the worker has removed its ordered extent.
#[test]
fn a_range_that_another_ordered_extent_has_before_the_removal_is_silent() {
    for seen in [true, false] {
        let mut calls = if seen { ordered() } else { Calls::new() };
        calls.stream.tid = WORKER;
        calls.extent(ReservedExtentFree, 0, AT, LEN);
        let other = WORKER + 1;
        calls.stream.tid = other;
        calls.extent(ReserveExtent, 0, AT, LEN);
        calls.extent(OrderedExtentAdd, INO, AT, LEN);
        calls.stream.tid = WORKER;
        remove(&mut calls);
        // The other one is followed all the same.
        calls.stream.tid = other;
        let mut kept = calls.clone();
        calls.extent(DelayedDataRef, 0, AT, LEN);
        remove(&mut calls);
        assert_eq!(findings(&calls), []);
        remove(&mut kept);
        assert_eq!(findings(&kept), [(format!("leak {RESERVED}"), LEN)]);
    }
}

#[test]
fn after_an_abort_nobody_judges_extents() {
    let mut calls = ordered();
    calls.call(HookId::ReleaseMetadata, INO, [LEN, 0, 0, 0], |call| call.flags |= CALL_FS_ERROR);
    remove(&mut calls);
    assert_eq!(findings(&calls), []);
}

/// Nobody removes it: only unmount shows it.
#[test]
fn an_extent_that_is_left_at_unmount_is_named_if_the_counter_has_it() {
    for left in [0, LEN] {
        let mut calls = ordered();
        calls.stream.unmount_with(|levels| {
            if let Some(data) = levels.space.iter_mut().find(|space| space.flags == 1) {
                data.reserved = left;
            }
        });
        let expected = if left == 0 { Vec::new() } else { vec![(format!("leak {RESERVED}"), LEN)] };
        assert_eq!(findings(&calls), expected);
    }
}
