//! Bytes of an inode between its marks and a delayed ref.
//!
//! `btrfs_qgroup_release_data` takes the marks off a range. From then on its bytes belong to the task, until they are in an
//! ordered extent. They leave the inode by `btrfs_alloc_reserved_file_extent`, which hands them to a delayed ref head, or by
//! `btrfs_qgroup_free_refroot`. Every path does one of the two before its ordered extent is gone.
//!
//! Where ordered extents are seen as they come, a task has what it released until it puts it into one, and what it still has at the end of
//! its system call is lost. Elsewhere it has it until it goes on: `fallocate` may wait for space with it, over many transactions. So the
//! inode is judged only if all tasks have gone on, and a call that began after that showed no ordered extent. It is judged when the
//! last thread that changed it ends what it did (`hands.rs`), at a commit, or when it is destroyed.
use probe_common::{
    call::{CALL_INODE, CALL_ORDERED, CALL_RETURNED, CALL_SPECIAL_INODE},
    hook::HookId,
};
use rustc_hash::FxHashMap;

use crate::{
    book::node::Node,
    vocabulary::{
        finding::{Origin, StackRef},
        keys::InodeKey,
    },
};

/// Most inodes with such bytes, and most threads that have some. Beyond it all are forgotten.
const MAX: usize = 1 << 16;
/// Most releases of one thread that it has not gone on from.
const MAX_HOLDS: usize = 8;

/// Bytes of one inode.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Released {
    pub bytes: u64,
    /// Bytes that were there at the last commit, when nobody could still have them.
    due: u64,
    /// Tasks that have not gone on.
    holders: u32,
    /// When the last of them went on, and which it was.
    settled: (u64, u32),
    /// Since then, a call showed no ordered extent.
    closed: bool,
    /// Began with an inode without ordered extents, so nothing from before is missing.
    exact: bool,
    last: u64,
    pub stack: StackRef,
}

impl Released {
    pub(super) const fn origin(&self) -> Origin {
        Origin { bytes: self.last, count: 1, stack: self.stack }
    }

    fn left(&mut self, bytes: u64) -> u64 {
        let part = bytes.min(self.bytes);
        self.bytes -= part;
        self.due = self.due.min(self.bytes);
        bytes - part
    }
}

/// A release that its task has not gone on from.
#[derive(Clone, Copy, Debug)]
struct Hold {
    at: (u32, InodeKey),
    /// Call around it.
    parent: u32,
    bytes: u64,
    stack: StackRef,
}

/// A free of which it is not known yet for which inode it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Free {
    pub node: Node,
    pub bytes: u64,
}

/// More was freed than the inode had.
pub(super) struct Over {
    pub key: InodeKey,
    pub node: Node,
    pub had: u64,
    pub bytes: u64,
    pub origin: Origin,
}

#[derive(Debug, Default)]
pub(super) struct ReleasedBooks {
    inodes: FxHashMap<(u32, InodeKey), Released>,
    holds: FxHashMap<u32, Vec<Hold>>,
    frees: FxHashMap<u32, Free>,
    /// A call has shown an ordered extent, so this kernel shows them.
    shows_ordered: bool,
}

/// A task that begins this has gone on from what it did before.
const BEGINS: [HookId; 6] = [
    HookId::QgroupReserveData,
    HookId::QgroupReleaseData,
    HookId::CheckDataFreeSpace,
    HookId::AllocDataChunkOndemand,
    HookId::ReserveSpace,
    HookId::ReserveMetadata,
];
/// As above, if it is for the same inode. Neither `btrfs_add_ordered_extent` nor `insert_prealloc_file_extent` does any of it.
const GOES_ON: [HookId; 7] = [
    HookId::ClearDelallocExtent,
    HookId::QgroupFreeData,
    HookId::FreeReservedDataSpace,
    HookId::ReleaseMetadata,
    HookId::ReleaseExtents,
    HookId::ReleaseSpace,
    HookId::RemoveOrderedExtent,
];

impl Hold {
    /// True if the call shows that its thread has gone on from this release.
    fn is_over(&self, node: &Node) -> bool {
        if self.parent != node.parent {
            // The call around the release has returned, or one around that.
            return self.parent != 0
                && (node.parent == 0 || node.serial.wrapping_sub(self.parent) as i32 <= 0);
        }
        BEGINS.iter().any(|hook| node.is(*hook))
            || (self.at == (node.fs, node.key) && GOES_ON.iter().any(|hook| node.is(*hook)))
    }
}

