//! The books of the functions tier: what each thread, temporary block_rsv and qgroup holds by its calls.
use probe_common::{
    call::{
        CALL_BALANCED, CALL_FS_ERROR, CALL_QUOTAS, CALL_QUOTAS_ENABLED, CALL_SIZE_TOO_SMALL, CALL_UNBALANCED,
        CALL_UNFRAMED, Call,
    },
    chain::{Bmu, Chain, ChainCounter},
    claim::{CLAIM_LOG_RECOVERING, CLAIM_RESERVE, Claim, ClaimType, RsvType},
    extent::Extent,
    failure::Ticket,
    fs::Levels,
    hook::HookId,
    inode::{Delalloc, InodeState},
    task::Returned,
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    balance, commit, data, extents, handles, operations, published, qgroup::Qgroups, returned, rsvs::Rsvs,
    size, writeback::SeenClean,
};
use crate::{
    book::{
        extents::Extents,
        filesystem::Fs,
        node::Node,
        thread::{ItemsDue, Thread},
    },
    context::Context,
    rule::calls::context::{CallContext, Checked, Follows},
    vocabulary::{
        account::is_data, failed_reservations::FailedReservations, finding::StackRef, keys::InodeKey,
        setup::Setup,
    },
};

/// Hooks without which no call is judged. Does not contain `btrfs_delalloc_shrink_extents`: kernels before 6.18 have none.
pub(crate) const NEEDED: [HookId; 12] = [
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

/// Hooks without which metadata of qgroups is not followed.
const QGROUP_META: [HookId; 3] =
    [HookId::QgroupReserveMeta, HookId::QgroupFreeMeta, HookId::QgroupConvertMeta];

/// Hooks without which marks of data reserved in qgroups are not followed.
const RECORD_BITS: [HookId; 2] = [HookId::SetRecordBits, HookId::ClearRecordBits];

/// Hooks without which it is not known who owns data reserved in qgroups that is not marked.
const QGROUP_OWNERS: [HookId; 3] =
    [HookId::QgroupFreeRefroot, HookId::AllocReservedFileExtent, HookId::QgroupAccountExtents];

/// Hooks without which it is not known what a commit frees of the metadata of qgroups.
const PERTRANS: [HookId; 2] = [HookId::QgroupFreePertrans, HookId::StartTransaction];

/// Hooks without which it is not known what becomes of the data that a task has reserved.
const DATA: [HookId; 3] =
    [HookId::SetDelallocExtent, HookId::FreeReservedDataSpaceNoquota, HookId::BytesMayUse];

/// Hooks without which it is not known who has a reserved extent.
const EXTENTS: [HookId; 6] = [
    HookId::ReserveExtent,
    HookId::ReservedExtentAlloc,
    HookId::ReservedExtentFree,
    HookId::OrderedExtentAdd,
    HookId::OrderedExtentRemove,
    HookId::DelayedDataRef,
];

/// Hooks without which block_rsvs are not compared with `bytes_may_use` call by call.
const POOLS: [HookId; 12] = [
    HookId::BlockRsvAdd,
    HookId::BlockRsvRefill,
    HookId::BlockRsvRelease,
    HookId::BlockRsvMigrate,
    HookId::BlockRsvAddBytes,
    HookId::UseBlockRsv,
    HookId::UpdateGlobalBlockRsv,
    HookId::StealFromGlobal,
    HookId::RefillDelayedRefs,
    HookId::UpdateDelayedRefs,
    HookId::BytesMayUse,
    HookId::BytesPinned,
];

/// Most events of a thread without a call after them; on a correct kernel there is one.
const MAX_DUE: usize = 64;

/// Most threads followed. Beyond it, threads that hold nothing are forgotten; if that is not enough, all.
const MAX_THREADS: usize = 1 << 16;

/// The books of the functions tier.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// All of [`NEEDED`] is attached.
    pub active: bool,
    /// A function hook is attached, so this is a session of the functions tier.
    pub wanted: bool,
    follows: Follows,
    pub checked: Checked,
    pub failed: FailedReservations,
    threads: FxHashMap<u32, Thread>,
    /// Threads that hold something of an inode, and some that did. A test suite has thousands of threads, and hardly any of
    /// them holds something.
    holders: FxHashSet<u32>,
    rsvs: Rsvs,
    qgroups: Qgroups,
    seen_clean: SeenClean,
    extents: Extents,
    /// Threads that have published counters outside of a reservation; none on a correct kernel.
    publishing: Vec<u32>,
    epoch: u32,
    /// Calls that began after this time were seen in full. `CLOCK_MONOTONIC` ns.
    since: u64,
}

