//! Shared pools, temporary block_rsvs and the handle of a failed start.
use probe_common::{call::CALL_RSV, claim::RsvType, hook::HookId};
use probe_simulated::{I, N};

use super::call_stream::Calls;

impl Calls {
    fn pool(&mut self, hook: HookId, bytes: u64, size: u64, parent: u32) {
        // `update_size`.
        let grows = u64::from(hook == HookId::BlockRsvAddBytes);
        self.call(hook, 0, [bytes, grows, 0, 0], |call| {
            (call.rsv, call.rsv_type, call.parent) = (0x7000, RsvType::Trans as u32, parent);
            (call.before.size, call.ret) = (size, 0);
            call.flags |= CALL_RSV;
        });
    }

    fn failing_start(&mut self, added: u64, released: u64) {
        let inside = |calls: &mut Self, serial| {
            calls.pool(HookId::BlockRsvAddBytes, added, 0, serial);
            if released > 0 {
                calls.pool(HookId::BlockRsvRelease, released, added, serial);
            }
        };
        self.around(HookId::StartTransaction, 0, [1, 0, 0, 0], inside, |call| call.ret = -12);
    }
}

#[test]
fn a_claim_that_is_given_back_twice_is_told_when_nobody_has_claimed_it() {
    let mut calls = Calls::new();
    calls.pool(HookId::BlockRsvRelease, I, 2 * I, 0);
    calls.pool(HookId::BlockRsvRelease, I, I, 0);
    calls.silent();
    calls.pool(HookId::BlockRsvRelease, I, I / 4, 0);
    // `size` has wrapped, so the pool keeps all that goes into it.
    calls.stream.unmount_with(|levels| {
        (levels.trans.size, levels.trans.reserved) = (u64::MAX - I, 64 * I);
        levels.space[1].may_use = 64 * I;
    });
    calls.one("over-release", "trans.rsv", I - I / 4);
}

#[test]
fn a_claim_that_its_handle_gives_back_again_at_its_end_is_told_there() {
    let mut calls = Calls::new();
    let inside = |calls: &mut Calls, serial| calls.pool(HookId::BlockRsvRelease, 2 * I, I, serial);
    calls.around(HookId::TransReleaseMetadata, 0, [0x5000, 2 * I, 0, 0], inside, |_| {});
    calls.one("over-release", "trans.rsv", I);
}

#[test]
fn a_start_that_fails_gives_back_what_it_added_for_its_handle() {
    let mut calls = Calls::new();
    calls.failing_start(4 * I, 4 * I);
    calls.silent();
    calls.failing_start(4 * I, 0);
    let finding = calls.one("error-path-leak", "trans.rsv", 4 * I);
    assert!(finding.violation.explanation.contains("error -12"), "{}", finding.violation.explanation);
}

/// `btrfs_record_root_in_trans` fails when the handle is complete, so the handle is ended and not only freed.
#[test]
fn a_start_that_fails_after_its_handle_was_made_ends_the_handle() {
    let started = |nested: bool, added: u64, held: u64| {
        let mut calls = Calls::new();
        let release = |calls: &mut Calls, serial| calls.pool(HookId::BlockRsvRelease, held, held, serial);
        let end = |calls: &mut Calls, parent| {
            if !nested {
                let args = [0x5000, held, 0, 0];
                calls.around(HookId::TransReleaseMetadata, 0, args, release, |call| call.parent = parent);
            }
        };
        let inside = |calls: &mut Calls, parent| {
            if added > 0 {
                calls.pool(HookId::BlockRsvAddBytes, added, 0, parent);
            }
            calls
                .around(HookId::EndTransaction, 0, [0x5000, held, held, 0], end, |call| call.parent = parent);
        };
        calls.around(HookId::StartTransaction, 0, [1, 0, 0, 0], inside, |call| call.ret = -12);
        calls
    };
    started(false, 4 * I, 4 * I).silent();
    // The outer use of the handle still has its bytes, and this one added none.
    started(true, 0, 4 * I).silent();
    started(false, 4 * I, 3 * I).one("error-path-leak", "trans.rsv", I);
}

/// `btrfs_init_reloc_root()` below `start_transaction()`: the root's copy takes a tree block from the handle, and finds no extent for it.
#[test]
fn a_tree_block_that_comes_back_is_nothing_that_a_failing_start_has_added() {
    let mut calls = Calls::new();
    let release = |calls: &mut Calls, serial| calls.pool(HookId::BlockRsvRelease, 4 * I, 4 * I, serial);
    let end = |calls: &mut Calls, parent| {
        calls.around(HookId::TransReleaseMetadata, 0, [0x5000, 4 * I, 0, 0], release, |call| {
            call.parent = parent
        });
    };
    let inside = |calls: &mut Calls, parent| {
        calls.pool(HookId::BlockRsvAddBytes, 4 * I, 0, parent);
        calls.call(HookId::BlockRsvAddBytes, 0, [N, 0, 0, 0], |call| {
            (call.rsv, call.rsv_type, call.parent) = (0x7000, RsvType::Trans as u32, parent);
            call.flags |= CALL_RSV;
        });
        calls.around(HookId::EndTransaction, 0, [0x5000, 4 * I, 4 * I, 0], end, |call| call.parent = parent);
    };
    calls.around(HookId::StartTransaction, 0, [1, 0, 0, 0], inside, |call| call.ret = -12);
    calls.silent();
}

#[test]
fn a_temporary_rsv_at_the_place_of_one_that_kept_its_bytes_is_a_leak_whatever_its_size() {
    let mut calls = Calls::new();
    for _ in 0..2 {
        calls.call(HookId::BlockRsvRefill, 0, [I, 0, 0, 0], |call| {
            (call.rsv, call.rsv_type) = (0x9000, RsvType::Temp as u32);
            call.flags |= CALL_RSV;
            // `btrfs_evict_inode` sets the size before it reserves.
            (call.before.size, call.after.size, call.after.reserved) = (I, I, I);
        });
    }
    calls.one("leak", "temp.rsv", I);
}

#[test]
fn an_underflow_in_the_last_release_is_told_once() {
    let mut stream = super::stream::Stream::born();
    stream.underflow_at_unmount(I);
    stream.assert_one("underflow", "space.metadata.bytes_may_use", I);
}
