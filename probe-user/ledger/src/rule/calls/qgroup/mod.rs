//! Data that an inode has reserved in its qgroup: the ranges of its io_tree with `EXTENT_QGROUP_RESERVED`.
//!
//! A range that is marked is added to the qgroup's counter, and a range whose mark is freed is taken from it, in the same
//! call. `btrfs_qgroup_release_data` takes marks off and leaves the counter, because the bytes go to an ordered extent. Nothing
//! may be left when the inode is destroyed.
//!
//! What becomes of bytes without a mark: `released.rs`, then `owners.rs`. Marks that stay on an inode: `idle.rs`. When its tasks have
//! ended what they did: `hands.rs`.
//!
//! Not judged: a subvolume without a qgroup, whose marks count nowhere, and marks from before quotas were switched on.
mod hands;
mod idle;
mod owners;
mod released;
mod transactions;

use probe_common::{
    call::{BYTES_UNKNOWN, CALL_CLOSING, CALL_QUOTAS, CALL_RETURNED, CALL_SPECIAL_INODE, Call},
    fs::Levels,
    hook::HookId,
    inode::InodeState,
};
use rustc_hash::{FxHashMap, FxHashSet};

use self::{
    hands::Hands,
    idle::{Idle, Operations},
    owners::Owners,
};
use super::{context::CallContext, report::Deviation};
use crate::{
    book::node::Node,
    vocabulary::{
        account::Account,
        finding::{FindingKind, Origin, StackRef},
        keys::InodeKey,
    },
};

/// Most inodes followed. Beyond it no inode is judged at its end.
const MAX_INODES: usize = 1 << 16;
/// Most subvolumes whose qgroup is known.
const MAX_ROOTS: usize = 1 << 16;

#[derive(Debug, Default)]
pub(crate) struct Qgroups {
    inodes: FxHashMap<(u32, InodeKey), Marked>,
    /// Subvolumes whose qgroup counts: a call has changed its counter.
    counted: FxHashSet<(u32, u64)>,
    /// There were more inodes than are followed.
    crowded: bool,
    operations: Operations,
    hands: Hands,
    owners: Owners,
}

/// The marked bytes of an inode, as far as their marks were seen to be set.
#[derive(Clone, Copy, Debug, Default)]
struct Marked {
    bytes: i64,
    /// A change could not be followed.
    doubtful: bool,
    /// The last reservation.
    last: u64,
    stack: StackRef,
    idle: Idle,
}

impl Qgroups {
    /// Something may have been missed: forgets all.
    pub(crate) fn forget(&mut self) {
        self.inodes.clear();
        self.counted.clear();
        self.operations.forget();
        self.hands.forget();
        self.owners.forget();
    }

    /// A call has returned, with the calls inside it.
    pub(crate) fn call(
        &mut self,
        context: &mut CallContext<'_>,
        node: &Node,
        children: &[Node],
        record: &Call,
    ) {
        if node.is(HookId::QgroupEnd) {
            self.ended(context, node);
            return;
        }
        self.owners.call(context, node, children, record);
        let Some(key) = node.inode().filter(|_| !node.has(CALL_SPECIAL_INODE)) else { return };
        self.changed(context, key, (node, children), record);
        let Self { inodes, owners, hands, .. } = self;
        if !inodes.is_empty() || !owners.released.is_empty() {
            hands.call(node, |at| inodes.contains_key(&at) || owners.released.contains(at));
        }
    }

