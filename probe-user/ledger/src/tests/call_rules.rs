//! Each rule of calls, and each trap of a correct kernel for them.
use probe_common::{
    call::{
        CALL_INODE, CALL_NODATASUM, CALL_RSV, CALL_SIZE_TOO_SMALL, CALL_SPECIAL_INODE, CALL_TREE_TORN,
        CALL_UNFRAMED,
    },
    claim::RsvType,
    hook::HookId,
    inode::Counters,
    task::MarkerKind,
};
use probe_simulated::{I, M};

use super::{call_stream::Calls, calls::run};
const LEN: u64 = 8192;

#[test]
fn an_encoded_write_gives_its_data_back_without_naming_the_inode() {
    let encoded = |calls: &mut Calls| {
        calls.call(HookId::AllocDataChunkOndemand, 257, [LEN, 0, 0, 0], |_| {});
        calls.call(HookId::ReserveMetadata, 257, [16 * LEN, LEN, 0, 0], |call| call.ret = -28);
    };
    // 6.1 and 6.12.
    let mut calls = Calls::new();
    encoded(&mut calls);
    calls.call(HookId::FreeReservedDataSpaceNoquota, 0, [LEN, 0, 0, 0], |call| call.data = -(LEN as i64));
    calls.check(257, 4096, 0);
    calls.silent();
    assert_eq!(run(&calls.stream.records).summary(0).failed.balanced, 1);
    // 6.18 and later.
    let mut calls = Calls::new();
    encoded(&mut calls);
    calls.call(HookId::FreeReservedDataSpaceNoquota, 257, [LEN, 0, 0, 0], |call| call.data = -(LEN as i64));
    calls.check(257, 4096, 0);
    calls.silent();
    // The release was left out.
    let mut calls = Calls::new();
    encoded(&mut calls);
    calls.check(257, 4096, 0);
    calls.one("error-path-leak", "space.data.bytes_may_use", LEN);
}

#[test]
fn a_direct_write_without_data_is_not_taken_for_the_preallocation_before() {
    let mut calls = Calls::new();
    calls.call(HookId::AllocDataChunkOndemand, 257, [LEN, 0, 0, 0], |_| {});
    calls.spend(LEN);
    calls.fail(257, LEN, 1, -11);
    calls.check(257, 4096, 0);
    calls.silent();
    assert_eq!(run(&calls.stream.records).summary(0).failed.balanced, 1);
}

#[test]
fn a_write_to_existing_extents_owes_no_data() {
    let mut calls = Calls::new();
    calls.check(257, LEN, 0);
    calls.reserve(257, LEN, 0);
    calls.dirty(257, LEN);
    calls.release_extents(257, LEN);
    calls.check(257, LEN, -28);
    calls.fail(257, LEN, 0, -28);
    calls.check(257, LEN, 0);
    calls.silent();
    let failed = run(&calls.stream.records).summary(0).failed;
    assert_eq!((failed.total, failed.balanced, failed.undecided), (1, 1, 0));
}

#[test]
fn data_comes_back_before_or_after_the_extents() {
    // `btrfs_truncate_block` releases the range first, `btrfs_buffered_write` the extents.
    for extents_first in [false, true] {
        let mut calls = Calls::new();
        calls.check(257, LEN, 0);
        calls.reserve(257, LEN, 0);
        if extents_first {
            calls.release_extents(257, LEN);
        }
        calls.release_metadata(257, LEN);
        calls.free(257, LEN);
        if !extents_first {
            calls.release_extents(257, LEN);
        }
        calls.silent();
        calls.free(257, LEN);
        calls.one("over-release", "space.data.bytes_may_use", LEN);
    }
}

