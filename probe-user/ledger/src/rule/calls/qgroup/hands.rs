//! Which threads may be in the middle of something with the qgroup data of an inode.
//!
//! A task that throws a dirty range away frees its marks after that, and one that gives up an extent frees what it had released for
//! it after that. Both is over when its system call or its work item ends. So an inode is judged at the end of the last of the
//! threads that changed it.
//!
//! Other kernel threads have no such end. Inodes that they changed are judged later, at a commit or at the destroy.
use probe_common::{call::CALL_SPECIAL_INODE, hook::HookId};
use rustc_hash::FxHashMap;

use crate::{book::node::Node, vocabulary::keys::InodeKey};

/// Most inodes of one thread.
const MAX_INODES: usize = 64;
/// Most threads; beyond it all are forgotten, and nothing is judged here until each thread has ended once more.
const MAX_THREADS: usize = 1 << 16;

/// Calls that change the data of an inode in its qgroup, or that are followed by one.
const CHANGES: [HookId; 6] = [
    HookId::QgroupReserveData,
    HookId::QgroupFreeData,
    HookId::QgroupReleaseData,
    HookId::SetDelallocExtent,
    HookId::ClearDelallocExtent,
    HookId::RemoveOrderedExtent,
];

/// What one thread has changed since it had nothing in hand.
#[derive(Debug, Default)]
struct Changed {
    inodes: Vec<(u32, InodeKey)>,
    /// There were more.
    more: bool,
}

/// By thread.
#[derive(Debug, Default)]
pub(super) struct Hands {
    threads: FxHashMap<u32, Changed>,
    /// Threads that are not in the list may have changed something.
    forgot: bool,
}

impl Hands {
    /// A call has returned. `counts`: whether anything is booked for an inode.
    pub(super) fn call(&mut self, node: &Node, counts: impl Fn((u32, InodeKey)) -> bool) {
        if node.has(CALL_SPECIAL_INODE) || !CHANGES.iter().any(|hook| node.is(*hook)) {
            return;
        }
        let at = (node.fs, node.key);
        if self.threads.len() >= MAX_THREADS && !self.threads.contains_key(&node.tid) {
            self.threads.clear();
            self.forgot = true;
        }
        let changed = self.threads.entry(node.tid).or_default();
        if changed.inodes.contains(&at) {
            return;
        }
        if changed.inodes.len() >= MAX_INODES {
            changed.inodes.retain(|at| counts(*at));
        }
        if changed.inodes.len() < MAX_INODES {
            changed.inodes.push(at);
        } else {
            changed.more = true;
        }
    }

    /// The thread has nothing in hand any more: the inodes that no other thread may be in the middle of.
    pub(super) fn ended(
        &mut self,
        tid: u32,
        counts: impl Fn((u32, InodeKey)) -> bool,
    ) -> Vec<(u32, InodeKey)> {
        let Some(mut changed) = self.threads.remove(&tid) else { return Vec::new() };
        changed.inodes.retain(|at| counts(*at));
        if changed.inodes.is_empty() || self.forgot || self.threads.values().any(|other| other.more) {
            return Vec::new();
        }
        changed.inodes.retain(|at| !self.threads.values().any(|other| other.inodes.contains(at)));
        changed.inodes
    }

    /// The thread id belongs to a new thread.
    pub(super) fn replaced(&mut self, tid: u32) {
        self.threads.remove(&tid);
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(hands: &mut Hands, tid: u32, ino: u64) {
        let key = InodeKey { root: 5, ino };
        let node = Node { key, hook: HookId::ClearDelallocExtent as u8, ..Node::at(1, tid, 0) };
        hands.call(&node, |_| true);
    }

    fn inodes(list: &[(u32, InodeKey)]) -> Vec<u64> {
        list.iter().map(|(_, key)| key.ino).collect()
    }

    #[test]
    fn the_last_thread_that_changed_an_inode_shows_it() {
        let mut hands = Hands::default();
        changes(&mut hands, 1, 257);
        changes(&mut hands, 1, 258);
        changes(&mut hands, 2, 257);
        assert_eq!(inodes(&hands.ended(1, |_| true)), [258]);
        assert_eq!(inodes(&hands.ended(2, |_| true)), [257]);
        assert_eq!(inodes(&hands.ended(2, |_| true)), [0; 0]);
    }

    #[test]
    fn a_thread_with_too_many_inodes_may_have_any() {
        let mut hands = Hands::default();
        (0..100).for_each(|ino| changes(&mut hands, 1, ino));
        changes(&mut hands, 2, 500);
        assert_eq!(inodes(&hands.ended(2, |_| true)), [0; 0]);
        assert_eq!(hands.ended(1, |_| true).len(), 64);
        changes(&mut hands, 2, 500);
        assert_eq!(inodes(&hands.ended(2, |_| true)), [500]);
    }

    #[test]
    fn inodes_without_anything_make_room() {
        let mut hands = Hands::default();
        (0..100).for_each(|ino| {
            let key = InodeKey { root: 5, ino };
            let node = Node { key, hook: HookId::QgroupFreeData as u8, ..Node::at(1, 1, 0) };
            hands.call(&node, |_| false);
        });
        changes(&mut hands, 2, 500);
        assert_eq!(inodes(&hands.ended(2, |_| true)), [500]);
    }
}
