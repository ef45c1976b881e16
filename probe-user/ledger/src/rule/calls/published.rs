//! Counters that a task publishes outside of any reservation.
//!
//! `csum_bytes` rises only in `btrfs_delalloc_reserve_metadata`, after its bytes were granted. Until 2012 btrfs did it in
//! another order: publish, try to reserve, fail, undo. A task does the same if it has reserved data for an inode, raises the
//! counter outside of that function, and then gives its data back. What is right to undo depends on races. If no release ran
//! in between, the task has no bytes in the inode's block_rsv and must release none. If a release ran, it left the bytes
//! that the published counters seemed to cover, and the failing task must release them.
use probe_common::{call::Call, inode::InodeState};

use super::{context::CallContext, report::Deviation};
use crate::{
    book::{
        node::Node,
        thread::{Published, RaceLeftover, Thread},
    },
    vocabulary::{account::Account, finding::FindingKind, keys::InodeKey, lengths},
};

/// Most inodes kept for which a race may have left bytes.
const MAX_LEFT: usize = 256;

/// `csum_bytes` changed outside of all calls on the inode. True if the thread now publishes outside of a reservation.
pub(crate) fn unframed(context: &CallContext<'_>, thread: &mut Thread, record: &Call) -> bool {
    let mut node = Node::of(record);
    node.entered = node.time;
    if let Some(published) = thread.published.as_mut().filter(|of| of.is_of(node.fs, node.key)) {
        published.undone |= record.csum_bytes == published.bytes.wrapping_neg();
        return false;
    }
    // Judged only if the thread has reserved data for the inode whose metadata is still to be reserved. Otherwise a filter
    // may simply have hidden the call.
    let waits = thread.data_waits(node.fs, node.key);
    if record.csum_bytes <= 0 || !waits || !context.judges || node.time <= context.since {
        return false;
    }
    let bytes = record.csum_bytes;
    thread.published = Some(Published { node, bytes, undone: false, raced: 0, released: 0 });
    true
}

impl Thread {
    /// The thread gave its data back or went on, so what it published is judged now.
    pub(crate) fn settle_published(&mut self, context: &mut CallContext<'_>) {
        let Some(published) = self.published.take() else { return };
        if !context.judges || published.node.fs != context.fs.id {
            return;
        }
        context.failed.total += 1;
        if published.raced > 0 {
            context.failed.raced += 1;
        } else {
            context.failed.not_raced += 1;
        }
        let node = published.node;
        let story = published.story();
        if published.raced > 0 && published.released == 0 && published.undone {
            leave(context, &node, story, true);
            return;
        }
        let deviation = if published.raced == 0 && published.released > 0 {
            let off = published.released.saturating_neg();
            let text = format!("{story} It should have released nothing.");
            Deviation::new(FindingKind::ErrorPathOverRelease, Account::InodeMetaRsv, off, text)
        } else {
            publication(&published, format!("{story} What it released was right."))
        };
        context.report(&node, deviation);
    }
}

fn publication(published: &Published, text: String) -> Deviation {
    let extents = lengths::extents(published.bytes.unsigned_abs());
    let off = if published.undone { 0 } else { extents };
    let mut deviation =
        Deviation::new(FindingKind::PublishBeforeReserve, Account::InodeOutstandingExtents, off, text);
    deviation.amount = Some(extents.unsigned_abs());
    deviation
}

/// The failing task released nothing. The destroy of the inode shows whether a race had left bytes for it.
pub(crate) fn leave(context: &mut CallContext<'_>, node: &Node, story: String, raced: bool) {
    let left = RaceLeftover { epoch: context.shared.loss.epoch(), key: node.key, node: *node, story, raced };
    if context.fs.reported.race_leftovers.len() < MAX_LEFT {
        context.fs.reported.race_leftovers.push(left);
    } else {
        left.published(context);
    }
}

impl RaceLeftover {
    pub(crate) fn is_of(&self, key: InodeKey) -> bool {
        self.key == key
    }

    /// The inode is destroyed: what its block_rsv still holds is what the race left.
    pub(crate) fn settle(self, context: &mut CallContext<'_>, record: &InodeState) {
        let held = record.counters.reserved as i64;
        // After a loss, another unseen task may have left bytes there.
        if held <= 0 || self.epoch != context.shared.loss.epoch() {
            return self.published(context);
        }
        let text = format!(
            "{} A release that ran in between left {held} bytes for it, which it should have released.",
            self.story
        );
        let deviation = Deviation::new(FindingKind::ErrorPathLeak, Account::InodeMetaRsv, held, text);
        context.report(&Node { time: record.header.time, ..self.node }, deviation);
    }

    /// No bytes were left, or we cannot know it any more. To publish before reserving is wrong in any case.
    pub(crate) fn published(self, context: &mut CallContext<'_>) {
        let end = if self.raced {
            "What was left for it, a later release freed."
        } else {
            "A release that runs in between leaves bytes for it, which it would have to release."
        };
        let text = format!("{} {end}", self.story);
        let mut deviation =
            Deviation::new(FindingKind::PublishBeforeReserve, Account::InodeOutstandingExtents, 0, text);
        deviation.amount = Some(1);
        context.report(&self.node, deviation);
    }
}
