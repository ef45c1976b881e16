//! What each delayed node holds of `delayed_block_rsv`, for its inode item and for its items of a directory.
use rustc_hash::FxHashMap;

use crate::vocabulary::finding::Origin;

/// Most nodes that are followed. Beyond it all are forgotten and counted, so that none of them is judged.
const MAX_NODES: usize = 1 << 18;

/// For which of its two claims a node holds bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    /// `delayed_inode`
    Inode,
    /// `delayed_item`
    Items,
}

/// What one node holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    bytes: u64,
    /// Of these, bytes that were claimed in a transaction not younger than [`DelayedNodes::transid`].
    due: u64,
    tid: u32,
    origin: Origin,
}

/// Bytes that outlived their transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overdue {
    pub part: Part,
    /// Inode number of the node.
    pub ino: u64,
    pub bytes: u64,
    /// The thread that claimed last for the node.
    pub tid: u32,
    /// Its claim.
    pub origin: Origin,
}

/// Delayed nodes of one filesystem that hold bytes.
#[derive(Debug, Default)]
pub(crate) struct DelayedNodes {
    nodes: FxHashMap<(Part, u64), Held>,
    /// `fs_info->generation` at the last commit.
    transid: u64,
    epoch: u32,
    /// Nodes that were forgotten because there were too many.
    pub forgotten: u64,
}

impl DelayedNodes {
    fn since(&mut self, epoch: u32) {
        if self.epoch != epoch {
            self.nodes.clear();
            self.epoch = epoch;
        }
    }

    pub(crate) fn claimed(&mut self, epoch: u32, part: Part, ino: u64, tid: u32, origin: Origin) {
        self.since(epoch);
        if self.nodes.len() >= MAX_NODES && !self.nodes.contains_key(&(part, ino)) {
            self.forgotten = self.forgotten.saturating_add(self.nodes.len() as u64);
            self.nodes.clear();
        }
        let held = self.nodes.entry((part, ino)).or_insert(Held { bytes: 0, due: 0, tid, origin });
        held.bytes = held.bytes.saturating_add(origin.bytes);
        (held.tid, held.origin) = (tid, origin);
    }

    /// It may be a younger claim that is given back, so `due` can only become too small.
    pub(crate) fn given_back(&mut self, epoch: u32, part: Part, ino: u64, bytes: u64) {
        self.since(epoch);
        if let Some(held) = self.nodes.get_mut(&(part, ino)) {
            held.bytes = held.bytes.saturating_sub(bytes);
            held.due = held.due.saturating_sub(bytes).min(held.bytes);
            if held.bytes == 0 {
                self.nodes.remove(&(part, ino));
            }
        }
    }

    /// A commit has ended, with this `fs_info->generation`. A transaction starts after the one before has run all its delayed
    /// items. So what was claimed up to an older generation must be gone. Each byte is returned once.
    pub(crate) fn committed(&mut self, epoch: u32, transid: u64) -> Vec<Overdue> {
        self.since(epoch);
        let later = transid > self.transid;
        self.transid = self.transid.max(transid);
        let mut overdue = Vec::new();
        for (&(part, ino), held) in &mut self.nodes {
            if later && held.due > 0 {
                let Held { due, tid, origin, .. } = *held;
                overdue.push(Overdue { part, ino, bytes: due, tid, origin });
                held.bytes -= due;
            }
            held.due = held.bytes;
        }
        self.nodes.retain(|_, held| held.bytes != 0);
        overdue.sort_unstable_by_key(|of| (of.part, of.ino));
        overdue
    }

    /// A transaction ends, and no other has started, or the filesystem is unmounted: all that is still held, and whose it is.
    pub(crate) fn left(&mut self, epoch: u32) -> Vec<Overdue> {
        self.since(epoch);
        let mut left: Vec<Overdue> = self
            .nodes
            .drain()
            .map(|((part, ino), held)| Overdue {
                part,
                ino,
                bytes: held.bytes,
                tid: held.tid,
                origin: held.origin,
            })
            .collect();
        left.sort_unstable_by_key(|of| (of.part, of.ino));
        left
    }
}