#[test]
fn what_was_begun_before_is_not_judged() {
    let mut calls = Calls::new();
    // Nothing of the thread is known yet.
    calls.release_extents(257, LEN);
    calls.release_metadata(257, LEN);
    calls.free(257, LEN);
    calls.fail(257, LEN, 0, -28);
    calls.free(257, LEN);
    calls.silent();
    assert_eq!(run(&calls.stream.records).summary(0).failed.undecided, 1);
    // The call began before the hooks were attached.
    let mut calls = Calls::new();
    calls.call(HookId::ReleaseExtents, 257, [LEN, 0, 0, 0], |call| call.entered = 1);
    calls.silent();
}

#[test]
fn special_inodes_and_torn_trees_are_left_alone() {
    for flag in [CALL_SPECIAL_INODE, CALL_TREE_TORN] {
        let mut calls = Calls::new();
        for hook in [
            HookId::ReserveMetadata,
            HookId::ReleaseExtents,
            HookId::ReleaseMetadata,
            HookId::RemoveOrderedExtent,
        ] {
            calls.call(hook, 257, [LEN, LEN, 0, 0], |call| call.flags |= flag);
        }
        calls.silent();
    }
}

#[test]
fn without_checksums_csum_bytes_stands_still() {
    let mut calls = Calls::new();
    let inside = |calls: &mut Calls, serial| {
        calls.call(HookId::BlockRsvAddBytes, 257, [I + M, 0, 0, 0], |call| call.parent = serial);
    };
    calls.around(HookId::ReserveMetadata, 257, [LEN, LEN, 0, 0], inside, |call| {
        call.flags |= CALL_NODATASUM;
        call.extents = 1;
    });
    let inside = |calls: &mut Calls, serial| calls.shed(257, serial);
    calls.around(HookId::ReleaseMetadata, 257, [LEN, 1, 0, 0], inside, |call| call.flags |= CALL_NODATASUM);
    calls.release_extents(257, LEN);
    calls.silent();
}

/// A write to an inode without checksums: by how much each of its calls changes `csum_bytes`.
fn plain_write(calls: &mut Calls, reserved: i64, released: i64) {
    let inside = |calls: &mut Calls, serial| {
        calls.call(HookId::BlockRsvAddBytes, 257, [I + M, 0, 0, 0], |call| call.parent = serial);
    };
    calls.around(HookId::ReserveMetadata, 257, [LEN, LEN, 0, 0], inside, |call| {
        call.flags |= CALL_NODATASUM;
        call.extents = 1;
        call.csum_bytes = reserved;
    });
    let inside = |calls: &mut Calls, serial| calls.shed(257, serial);
    calls.around(HookId::ReleaseMetadata, 257, [LEN, 1, 0, 0], inside, |call| {
        call.flags |= CALL_NODATASUM;
        call.csum_bytes = released;
    });
    calls.release_extents(257, LEN);
}

/// Linux 6.6.9 counts `csum_bytes` of inodes without checksums, which was a finding at each write to one.
#[test]
fn a_kernel_may_count_csum_bytes_of_inodes_without_checksums() {
    let len = LEN as i64;
    let mut calls = Calls::new();
    for _ in 0..3 {
        plain_write(&mut calls, len, -len);
    }
    calls.silent();
}

#[test]
fn reservations_without_checksums_that_count_are_wrong_if_their_releases_do_not() {
    let len = LEN as i64;
    for (reserved, released) in [(len, 0), (0, -len), (len / 2, 0)] {
        let mut calls = Calls::new();
        plain_write(&mut calls, reserved, released);
        let findings = calls.findings();
        let found: Vec<_> = findings.iter().map(|finding| finding.violation.account.name()).collect();
        assert!(found.contains(&"inode.csum_bytes"), "{reserved} {released}: {found:?}");
    }
}

