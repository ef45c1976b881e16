//! Data that a task has reserved and not yet handed on.
//!
//! A task reserves data (`btrfs_check_data_free_space`, `btrfs_alloc_data_chunk_ondemand`), and in the same function hands it
//! on or gives it back. No caller holds data when it reserves again. Three things may happen to each byte:
//!
//! - A range of the inode becomes dirty (`btrfs_set_delalloc_extent`). From there on the range holds the bytes.
//! - The task allocates an extent: `btrfs_add_reserved_bytes()` takes the bytes out of `bytes_may_use`, in a direct write, a
//!   preallocation or an encoded write. In a direct write it may also be for data that was dirty before in its range, which is
//!   written back first. So there what was spent counts for the bytes that the task may have kept, and not against those that
//!   it may free.
//! - The task frees it.
//!
//! What is left over is a leak, and a free of more is an over-release. The change of `bytes_may_use` by a free is not judged
//! here: it may grant tickets of other tasks in the same call, so `Call::data` can show less than was freed.
use probe_common::{
    call::{BYTES_UNKNOWN, CALL_INODE, CALL_SPECIAL_INODE},
    fs::Levels,
    hook::HookId,
    inode::InodeState,
};
use rustc_hash::FxHashMap;

use super::{context::CallContext, report::Deviation};
use crate::{
    book::{
        node::Node,
        reserving_stacks::Pool,
        thread::{DataReservation, Operation, Thread},
    },
    vocabulary::{
        account::{Account, DATA_MAY_USE, is_data},
        finding::{FindingKind, Origin},
        keys::InodeKey,
        lengths,
    },
};

/// Most inodes per thread whose data the thread may still give back.
const MAX_INODES: usize = 4;

/// Bytes that calls of the qgroup functions inside this one marked, or whose marks they took off. [`Node::args`] of such a call
/// have them.
fn marks(node: &Node, children: &[Node], hook: HookId) -> u64 {
    let own = children.iter().filter(|child| child.parent == node.serial && child.is(hook));
    own.filter(|child| child.key == node.key).map(|child| child.args[3]).fold(0, u64::saturating_add)
}

/// Bytes that a call of a qgroup function itself marked, or whose marks it took off. A reservation that met the limit took its
/// marks off without a record and may have tried again, so of several the last one counts.
pub(crate) fn marked(node: &Node, children: &[Node]) -> u64 {
    let own = |hook: HookId| {
        let own = children.iter().filter(move |child| child.parent == node.serial && child.is(hook));
        own.map(|child| child.args[3]).filter(|bytes| *bytes != BYTES_UNKNOWN)
    };
    match node.hook() {
        Some(HookId::QgroupReserveData) if node.ret == 0 => {
            own(HookId::SetRecordBits).next_back().unwrap_or(0)
        }
        Some(HookId::QgroupFreeData) => own(HookId::ClearRecordBits).fold(0, u64::saturating_add),
        _ => 0,
    }
}

impl Thread {
    fn data_of(&mut self, fs: u32, key: InodeKey) -> Option<&mut DataReservation> {
        self.data.iter_mut().find(|data| data.fs == fs && data.key == key)
    }