    fn changed(
        &mut self,
        context: &mut CallContext<'_>,
        key: InodeKey,
        (node, children): (&Node, &[Node]),
        record: &Call,
    ) {
        if !self.inodes.is_empty() {
            let closed = self.operations.closed(node);
            if let Some(inode) = self.inodes.get_mut(&(node.fs, key)) {
                inode.idle.close(closed);
                inode.idle.call(node, record);
            }
        }
        let reserve = node.is(HookId::QgroupReserveData);
        let free = node.is(HookId::QgroupFreeData);
        if !(reserve || free || node.is(HookId::QgroupReleaseData)) || !context.follows.marks {
            return;
        }
        let at = (node.fs, key);
        if !node.has(CALL_QUOTAS | CALL_RETURNED) || !context.complete(node) {
            self.doubt(at);
            self.owners.released.forget_inode(at);
            return;
        }
        let hook = if reserve { HookId::SetRecordBits } else { HookId::ClearRecordBits };
        let mut marks = children.iter().filter(|of| of.parent == node.serial && of.is(hook) && of.key == key);
        // A reservation that met the limit took its marks off without a record, and may have tried again.
        let marked = if reserve {
            marks.next_back().filter(|_| node.ret == 0).map_or(0, |mark| mark.args[3])
        } else {
            marks
                .map(|mark| mark.args[3])
                .try_fold(0, |sum: u64, bytes| (bytes != BYTES_UNKNOWN).then(|| sum.saturating_add(bytes)))
                .unwrap_or(BYTES_UNKNOWN)
        };
        let Some(marked) = i64::try_from(marked).ok() else {
            self.doubt(at);
            self.owners.released.forget_inode(at);
            return;
        };
        context.checked.qgroups += 1;
        self.book(context, at, node, if reserve { marked } else { marked.saturating_neg() });
        if !(reserve || free) && self.counted.contains(&(node.fs, key.root)) {
            self.owners.released(context, at, marked.unsigned_abs(), node);
        }
        self.counter(context, node, key, marked, record.qgroup_data);
    }

    /// A change of the inode could not be followed.
    fn doubt(&mut self, at: (u32, InodeKey)) {
        if self.inodes.len() < MAX_INODES || self.inodes.contains_key(&at) {
            self.inodes.entry(at).or_default().doubtful = true;
        } else {
            self.crowded = true;
        }
    }

    fn book(&mut self, context: &mut CallContext<'_>, at: (u32, InodeKey), node: &Node, change: i64) {
        if change == 0 {
            return;
        }
        if self.inodes.len() >= MAX_INODES && !self.inodes.contains_key(&at) {
            self.crowded = true;
            return;
        }
        let inode = self.inodes.entry(at).or_default();
        inode.bytes = inode.bytes.saturating_add(change);
        if change > 0 {
            (inode.last, inode.stack) = (change.unsigned_abs(), node.stack);
            self.operations.opened(at, &mut inode.idle, node);
        }
        // What was reported was given back after all, so it can hide nothing at unmount.
        let back = inode.idle.told - inode.bytes.clamp(0, inode.idle.told);
        inode.idle.told -= back;
        let reported = &mut context.fs.reported.qgroup_data;
        *reported = reported.saturating_sub(back);
        // It may be below zero for a while: a task that frees what another one marks can return first. It stays there if
        // marks from before the session were freed.
        if inode.bytes == 0 && !inode.doubtful {
            if inode.idle.open() {
                self.operations.ended(at);
            }
            self.inodes.remove(&at);
        }
    }

    /// Compares the change of the qgroup's counter with the bytes that were marked or whose marks were taken off.
    fn counter(
        &mut self,
        context: &mut CallContext<'_>,
        node: &Node,
        key: InodeKey,
        marked: i64,
        counter: i64,
    ) {
        let root = (node.fs, key.root);
        if counter != 0 && self.counted.len() < MAX_ROOTS {
            self.counted.insert(root);
        }
        let wanted = if node.is(HookId::QgroupReserveData) {
            marked
        } else if node.is(HookId::QgroupFreeData) {
            marked.saturating_neg()
        } else {
            0
        };
        let off = counter.wrapping_sub(wanted);
        if off == 0 || (counter == 0 && !self.counted.contains(&root)) {
            return;
        }
        let text = if node.is(HookId::QgroupReserveData) && node.ret < 0 {
            format!(
                "A reservation of data in the qgroup failed with error {} and changed its counter by {counter}; it should \
                 have left nothing.",
                node.ret
            )
        } else if node.is(HookId::QgroupReserveData) {
            format!(
                "{marked} bytes of the inode were marked as reserved in its qgroup, whose counter rose by {counter}."
            )
        } else if wanted == 0 {
            format!(
                "{marked} bytes went to an ordered extent, and the qgroup's counter changed by {counter}."
            )
        } else {
            format!(
                "{marked} bytes of the inode were no longer marked as reserved in its qgroup, whose counter fell by {}.",
                counter.saturating_neg()
            )
        };
        let mut deviation = Deviation::of(Account::InodeQgroupData, off, text);
        if node.ret < 0 {
            deviation.kind =
                if off < 0 { FindingKind::ErrorPathOverRelease } else { FindingKind::ErrorPathLeak };
        }
        deviation.origins = self.inodes.get(&(node.fs, key)).map(Marked::origin).into_iter().collect();
        context.report(node, deviation);
    }