#[test]
fn a_flush_inside_a_reservation_may_do_anything_to_others() {
    let mut calls = Calls::new();
    let inside = |calls: &mut Calls, serial| {
        // `FLUSH_LIMIT` and the flush of an evict run in the reserving task: delayed items, writeback of other inodes.
        for _ in 0..300 {
            calls.call(HookId::BlockRsvRelease, 0, [N_ITEM, 0, 0, 0], |call| {
                (call.parent, call.rsv, call.rsv_type) = (serial, 0x99, RsvType::DelayedOps as u32);
                call.flags |= CALL_RSV;
            });
        }
        let inner = |calls: &mut Calls, serial| {
            let shed = |calls: &mut Calls, serial| calls.shed(300, serial);
            calls.around(HookId::ReleaseMetadata, 300, [LEN, 0, 0, 0], shed, |call| {
                (call.parent, call.csum_bytes) = (serial, -(LEN as i64));
            });
        };
        calls.around(HookId::RemoveOrderedExtent, 300, [0, LEN, LEN, 0], inner, |call| {
            (call.parent, call.extents) = (serial, -1);
        });
        calls.call(HookId::BlockRsvAddBytes, 257, [2 * I + M, 0, 0, 0], |call| call.parent = serial);
    };
    calls.around(HookId::ReserveMetadata, 257, [LEN, LEN, 0, 0], inside, |call| {
        (call.extents, call.csum_bytes) = (1, LEN as i64);
    });
    calls.release_extents(257, LEN);
    calls.silent();
    assert_eq!(run(&calls.stream.records).calls.checked.torn, 0);
}

const N_ITEM: u64 = I;

#[test]
fn a_temporary_block_rsv_ends_empty() {
    let all = [u64::MAX, 0, 0, 0];
    let mut calls = Calls::new();
    calls.temp(HookId::BlockRsvAdd, 0x10, [M, 0, 0, 0], 0, M);
    calls.temp(HookId::BlockRsvRelease, 0x10, all, M, 0);
    calls.temp(HookId::BlockRsvAdd, 0x10, [M, 0, 0, 0], 0, M);
    calls.temp(HookId::BlockRsvRelease, 0x10, all, M, 0);
    calls.silent();
    // Something is left after everything was released.
    calls.temp(HookId::BlockRsvRelease, 0x10, all, M, M);
    calls.one("leak", "temp.rsv", M);
    // The release was left out, and the address is used again.
    let mut calls = Calls::new();
    calls.temp(HookId::BlockRsvAdd, 0x10, [M, 0, 0, 0], 0, M);
    calls.temp(HookId::BlockRsvAdd, 0x10, [I, 0, 0, 0], 0, I);
    let finding = calls.one("leak", "temp.rsv", M);
    assert_eq!(finding.violation.origins.len(), 1);
    // The release was left out until the end: the level at unmount is the same bug.
    let mut calls = Calls::new();
    calls.temp(HookId::BlockRsvAdd, 0x10, [M, 0, 0, 0], 0, M);
    calls.stream.unmount_with(|levels| levels.space[1].may_use = M);
    calls.one("leak", "temp.rsv", M);
}

#[test]
fn a_release_without_its_block_rsv_leaves_bytes() {
    let mut calls = Calls::new();
    calls.reserve(257, LEN, 0);
    calls.around(
        HookId::ReleaseExtents,
        257,
        [LEN, 0, 0, 0],
        |_, _| {},
        |call| {
            call.extents = -1;
            (call.after.reserved, call.after.size) = (2 * I + M, I);
        },
    );
    let counters = Counters { reserved: I + M, ..Counters::default() };
    calls.stream.destroy_with(257, counters);
    // The block_rsv still held them at the destroy; reported once.
    calls.one("leak", "inode.meta_rsv", I + M);
}