    /// `btrfs_check_data_free_space` or `btrfs_alloc_data_chunk_ondemand` has returned.
    pub(crate) fn data_reserved(&mut self, context: &mut CallContext<'_>, node: &Node, children: &[Node]) {
        let chunk = node.is(HookId::AllocDataChunkOndemand);
        // Relocation reserves for its own inode, and preallocates at once. What is reserved for a free space cache
        // (`cache_save_setup()`) stays with its block group until a later function writes it.
        if node.has(CALL_SPECIAL_INODE) && !chunk {
            return;
        }
        self.settle_failure(context, node);
        let fs = node.fs;
        self.data_gone(context, (node.tid, node.time), "when it reserved data again", |data| data.fs == fs);
        self.data.retain(|data| data.key != node.key || data.fs != node.fs);
        let seen = Node { flags: node.flags & !CALL_SPECIAL_INODE, ..*node };
        self.data_known = context.judged(&seen);
        if !self.data_known || node.ret < 0 {
            return;
        }
        if self.data.len() >= MAX_INODES {
            self.data.remove(0);
        }
        let sector = context.fs.sector();
        let bytes = if chunk {
            lengths::align(node.args[0], sector)
        } else {
            lengths::range(node.args[0], node.args[1], sector)
        };
        let (fs, key, stack) = (node.fs, node.key, node.stack);
        context.fs.reserving_stacks.note(Pool::Data, bytes, stack);
        self.data.push(DataReservation {
            fs,
            key,
            left: bytes,
            bytes,
            spent: 0,
            exit: node.caller,
            marked: marks(node, children, HookId::QgroupReserveData),
            chunk,
            fresh: true,
            failed: false,
            stack,
        });
    }

    /// `btrfs_set_delalloc_extent`: the task made a range of the inode dirty, with data that it had reserved.
    pub(crate) fn data_dirtied(&mut self, context: &CallContext<'_>, node: &Node) {
        if !context.complete(node) || !node.has(CALL_INODE) {
            return;
        }
        let len = node.args[1].wrapping_sub(node.args[0]).wrapping_add(1);
        if let Some(data) = self.data_of(node.fs, node.key) {
            data.left = data.left.saturating_sub(len);
        }
    }

    /// A call of the task on the inode has returned: the last one shows on which path the task left the function that had
    /// reserved.
    pub(crate) fn data_passed(&mut self, node: &Node) {
        if node.caller != 0 && node.has(CALL_INODE) {
            if let Some(data) = self.data_of(node.fs, node.key) {
                data.exit = node.caller;
            }
            let on = |of: &&mut Operation| of.is_open_on(node.fs, node.key);
            self.operations.iter_mut().filter(on).for_each(|operation| operation.exit = node.caller);
        }
    }

    /// Whether a free of `bytes` is of data that the task had reserved, and of which an extent has taken so much that not all of
    /// it can be left.
    pub(crate) fn frees_twice(&self, fs: u32, bytes: u64) -> bool {
        let last = self.data.iter().rev().find(|data| data.fs == fs);
        last.is_some_and(|data| data.spent > 0 && data.spent.saturating_add(bytes) > data.bytes)
    }

    /// The task took data out of `bytes_may_use` for an extent. A preallocation and an encoded write do that with their own
    /// data. A direct write may write back first what is dirty in its range, so its sum is only an upper bound.
    pub(crate) fn data_spent(&mut self, fs: u32, bytes: u64) {
        let (mut own, mut rest) = (0, bytes);
        if let Some(data) = self.data.iter_mut().rev().find(|data| data.fs == fs && data.left > 0) {
            if data.chunk {
                rest -= bytes.min(data.left);
                data.left -= bytes - rest;
            } else {
                data.spent = data.spent.saturating_add(bytes);
                own = bytes;
            }
        }
        if rest > 0 {
            self.allocated(fs, rest, own);
        }
    }

    /// `btrfs_free_reserved_data_space` has returned: of the marks in its range it frees only those that the reservation itself
    /// has set. Others belong to data that was dirty before.
    pub(crate) fn marks_freed(&mut self, context: &mut CallContext<'_>, node: &Node, children: &[Node]) {
        let freed = marks(node, children, HookId::QgroupFreeData);
        if freed == 0 || !context.judged(node) || !context.follows.marks {
            return;
        }
        let known = self.data_known;
        let Some(data) = self.data_of(node.fs, node.key).filter(|data| !data.chunk) else { return };
        let (over, reserved) = (freed.saturating_sub(data.marked), data.marked);
        data.marked = reserved.saturating_sub(freed);
        let origins = vec![Origin { bytes: data.bytes, count: 1, stack: data.stack }];
        let failed = data.failed;
        context.checked.qgroups += 1;
        if over == 0 || !known {
            return;
        }
        let text = format!(
            "The task freed {freed} bytes of the inode in its qgroup; of these its own reservation had marked {reserved}, and \
             the others belong to data that was reserved before."
        );
        let mut deviation = Deviation::of(Account::InodeQgroupData, (over as i64).saturating_neg(), text);
        if failed {
            deviation.kind = FindingKind::ErrorPathOverRelease;
        }
        deviation.origins = origins;
        context.report(node, deviation);
    }