impl Calls {
    pub(crate) fn new(setup: &Setup) -> Self {
        let attached = |hook: &HookId| setup.attached.contains(hook);
        Self {
            active: NEEDED.iter().all(attached),
            follows: Follows {
                qgroup_meta: QGROUP_META.iter().all(attached),
                marks: RECORD_BITS.iter().all(attached),
                owners: RECORD_BITS.iter().chain(&QGROUP_OWNERS).all(attached),
                pertrans: QGROUP_META.iter().chain(&PERTRANS).all(attached),
                events: attached(&HookId::SpaceReservation),
                data: DATA.iter().all(attached),
                pools: POOLS.iter().all(attached),
                extents: EXTENTS.iter().all(attached),
            },
            wanted: setup.attached.iter().any(|hook| hook.is_function()),
            ..Self::default()
        }
    }

    /// Temporary block_rsvs of a filesystem that hold bytes, and how many bytes.
    pub(crate) fn temporary(&self, fs: u32) -> (u64, i64) {
        if self.active { self.rsvs.held(fs) } else { (0, 0) }
    }

    /// Tasks that have data of a filesystem which they neither handed on nor freed, and how many bytes at least.
    pub(crate) fn data_in_hands(&self, fs: u32) -> (u64, i64) {
        if !self.active || !self.follows.data {
            return (0, 0);
        }
        let threads = self.holders.iter().filter_map(|tid| self.threads.get(tid));
        let known = threads.filter(|thread| thread.epoch == self.epoch && thread.data_known);
        let held = known.map(|thread| thread.data_in_hands(fs)).filter(|bytes| *bytes > 0);
        held.fold((0, 0), |(count, sum), bytes| (count + 1, bytes.saturating_add(sum)))
    }

    /// True if data that inodes have reserved in qgroups was followed call by call.
    pub(crate) const fn followed_marks(&self) -> bool {
        // With a filter for inodes or subvolumes the hooks are attached, and none of these calls is compared.
        self.active && self.follows.marks && self.checked.qgroups > 0
    }

    /// All hooks are attached since the record before, or something was lost: calls that begin from now on are seen in full.
    pub(crate) fn follow_epoch(&mut self, shared: &Context) {
        if self.epoch != shared.loss.epoch() {
            self.epoch = shared.loss.epoch();
            self.since = shared.statistics.now();
            self.rsvs.forget();
            self.qgroups.forget();
            self.seen_clean.forget();
            self.extents.forget();
            self.publishing.clear();
        }
    }

    /// A call has returned.
    pub(crate) fn call(&mut self, shared: &mut Context, fs: &mut Fs, record: &Call) {
        shared.recent.call(record);
        self.checked.calls += 1;
        fs.activity += 1;
        if !self.active {
            return;
        }
        if record.flags & CALL_FS_ERROR != 0 {
            fs.aborted = true;
        }
        if self.threads.len() >= MAX_THREADS && !self.threads.contains_key(&record.header.tid) {
            self.make_room(shared);
        }
        let follows = self.follows;
        let Self {
            checked,
            failed,
            threads,
            holders,
            rsvs,
            qgroups,
            seen_clean,
            extents,
            epoch,
            since,
            publishing,
            ..
        } = self;
        let thread = threads.entry(record.header.tid).or_default();
        if thread.epoch != *epoch {
            thread.restart(*epoch, failed);
        }
        let mut context = CallContext::new(shared, fs, (checked, failed), *since, follows);
        let tid = record.header.tid;
        if record.flags & CALL_SIZE_TOO_SMALL != 0 {
            size::too_small(&mut context, record);
            return;
        }
        if record.flags & CALL_UNBALANCED != 0 {
            context.checked.balanced += 1;
            balance::lost(&mut context, record);
            return;
        }
        context.checked.balanced += u64::from(record.flags & CALL_BALANCED != 0);
        if record.flags & CALL_UNFRAMED != 0 {
            context.checked.unframed += 1;
            if published::unframed(&context, thread, record) {
                publishing.push(tid);
            }
            return;
        }
        let mut node = Node::of(record);
        if node.is(HookId::QgroupEnd) {
            context.fs.chains.qgroup_ended(node.args[0]);
        }
        // Quotas that were switched off and on meanwhile look at its end as if they had been on all the time.
        if node.is(HookId::QgroupEnd) && node.args[0] >> 48 == 0 {
            context.fs.qgroup_ended = node.time;
        } else if node.entered <= context.fs.qgroup_ended {
            node.flags &= !(CALL_QUOTAS | CALL_QUOTAS_ENABLED);
        }
        if node.is(HookId::SetDelallocExtent) {
            seen_clean.dirtied(&node, record.before.delalloc_bytes);
        } else if node.is(HookId::ClearDelallocExtent) {
            node.seen_clean = seen_clean.contains(&node);
        }
        if node.is(HookId::ReleaseGlobalBlockRsv) {
            context.fs.unmount_stack = node.stack;
        } else if node.is(HookId::CommitDeviceSizes) {
            commit::ended(&mut context, qgroups, &node, record);
        }
        if context.follows.extents {
            if node.is(HookId::RemoveOrderedExtent)
                && let Some(removed) = thread.removed.take()
            {
                extents::removed(&mut context, removed, &node);
            }
            if let Some(key) = node.inode() {
                extents.works_on(tid, node.fs, key);
            }
        }
        thread.enter(&mut context, rsvs, qgroups, &node, record);
        if !thread.listed && thread.may_hold() {
            thread.listed = true;
            holders.insert(tid);
        }
        if !publishing.is_empty() {
            let over = thread.published.is_some() && node.parent == 0 && !node.is(HookId::BlockRsvRelease);
            if over {
                thread.settle_published(&mut context);
                publishing.retain(|of| *of != tid);
            }
            if node.is(HookId::InodeRsvRelease) {
                raced(threads, publishing, &node);
            }
        }
    }

