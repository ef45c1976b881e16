//! What a transaction pins, its commit must unpin.
use probe_common::{
    fs::{LEVELS_COMMIT, LEVELS_ERROR},
    pinned::PinnedLeft,
    space::{BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA},
};
use probe_simulated::M;

use super::stream::{FS, Stream};

impl Stream {
    fn left(&mut self, transid: u64, flags: u64, bytes: i64) -> &mut Self {
        let header = self.header(FS);
        self.push(PinnedLeft { header, transid, flags, bytes, stack: 9 })
    }
}

#[test]
fn bytes_that_a_commit_does_not_unpin_are_a_leak_at_that_commit() {
    let mut stream = Stream::born();
    stream.commit(7).left(9, BLOCK_GROUP_METADATA, M as i64).commit(9);
    // The level at unmount shows the same bytes.
    stream.unmount_with(|levels| levels.space[1].pinned = M);
    let finding = stream.assert_one("leak", "space.metadata.bytes_pinned", M);
    assert_eq!(finding.violation.stack.id, 9);
    assert!(finding.violation.explanation.contains("Transaction 9 had pinned"), "{finding:#?}");
}

#[test]
fn two_commits_that_leave_bytes_pinned_are_two_instances() {
    let mut stream = Stream::born();
    stream.commit(7).left(9, BLOCK_GROUP_METADATA, M as i64).commit(9);
    stream.left(10, BLOCK_GROUP_METADATA, M as i64).commit(10);
    assert_eq!(stream.assert_one("leak", "space.metadata.bytes_pinned", 2 * M).count, 2);
}

#[test]
fn more_at_unmount_than_commits_left_is_a_leak_of_the_rest() {
    let mut stream = Stream::born();
    stream.commit(7).left(9, BLOCK_GROUP_METADATA, M as i64).commit(9);
    stream.unmount_with(|levels| levels.space[1].pinned = 3 * M);
    // The second of two instances has the rest.
    assert_eq!(stream.assert_one("leak", "space.metadata.bytes_pinned", 3 * M).count, 2);
}

#[test]
fn bytes_that_a_commit_unpins_and_that_were_not_pinned_are_an_over_release() {
    let mut stream = Stream::born();
    stream.commit(7).left(8, BLOCK_GROUP_DATA, -(M as i64)).commit(8);
    stream.assert_one("over-release", "space.data.bytes_pinned", M);
}

/// Hooks attach one after the other: what a transaction pinned before the last of them, was not counted.
#[test]
fn a_transaction_that_began_before_all_hooks_were_attached_is_not_judged() {
    let mut stream = Stream::attached();
    stream.seen(FS, 0);
    stream.left(7, BLOCK_GROUP_METADATA, -(M as i64)).commit(8);
    // 8 may have been running when the commit before it ended.
    stream.left(8, BLOCK_GROUP_METADATA, -(M as i64)).commit(8);
    stream.assert_silent();
    stream.left(9, BLOCK_GROUP_METADATA, -(M as i64)).commit(9);
    stream.assert_one("over-release", "space.metadata.bytes_pinned", M);
}

#[test]
fn the_first_transaction_of_a_mount_that_was_seen_is_judged() {
    let mut stream = Stream::born();
    stream.left(7, BLOCK_GROUP_METADATA, M as i64).commit(7);
    stream.assert_one("leak", "space.metadata.bytes_pinned", M);
}

#[test]
fn an_aborted_filesystem_keeps_what_it_has_pinned() {
    let mut stream = Stream::born();
    stream.commit(7).levels(LEVELS_COMMIT, |levels| levels.fs_flags = LEVELS_ERROR);
    stream.left(9, BLOCK_GROUP_METADATA, M as i64);
    stream.assert_silent();
}