impl ReleasedBooks {
    /// Any call: finds the inode of a free, and notes whether the inode has ordered extents. `guesses`: ordered extents are not seen as
    /// they come, so the call may show that its thread has gone on.
    pub(super) fn follow(&mut self, node: &Node, guesses: bool) -> Option<Over> {
        self.shows_ordered |= node.has(CALL_ORDERED);
        if self.inodes.is_empty() {
            self.holds.clear();
            self.frees.clear();
            return None;
        }
        if guesses {
            self.go_on(node);
        }
        let key = node.inode().filter(|_| !node.has(CALL_SPECIAL_INODE))?;
        let mut over = None;
        if let Some(free) = self.frees.remove(&node.tid) {
            if free.node.fs == node.fs && free.node.key.root == key.root {
                over = self.free((node.fs, key), &free, true);
            } else {
                self.forget_root(free.node.fs, free.node.key.root);
            }
        }
        if let Some(inode) = self.inodes.get_mut(&(node.fs, key)) {
            let (time, tid) = inode.settled;
            if node.has(CALL_ORDERED) {
                (inode.closed, inode.due) = (false, 0);
            } else if node.has(CALL_RETURNED | CALL_INODE)
                && inode.holders == 0
                && (node.entered > time || node.tid == tid)
            {
                inode.closed = true;
            }
        }
        over
    }

    pub(super) fn is_empty(&self) -> bool {
        self.inodes.is_empty()
    }

    pub(super) fn contains(&self, at: (u32, InodeKey)) -> bool {
        self.inodes.contains_key(&at)
    }

    /// The thread has put what it released last of the inode into an ordered extent.
    pub(super) fn ordered(&mut self, at: (u32, InodeKey), (tid, time): (u32, u64)) {
        if !self.holds.is_empty() {
            self.end_hold(at, &Node::at(at.0, tid, time));
        }
    }

    /// The system call or the work item of the thread has ended: it has gone on from all that it released. `shows_ordered`: whether ordered
    /// extents are seen as they come. Then what it put into none on this filesystem, and neither handed over nor freed, is lost; returns it.
    pub(super) fn thread_ended(
        &mut self,
        fs: u32,
        (tid, time): (u32, u64),
        shows_ordered: bool,
    ) -> Vec<((u32, InodeKey), u64, StackRef)> {
        let node = Node::at(fs, tid, time);
        let mut lost = Vec::new();
        for hold in self.holds.remove(&tid).unwrap_or_default() {
            if let Some(inode) = self.inodes.get_mut(&hold.at) {
                inode.settle(&node);
                if shows_ordered && hold.at.0 == fs && inode.bytes >= hold.bytes {
                    inode.left(hold.bytes);
                    lost.push((hold.at, hold.bytes, hold.stack));
                }
                self.drop_empty(hold.at);
            }
        }
        lost
    }

    /// The return of a call of the thread was missed, so it is not known what it still has.
    pub(super) fn doubt(&mut self, tid: u32) {
        for hold in self.holds.remove(&tid).unwrap_or_default() {
            self.forget_inode(hold.at);
        }
    }

    /// No thread can be in the middle of something with the inode. What it has released and no ordered extent has is lost.
    pub(super) fn over(&mut self, at: (u32, InodeKey)) -> Option<(Released, u64)> {
        let Self { inodes, frees, shows_ordered, .. } = self;
        let inode = inodes.get_mut(&at)?;
        let freed = frees.values().any(|free| free.node.fs == at.0 && free.node.key.root == at.1.root);
        let bytes = inode.bytes;
        if bytes == 0 || !inode.closed || inode.holders != 0 || !*shows_ordered || freed {
            return None;
        }
        let lost = (*inode, bytes);
        inodes.remove(&at);
        Some(lost)
    }

    fn go_on(&mut self, node: &Node) {
        let Some(holds) = self.holds.get_mut(&node.tid) else { return };
        let inodes = &mut self.inodes;
        holds.retain(|hold| {
            let over = hold.is_over(node);
            if over && let Some(inode) = inodes.get_mut(&hold.at) {
                inode.settle(node);
            }
            !over
        });
        if holds.is_empty() {
            self.holds.remove(&node.tid);
        }
    }

    /// Marks of these bytes were taken off, for an ordered extent or a preallocated one.
    pub(super) fn release(&mut self, at: (u32, InodeKey), bytes: u64, node: &Node) {
        if self.inodes.len() >= MAX || self.holds.len() >= MAX {
            self.forget();
        }
        let exact = !node.has(CALL_ORDERED);
        let inode = self.inodes.entry(at).or_insert(Released { exact, ..Released::default() });
        inode.bytes = inode.bytes.saturating_add(bytes);
        (inode.due, inode.closed, inode.last, inode.stack) = (0, false, bytes, node.stack);
        let holds = self.holds.entry(node.tid).or_default();
        if holds.len() >= MAX_HOLDS {
            // Nobody knows then when it goes on from the oldest one.
            let oldest = holds.remove(0);
            self.inodes.remove(&oldest.at);
        }
        if let Some(inode) = self.inodes.get_mut(&at) {
            inode.holders += 1;
            holds.push(Hold { at, parent: node.parent, bytes, stack: node.stack });
        }
    }

    /// The inode's bytes go to a delayed ref head.
    pub(super) fn handed_over(&mut self, at: (u32, InodeKey), bytes: u64, node: &Node) {
        if let Some(inode) = self.inodes.get_mut(&at) {
            inode.left(bytes);
            self.end_hold(at, node);
            self.drop_empty(at);
        }
    }

