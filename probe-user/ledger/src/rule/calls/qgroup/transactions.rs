//! What subvolumes must give back before the next transaction starts.
use rustc_hash::FxHashMap;

use crate::{book::node::Node, vocabulary::finding::Origin};

/// Most subvolumes with bytes. Beyond it all are forgotten, so that none of them is judged.
const MAX_ROOTS: usize = 1 << 16;

/// Bytes of one subvolume.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub bytes: u64,
    /// Of these, bytes that were taken before the last commit ended.
    pub due: u64,
    /// The call that took last.
    pub node: Node,
    last: u64,
}

impl Held {
    pub(super) const fn origin(&self) -> Origin {
        Origin { bytes: self.last, count: 1, stack: self.node.stack }
    }
}

#[derive(Debug, Default)]
pub(super) struct ByTransaction {
    roots: FxHashMap<(u32, u64), Held>,
}

impl ByTransaction {
    pub(super) fn take(&mut self, at: (u32, u64), bytes: u64, node: &Node) {
        if self.roots.len() >= MAX_ROOTS && !self.roots.contains_key(&at) {
            self.roots.clear();
        }
        let held = self.roots.entry(at).or_insert(Held { bytes: 0, due: 0, node: *node, last: 0 });
        held.bytes = held.bytes.saturating_add(bytes);
        (held.node, held.last) = (*node, bytes);
    }

    /// Returns how many bytes the subvolume did not have. They may be younger ones that are given back, so `due` can only
    /// become too small.
    pub(super) fn give(&mut self, at: (u32, u64), bytes: u64) -> u64 {
        let Some(held) = self.roots.get_mut(&at) else { return bytes };
        let part = bytes.min(held.bytes);
        held.bytes -= part;
        held.due = held.due.saturating_sub(part);
        if held.bytes == 0 {
            self.roots.remove(&at);
        }
        bytes - part
    }

    pub(super) fn get(&self, at: (u32, u64)) -> Option<Held> {
        self.roots.get(&at).copied()
    }

    /// All that the subvolumes of the filesystem have.
    pub(super) fn drain(&mut self, fs: u32) -> Vec<(u64, Held)> {
        let mut all: Vec<_> = self
            .roots
            .iter()
            .filter(|((of, _), _)| *of == fs)
            .map(|((_, root), held)| (*root, *held))
            .collect();
        all.sort_unstable_by_key(|(root, _)| *root);
        self.forget_fs(fs);
        all
    }

    pub(super) fn remove(&mut self, at: (u32, u64)) -> Option<Held> {
        self.roots.remove(&at)
    }

    /// A commit has ended; `later`: and since the commit before, a transaction has started. A transaction starts after the one
    /// before has given back all. So what was taken before must be gone. Each byte is returned once.
    pub(super) fn committed(&mut self, fs: u32, later: bool) -> Vec<(u64, Held)> {
        let mut overdue = Vec::new();
        for (&(of, root), held) in &mut self.roots {
            if of != fs {
                continue;
            }
            if later && held.due > 0 {
                overdue.push((root, *held));
                held.bytes -= held.due;
            }
            held.due = held.bytes;
        }
        self.roots.retain(|_, held| held.bytes != 0);
        overdue.sort_unstable_by_key(|(root, _)| *root);
        overdue
    }

    pub(super) fn forget_fs(&mut self, fs: u32) {
        self.roots.retain(|(of, _), _| *of != fs);
    }
}
