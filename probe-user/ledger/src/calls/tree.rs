//! One thread: its tree of calls as far as it is not complete, and what it holds.
//!
//! Records come at the return of their call, the inner ones first. So what waits for the call around it forms a
//! stack: the children of a call are the newest entries, those with a higher serial.
use probe_common::{
    call::{CALL_INODE, CALL_RETURNED, CALL_RSV, CALL_SPECIAL_INODE, CALL_TREE_TORN, Call},
    claim::RsvType,
    fs::Levels,
    hook::{HOOK_SLOTS, HookId},
};

use super::{
    Bench, contracts,
    data::Data,
    failed::Failure,
    handles::{self, Handle},
    operations::{self, Operation},
    published::Published,
    rsvs::Rsvs,
};
use crate::{filesystem::InodeKey, finding::StackRef, summary::FailedReservations};

/// Most calls that wait for the one around them. A flush inside a reservation makes many, and nearly all of them are
/// of no interest to the call around it.
const MAX_WAITING: usize = 128;
/// Most operations of one thread; the kernel never has more than one.
const MAX_OPERATIONS: usize = 8;

/// A call, reduced to what rules need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub serial: u32,
    pub parent: u32,
    pub flags: u32,
    pub hook: u8,
    pub fs: u32,
    pub tid: u32,
    pub key: InodeKey,
    pub rsv: u64,
    pub rsv_type: RsvType,
    pub args: [u64; 4],
    pub ret: i64,
    pub extents: i32,
    pub calculations: u32,
    pub csum_bytes: i64,
    pub data: i64,
    pub entered: u64,
    pub time: u64,
    pub stack: StackRef,
    /// A child of it is missing or was not kept: what it contains is not judged.
    pub torn: bool,
}

impl Node {
    pub(super) fn of(record: &Call) -> Self {
        let exact = record.stack != 0;
        let id = if exact { record.stack } else { record.stack_representative };
        Self {
            serial: record.serial,
            parent: record.parent,
            flags: record.flags,
            hook: record.header.hook,
            fs: record.header.fs,
            tid: record.header.tid,
            key: InodeKey { root: record.root, ino: record.ino },
            rsv: record.rsv,
            rsv_type: RsvType::from_u32(record.rsv_type),
            args: record.args,
            ret: record.ret,
            extents: record.extents,
            calculations: record.calculations,
            csum_bytes: record.csum_bytes,
            data: record.data,
            entered: record.entered,
            time: record.header.time,
            stack: StackRef { id, representative: !exact && id != 0 },
            torn: record.flags & CALL_TREE_TORN != 0,
        }
    }

    /// No call: a moment at which something of a thread shows.
    pub(super) const fn at(fs: u32, tid: u32, time: u64) -> Self {
        Self {
            serial: 0,
            parent: 0,
            flags: 0,
            hook: 0,
            fs,
            tid,
            key: InodeKey { root: 0, ino: 0 },
            rsv: 0,
            rsv_type: RsvType::None,
            args: [0; 4],
            ret: 0,
            extents: 0,
            calculations: 0,
            csum_bytes: 0,
            data: 0,
            entered: 0,
            time,
            stack: StackRef { id: 0, representative: false },
            torn: false,
        }
    }

    pub(super) const fn is(&self, hook: HookId) -> bool {
        self.hook == hook as u8
    }