    /// `btrfs_qgroup_free_refroot`, outside of the commit's accounting.
    pub(super) fn freed(&mut self, node: &Node, bytes: u64) -> Option<Over> {
        let root = node.key.root;
        let own = self.holds.get(&node.tid).and_then(|holds| {
            holds.iter().rev().find(|hold| hold.at.0 == node.fs && hold.at.1.root == root).copied()
        });
        let free = Free { node: *node, bytes };
        match own {
            Some(hold) => {
                let over = self.free(hold.at, &free, bytes > hold.bytes);
                self.end_hold(hold.at, node);
                self.drop_empty(hold.at);
                over
            }
            // Of an ordered extent, which its thread removes next.
            None if !self.inodes.is_empty() && self.frees.len() < MAX => {
                self.frees.insert(node.tid, free);
                None
            }
            None => {
                self.forget_root(node.fs, root);
                None
            }
        }
    }

    fn free(&mut self, at: (u32, InodeKey), free: &Free, judged: bool) -> Option<Over> {
        let inode = self.inodes.get_mut(&at)?;
        let had = inode.bytes;
        let over = inode.left(free.bytes);
        let (exact, origin) = (inode.exact, inode.origin());
        self.drop_empty(at);
        (over > 0 && exact && judged).then_some(Over { key: at.1, node: free.node, had, bytes: over, origin })
    }

    fn end_hold(&mut self, at: (u32, InodeKey), node: &Node) {
        let Some(holds) = self.holds.get_mut(&node.tid) else { return };
        let Some(position) = holds.iter().rposition(|hold| hold.at == at) else { return };
        holds.remove(position);
        if holds.is_empty() {
            self.holds.remove(&node.tid);
        }
        if let Some(inode) = self.inodes.get_mut(&at) {
            inode.settle(node);
        }
    }

    /// Keeps it while a task has something of it, so that the number of holders stays right.
    fn drop_empty(&mut self, at: (u32, InodeKey)) {
        if self.inodes.get(&at).is_some_and(|inode| inode.bytes == 0 && inode.holders == 0) {
            self.inodes.remove(&at);
        }
    }

    /// A commit has ended: bytes that nobody could still have at the commit before. Each byte is returned once.
    pub(super) fn committed(&mut self, fs: u32, later: bool) -> Vec<(InodeKey, Released, u64)> {
        let Self { inodes, frees, shows_ordered, .. } = self;
        let mut overdue = Vec::new();
        for (&(of, key), inode) in inodes.iter_mut() {
            if of != fs {
                continue;
            }
            let freed = frees.values().any(|free| free.node.fs == fs && free.node.key.root == key.root);
            let closed = inode.closed && inode.holders == 0 && *shows_ordered && !freed;
            if closed && later && inode.due > 0 {
                overdue.push((key, *inode, inode.due));
                inode.bytes -= inode.due;
            }
            inode.due = if closed { inode.bytes } else { 0 };
        }
        inodes.retain(|_, inode| inode.bytes != 0 || inode.holders != 0);
        overdue.sort_unstable_by_key(|(key, ..)| *key);
        overdue
    }

    /// The inode is destroyed, so nobody has anything of it.
    pub(super) fn destroyed(&mut self, at: (u32, InodeKey)) -> Option<Released> {
        let inode = self.inodes.remove(&at)?;
        let root = at.1.root;
        let freed = self.frees.values().any(|free| free.node.fs == at.0 && free.node.key.root == root);
        self.holds.values_mut().for_each(|holds| holds.retain(|hold| hold.at != at));
        (inode.bytes > 0 && !freed).then_some(inode)
    }

    /// Inodes of the subvolume that have bytes.
    pub(super) fn of_root(&self, fs: u32, root: u64) -> Vec<(InodeKey, Released)> {
        let of_root = |at: &(u32, InodeKey)| at.0 == fs && at.1.root == root;
        let mut left: Vec<_> = self
            .inodes
            .iter()
            .filter(|(at, inode)| of_root(at) && inode.bytes > 0)
            .map(|(at, inode)| (at.1, *inode))
            .collect();
        left.sort_unstable_by_key(|(key, _)| *key);
        left
    }

    pub(super) fn forget_inode(&mut self, at: (u32, InodeKey)) {
        if self.inodes.remove(&at).is_some() {
            self.holds.values_mut().for_each(|holds| holds.retain(|hold| hold.at != at));
        }
    }

    pub(super) fn forget_root(&mut self, fs: u32, root: u64) {
        self.inodes.retain(|(of, key), _| *of != fs || key.root != root);
        self.holds.values_mut().for_each(|holds| holds.retain(|of| of.at.0 != fs || of.at.1.root != root));
    }

    pub(super) fn forget_fs(&mut self, fs: u32) {
        self.inodes.retain(|(of, _), _| *of != fs);
        self.holds.values_mut().for_each(|holds| holds.retain(|of| of.at.0 != fs));
        self.frees.retain(|_, free| free.node.fs != fs);
    }

    pub(super) fn forget(&mut self) {
        self.inodes.clear();
        self.holds.clear();
        self.frees.clear();
    }
}

impl Released {
    const fn settle(&mut self, node: &Node) {
        self.holders = self.holders.saturating_sub(1);
        self.settled = (node.time, node.tid);
    }
}