    /// The inode is destroyed: what was marked and neither freed nor handed over is lost. The marks themselves may be gone,
    /// since a range that is thrown away loses all its bits.
    pub(crate) fn destroyed(&mut self, context: &mut CallContext<'_>, key: InodeKey, record: &InodeState) {
        self.owners.destroyed(context, key, record);
        if self.inodes.is_empty() {
            return;
        }
        let Some(marked) = self.inodes.remove(&(context.fs.id, key)) else { return };
        self.operations.ended((context.fs.id, key));
        let counted = self.counted.contains(&(context.fs.id, key.root));
        let known = !marked.doubtful && !self.crowded;
        let bytes = marked.bytes - marked.idle.told;
        if bytes <= 0 || !known || !counted || !context.follows.marks || !context.judges {
            return;
        }
        let text =
            format!("The inode was destroyed while {bytes} bytes of its data were reserved in its qgroup.");
        let mut deviation = Deviation::of(Account::InodeQgroupData, bytes, text);
        deviation.origins = vec![marked.origin()];
        let shown = StackRef { id: record.stack, representative: false };
        let stack = if record.stack == 0 { marked.stack } else { shown };
        let node = Node { key, stack, ..Node::at(context.fs.id, record.header.tid, record.header.time) };
        context.report_on(&node, Some(key), deviation);
    }

    /// The thread has put what it had released of the inode into an ordered extent.
    pub(crate) fn ordered(&mut self, at: (u32, InodeKey), moment: (u32, u64)) {
        self.owners.released.ordered(at, moment);
    }

    /// The return of a call of the thread was missed.
    pub(crate) fn doubt_thread(&mut self, tid: u32) {
        self.owners.released.doubt(tid);
    }

    /// A system call or a work item of the thread has ended (`end`), so it has nothing in hand of the inodes that it changed.
    pub(crate) fn returned(
        &mut self,
        context: &mut CallContext<'_>,
        held: impl Fn(InodeKey) -> bool,
        moment: (u32, u64),
        end: &str,
    ) {
        let (tid, time) = moment;
        let fs = context.fs.id;
        let Self { inodes, owners, hands, operations, counted, .. } = self;
        let changed = hands.ended(tid, |at| inodes.contains_key(&at) || owners.released.contains(at));
        for at in operations.thread_ended(tid) {
            if let Some(inode) = inodes.get_mut(&at) {
                inode.idle.close(1);
            }
        }
        let lost = owners.released.thread_ended(fs, moment, context.follows.extents);
        if context.fs.aborted || !context.judges {
            return;
        }
        for (at, bytes, stack) in lost {
            owners.lost(context, (at, bytes, stack), moment, end);
        }
        for at in changed.into_iter().filter(|(of, key)| *of == fs && !held(*key)) {
            let key = at.1;
            if let Some(inode) = inodes.get_mut(&at) {
                let bytes = inode.bytes - inode.idle.told;
                let known = !inode.doubtful && counted.contains(&(fs, key.root)) && context.follows.marks;
                if known && bytes > 0 && inode.idle.is_over() {
                    inode.idle.told = inode.bytes;
                    let text = format!(
                        "{bytes} bytes of the inode are marked as reserved in its qgroup. It has no dirty data and no ordered \
                         extent, and the {end} that changed it last has ended."
                    );
                    left(context, at.1, (tid, time), (bytes, inode), text);
                }
            }
            owners.inode_ended(context, at, moment, end);
        }
    }

    /// A transaction ends, and no other has started.
    pub(crate) fn transaction_ended(&mut self, context: &mut CallContext<'_>, node: &Node, judged: bool) {
        self.owners.transaction_ended(context, node, judged);
    }