    pub(super) const fn has(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    pub(super) fn inode(&self) -> Option<InodeKey> {
        self.has(CALL_INODE).then_some(self.key)
    }

    /// Of interest to the call around it. Calls on pools are not: a flush makes thousands of them.
    fn is_kept(&self) -> bool {
        let rsv = self.is(HookId::BlockRsvRelease) && self.has(CALL_RSV);
        [
            HookId::ReserveMetadata,
            HookId::ReleaseMetadata,
            HookId::InodeRsvRelease,
            HookId::CheckDataFreeSpace,
            HookId::FreeReservedDataSpace,
            HookId::FreeReservedDataSpaceNoquota,
            HookId::BlockRsvAddBytes,
            HookId::TransReleaseMetadata,
        ]
        .into_iter()
        .any(|hook| self.is(hook))
            || rsv && matches!(self.rsv_type, RsvType::Delalloc | RsvType::Trans | RsvType::Temp)
    }
}

/// What is known of one thread since `epoch`.
#[derive(Debug, Default)]
pub(super) struct Thread {
    pub epoch: u32,
    /// An operation was begun since: whatever the thread holds is known. No caller begins one while it holds another.
    pub known: bool,
    /// A data reservation was begun since.
    pub data_known: bool,
    pub operations: Vec<Operation>,
    pub data: Vec<Data>,
    pub failure: Option<Failure>,
    pub published: Option<Published>,
    pub handle: Option<Handle>,
    waiting: Vec<Node>,
    /// Some calls were not kept for want of room.
    crowded: bool,
    /// It is one of the holders.
    pub listed: bool,
}

/// Functions by number; a search through [`HookId::ALL`] for each call would cost as much as the rest.
const HOOKS: &[Option<HookId>; HOOK_SLOTS as usize] = &{
    let mut hooks = [None; HOOK_SLOTS as usize];
    let mut at = 0;
    while at < HookId::ALL.len() {
        hooks[HookId::ALL[at] as usize] = Some(HookId::ALL[at]);
        at += 1;
    }
    hooks
};

fn hook_of(number: u8) -> Option<HookId> {
    HOOKS.get(usize::from(number)).copied().flatten()
}

/// True if `a` was begun after `b`; serials may wrap.
const fn younger(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 > 0
}

impl Thread {
    /// Something may have been missed: nothing is known any more.
    pub(super) fn restart(&mut self, epoch: u32, failed: &mut FailedReservations) {
        if let Some(failure) = self.failure.take() {
            failure.undecided(failed);
        }
        self.epoch = epoch;
        self.known = false;
        self.data_known = false;
        self.published = None;
        self.operations.clear();
        self.data.clear();
        self.handle = None;
        self.waiting.clear();
        self.crowded = false;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.failure.is_none()
            && self.published.is_none()
            && self.handle.is_none()
            && self.operations.iter().all(Operation::is_closed)
    }

    /// The thread holds something of this inode, or owes something to it.
    pub(super) fn holds(&self, fs: u32, key: InodeKey) -> bool {
        self.operations.iter().any(|operation| operation.is_open_on(fs, key))
            || self.failure.as_ref().is_some_and(|failure| failure.is_of(fs, key))
    }

    /// True if it holds something of any inode, or owes something to one.
    pub(super) fn may_hold(&self) -> bool {
        self.failure.is_some() || !self.operations.iter().all(Operation::is_closed)
    }

    pub(super) fn make_room(&mut self) {
        if self.operations.len() >= MAX_OPERATIONS {
            self.operations.remove(0);
        }
    }

    /// A call has returned: its children are complete.
    pub(super) fn enter(&mut self, bench: &mut Bench<'_>, rsvs: &mut Rsvs, node: &Node, record: &Call) {
        let first = self
            .waiting
            .iter()
            .rposition(|waiting| !younger(waiting.serial, node.serial))
            .map_or(0, |at| at + 1);
        let mut node = *node;
        if first < self.waiting.len() {
            // Who called the others was never seen.
            let orphans = self.waiting[first..].iter().filter(|child| child.parent != node.serial).count();
            node.torn |= orphans > 0;
            bench.checked.orphans += orphans as u64;
            if orphans > 0 {
                // Whether the missing call used the data is not known.
                self.data.clear();
                self.data_known = false;
            }
        }
        node.torn |= self.crowded;
        bench.checked.torn += u64::from(node.torn);
        let inside = std::mem::take(&mut self.waiting);
        let children = &inside[first..];
        if node.torn {
            node.flags |= CALL_TREE_TORN;
        }
        if node.is(HookId::InodeRsvRelease) {
            // It returns nothing; what it released is for the call around it to know.
            let released = children.iter().filter(|child| child.is(HookId::BlockRsvRelease));
            node.ret = released.map(|child| child.ret.max(0)).fold(0, i64::wrapping_add);
        }
        rsvs.call(bench, &node, record);
        let said = contracts::check(bench, self, &node, children, record);
        self.effects(bench, &node, children, record, said);
        self.waiting = inside;
        self.waiting.truncate(first);
        if node.parent == 0 {
            let seen_in_full = |child: &&Node| child.entered > bench.since;
            bench.checked.orphans += self.waiting.iter().filter(seen_in_full).count() as u64;
            self.waiting.clear();
            self.crowded = false;
        } else if node.is_kept() {
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push(node);
            } else {
                self.crowded = true;
            }
        }
    }

