//! The books of calls: what each call of a hooked function did, against what it must do.
//!
//! Three books, each with its own rule of time. A *call* is judged at its return, with the calls inside it: its
//! arguments say what it must change, and the amounts in the record say what it changed. An *operation* is what a
//! task holds between `btrfs_delalloc_reserve_metadata` and `btrfs_delalloc_release_extents`: every caller of the
//! two does both in one function, so in one task (6.1 to 7.3: buffered write, direct IO, `btrfs_page_mkwrite`,
//! `btrfs_truncate_block`, defrag, inline reflink, encoded write, the fixup worker, and relocation). A *block_rsv* is
//! followed by its address.
//!
//! Policy: what began before all hooks were on, or before a loss, is not judged; nor is a call whose tree is torn,
//! nor one on a free-space-cache inode or the data relocation inode, which have rules of their own. All of it waits
//! in the docket: a missed return shows only at the next reading of the loss counters.
//!
//! Refuses to: require that `btrfs_delalloc_release_metadata` runs in the task that reserved (ordered extents finish
//! in workers), judge a level while another call on it may be in flight, and judge children by their number where a
//! flush in the same task can have run calls on other inodes.
mod contracts;
mod count;
mod data;
mod explained;
mod failed;
mod handles;
mod operations;
mod owner;
mod published;
mod qgroup;
mod report;
mod rsvs;
mod tree;

use probe_common::{
    call::{
        CALL_FS_ERROR, CALL_INODE, CALL_RETURNED, CALL_SPECIAL_INODE, CALL_TREE_TORN, CALL_UNFRAMED, Call,
    },
    claim::{CLAIM_RESERVE, Claim, ClaimType, RsvType},
    fs::Levels,
    hook::HookId,
    inode::InodeState,
};
use rustc_hash::{FxHashMap, FxHashSet};

pub(super) use self::explained::{Explained, Wrong};
use self::{
    qgroup::Qgroups,
    rsvs::Rsvs,
    tree::{Node, Thread},
};
use crate::{
    Desk, Setup,
    filesystem::{Fs, InodeKey},
    summary::FailedReservations,
};

/// Hooks without which no call is judged. `btrfs_delalloc_shrink_extents` is not among them: kernels before 6.18 have none.
pub(super) const NEEDED: [HookId; 12] = [
    HookId::ReserveMetadata,
    HookId::ReleaseMetadata,
    HookId::ReleaseExtents,
    HookId::InodeRsvRelease,
    HookId::ReserveSpace,
    HookId::ReleaseSpace,
    HookId::CheckDataFreeSpace,
    HookId::AllocDataChunkOndemand,
    HookId::FreeReservedDataSpace,
    HookId::BlockRsvRelease,
    HookId::ClearDelallocExtent,
    HookId::RemoveOrderedExtent,
];

/// Most threads followed; beyond it those without anything open are forgotten, then all.
const MAX_THREADS: usize = 1 << 16;

/// What was checked, for the verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checked {
    /// Calls met.
    pub calls: u64,
    /// Calls whose effect was compared with their arguments.
    pub contracts: u64,
    /// Operations that gave back all extents that they had taken.
    pub operations: u64,
    /// Calls whose outer call never came.
    pub orphans: u64,
    /// Calls whose tree was torn.
    pub torn: u64,
    /// Records of `csum_bytes` that changed outside of all hooked calls.
    pub unframed: u64,
}

/// All books of calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// All of [`NEEDED`] is attached.
    pub active: bool,
    /// A function hook is attached, so the session is one of the function tier.
    pub wanted: bool,
    pub checked: Checked,
    pub failed: FailedReservations,
    threads: FxHashMap<u32, Thread>,
    /// Threads that may hold something of an inode: those that do, and some that did. A suite of tests has thousands of
    /// threads, and hardly any of them holds something.
    holders: FxHashSet<u32>,
    rsvs: Rsvs,
    qgroups: Qgroups,
    /// Threads that publish counters outside of a reservation: none on a correct kernel.
    publishing: Vec<u32>,
    epoch: u32,
    /// What began after this time, in ns, has been seen in full.
    since: u64,
}

/// What every rule of calls needs.
struct Bench<'a> {
    desk: &'a mut Desk,
    fs: &'a mut Fs,
    checked: &'a mut Checked,
    failed: &'a mut FailedReservations,
    since: u64,
    /// Threads with something open, and what they hold, can be judged now.
    judges: bool,
}