    /// A call broke its contract, which was reported. What it did to the task's data is not known.
    pub(crate) fn data_disturbed(&mut self, node: &Node) {
        if let Some(data) = self.data_of(node.fs, node.key) {
            data.spent = data.left;
        }
    }

    /// The task is past the operations for which it had reserved the selected data: what it has neither handed on nor freed by
    /// now, it never will.
    pub(super) fn data_gone(
        &mut self,
        context: &mut CallContext<'_>,
        (tid, time): (u32, u64),
        when: &str,
        selected: impl Fn(&DataReservation) -> bool,
    ) {
        let judges = context.judges && context.follows.data && self.data_known && !context.fs.aborted;
        let fs = context.fs.id;
        for data in self.data.iter_mut().filter(|data| data.fs == fs && selected(data)) {
            let kept = data.kept();
            if kept == 0 || !judges {
                continue;
            }
            let text = format!(
                "The task reserved {} bytes of data for the inode. {kept} of them had become neither dirty nor an extent and \
                 were not freed {when}.",
                data.bytes
            );
            data.left -= kept;
            let node = Node {
                flags: CALL_INODE,
                key: data.key,
                stack: data.stack,
                exit: data.exit,
                ..Node::at(data.fs, tid, time)
            };
            let mut deviation = Deviation::of(DATA_MAY_USE, kept as i64, text);
            deviation.before = Some(data.bytes as i64);
            deviation.origins = vec![Origin { bytes: data.bytes, count: 1, stack: data.stack }];
            context.report(&node, deviation);
        }
    }

    /// Metadata was reserved for this data, so the task may hand it on from here on.
    pub(crate) fn data_used(&mut self, node: &Node) {
        if let Some(data) = self.data_of(node.fs, node.key) {
            data.fresh = false;
        }
    }

    /// The data bytes that a failed metadata reservation must give back; 0 if none were reserved.
    pub(crate) fn data_at_failure(&mut self, node: &Node, disk_bytes: u64) -> u64 {
        match self.data_of(node.fs, node.key) {
            Some(data) if data.belongs_to(node, disk_bytes) => {
                data.failed = true;
                data.left
            }
            _ => 0,
        }
    }

    /// True if data is reserved for the inode and its metadata reservation has not run yet.
    pub(crate) fn data_waits(&self, fs: u32, key: InodeKey) -> bool {
        self.data
            .iter()
            .any(|data| data.fs == fs && data.key == key && data.fresh && data.left > 0 && !data.failed)
    }

    /// The stack that reserved the data of a failed reservation.
    pub(crate) fn data_origins(&mut self, fs: u32, key: InodeKey) -> Vec<Origin> {
        let data = self.data_of(fs, key);
        data.map(|data| Origin { bytes: data.bytes, count: 1, stack: data.stack }).into_iter().collect()
    }

    /// Where the task last was with the data of this inode.
    pub(crate) fn data_exit(&mut self, fs: u32, key: InodeKey) -> Option<u64> {
        self.data_of(fs, key).map(|data| data.exit).filter(|exit| *exit != 0)
    }

    /// Data bytes that the failing task has not given back.
    pub(crate) fn data_kept(&mut self, fs: u32, key: InodeKey) -> u64 {
        self.data_of(fs, key).filter(|data| data.failed).map_or(0, |data| data.left)
    }