    /// A task is about to give back bytes of a delayed node.
    pub(crate) fn items_due(&mut self, epoch: u32, record: &Claim) {
        let items = record.claim == ClaimType::DelayedItem as u32;
        let delayed = items || record.claim == ClaimType::DelayedInode as u32;
        let gives_back = delayed && record.flags & (CLAIM_RESERVE | CLAIM_LOG_RECOVERING) == 0;
        if !gives_back || !self.active || self.epoch != epoch {
            return;
        }
        let thread = self.threads.get_mut(&record.header.tid).filter(|thread| thread.epoch == epoch);
        if let Some(thread) = thread.filter(|thread| thread.items_due.len() < MAX_DUE) {
            let (fs, ino, bytes) = (record.header.fs, record.value, record.bytes);
            let stack = StackRef { id: record.stack, representative: true };
            thread.items_due.push(ItemsDue { fs, ino, bytes, items, stack });
        }
    }

    /// A task starts a handle: its claim comes before `journal_info` points to the new handle. So the handle before is gone.
    pub(crate) fn claim(&mut self, shared: &mut Context, fs: &mut Fs, record: &Claim) {
        let start = record.claim == ClaimType::Transaction as u32
            && record.flags & CLAIM_RESERVE != 0
            && record.payer != RsvType::Temp as u32
            && record.handle == 0;
        if !start || !self.active || self.epoch != shared.loss.epoch() {
            return;
        }
        let follows = self.follows;
        let Self { checked, failed, threads, since, epoch, .. } = self;
        let mut context = CallContext::new(shared, fs, (checked, failed), *since, follows);
        if let Some(thread) = threads.get_mut(&record.header.tid).filter(|thread| thread.epoch == *epoch) {
            handles::gone(&mut context, thread, record.header.tid, record.header.time);
        }
    }

    /// A `delalloc` event.
    pub(crate) fn delalloc(&mut self, record: &Delalloc) {
        if self.active
            && let Some(thread) = self.threads.get_mut(&record.header.tid)
        {
            thread.delalloc_event(record);
        }
    }

    /// A task took data out of `bytes_may_use`, outside of all hooked calls: for an extent.
    pub(crate) fn spent(&mut self, shared: &mut Context, record: &Bmu) {
        if self.active && is_data(record.object_flags) && record.diff < 0 {
            if self.threads.len() >= MAX_THREADS && !self.threads.contains_key(&record.header.tid) {
                self.make_room(shared);
            }
            let epoch = self.epoch;
            let thread = self.threads.entry(record.header.tid).or_default();
            if thread.epoch != epoch {
                thread.restart(epoch, &mut self.failed);
            }
            thread.data_spent(record.header.fs, record.diff.unsigned_abs());
        }
    }

