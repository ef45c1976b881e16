//! Data that a task has reserved and not yet handed on.
//!
//! A task reserves data (`btrfs_check_data_free_space`, `btrfs_alloc_data_chunk_ondemand`) and may give back in the same
//! function what it does not need, never more. What it hands on (dirty pages, an ordered extent, a preallocated extent) does
//! not come back through the task. So the reservation is an upper bound, and only a release beyond it is judged. A later
//! reservation of the task replaces an earlier one on the same inode, because no caller holds two. The change of
//! `bytes_may_use` is not judged: a release may grant tickets of other tasks in the same call, so `Call::data` can show less
//! than was released.
use probe_common::{call::CALL_SPECIAL_INODE, fs::Levels, hook::HookId};

use super::{context::CallContext, report::Deviation};
use crate::{
    book::{
        node::Node,
        reserving_stacks::Pool,
        thread::{DataReservation, Thread},
    },
    vocabulary::{
        account::{DATA_MAY_USE, is_data},
        finding::{FindingKind, Origin},
        keys::InodeKey,
        lengths,
    },
};

/// Most inodes per thread whose data the thread may still give back.
const MAX_INODES: usize = 4;

impl Thread {
    fn data_of(&mut self, fs: u32, key: InodeKey) -> Option<&mut DataReservation> {
        self.data.iter_mut().find(|data| data.fs == fs && data.key == key)
    }

    /// `btrfs_check_data_free_space` or `btrfs_alloc_data_chunk_ondemand` has returned.
    pub(crate) fn data_reserved(&mut self, context: &mut CallContext<'_>, node: &Node) {
        if node.has(CALL_SPECIAL_INODE) {
            return;
        }
        self.settle_failure(context, node);
        self.data.retain(|data| data.key != node.key || data.fs != node.fs);
        self.data_known = context.judged(node);
        if !self.data_known || node.ret < 0 {
            return;
        }
        if self.data.len() >= MAX_INODES {
            self.data.remove(0);
        }
        let chunk = node.is(HookId::AllocDataChunkOndemand);
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
            chunk,
            fresh: true,
            failed: false,
            stack,
        });
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

    /// Data bytes that the failing task has not given back.
    pub(crate) fn data_kept(&mut self, fs: u32, key: InodeKey) -> u64 {
        self.data_of(fs, key).filter(|data| data.failed).map_or(0, |data| data.left)
    }

    /// `btrfs_free_reserved_data_space_noquota` has no inode argument on 6.1 and 6.12. An encoded write gives back its whole
    /// reservation through it; what relocation gives back was not reserved for any inode that is followed here.
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
