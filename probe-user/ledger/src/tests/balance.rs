//! Block_rsvs that do not hold what `bytes_may_use` contains, and what ends with a transaction handle.
use probe_common::{
    call::{CALL_BALANCED, CALL_FS_ERROR, CALL_RSV, CALL_TREE_TORN, CALL_UNBALANCED},
    claim::RsvType,
    hook::HookId,
};
use probe_simulated::I;

use super::call_stream::Calls;

impl Calls {
    fn unbalanced(&mut self, off: i64, more: u32) {
        self.call(HookId::BlockRsvRelease, 0, [I, 0, 0, 0], |call| {
            (call.rsv, call.rsv_type, call.ret) = (0x7000, RsvType::Trans as u32, off);
            call.flags = CALL_RSV | CALL_UNBALANCED | more;
        });
    }

    fn chunk(&mut self, hook: HookId, bytes: u64) {
        self.call(hook, 0, [bytes, 0, 0, 0], |call| {
            (call.rsv, call.rsv_type) = (0x7100, RsvType::Chunk as u32);
            call.flags |= CALL_RSV;
        });
    }

    fn end_handle(&mut self) {
        let inside = |calls: &mut Self, serial| {
            calls.call(HookId::TransReleaseMetadata, 0, [0x5000, 0, 0, 0], |call| call.parent = serial);
        };
        self.around(HookId::EndTransaction, 0, [0x5000, 0, 0, 0], inside, |_| {});
    }
}

#[test]
fn bytes_in_a_block_rsv_that_bytes_may_use_does_not_contain_are_an_over_release() {
    let mut calls = Calls::new();
    calls.unbalanced(-(I as i64), 0);
    let finding = calls.one("over-release", "space.metadata.bytes_may_use", I);
    let text = &finding.violation.explanation;
    assert!(text.starts_with("btrfs_block_rsv_release on trans_block_rsv changed"), "{text}");
    assert!(text.contains("the block_rsvs hold 262144 bytes that are not in bytes_may_use"), "{text}");
}

#[test]
fn bytes_that_no_block_rsv_holds_are_a_leak() {
    let mut calls = Calls::new();
    calls.unbalanced(I as i64, 0);
    let finding = calls.one("leak", "space.metadata.bytes_may_use", I);
    assert!(finding.violation.explanation.contains("262144 bytes that no block_rsv holds"));
}

#[test]
fn what_was_not_seen_in_full_or_follows_an_error_is_not_compared() {
    for more in [CALL_TREE_TORN, CALL_FS_ERROR] {
        let mut calls = Calls::new();
        calls.unbalanced(I as i64, more);
        calls.silent();
    }
}

#[test]
fn balanced_calls_are_counted_for_the_verdict() {
    let mut calls = Calls::new();
    calls.call(HookId::BlockRsvAddBytes, 0, [I, 0, 0, 0], |call| call.flags |= CALL_BALANCED);
    let reasons = super::calls::run(&calls.stream.records).summary(0).verdict_reasons;
    let told = "Calls in which bytes_may_use and the block_rsvs were compared, and had changed together: 1.";
    assert!(reasons.iter().any(|reason| reason == told), "{reasons:#?}");
}

#[test]
fn an_underflow_is_told_without_what_calls_have_freed_too_much() {
    for (over, rest) in [(I, 0), (I / 2, I / 2)] {
        let mut calls = Calls::new();
        calls.unbalanced(-(over as i64), 0);
        calls.stream.underflow_at_unmount(I);
        let mut told: Vec<_> =
            calls.findings().iter().map(|finding| (finding.violation.kind.name(), finding.amount)).collect();
        told.sort_unstable();
        let mut wanted = vec![("over-release", over)];
        wanted.extend((rest > 0).then_some(("underflow", rest)));
        assert_eq!(told, wanted);
    }
}

#[test]
fn what_a_handle_reserved_for_a_new_chunk_ends_with_it() {
    let mut calls = Calls::new();
    calls.chunk(HookId::BlockRsvAdd, 2 * I);
    calls.chunk(HookId::BlockRsvRelease, 2 * I);
    calls.end_handle();
    calls.silent();
    calls.chunk(HookId::BlockRsvAdd, 2 * I);
    calls.end_handle();
    calls.stream.unmount_with(|levels| {
        (levels.chunk.size, levels.chunk.reserved) = (2 * I, 2 * I);
    });
    let finding = calls.one("leak", "fs.chunk_rsv", 2 * I);
    assert!(finding.violation.origins.iter().any(|origin| origin.bytes == 2 * I));
}

#[test]
fn a_handle_that_ends_with_bytes_in_its_own_rsv_for_delayed_refs_is_a_leak() {
    let mut calls = Calls::new();
    calls.call(HookId::TransReleaseMetadata, 0, [0x5000, 0, 0, 3 * I], |_| {});
    calls.one("leak", "trans.delayed_refs_rsv", 3 * I);
}

#[test]
fn tree_blocks_of_a_task_add_up_at_the_end_of_its_handle() {
    for (off, kind, told) in [
        (16_384, "leak", "neither allocated nor put them back"),
        (-16_384, "over-release", "more than it had taken out"),
    ] {
        let mut calls = Calls::new();
        calls.call(HookId::TransReleaseMetadata, 0, [0x5000, 0, 0, 0], |call| {
            (call.ret, call.flags) = (off, CALL_UNBALANCED);
        });
        let finding = calls.one(kind, "space.metadata.bytes_may_use", 16_384);
        assert!(finding.violation.explanation.contains(told), "{}", finding.violation.explanation);
    }
}

/// A commit fills up the global reserve with what it unpins, and `bytes_may_use` does not know of it.
#[test]
fn what_a_commit_adds_to_the_global_reserve_must_be_in_bytes_may_use() {
    let mut calls = Calls::new();
    calls.call(HookId::FinishExtentCommit, 0, [(-(I as i64)) as u64, 3, 0, 0], |call| {
        call.flags |= CALL_UNBALANCED;
        call.ret = -(I as i64);
    });
    let finding = calls.one("over-release", "space.metadata.bytes_may_use", I);
    assert!(finding.violation.explanation.contains("btrfs_finish_extent_commit"), "{finding:#?}");
}