/// One thread per file, and all files destroyed at once. Threads that hold nothing cost nothing; a thread that holds
/// something is found.
#[test]
fn of_many_threads_the_one_that_holds_something_is_found_when_the_inode_goes() {
    let mut calls = Calls::new();
    let threads = 500;
    for thread in 0..threads {
        calls.stream.by(1_000 + thread);
        calls.reserve(1_000 + u64::from(thread), LEN, 0);
        if thread != 77 {
            calls.release_extents(1_000 + u64::from(thread), LEN);
        }
    }
    calls.stream.by(100);
    let held = |records: &[probe_record::record::Record]| {
        let mut ledger = crate::ledger::Ledger::new(super::calls::functions());
        records.iter().for_each(|record| ledger.apply(record));
        ledger.calls.holders().len()
    };
    assert_eq!(held(&calls.stream.records), threads as usize);
    calls.stream.destroy(1_000);
    assert_eq!(held(&calls.stream.records), 1);
    let counters = Counters { outstanding_extents: 1, ..Counters::default() };
    calls.stream.destroy_with(1_077, counters);
    let finding = calls.one("leak", "inode.outstanding_extents", 1);
    assert_eq!((finding.violation.ino, finding.task.map(|task| task.tid)), (Some(1_077), Some(1_077)));
}

#[test]
fn the_same_wrong_call_twice_is_one_finding_that_counts_both() {
    let mut calls = Calls::new();
    for _ in 0..2 {
        calls.reserve(257, LEN, 0);
        calls.release_extents(257, LEN);
        calls.release_extents(257, LEN);
    }
    assert_eq!(calls.one("over-release", "inode.outstanding_extents", 2).count, 2);
}

#[test]
fn an_operation_across_a_loss_is_forgotten() {
    let mut calls = Calls::new();
    calls.reserve(257, LEN, 0);
    calls.stream.marker(MarkerKind::Attached);
    calls.call(HookId::UpdateGlobalBlockRsv, 0, [0; 4], |_| {});
    calls.release_extents(257, LEN);
    calls.stream.destroy(257);
    calls.silent();
}

/// The bug of 2012. `raced`: a release ran while the counters were visible. `released`: bytes that the failing task
/// released.
fn published(raced: bool, released: u64) -> Calls {
    let mut calls = Calls::new();
    calls.check(257, LEN, 0);
    let change = |calls: &mut Calls, bytes: i64| {
        calls.returned(HookId::CalculateInodeRsv, 257, [0; 4], 0, |call| {
            (call.flags, call.csum_bytes) = (CALL_INODE | CALL_UNFRAMED, bytes);
        });
    };
    change(&mut calls, LEN as i64);
    if raced {
        calls.stream.by(101);
        let inner = |calls: &mut Calls, serial| {
            let shed = |calls: &mut Calls, serial| calls.shed(257, serial);
            calls.around(HookId::ReleaseMetadata, 257, [LEN, 0, 0, 0], shed, |call| {
                (call.parent, call.csum_bytes) = (serial, -(LEN as i64));
            });
        };
        calls.around(HookId::RemoveOrderedExtent, 257, [0, LEN, LEN, 0], inner, |call| call.extents = -1);
        calls.stream.by(100);
    }
    change(&mut calls, -(LEN as i64));
    if released > 0 {
        calls.call(HookId::BlockRsvRelease, 257, [released, 0, 0, 0], |call| {
            (call.ret, call.rsv_type) = (released as i64, RsvType::Delalloc as u32);
            call.flags |= CALL_RSV;
        });
    }
    calls.free(257, LEN);
    calls
}

#[test]
fn published_and_undone_is_judged_by_who_raced() {
    let extents = "inode.outstanding_extents";
    // No race: to undo the counters is all that is needed, but publishing was wrong.
    let mut calls = published(false, 0);
    calls.stream.destroy(257);
    calls.one("publish-before-reserve", extents, 1);
    let mut calls = published(false, I);
    calls.stream.destroy(257);
    calls.one("error-path-over-release", "inode.meta_rsv", I);
    // A release left its bytes, so the failing task must release them.
    let mut calls = published(true, I);
    calls.stream.destroy(257);
    calls.one("publish-before-reserve", extents, 1);
    let mut calls = published(true, 0);
    calls.stream.destroy_with(257, Counters { reserved: I, ..Counters::default() });
    calls.stream.unmount_with(|levels| levels.space[1].may_use = I);
    let finding = calls.one("error-path-leak", "inode.meta_rsv", I);
    assert!(
        finding.violation.explanation.contains("1 release on the inode ran in between"),
        "{}",
        finding.violation.explanation
    );
    let failed = run(&calls.stream.records).summary(0).failed;
    assert_eq!((failed.total, failed.raced, failed.balanced), (1, 1, 0));
}