    /// A commit has ended: marks of an inode on which nothing happens, and what must be gone when the next transaction starts.
    pub(crate) fn committed(
        &mut self,
        context: &mut CallContext<'_>,
        held: impl Fn(InodeKey) -> bool,
        record: &Levels,
    ) {
        let fs = context.fs.id;
        if !self.owners.committed(context, record) || context.fs.aborted || !context.judges {
            return;
        }
        let mut idle = Vec::new();
        for (&(of, key), inode) in self.inodes.iter_mut().filter(|((of, _), _)| *of == fs) {
            let bytes = inode.bytes - inode.idle.told;
            let known = !inode.doubtful && self.counted.contains(&(of, key.root));
            if inode.idle.commit() && known && bytes > 0 && !held(key) {
                inode.idle.told = inode.bytes;
                idle.push((key, bytes, *inode));
            }
        }
        idle.sort_unstable_by_key(|(key, ..)| *key);
        for (key, bytes, inode) in idle {
            let text = format!(
                "{bytes} bytes of the inode are marked as reserved in its qgroup. It has no dirty data and no ordered extent, \
                 and no call changed it while two transactions were committed."
            );
            left(context, key, (record.header.tid, record.header.time), (bytes, &inode), text);
        }
    }

    /// A qgroup ends: at unmount its counters must be zero. If it is deleted, or quotas are switched off, what it held is
    /// forgotten, and marks that stay on inodes count nowhere.
    fn ended(&mut self, context: &mut CallContext<'_>, node: &Node) {
        let [id, data, pertrans, prealloc] = node.args;
        let level = id >> 48;
        let closing = node.has(CALL_CLOSING) && context.judges && !context.fs.aborted;
        if closing && level == 0 && self.counted.contains(&(node.fs, id)) {
            self.owners.unmounting(
                context,
                node,
                id,
                data.saturating_sub(context.fs.reported.qgroup_data.max(0).unsigned_abs()),
            );
        }
        self.counted.remove(&(node.fs, id));
        self.inodes.retain(|(fs, key), _| *fs != node.fs || level != 0 || key.root != id);
        self.owners.forget_root(node.fs, id);
        if !closing {
            return;
        }
        context.fs.qgroups_ended += 1;
        for (account, bytes, known) in [
            (Account::InodeQgroupData, data, context.fs.reported.qgroup_data),
            (Account::RootQgroupMetaPertrans, pertrans, context.fs.reported.qgroup_pertrans),
            (Account::RootQgroupMetaPrealloc, prealloc, context.fs.reported.qgroup_prealloc),
        ] {
            // A parent counts what its members count.
            let rest = (bytes as i64).saturating_sub(known.max(0));
            if bytes == 0 || rest <= 0 {
                continue;
            }
            let mut text = format!(
                "At unmount {bytes} bytes were still reserved in qgroup {level}/{}.",
                id & (u64::MAX >> 16)
            );
            if known > 0 {
                text.push_str(&format!(" Other findings tell {known} of them."));
            }
            let mut deviation = Deviation::of(account, rest, text);
            deviation.root = (level == 0).then_some(id);
            context.report_on(node, None, deviation);
        }
    }

    /// The thread id belongs to a new thread.
    pub(crate) fn thread_replaced(&mut self, tid: u32) {
        self.hands.replaced(tid);
    }

    pub(crate) fn unmounted(&mut self, fs: u32) {
        self.inodes.retain(|(of, _), _| *of != fs);
        self.counted.retain(|(of, _)| *of != fs);
        self.owners.unmounted(fs);
    }
}

/// Marks stay on an inode on which nothing is under way.
fn left(
    context: &mut CallContext<'_>,
    key: InodeKey,
    (tid, time): (u32, u64),
    (bytes, inode): (i64, &Marked),
    text: String,
) {
    let mut deviation = Deviation::of(Account::InodeQgroupData, bytes, text);
    deviation.origins = vec![inode.origin()];
    let cleared = inode.idle.cleared;
    let stack = if cleared.id == 0 { inode.stack } else { cleared };
    let node = Node { key, stack, ..Node::at(context.fs.id, tid, time) };
    context.report_on(&node, Some(key), deviation);
}

impl Marked {
    const fn origin(&self) -> Origin {
        Origin { bytes: self.last, count: 1, stack: self.stack }
    }
}