    /// What the call changes in the books of its thread. `said`: the call itself was found wrong.
    fn effects(&mut self, bench: &mut Bench<'_>, node: &Node, children: &[Node], record: &Call, said: bool) {
        match hook_of(node.hook) {
            Some(HookId::ReserveMetadata) => operations::reserve(bench, self, node, children, record, said),
            Some(HookId::ReleaseExtents | HookId::ShrinkExtents) => {
                operations::release(bench, self, node, said)
            }
            Some(HookId::CheckDataFreeSpace | HookId::AllocDataChunkOndemand) => {
                self.data_reserved(bench, node)
            }
            Some(HookId::ReserveSpace) => {
                self.released_inside(bench, node, children);
                self.settle_failure(bench, node);
            }
            Some(HookId::TransReleaseMetadata) => handles::ended(bench, self, node, children),
            Some(HookId::EndTransaction) => {
                self.released_inside(bench, node, children);
                handles::ended(bench, self, node, children);
            }
            // These release for a range, an ordered extent or themselves, not for the task's operation.
            Some(
                HookId::RemoveOrderedExtent | HookId::ClearDelallocExtent | HookId::FreeReservedDataSpace,
            ) => {}
            // What is wrong inside was reported; the budget stays too wide, which is the safe side.
            _ if said => {}
            _ => self.released_inside(bench, node, children),
        }
        if let Some(published) = &mut self.published
            && node.is(HookId::BlockRsvRelease)
            && published.is_of(node.fs, node.key)
        {
            published.released = published.released.saturating_add(node.ret.max(0));
        }
        if node.parent == 0 && !said {
            self.released(bench, node);
        }
    }

    /// Releases inside a call that does not account for them itself: they are the task's own.
    fn released_inside(&mut self, bench: &mut Bench<'_>, node: &Node, children: &[Node]) {
        for child in children.iter().filter(|child| child.parent == node.serial) {
            self.released(bench, child);
        }
    }

    fn released(&mut self, bench: &mut Bench<'_>, node: &Node) {
        if node.has(CALL_SPECIAL_INODE) || !node.has(CALL_RETURNED) {
            return;
        }
        if node.is(HookId::ReleaseMetadata) {
            operations::release_metadata(bench, self, node);
        } else if node.is(HookId::FreeReservedDataSpaceNoquota) && !node.has(CALL_INODE) {
            self.data_freed_by_nobody(bench, node);
        } else if node.is(HookId::FreeReservedDataSpace) || node.is(HookId::FreeReservedDataSpaceNoquota) {
            self.data_freed(bench, node);
        }
    }

    /// Nobody is inside the filesystem any more.
    pub(super) fn unmounted(&mut self, bench: &mut Bench<'_>, tid: u32, record: &Levels) {
        self.unmounted_failure(bench, tid, record);
        self.operations.retain(|operation| operation.fs != bench.fs.id);
        self.data.retain(|data| data.fs != bench.fs.id);
        handles::gone(bench, self, tid, record.header.time);
    }
}