/// The same inside the call that fails; `others`: releases by other tasks meanwhile.
fn published_inside(others: u32, released: u64) -> Calls {
    let mut calls = Calls::new();
    calls.check(257, LEN, 0);
    let inside = |calls: &mut Calls, serial| {
        if released > 0 {
            calls.call(HookId::BlockRsvRelease, 257, [released, 0, 0, 0], |call| {
                (call.parent, call.ret, call.rsv_type) = (serial, released as i64, RsvType::Delalloc as u32);
                call.flags |= CALL_RSV;
            });
        }
    };
    calls.around(HookId::ReserveMetadata, 257, [LEN, LEN, 0, 0], inside, |call| {
        (call.ret, call.calculations, call.others, call.others_released) = (-28, 2, others, others);
    });
    calls.free(257, LEN);
    calls
}

#[test]
fn published_and_undone_inside_the_call_is_judged_by_who_raced() {
    let counters = Counters { reserved: I, ..Counters::default() };
    for (others, released, left, kind, account, amount) in [
        (0, 0, 0, "publish-before-reserve", "inode.outstanding_extents", 1),
        (0, I, 0, "error-path-over-release", "inode.meta_rsv", I),
        (1, I, 0, "publish-before-reserve", "inode.outstanding_extents", 1),
        (1, 0, I, "error-path-leak", "inode.meta_rsv", I),
        // The release had lowered the counters before the call began, and gave its bytes back during the call.
        (0, 0, I, "error-path-leak", "inode.meta_rsv", I),
        (1, 0, 0, "publish-before-reserve", "inode.outstanding_extents", 1),
    ] {
        let mut calls = published_inside(others, released);
        calls.stream.destroy_with(257, Counters { reserved: left, ..counters });
        calls.stream.unmount_with(|levels| levels.space[1].may_use = left);
        calls.one(kind, account, amount);
        let failed = run(&calls.stream.records).summary(0).failed;
        assert_eq!(
            (failed.total, failed.raced, failed.balanced, failed.undecided),
            (1, u64::from(others), 0, 0)
        );
    }
}

/// The session ends before the destroy of the inode.
#[test]
fn published_inside_the_call_is_found_without_the_inodes_end() {
    for others in [0, 1] {
        let mut calls = published_inside(others, 0);
        calls.stream.marker(MarkerKind::Detaching);
        calls.one("publish-before-reserve", "inode.outstanding_extents", 1);
    }
}

#[test]
fn counters_of_an_inode_that_is_not_followed_say_nothing() {
    let mut calls = Calls::new();
    for bytes in [LEN as i64, -(LEN as i64)] {
        calls.returned(HookId::CalculateInodeRsv, 300, [0; 4], 0, |call| {
            (call.flags, call.csum_bytes) = (CALL_INODE | CALL_UNFRAMED, bytes);
        });
    }
    calls.silent();
}

/// A dirty range of a file is truncated; `frees`: how often its data is released.
fn cut_off(frees: u32) -> Calls {
    let mut calls = Calls::new();
    let inside = |calls: &mut Calls, serial| {
        let shed = |calls: &mut Calls, serial| calls.shed(257, serial);
        calls.around(HookId::ReleaseMetadata, 257, [LEN, 1, 0, 0], shed, |call| {
            (call.parent, call.csum_bytes) = (serial, -(LEN as i64));
        });
        for _ in 0..frees {
            // 6.1 and 6.12 do not name the inode.
            calls.call(HookId::FreeReservedDataSpaceNoquota, 0, [LEN, 0, 0, 0], |call| {
                (call.parent, call.data) = (serial, -(LEN as i64));
            });
        }
    };
    let bits = 1 << 5 | 1 << 9 | 1 << 13;
    calls.around(HookId::ClearDelallocExtent, 257, [0, LEN - 1, bits, 0], inside, |call| call.extents = -1);
    calls
}