impl Bench<'_> {
    /// Everything inside the call was seen, and the filesystem's rules apply to its inode.
    const fn judged(&self, node: &Node) -> bool {
        let wanted = CALL_RETURNED | CALL_INODE;
        self.judges
            && node.entered > self.since
            && node.flags & (wanted | CALL_TREE_TORN | CALL_SPECIAL_INODE) == wanted
    }
}

impl Calls {
    pub(super) fn new(setup: &Setup) -> Self {
        let attached = |hook: &HookId| setup.attached.contains(hook);
        Self {
            active: NEEDED.iter().all(attached),
            wanted: setup.attached.iter().any(|hook| hook.is_function()),
            ..Self::default()
        }
    }

    /// A call has returned.
    pub(super) fn call(&mut self, desk: &mut Desk, fs: &mut Fs, record: &Call) {
        desk.ring.call(record);
        self.checked.calls += 1;
        fs.activity += 1;
        if !self.active {
            return;
        }
        if record.flags & CALL_FS_ERROR != 0 {
            fs.aborted = true;
        }
        if self.epoch != desk.loss.epoch() {
            self.epoch = desk.loss.epoch();
            self.since = desk.statistics.now();
            self.rsvs.forget();
            self.qgroups.forget();
            self.publishing.clear();
        }
        if self.threads.len() >= MAX_THREADS && !self.threads.contains_key(&record.header.tid) {
            self.make_room(desk);
        }
        let Self { checked, failed, threads, holders, rsvs, epoch, since, publishing, .. } = self;
        let thread = threads.entry(record.header.tid).or_default();
        if thread.epoch != *epoch {
            thread.restart(*epoch, failed);
        }
        let judges = desk.loss.judges();
        let mut bench = Bench { desk, fs, checked, failed, since: *since, judges };
        let tid = record.header.tid;
        if record.flags & CALL_UNFRAMED != 0 {
            bench.checked.unframed += 1;
            if published::unframed(&bench, thread, record) {
                publishing.push(tid);
            }
            return;
        }
        let node = Node::of(record);
        if node.is(HookId::ReleaseGlobalBlockRsv) {
            bench.fs.unmount_stack = node.stack;
        }
        thread.enter(&mut bench, rsvs, &node, record);
        if !thread.listed && thread.may_hold() {
            thread.listed = true;
            holders.insert(tid);
        }
        if !publishing.is_empty() {
            let over = thread.published.is_some() && node.parent == 0 && !node.is(HookId::BlockRsvRelease);
            if over {
                thread.settle_published(&mut bench);
                publishing.retain(|of| *of != tid);
            }
            if node.is(HookId::InodeRsvRelease) {
                raced(threads, publishing, &node);
            }
        }
        self.qgroups.call(&bench, &node, record);
    }

    /// A handle makes its claim when it is started, before the task points to it: the one before is gone.
    pub(super) fn claim(&mut self, desk: &mut Desk, fs: &mut Fs, record: &Claim) {
        let start = record.claim == ClaimType::Transaction as u32
            && record.flags & CLAIM_RESERVE != 0
            && record.payer != RsvType::Temp as u32
            && record.handle == 0;
        if !start || !self.active || self.epoch != desk.loss.epoch() {
            return;
        }
        let Self { checked, failed, threads, since, epoch, .. } = self;
        let judges = desk.loss.judges();
        let mut bench = Bench { desk, fs, checked, failed, since: *since, judges };
        if let Some(thread) = threads.get_mut(&record.header.tid).filter(|thread| thread.epoch == *epoch) {
            handles::gone(&mut bench, thread, record.header.tid, record.header.time);
        }
    }