    /// An extent on disk was reserved, handed on, used or freed.
    pub(crate) fn extent(&mut self, shared: &mut Context, fs: &mut Fs, record: &Extent) {
        if !self.active || !self.follows.extents || self.epoch != shared.loss.epoch() {
            return;
        }
        let follows = self.follows;
        let Self { checked, failed, threads, qgroups, extents, since, epoch, .. } = self;
        let mut context = CallContext::new(shared, fs, (checked, failed), *since, follows);
        let tid = record.header.tid;
        let thread = threads.get(&tid).filter(|thread| thread.epoch == *epoch);
        let key = thread.and_then(|thread| thread.works_on(record.header.fs));
        let removed = extents::event(&mut context, extents, record, key);
        if record.header.hook == HookId::OrderedExtentAdd as u8 {
            let key = InodeKey { root: record.root, ino: record.ino };
            qgroups.ordered((record.header.fs, key), (tid, record.header.time));
        }
        // The call that removes it may be the first of its thread.
        if removed.is_some() || thread.is_some_and(|thread| thread.removed.is_some()) {
            let thread = threads.entry(tid).or_default();
            if thread.epoch != *epoch {
                thread.restart(*epoch, context.failed);
            }
            thread.removed = removed;
        }
    }

    /// A system call or a work item of a task has ended.
    pub(crate) fn returned(&mut self, shared: &mut Context, fs: &mut Fs, record: &Returned) {
        if !self.active || self.epoch != shared.loss.epoch() {
            return;
        }
        let follows = self.follows;
        let Self {
            checked, failed, threads, holders, rsvs, qgroups, extents, since, epoch, publishing, ..
        } = self;
        let mut context = CallContext::new(shared, fs, (checked, failed), *since, follows);
        let tid = record.header.tid;
        if let Some(thread) = threads.get_mut(&tid).filter(|thread| thread.epoch == *epoch) {
            let seen = thread.returned(&mut context, rsvs, record);
            publishing.retain(|of| *of != tid);
            if seen {
                let when = format!("when its {} ended", returned::end(record));
                extents::returned(&mut context, extents, (tid, record.header.time), &when);
                let id = context.fs.id;
                let held = |key: InodeKey| {
                    let mut threads = holders.iter().filter_map(|tid| threads.get(tid));
                    threads.any(|thread| thread.epoch == *epoch && thread.holds(id, key))
                };
                qgroups.returned(&mut context, held, (tid, record.header.time), returned::end(record));
            } else {
                extents.thread_replaced(tid);
                qgroups.doubt_thread(tid);
            }
        }
    }

    /// Whether the task takes data out of `bytes_may_use` that an extent of its own has taken already.
    pub(crate) fn frees_twice(&self, record: &Chain) -> bool {
        let data = record.counter == ChainCounter::BytesMayUse as u32 && is_data(record.object_flags);
        let thread = self.threads.get(&record.header.tid).filter(|thread| thread.epoch == self.epoch);
        data && record.diff < 0
            && thread.is_some_and(|thread| thread.frees_twice(record.header.fs, record.diff.unsigned_abs()))
    }

    /// A ticket of a task was granted or failed.
    pub(crate) fn ticket(&mut self, record: &Ticket) {
        if self.active
            && let Some(thread) = self.threads.get_mut(&record.header.tid)
        {
            thread.granted = record.error >= 0;
        }
    }

    /// The inode is destroyed, so no task can be inside an operation on it. Runs before `rule::closing`.
    pub(crate) fn destroyed(&mut self, shared: &mut Context, fs: &mut Fs, record: &InodeState) {
        if !self.active || self.epoch != shared.loss.epoch() {
            return;
        }
        self.forget_holders();
        let follows = self.follows;
        let Self { checked, failed, threads, holders, since, epoch, .. } = self;
        let mut context = CallContext::new(shared, fs, (checked, failed), *since, follows);
        let key = InodeKey { root: record.root, ino: record.ino };
        let holds = |thread: &Thread| thread.epoch == *epoch && thread.holds(context.fs.id, key);
        let mut tids: Vec<u32> =
            holders.iter().copied().filter(|tid| threads.get(tid).is_some_and(holds)).collect();
        tids.sort_unstable();
        operations::destroyed(&mut context, threads, &tids, key, record);
        data::destroyed(&mut context, threads, &tids, key, record);
        self.qgroups.destroyed(&mut context, key, record);
        self.seen_clean.destroyed(context.fs.id, key);
        if !context.fs.reported.race_leftovers.is_empty() {
            let left = std::mem::take(&mut context.fs.reported.race_leftovers);
            let (due, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|left| left.is_of(key));
            context.fs.reported.race_leftovers = rest;
            due.into_iter().for_each(|left| left.settle(&mut context, record));
        }
    }

