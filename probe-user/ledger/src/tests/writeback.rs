//! Dirty ranges that end: written back with an extent, or freed.
use probe_common::{
    call::{STATE_DELALLOC, STATE_KNOWN, STATE_NORESERVE},
    hook::HookId,
};

use super::call_stream::Calls;

const LEN: u64 = 65536;
const DELALLOC: u64 = 1 << 5;
const DATA_RESV: u64 = 1 << 13;

impl Calls {
    /// A task makes a range dirty that it had reserved.
    fn written(&mut self, ino: u64, len: u64) {
        self.check(ino, len, 0);
        self.reserve(ino, len, 0);
        self.dirty(ino, len);
        self.release_extents(ino, len);
    }

    /// A worker clears a dirty range.
    fn clear(&mut self, ino: u64, len: u64, bits: u64, state: u64) {
        self.stream.by(200);
        let args = [0, len - 1, bits, state];
        let freed = bits & DATA_RESV != 0 && state & STATE_NORESERVE == 0;
        let inside = |calls: &mut Self, parent| {
            if freed {
                calls.call(HookId::FreeReservedDataSpaceNoquota, ino, [len, 0, 0, 0], |call| {
                    (call.parent, call.data) = (parent, -(len as i64));
                });
            }
        };
        self.around(HookId::ClearDelallocExtent, ino, args, inside, |call| call.extents = -1);
        self.stream.by(100);
    }

    fn allocate(&mut self, len: u64) {
        self.stream.by(200);
        self.spend(len);
        self.stream.by(100);
    }

    /// The worker removes an ordered extent, so it is past its writeback.
    fn worker_goes_on(&mut self) {
        self.stream.by(200);
        self.check(900, 4096, 0);
        self.free(900, 4096);
        self.stream.by(100);
    }
}

const KNOWN: u64 = STATE_KNOWN | STATE_DELALLOC;

#[test]
fn ranges_that_are_written_freed_or_were_never_reserved_are_silent() {
    let mut calls = Calls::new();
    calls.written(257, LEN);
    calls.allocate(LEN / 2);
    calls.allocate(LEN / 2);
    calls.clear(257, LEN / 4, DELALLOC, KNOWN);
    calls.clear(257, LEN / 2, DELALLOC, KNOWN);
    calls.clear(257, LEN / 4, DELALLOC, KNOWN);
    // In place.
    calls.written(257, LEN);
    calls.clear(257, LEN, DELALLOC | DATA_RESV, KNOWN);
    // In place without data.
    calls.clear(257, LEN, DELALLOC | DATA_RESV, KNOWN | STATE_NORESERVE);
    // The writeback of a range fails after half of it.
    calls.written(257, LEN);
    calls.allocate(LEN / 2);
    calls.clear(257, LEN / 2, DELALLOC, KNOWN);
    calls.clear(257, LEN / 2, DELALLOC | DATA_RESV, KNOWN);
    calls.worker_goes_on();
    calls.silent();
}

#[test]
fn a_range_that_was_written_in_place_and_keeps_its_data_is_a_leak_at_that_call() {
    let mut calls = Calls::new();
    calls.written(257, LEN);
    calls.clear(257, LEN, DELALLOC, KNOWN);
    let finding = calls.one("leak", "space.data.bytes_may_use", LEN);
    assert_eq!(finding.violation.ino, Some(257));
    assert!(!finding.violation.stack.representative);
}

#[test]
fn a_range_whose_stack_is_that_of_an_earlier_call_says_so() {
    let mut calls = Calls::new();
    calls.written(257, LEN);
    calls.call(HookId::ClearDelallocExtent, 257, [0, LEN - 1, DELALLOC, KNOWN], |call| {
        (call.extents, call.stack, call.stack_representative) = (-1, 7, 1);
    });
    let stack = calls.one("leak", "space.data.bytes_may_use", LEN).violation.stack;
    assert_eq!((stack.id, stack.representative), (7, true));
}

#[test]
fn a_range_that_is_allocated_and_freed_as_well_is_an_over_release() {
    let mut calls = Calls::new();
    calls.written(257, LEN);
    calls.allocate(LEN);
    calls.clear(257, LEN, DELALLOC | DATA_RESV, KNOWN);
    calls.worker_goes_on();
    let finding = calls.one("over-release", "space.data.bytes_may_use", LEN);
    assert_eq!(finding.violation.ino, Some(257));
}

#[test]
fn a_range_whose_allocation_may_have_been_before_the_attach_is_not_judged() {
    let mut calls = Calls::new();
    calls.clear(257, LEN, DELALLOC, KNOWN);
    // Other ranges of the inode were dirty when this one became so.
    calls.check(258, LEN, 0);
    calls.reserve(258, LEN, 0);
    calls.call(HookId::SetDelallocExtent, 258, [0, LEN - 1, DELALLOC, STATE_KNOWN], |call| {
        (call.flags, call.before.delalloc_bytes) = (probe_common::call::CALL_INODE, LEN);
    });
    calls.release_extents(258, LEN);
    calls.clear(258, LEN, DELALLOC, KNOWN);
    calls.silent();
}

#[test]
fn a_direct_write_may_write_back_before_it_allocates_for_itself() {
    let mut calls = Calls::new();
    calls.written(257, LEN);
    calls.stream.by(200);
    calls.check(257, LEN, 0);
    calls.spend(LEN);
    calls.clear(257, LEN, DELALLOC, KNOWN);
    calls.stream.by(200);
    calls.spend(LEN);
    // It throws away other pages, which were dirty.
    calls.stream.by(100);
    calls.written(258, LEN);
    calls.clear(258, LEN, DELALLOC | DATA_RESV, KNOWN);
    calls.worker_goes_on();
    calls.silent();
}

#[test]
fn a_failed_preallocation_that_frees_what_its_extent_took_is_an_over_release() {
    let mut calls = Calls::new();
    calls.call(HookId::AllocDataChunkOndemand, 257, [LEN, 0, 0, 0], |_| {});
    calls.spend(LEN);
    calls.free(257, LEN);
    let finding = calls.one("over-release", "space.data.bytes_may_use", LEN);
    assert_eq!(finding.violation.ino, Some(257));
}
