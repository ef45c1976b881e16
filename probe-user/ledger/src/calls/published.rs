//! Counters that are published outside of all reservations.
//!
//! `csum_bytes` rises in `btrfs_delalloc_reserve_metadata` alone, once its bytes were granted. A task that has reserved
//! data for an inode, raises the counter without that function, and then gives its data back has done what btrfs did
//! until 2012: publish, try to reserve, fail, undo. What is right to undo depends on who came in between. If nobody did,
//! nothing of the inode's bytes is the task's: it must release nothing. If a release ran, it left the bytes that the
//! published counters seemed to cover, and the failing side must free them.
use probe_common::{call::Call, inode::InodeState};

use super::{
    Bench, count,
    report::Fault,
    tree::{Node, Thread},
};
use crate::{
    filesystem::InodeKey,
    finding::{Account, FindingKind},
};

/// Most inodes for which a race may have left something.
const MAX_LEFT: usize = 256;

/// A publication that is not over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Published {
    node: Node,
    bytes: i64,
    undone: bool,
    /// Releases of others on the inode since.
    pub raced: u32,
    /// Bytes of the block_rsv that the task released itself.
    pub released: i64,
}

impl Published {
    pub(super) fn is_of(&self, fs: u32, key: InodeKey) -> bool {
        self.node.fs == fs && self.node.key == key
    }

    fn story(&self) -> String {
        let race = match self.raced {
            0 => "nobody released anything of the inode in between".to_owned(),
            1 => "1 release on the inode ran in between".to_owned(),
            n => format!("{n} releases on the inode ran in between"),
        };
        let undone = if self.undone { "undid that" } else { "left that" };
        format!(
            "The task published {} bytes of csum_bytes and their extents before anything was reserved, failed, {undone} \
             and released {} bytes of the block_rsv; {race}.",
            self.bytes, self.released
        )
    }
}

/// What a race left for a failing side that did not take it: it shows when the inode goes.
#[derive(Clone, Debug)]
pub(super) struct Left {
    epoch: u32,
    key: InodeKey,
    node: Node,
    story: String,
    /// A release is known to have run in between.
    raced: bool,
}

/// `csum_bytes` changed outside of all calls on the inode. True if the thread publishes from here on.
pub(super) fn unframed(bench: &Bench<'_>, thread: &mut Thread, record: &Call) -> bool {
    let mut node = Node::of(record);
    node.entered = node.time;
    if let Some(published) = thread.published.as_mut().filter(|of| of.is_of(node.fs, node.key)) {
        published.undone |= record.csum_bytes == published.bytes.wrapping_neg();
        return false;
    }
    // Without data that is reserved for it and still waits for its metadata, nobody can tell what this is: filters may
    // have left the call out.
    let waits = thread.data_waits(node.fs, node.key);
    if record.csum_bytes <= 0 || !waits || !bench.judges || node.time <= bench.since {
        return false;
    }
    let bytes = record.csum_bytes;
    thread.published = Some(Published { node, bytes, undone: false, raced: 0, released: 0 });
    true
}

impl Thread {
    /// The thread gives its data back, or goes on: the publication is over.
    pub(super) fn settle_published(&mut self, bench: &mut Bench<'_>) {
        let Some(published) = self.published.take() else { return };
        if !bench.judges || published.node.fs != bench.fs.id {
            return;
        }
        bench.failed.total += 1;
        if published.raced > 0 {
            bench.failed.raced += 1;
        } else {
            bench.failed.not_raced += 1;
        }
        let node = published.node;
        let story = published.story();
        if published.raced > 0 && published.released == 0 && published.undone {
            leave(bench, &node, story, true);
            return;
        }
        let fault = if published.raced == 0 && published.released > 0 {
            let off = published.released.saturating_neg();
            let text = format!("{story} It should have released nothing.");
            Fault::new(FindingKind::ErrorPathOverRelease, Account::InodeMetaRsv, off, text)
        } else {
            publication(&published, format!("{story} What it released was right."))
        };
        bench.report(&node, fault);
    }
}

fn publication(published: &Published, text: String) -> Fault {
    let extents = count::extents(published.bytes.unsigned_abs());
    let off = if published.undone { 0 } else { extents };
    let mut fault =
        Fault::new(FindingKind::PublishBeforeReserve, Account::InodeOutstandingExtents, off, text);
    fault.amount = Some(extents.unsigned_abs());
    fault
}

/// The failing side freed nothing: whether a race had left something for it shows when the inode goes.
pub(super) fn leave(bench: &mut Bench<'_>, node: &Node, story: String, raced: bool) {
    let left = Left { epoch: bench.desk.loss.epoch(), key: node.key, node: *node, story, raced };
    if bench.fs.explained.left.len() < MAX_LEFT {
        bench.fs.explained.left.push(left);
    } else {
        left.published(bench);
    }
}

impl Left {
    pub(super) fn is_of(&self, key: InodeKey) -> bool {
        self.key == key
    }

    /// The inode is destroyed: what the kernel still holds for it is what the race left.
    pub(super) fn settle(self, bench: &mut Bench<'_>, record: &InodeState) {
        let held = record.counters.reserved as i64;
        // A loss since may have hidden who else left bytes there.
        if held <= 0 || self.epoch != bench.desk.loss.epoch() {
            return self.published(bench);
        }
        let text = format!(
            "{} A release that ran in between left {held} bytes for it, which it should have released.",
            self.story
        );
        let fault = Fault::new(FindingKind::ErrorPathLeak, Account::InodeMetaRsv, held, text);
        bench.report(&Node { time: record.header.time, ..self.node }, fault);
    }

    /// Nothing was left, or nobody will ever tell: that it was published is wrong all the same.
    pub(super) fn published(self, bench: &mut Bench<'_>) {
        let end = if self.raced {
            "What was left for it, a later release freed."
        } else {
            "A release that runs in between leaves bytes for it, which it would have to release."
        };
        let text = format!("{} {end}", self.story);
        let mut fault =
            Fault::new(FindingKind::PublishBeforeReserve, Account::InodeOutstandingExtents, 0, text);
        fault.amount = Some(1);
        bench.report(&self.node, fault);
    }
}
