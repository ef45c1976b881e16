//! Inodes that keep marks although nothing is under way on them.
//!
//! Marks belong to a task until it has made its range dirty, then to the dirty range, until an ordered extent takes them off. An
//! inode without dirty bytes, ordered extents and such tasks must have none. The kernel frees marks that are left when it evicts
//! the inode, which may be much later.
//!
//! A task that marks makes its range dirty or gives it back before it calls `btrfs_delalloc_release_extents`. `fallocate` does
//! not call that; it may wait for space with its marks, over many transactions. So what a task marked is judged only after that
//! call, or when the task begins its next operation on the inode.
use probe_common::{
    call::{CALL_INODE, CALL_ORDERED, CALL_RETURNED, CALL_SPECIAL_INODE, Call},
    hook::HookId,
    inode::COUNTERS_VALID,
};
use rustc_hash::FxHashMap;

use crate::{
    book::node::Node,
    vocabulary::{finding::StackRef, keys::InodeKey},
};

/// Most threads whose operation is open.
const MAX_THREADS: usize = 1 << 16;
/// Most inodes of which one thread has an open operation.
const MAX_OPEN: usize = 4;
/// Commits in a row without a call on the inode, each of a younger transaction.
const QUIET_COMMITS: u8 = 2;

/// What is known of an inode with marks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Idle {
    /// Its last call showed neither dirty bytes nor ordered extents.
    nothing: bool,
    /// Commits since that call.
    commits: u8,
    /// Tasks whose operation is open.
    open: u32,
    /// It is not known which tasks have an open operation.
    unknown: bool,
    /// Bytes that were reported.
    pub told: i64,
    /// The last call that took a range out of the dirty ones.
    pub cleared: StackRef,
}

impl Idle {
    pub(super) fn call(&mut self, node: &Node, record: &Call) {
        let seen = node.has(CALL_RETURNED | CALL_INODE) && record.after.flags & COUNTERS_VALID != 0;
        self.nothing = seen && record.after.delalloc_bytes == 0 && !node.has(CALL_ORDERED);
        self.commits = 0;
        if node.is(HookId::ClearDelallocExtent) {
            self.cleared = node.stack;
        }
    }

    pub(super) const fn close(&mut self, operations: usize) {
        self.open = self.open.saturating_sub(operations as u32);
    }

    /// True if a task has an open operation on the inode.
    pub(super) const fn open(&self) -> bool {
        self.open > 0
    }

    /// A commit of a younger transaction has ended. True if the inode must have no marks now.
    pub(super) fn commit(&mut self) -> bool {
        self.commits = self.commits.saturating_add(1);
        self.is_over() && self.commits >= QUIET_COMMITS
    }

    /// True if nothing is under way on the inode, unless a thread is in the middle of it outside of all calls.
    pub(super) const fn is_over(&self) -> bool {
        self.nothing && !self.unknown && self.open == 0
    }
}

/// An operation that has marked something.
#[derive(Clone, Copy, Debug)]
struct Operation {
    at: (u32, InodeKey),
    serial: u32,
}

/// Open operations by thread.
#[derive(Debug, Default)]
pub(super) struct Operations {
    threads: FxHashMap<u32, Vec<Operation>>,
}

impl Operations {
    /// Inodes of which the thread has closed its operation with this call.
    pub(super) fn closed(&mut self, node: &Node) -> usize {
        let ends = [HookId::ReleaseExtents, HookId::CheckDataFreeSpace, HookId::ReserveSpace];
        if node.has(CALL_SPECIAL_INODE) || !ends.iter().any(|hook| node.is(*hook)) {
            return 0;
        }
        let Some(operations) = self.threads.get_mut(&node.tid) else { return 0 };
        let before = operations.len();
        operations
            .retain(|of| of.at != (node.fs, node.key) || node.serial.wrapping_sub(of.serial) as i32 <= 0);
        let closed = before - operations.len();
        if operations.is_empty() {
            self.threads.remove(&node.tid);
        }
        closed
    }

    /// Inodes of which the thread had an operation open: its system call or work item has ended.
    pub(super) fn thread_ended(&mut self, tid: u32) -> Vec<(u32, InodeKey)> {
        let operations = self.threads.remove(&tid).unwrap_or_default();
        operations.into_iter().map(|operation| operation.at).collect()
    }

    /// The thread has marked something of the inode.
    pub(super) fn opened(&mut self, at: (u32, InodeKey), idle: &mut Idle, node: &Node) {
        if self.threads.len() >= MAX_THREADS && !self.threads.contains_key(&node.tid) {
            idle.unknown = true;
            return;
        }
        let operations = self.threads.entry(node.tid).or_default();
        if let Some(of) = operations.iter_mut().find(|of| of.at == at) {
            of.serial = node.serial;
        } else if operations.len() < MAX_OPEN {
            operations.push(Operation { at, serial: node.serial });
            idle.open += 1;
        } else {
            idle.unknown = true;
        }
    }

    /// The inode has no marks any more.
    pub(super) fn ended(&mut self, at: (u32, InodeKey)) {
        self.threads.values_mut().for_each(|operations| operations.retain(|of| of.at != at));
        self.threads.retain(|_, operations| !operations.is_empty());
    }

    pub(super) fn forget(&mut self) {
        self.threads.clear();
    }
}