    /// `btrfs_free_reserved_data_space_noquota` has no inode argument on 6.1 and 6.12. An encoded write gives back its whole
    /// reservation through it, and relocation what it has not preallocated.
    pub(crate) fn data_freed_by_nobody(&mut self, context: &mut CallContext<'_>, node: &Node) {
        let bytes = lengths::align(node.args[0], context.fs.sector());
        let Some(data) = self.data.iter_mut().rev().find(|data| data.fs == node.fs && data.left == bytes)
        else {
            return;
        };
        data.left = 0;
        let (key, failed) = (data.key, data.failed);
        if failed {
            self.data_returned(context, &Node { key, ..*node });
        }
    }

    /// What `prealloc_file_extent_cluster()` could not preallocate: the failing call gives back its own range, and the caller
    /// those that follow (without an inode on 6.1 and 6.12). Nothing else is booked of inodes that are the filesystem's own.
    pub(crate) fn relocated_freed(&mut self, context: &mut CallContext<'_>, node: &Node) {
        let frees = node.is(HookId::FreeReservedDataSpace) || node.is(HookId::FreeReservedDataSpaceNoquota);
        if frees && self.data_of(node.fs, node.key).is_some_and(|data| data.chunk) {
            self.data_freed(context, &Node { flags: node.flags & !CALL_SPECIAL_INODE, ..*node });
        }
    }

    /// The thread gives back data of its own.
    pub(crate) fn data_freed(&mut self, context: &mut CallContext<'_>, node: &Node) {
        if !context.judged(node) {
            self.data_known = false;
            return;
        }
        let sector = context.fs.sector();
        let bytes = if node.is(HookId::FreeReservedDataSpace) {
            lengths::range(node.args[0], node.args[1], sector)
        } else {
            lengths::align(node.args[0], sector)
        };
        let known = self.data_known;
        let (held, failed, origin) = match self.data_of(node.fs, node.key) {
            Some(data) => {
                let held = data.left;
                data.left = held.saturating_sub(bytes);
                (held, data.failed, Some(Origin { bytes: data.bytes, count: 1, stack: data.stack }))
            }
            None => (0, false, None),
        };
        if failed && held > 0 && held <= bytes {
            self.data_returned(context, node);
        }
        if bytes <= held || !known {
            return;
        }
        let over = (bytes - held) as i64;
        let mut deviation = Deviation::of(
            DATA_MAY_USE,
            over.saturating_neg(),
            format!(
                "The task gave back {bytes} bytes of data of this inode and had {held} left to give back."
            ),
        );
        if failed || self.failure.as_ref().is_some_and(|failure| failure.is_of(node.fs, node.key)) {
            deviation.kind = FindingKind::ErrorPathOverRelease;
            deviation.text = format!("{}{}", self.failure_is_wrong(context), deviation.text);
        }
        deviation.before = Some(held as i64);
        deviation.origins = origin.into_iter().collect();
        context.report(node, deviation);
    }
}

/// The inode is destroyed, so no task is inside an operation on it. `holders`: threads that may have data of it.
pub(crate) fn destroyed(
    context: &mut CallContext<'_>,
    threads: &mut FxHashMap<u32, Thread>,
    holders: &[u32],
    key: InodeKey,
    record: &InodeState,
) {
    for tid in holders {
        let Some(thread) = threads.get_mut(tid) else { continue };
        thread.data_gone(context, (*tid, record.header.time), "until the inode was destroyed", |data| {
            data.key == key
        });
    }
}

/// Data is left at unmount, when no task can hold any. Blames the one call that should have released exactly as much.
pub(crate) fn unmounted(context: &mut CallContext<'_>, record: &Levels) {
    let spaces = record.space.iter().filter(|space| is_data(space.flags));
    let left = spaces.map(|space| space.may_use as i64).fold(0, i64::wrapping_add);
    let rest = left.saturating_sub(context.fs.reported.data);
    if rest <= 0 || !context.judges || context.fs.aborted {
        return;
    }
    let Some(node) = context.fs.reported.take_cleared_range(rest) else { return };
    let text = format!(
        "At unmount {rest} bytes of data were still reserved; as many were dirty in a range that was cleared without \
         freeing them."
    );
    context.report(&node, Deviation::of(DATA_MAY_USE, rest, text));
}