    /// A commit has ended.
    pub(crate) fn committed(&mut self, shared: &mut Context, fs: &mut Fs, record: &Levels) {
        if !self.active || self.epoch != shared.loss.epoch() {
            return;
        }
        let follows = self.follows;
        let Self { checked, failed, threads, holders, qgroups, extents, since, epoch, .. } = self;
        let mut context = CallContext::new(shared, fs, (checked, failed), *since, follows);
        let id = context.fs.id;
        let held = |key: InodeKey| {
            let mut threads = holders.iter().filter_map(|tid| threads.get(tid));
            threads.any(|thread| thread.epoch == *epoch && thread.holds(id, key))
        };
        qgroups.committed(&mut context, held, record);
        extents.committed(id);
    }

    /// The filesystem is unmounted, so no task is inside it. Runs before `rule::closing`.
    pub(crate) fn unmounted(&mut self, shared: &mut Context, fs: &mut Fs, record: &Levels) {
        if !self.active || self.epoch != shared.loss.epoch() {
            return;
        }
        let follows = self.follows;
        let Self { checked, failed, threads, rsvs, extents, since, epoch, .. } = self;
        let mut context = CallContext::new(shared, fs, (checked, failed), *since, follows);
        let mut all: Vec<_> = threads.iter_mut().filter(|(_, thread)| thread.epoch == *epoch).collect();
        all.sort_unstable_by_key(|(tid, _)| **tid);
        for (tid, thread) in all {
            thread.unmounted(&mut context, *tid, record);
        }
        rsvs.unmounted(&mut context, record);
        data::unmounted(&mut context, record);
        extents::unmounted(&mut context, extents, record);
        self.qgroups.unmounted(context.fs.id);
        self.seen_clean.unmounted(context.fs.id);
    }

    /// The thread id belongs to a new thread, which holds nothing.
    pub(crate) fn thread_replaced(&mut self, tid: u32) {
        self.qgroups.thread_replaced(tid);
        self.extents.thread_replaced(tid);
        if let Some(mut thread) = self.threads.remove(&tid) {
            thread.restart(0, &mut self.failed);
        }
    }

    /// Failed reservations so far. Those whose task has not gone on are undecided.
    pub(crate) fn failures(&self) -> FailedReservations {
        let mut failed = self.failed;
        self.threads
            .values()
            .filter_map(|thread| thread.failure)
            .for_each(|failure| failure.undecided(&mut failed));
        failed
    }

    /// End of the stream: failures whose undo was not seen are undecided.
    pub(crate) fn finish(&mut self) {
        for thread in self.threads.values_mut() {
            thread.restart(0, &mut self.failed);
        }
    }

    /// End of the stream: settles the race leftovers of inodes that were not destroyed.
    pub(crate) fn left_over(&mut self, shared: &mut Context, fs: &mut Fs) {
        let left = std::mem::take(&mut fs.reported.race_leftovers);
        let follows = self.follows;
        let Self { checked, failed, since, .. } = self;
        let mut context = CallContext::new(shared, fs, (checked, failed), *since, follows);
        left.into_iter().for_each(|left| left.published(&mut context));
    }

    /// Removes threads that hold nothing any more, so that not every destroy has to look at them.
    fn forget_holders(&mut self) {
        let Self { threads, holders, .. } = self;
        holders.retain(|tid| {
            let Some(thread) = threads.get_mut(tid) else { return false };
            thread.listed = thread.may_hold();
            thread.listed
        });
    }

    #[cfg(test)]
    pub(crate) const fn holders(&self) -> &FxHashSet<u32> {
        &self.holders
    }

    fn make_room(&mut self, shared: &mut Context) {
        self.threads.retain(|_, thread| !thread.is_idle());
        if self.threads.len() >= MAX_THREADS {
            let dropped = self.threads.len();
            self.threads.values_mut().for_each(|thread| thread.restart(0, &mut self.failed));
            self.threads.clear();
            self.holders.clear();
            shared.loss.fold(dropped as u64);
        }
    }
}

/// A release on an inode: counts it for other threads that have published counters of that inode.
fn raced(threads: &mut FxHashMap<u32, Thread>, publishing: &[u32], node: &Node) {
    for tid in publishing.iter().filter(|tid| **tid != node.tid) {
        let published = threads.get_mut(tid).and_then(|thread| thread.published.as_mut());
        if let Some(published) = published.filter(|published| published.is_of(node.fs, node.key)) {
            published.raced += 1;
        }
    }
}