#[test]
fn data_of_a_range_that_is_cut_off_is_freed_once() {
    cut_off(1).silent();
    // A range without a reservation of its own has no data to release.
    cut_off(0).silent();
    let mut calls = cut_off(0);
    calls.stream.unmount_with(|levels| levels.space[0].may_use = LEN);
    let finding = calls.one("leak", "space.data.bytes_may_use", LEN);
    assert_eq!((finding.violation.ino, finding.violation.stack.id != 0), (Some(257), true));
    assert_eq!(cut_off(2).one("over-release", "space.data.bytes_may_use", LEN).violation.ino, Some(257));
}

/// Bytes are added to the block_rsv before they are reserved; the reservation fails, and the failing side frees them.
#[test]
fn bytes_that_were_added_before_they_were_granted_were_never_reserved() {
    let fail = |calls: &mut Calls, granted: i64, released: u64| {
        let inside = |calls: &mut Calls, serial| {
            calls.call(HookId::BlockRsvAddBytes, 257, [2 * I + M, 0, 0, 0], |call| call.parent = serial);
            if released > 0 {
                calls.call(HookId::BlockRsvRelease, 257, [0; 4], |call| {
                    (call.parent, call.rsv_type, call.ret) =
                        (serial, RsvType::Delalloc as u32, released as i64);
                    call.flags |= CALL_RSV;
                });
            }
        };
        calls.around(HookId::ReserveMetadata, 257, [LEN, LEN, 0, 0], inside, |call| {
            (call.ret, call.metadata) = (-28, granted);
        });
    };
    let mut calls = Calls::new();
    fail(&mut calls, 0, 2 * I + M);
    calls.one("error-path-over-release", "inode.meta_rsv", 2 * I + M);
    let mut calls = Calls::new();
    fail(&mut calls, 0, 0);
    calls.one("publish-before-reserve", "inode.meta_rsv", 2 * I + M);
    let mut calls = Calls::new();
    fail(&mut calls, (2 * I + M) as i64, 0);
    calls.one("error-path-leak", "inode.meta_rsv", 2 * I + M);
}

#[test]
fn a_size_of_the_block_rsv_that_leaves_the_checksums_out_is_a_mismatch() {
    let mut calls = Calls::new();
    calls.returned(HookId::CalculateInodeRsv, 257, [2 * I + M, 0, 0, 0], 0, |call| {
        call.flags = CALL_SIZE_TOO_SMALL | CALL_INODE;
        (call.before.size, call.before.outstanding_extents, call.before.csum_bytes) = (I + M, 1, LEN);
    });
    let finding = calls.one("counter-mismatch", "inode.meta_rsv", I);
    assert_eq!(finding.violation.ino, Some(257));
}

#[test]
fn a_size_that_a_reported_over_release_has_lowered_is_not_told_again() {
    let mut calls = Calls::new();
    let inside = |calls: &mut Calls, serial| {
        calls.call(HookId::BlockRsvRelease, 257, [I, 0, 0, 0], |call| {
            (call.parent, call.rsv_type, call.ret) = (serial, RsvType::Delalloc as u32, I as i64);
            call.flags |= CALL_RSV;
        });
    };
    calls.around(HookId::ReserveMetadata, 257, [LEN, LEN, 0, 0], inside, |call| call.ret = -28);
    calls.returned(HookId::CalculateInodeRsv, 257, [2 * I + M, 0, 0, 0], 0, |call| {
        call.flags = CALL_SIZE_TOO_SMALL | CALL_INODE;
        (call.before.size, call.before.outstanding_extents, call.before.csum_bytes) = (I + M, 1, LEN);
    });
    calls.one("error-path-over-release", "inode.meta_rsv", I);
}