    /// The inode is destroyed: nobody can be inside an operation on it. Comes before [`crate::closing`].
    pub(super) fn destroyed(&mut self, desk: &mut Desk, fs: &mut Fs, record: &InodeState) {
        if !self.active || self.epoch != desk.loss.epoch() {
            return;
        }
        self.forget_holders();
        let Self { checked, failed, threads, holders, since, epoch, .. } = self;
        let judges = desk.loss.judges();
        let mut bench = Bench { desk, fs, checked, failed, since: *since, judges };
        let key = InodeKey { root: record.root, ino: record.ino };
        let holds = |thread: &Thread| thread.epoch == *epoch && thread.holds(bench.fs.id, key);
        let mut tids: Vec<u32> =
            holders.iter().copied().filter(|tid| threads.get(tid).is_some_and(holds)).collect();
        tids.sort_unstable();
        operations::destroyed(&mut bench, threads, &tids, key, record);
        self.qgroups.destroyed(&mut bench, key, record);
        if !bench.fs.explained.left.is_empty() {
            let left = std::mem::take(&mut bench.fs.explained.left);
            let (due, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|left| left.is_of(key));
            bench.fs.explained.left = rest;
            due.into_iter().for_each(|left| left.settle(&mut bench, record));
        }
    }

    /// The filesystem is unmounted: nobody is inside it. Comes before [`crate::closing`].
    pub(super) fn unmounted(&mut self, desk: &mut Desk, fs: &mut Fs, record: &Levels) {
        if !self.active || self.epoch != desk.loss.epoch() {
            return;
        }
        let Self { checked, failed, threads, rsvs, since, epoch, .. } = self;
        let judges = desk.loss.judges();
        let mut bench = Bench { desk, fs, checked, failed, since: *since, judges };
        let mut all: Vec<_> = threads.iter_mut().filter(|(_, thread)| thread.epoch == *epoch).collect();
        all.sort_unstable_by_key(|(tid, _)| **tid);
        for (tid, thread) in all {
            thread.unmounted(&mut bench, *tid, record);
        }
        rsvs.unmounted(&mut bench, record);
        data::unmounted(&mut bench, record);
        self.qgroups.unmounted(bench.fs.id);
    }

    /// The thread id belongs to another thread now, which can hold nothing.
    pub(super) fn thread_replaced(&mut self, tid: u32) {
        if let Some(mut thread) = self.threads.remove(&tid) {
            thread.restart(0, &mut self.failed);
        }
    }

    /// Failed reservations so far; those that are still under way are undecided.
    pub(super) fn failures(&self) -> FailedReservations {
        let mut failed = self.failed;
        self.threads
            .values()
            .filter_map(|thread| thread.failure)
            .for_each(|failure| failure.undecided(&mut failed));
        failed
    }

    /// End of the stream: failures whose end was not seen stay open.
    pub(super) fn finish(&mut self) {
        for thread in self.threads.values_mut() {
            thread.restart(0, &mut self.failed);
        }
    }

    /// End of the stream: inodes that were not destroyed until then.
    pub(super) fn left_over(&mut self, desk: &mut Desk, fs: &mut Fs) {
        let left = std::mem::take(&mut fs.explained.left);
        let Self { checked, failed, since, .. } = self;
        let judges = desk.loss.judges();
        let mut bench = Bench { desk, fs, checked, failed, since: *since, judges };
        left.into_iter().for_each(|left| left.published(&mut bench));
    }

    /// Takes out those that hold nothing any more: each is looked at once for what it held, and not for each inode that goes.
    fn forget_holders(&mut self) {
        let Self { threads, holders, .. } = self;
        holders.retain(|tid| {
            let Some(thread) = threads.get_mut(tid) else { return false };
            thread.listed = thread.may_hold();
            thread.listed
        });
    }

    #[cfg(test)]
    pub(super) const fn holders(&self) -> &FxHashSet<u32> {
        &self.holders
    }

    fn make_room(&mut self, desk: &mut Desk) {
        self.threads.retain(|_, thread| !thread.is_idle());
        if self.threads.len() >= MAX_THREADS {
            let dropped = self.threads.len();
            self.threads.values_mut().for_each(|thread| thread.restart(0, &mut self.failed));
            self.threads.clear();
            self.holders.clear();
            desk.loss.fold(dropped as u64);
        }
    }
}

/// A release on an inode for which other threads have published something.
fn raced(threads: &mut FxHashMap<u32, Thread>, publishing: &[u32], node: &Node) {
    for tid in publishing.iter().filter(|tid| **tid != node.tid) {
        let published = threads.get_mut(tid).and_then(|thread| thread.published.as_mut());
        if let Some(published) = published.filter(|published| published.is_of(node.fs, node.key)) {
            published.raced += 1;
        }
    }
}
