//! Reservations in qgroups that no mark shows: who owns them, and that they are freed.
//!
//! Data: an inode's released bytes (`released.rs`), then delayed ref heads, by subvolume. The commit frees those of its
//! transaction (`btrfs_qgroup_account_extents`). `META_PERTRANS`: `start_transaction` converts its prealloc after it has recorded
//! its subvolume in the transaction, and the commit frees all of each subvolume recorded in it. What is converted elsewhere, may
//! be converted after the transaction in question was committed, and waits for the next change of the subvolume.
//!
//! With simple quotas a head of delayed refs frees the data when it runs, so at the end of the transaction nothing may be left. What
//! is taken while quotas are being switched off is not judged.
use probe_common::{
    call::{
        CALL_QUOTAS, CALL_QUOTAS_ENABLED, CALL_QUOTAS_SIMPLE, CALL_RETURNED, Call, HEAD_KNOWN,
        HEAD_UNUSED_DATA,
    },
    fs::Levels,
    hook::HookId,
    inode::InodeState,
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    super::{context::CallContext, report::Deviation},
    released::{Over, ReleasedBooks},
    transactions::{ByTransaction, Held},
};
use crate::{
    book::node::Node,
    vocabulary::{
        account::Account,
        finding::{Origin, StackRef},
        keys::InodeKey,
    },
};

/// `BTRFS_FS_TREE_OBJECTID`
const FS_TREE: u64 = 5;
/// `BTRFS_FIRST_FREE_OBJECTID`
const FIRST_FREE: i64 = 256;
/// Most subvolumes with bytes of no transaction, and most threads that destroy an inode.
const MAX: usize = 1 << 16;

/// Which transactions of a filesystem were seen to end.
#[derive(Clone, Copy, Debug, Default)]
struct Generation {
    last: u64,
    /// Transactions that began and ended since all was followed.
    complete: u32,
}

#[derive(Debug, Default)]
pub(super) struct Owners {
    pub released: ReleasedBooks,
    heads: ByTransaction,
    /// The same with simple quotas.
    simple: ByTransaction,
    pertrans: ByTransaction,
    /// `META_PERTRANS` that no start of a transaction took.
    loose: FxHashMap<(u32, u64), u64>,
    generations: FxHashMap<u32, Generation>,
    /// Threads that took marks off an inode outside of all hooked calls: they destroy it.
    destroying: FxHashSet<u32>,
    /// What the last `btrfs_inode_rsv_release` of a thread converted, and for which call.
    converted: FxHashMap<u32, (u32, u64)>,
}

/// `is_fstree()`: subvolumes, which alone have qgroups.
const fn is_fstree(root: u64) -> bool {
    root == FS_TREE || root as i64 >= FIRST_FREE
}

impl Owners {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn forget_root(&mut self, fs: u32, root: u64) {
        self.released.forget_root(fs, root);
        self.heads.remove((fs, root));
        self.simple.remove((fs, root));
        self.pertrans.remove((fs, root));
        self.loose.remove(&(fs, root));
    }

    pub(super) fn unmounted(&mut self, fs: u32) {
        self.released.forget_fs(fs);
        self.heads.forget_fs(fs);
        self.simple.forget_fs(fs);
        self.pertrans.forget_fs(fs);
        self.loose.retain(|(of, _), _| *of != fs);
        self.generations.remove(&fs);
    }

    pub(super) fn call(
        &mut self,
        context: &mut CallContext<'_>,
        node: &Node,
        children: &[Node],
        record: &Call,
    ) {
        if context.follows.owners {
            if let Some(over) = self.released.follow(node, !context.follows.extents) {
                report_over(context, over);
            }
            self.destroys(node);
        }
        match node.hook() {
            Some(HookId::AllocReservedFileExtent) => self.handed_over(context, node),
            Some(HookId::QgroupFreeRefroot) => self.freed(context, node),
            Some(HookId::QgroupAccountExtents) => self.accounted(context, node),
            Some(HookId::RefHeadEnd) => self.head_ended(context, node, children),
            Some(HookId::StartTransaction) => self.started(context, node, children),
            Some(HookId::QgroupConvertMeta) if node.parent == 0 || node.qgroup_data > 0 => {
                self.converted(context, node);
            }
            Some(HookId::QgroupFreePertrans) => self.freed_pertrans(context, node, record),
            Some(HookId::InodeRsvRelease) => self.shed(node, children),
            Some(HookId::ReleaseExtents) => self.keeps_prealloc(context, node),
            _ => {}
        }
    }

    fn destroys(&mut self, node: &Node) {
        if node.is(HookId::ClearRecordBits) && node.parent == 0 {
            if self.destroying.len() < MAX {
                self.destroying.insert(node.tid);
            }
        } else if !self.destroying.is_empty() && !node.is(HookId::QgroupFreeRefroot) {
            self.destroying.remove(&node.tid);
        }
    }

    /// `btrfs_qgroup_release_data` took marks of a counted subvolume off.
    pub(super) fn released(
        &mut self,
        context: &CallContext<'_>,
        at: (u32, InodeKey),
        bytes: u64,
        node: &Node,
    ) {
        if !context.follows.owners || bytes == 0 {
            return;
        }
        if node.has(CALL_QUOTAS_ENABLED) && !node.has(CALL_QUOTAS_SIMPLE) {
            self.released.release(at, bytes, node);
        } else {
            self.released.forget_inode(at);
        }
    }

    /// `btrfs_alloc_reserved_file_extent`
    fn handed_over(&mut self, context: &CallContext<'_>, node: &Node) {
        let [ino, _, bytes, _] = node.args;
        let root = node.key.root;
        if !context.follows.owners || !is_fstree(root) {
            return;
        }
        let at = (node.fs, InodeKey { root, ino });
        let followed = node.has(CALL_QUOTAS | CALL_QUOTAS_ENABLED) && !node.has(CALL_QUOTAS_SIMPLE);
        if !followed || !context.judges || node.entered <= context.since {
            self.released.forget_inode(at);
            self.heads.remove((node.fs, root));
            self.generations.entry(node.fs).or_default().complete = 0;
            let simple = node.has(CALL_QUOTAS | CALL_QUOTAS_ENABLED | CALL_QUOTAS_SIMPLE);
            if simple && context.judges && node.entered > context.since {
                self.simple.take((node.fs, root), bytes, node);
            }
            return;
        }
        self.released.handed_over(at, bytes, node);
        self.heads.take((node.fs, root), bytes, node);
    }

    /// `btrfs_qgroup_free_refroot` of data
    fn freed(&mut self, context: &mut CallContext<'_>, node: &Node) {
        let [root, bytes, _, around] = node.args;
        if !context.follows.owners || !is_fstree(root) {
            return;
        }
        if node.has(CALL_QUOTAS_SIMPLE) {
            if around != HookId::QgroupFreeData as u64 {
                self.simple.give((node.fs, root), bytes);
            }
            return;
        }
        if self.destroying.remove(&node.tid) || around == HookId::QgroupFreeData as u64 {
            return;
        }
        if around != HookId::QgroupAccountExtents as u64 {
            if let Some(over) = self.released.freed(node, bytes) {
                report_over(context, over);
            }
            return;
        }
        let over = self.heads.give((node.fs, root), bytes);
        // What was handed over in a transaction before the session is gone with it.
        let known = self.generations.get(&node.fs).is_some_and(|seen| seen.complete >= 2);
        if over == 0 || !known || !context.judges || context.fs.aborted {
            return;
        }
        let text = format!(
            "The commit freed {bytes} bytes of data in the qgroup of the subvolume; {over} of them no extent of this \
             transaction had handed over."
        );
        let mut deviation = Deviation::of(Account::InodeQgroupData, (over as i64).saturating_neg(), text);
        deviation.root = Some(root);
        context.report_on(node, None, deviation);
    }

    /// The head of delayed refs of a new extent that was never inserted has ended: with simple quotas it frees what it had reserved.
    fn head_ended(&mut self, context: &mut CallContext<'_>, node: &Node, children: &[Node]) {
        let [_, state, bytes, _] = node.args;
        let root = node.key.root;
        let due = HEAD_KNOWN | HEAD_UNUSED_DATA;
        let simple = node.has(CALL_QUOTAS | CALL_QUOTAS_ENABLED | CALL_QUOTAS_SIMPLE);
        let judged = node.has(CALL_RETURNED) && context.complete(node) && !context.fs.aborted;
        if !context.follows.owners
            || !simple
            || state & due != due
            || bytes == 0
            || !is_fstree(root)
            || !judged
        {
            return;
        }
        let frees = |of: &&Node| of.parent == node.serial && of.is(HookId::QgroupFreeRefroot);
        if children.iter().any(|of| frees(&of)) {
            return;
        }
        let Some(held) = self.simple.get((node.fs, root)) else { return };
        let origin = held.origin();
        self.simple.give((node.fs, root), bytes);
        let text = format!(
            "The head of delayed refs of a new extent ended, which was never inserted. {bytes} bytes of data were reserved for it in \
             the qgroup of the subvolume, and it did not free them."
        );
        report_root(context, node, Account::InodeQgroupData, bytes, origin, text);
    }

    /// The commit has freed what the extents of its transaction had reserved. Until it goes on, no other transaction can start.
    fn accounted(&mut self, context: &mut CallContext<'_>, node: &Node) {
        let left = self.heads.drain(node.fs);
        if !context.follows.owners || node.ret != 0 || !followed(context, node) || context.fs.aborted {
            return;
        }
        for (root, held) in left {
            let text = format!(
                "{} bytes of data of the subvolume were reserved in its qgroup for new extents of a transaction. Its commit has \
                 accounted them and did not free the bytes.",
                held.bytes
            );
            let node = Node { key: InodeKey { root, ino: 0 }, ..*node };
            report_root(context, &node, Account::InodeQgroupData, held.bytes, held.origin(), text);
        }
    }

    /// `start_transaction` has recorded its subvolume, and converted its prealloc after that.
    fn started(&mut self, context: &CallContext<'_>, node: &Node, children: &[Node]) {
        if !context.follows.pertrans || node.ret != 0 || !followed(context, node) {
            return;
        }
        let own = children.iter().filter(|of| of.parent == node.serial && of.key.root == node.key.root);
        let bytes: i64 =
            own.filter(|of| of.is(HookId::QgroupConvertMeta)).map(|of| of.qgroup_data.max(0)).sum();
        if bytes > 0 {
            let at = (node.fs, node.key.root);
            self.pertrans.take(at, bytes.unsigned_abs(), node);
            if let Some(loose) = self.loose.get_mut(&at) {
                *loose = loose.saturating_sub(bytes.unsigned_abs());
            }
        }
    }

    /// Of any call; what belongs to a start of a transaction is taken out again when that returns.
    fn converted(&mut self, context: &CallContext<'_>, node: &Node) {
        let at = (node.fs, node.key.root);
        if context.follows.pertrans
            && node.qgroup_data > 0
            && (self.loose.len() < MAX || self.loose.contains_key(&at))
        {
            let loose = self.loose.entry(at).or_default();
            *loose = loose.saturating_add(node.qgroup_data.unsigned_abs());
        }
    }

    fn shed(&mut self, node: &Node, children: &[Node]) {
        let own = children.iter().filter(|of| of.parent == node.serial && of.is(HookId::QgroupConvertMeta));
        let bytes = own.map(|of| of.args[0]).fold(0, u64::saturating_add);
        if bytes == 0 || node.parent == 0 || self.converted.len() >= MAX {
            self.converted.remove(&node.tid);
        } else {
            self.converted.insert(node.tid, (node.parent, bytes));
        }
    }

    /// `btrfs_delalloc_release_extents` frees the prealloc of its inode: what was reserved for the extents of the task was
    /// either handed on or not used.
    fn keeps_prealloc(&mut self, context: &mut CallContext<'_>, node: &Node) {
        let Some((call, bytes)) = self.converted.remove(&node.tid) else { return };
        if call != node.serial || !context.follows.qgroup_meta || !context.judged(node) {
            return;
        }
        let text = format!(
            "btrfs_delalloc_release_extents converted {bytes} bytes of META_PREALLOC of the inode to META_PERTRANS, and \
             should have freed them."
        );
        context.report(node, Deviation::of(Account::RootQgroupMetaPrealloc, bytes as i64, text));
    }

    /// `btrfs_qgroup_free_meta_all_pertrans`
    fn freed_pertrans(&mut self, context: &mut CallContext<'_>, node: &Node, record: &Call) {
        let at = (node.fs, node.key.root);
        let (held, loose) = (self.pertrans.remove(at), self.loose.remove(&at));
        let freed = record.qgroup_data.min(0).unsigned_abs();
        let due = held.map_or(0, |held| held.bytes).saturating_add(loose.unwrap_or(0));
        // It frees all, so also what was reported before, which can hide nothing at unmount then.
        let back = freed.saturating_sub(due).min(context.fs.reported.qgroup_pertrans.max(0).unsigned_abs());
        context.fs.reported.qgroup_pertrans -= back as i64;
        let Some(held) = held else { return };
        if !followed(context, node) || context.fs.aborted || freed >= held.bytes {
            return;
        }
        let left = held.bytes.saturating_add(loose.unwrap_or(0)).saturating_sub(freed);
        let text = format!(
            "The commit freed {freed} bytes of META_PERTRANS of the subvolume, and transactions had reserved {} in it.",
            held.bytes
        );
        report_root(context, node, Account::RootQgroupMetaPertrans, left, held.origin(), text);
    }

    /// The last thread that changed the inode has nothing in hand of it any more.
    pub(super) fn inode_ended(
        &mut self,
        context: &mut CallContext<'_>,
        at: (u32, InodeKey),
        (tid, time): (u32, u64),
        end: &str,
    ) {
        if !context.follows.owners {
            return;
        }
        let Some((inode, bytes)) = self.released.over(at) else { return };
        let text = format!(
            "{bytes} bytes of the inode were taken over by an extent that was to be written or allocated, and stay reserved in \
             its qgroup. The inode has no ordered extent any more, the {end} that changed it last has ended, and no call freed \
             them or handed them to a delayed ref."
        );
        let node = Node { key: at.1, stack: inode.stack, ..Node::at(at.0, tid, time) };
        report_inode(context, &node, bytes, inode.origin(), text);
    }

    /// A thread had taken marks off, and has gone on.
    pub(super) fn lost(
        &self,
        context: &mut CallContext<'_>,
        (at, bytes, stack): ((u32, InodeKey), u64, StackRef),
        (tid, time): (u32, u64),
        end: &str,
    ) {
        if !context.follows.owners {
            return;
        }
        let text = format!(
            "The task took the marks off {bytes} bytes of the inode for an extent, and they stay reserved in its qgroup: when its {end} \
             ended, no ordered extent and no delayed ref had them, and nobody had freed them."
        );
        let node = Node { key: at.1, stack, ..Node::at(at.0, tid, time) };
        report_inode(context, &node, bytes, Origin { bytes, count: 1, stack }, text);
    }

    /// A transaction ends, and no other has started: it has freed all `META_PERTRANS` that its handles had reserved.
    pub(super) fn transaction_ended(&mut self, context: &mut CallContext<'_>, node: &Node, judged: bool) {
        if !node.has(CALL_QUOTAS | CALL_QUOTAS_ENABLED) {
            // While quotas are being switched off, a commit frees nothing.
            return;
        }
        let (pertrans, simple) = (self.pertrans.drain(node.fs), self.simple.drain(node.fs));
        if !judged {
            return;
        }
        let follows = context.follows;
        for (root, held) in simple.into_iter().filter(|_| follows.owners) {
            let text = format!(
                "{} bytes of data of the subvolume were reserved in its qgroup for new extents of transaction {}. The transaction \
                 was committed, and the heads of their delayed refs did not free them.",
                held.bytes, node.args[0]
            );
            let node = Node { key: InodeKey { root, ino: 0 }, ..*node };
            report_root(context, &node, Account::InodeQgroupData, held.bytes, held.origin(), text);
        }
        for (root, held) in pertrans.into_iter().filter(|_| follows.pertrans) {
            let bytes = held.bytes.saturating_add(self.loose.remove(&(node.fs, root)).unwrap_or(0));
            let text = format!(
                "Handles of transaction {} had reserved {bytes} bytes of META_PERTRANS in the qgroup of the subvolume. The \
                 transaction was committed and did not free them.",
                node.args[0]
            );
            let node = Node { key: InodeKey { root, ino: 0 }, ..*node };
            report_root(context, &node, Account::RootQgroupMetaPertrans, bytes, held.origin(), text);
        }
    }

    /// A commit has ended. Returns whether a transaction has started since the commit before.
    pub(super) fn committed(&mut self, context: &mut CallContext<'_>, record: &Levels) -> bool {
        let fs = context.fs.id;
        let generation = self.generations.entry(fs).or_default();
        let later = record.transid > generation.last;
        generation.last = generation.last.max(record.transid);
        generation.complete = generation.complete.saturating_add(u32::from(later));
        let heads = self.heads.committed(fs, later);
        let pertrans = self.pertrans.committed(fs, later);
        let released = self.released.committed(fs, later);
        if context.fs.aborted || !context.judges {
            return later;
        }
        let moment = |held: &Held| Node { time: record.header.time, ..held.node };
        for (root, held) in heads {
            let text = format!(
                "{} bytes of data of the subvolume were reserved in its qgroup for new extents. Their transaction was \
                 committed, and the next one as well, and no call freed them.",
                held.due
            );
            let node = Node { key: InodeKey { root, ino: 0 }, ..moment(&held) };
            report_root(context, &node, Account::InodeQgroupData, held.due, held.origin(), text);
        }
        for (root, held) in pertrans {
            let bytes = held.due.saturating_add(self.loose.remove(&(fs, root)).unwrap_or(0));
            let text = format!(
                "Transactions had reserved {bytes} bytes of META_PERTRANS in the qgroup of the subvolume. They were \
                 committed, and the next one as well, and the commit did not free it."
            );
            let node = Node { key: InodeKey { root, ino: 0 }, ..moment(&held) };
            report_root(context, &node, Account::RootQgroupMetaPertrans, bytes, held.origin(), text);
        }
        for (key, inode, bytes) in released {
            let text = format!(
                "{bytes} bytes of the inode were taken over by an extent that was to be written or allocated, and stay \
                 reserved in its qgroup. The inode has no ordered extent any more, and no call freed them or handed them to \
                 a delayed ref."
            );
            let node =
                Node { key, stack: inode.stack, ..Node::at(fs, record.header.tid, record.header.time) };
            report_inode(context, &node, bytes, inode.origin(), text);
        }
        later
    }

    /// The qgroup of a subvolume ends at unmount, with these bytes that no finding tells. No inode is there any more, so what is
    /// left of them here is lost. The destroy of an inode that never reserved anything but in its qgroup is not in the stream.
    pub(super) fn unmounting(&mut self, context: &mut CallContext<'_>, node: &Node, root: u64, untold: u64) {
        let left = self.released.of_root(node.fs, root);
        let sum = left.iter().map(|(_, inode)| inode.bytes).fold(0, u64::saturating_add);
        if sum > untold {
            return;
        }
        for (key, inode) in left {
            let text = format!(
                "At unmount {} bytes of the inode that its extents had taken over were still reserved in its qgroup: no call \
                 freed them or handed them to a delayed ref.",
                inode.bytes
            );
            report_inode(context, &Node { key, ..*node }, inode.bytes, inode.origin(), text);
        }
    }

    pub(super) fn destroyed(&mut self, context: &mut CallContext<'_>, key: InodeKey, record: &InodeState) {
        let Some(inode) = self.released.destroyed((context.fs.id, key)) else { return };
        if context.fs.aborted || !context.judges {
            return;
        }
        let text = format!(
            "The inode was destroyed, and {} bytes that its extents had taken over stay reserved in its qgroup: no call \
             freed them or handed them to a delayed ref.",
            inode.bytes
        );
        let shown = StackRef { id: record.stack, representative: false };
        let stack = if record.stack == 0 { inode.stack } else { shown };
        let node = Node { key, stack, ..Node::at(context.fs.id, record.header.tid, record.header.time) };
        report_inode(context, &node, inode.bytes, inode.origin(), text);
    }
}

fn followed(context: &CallContext<'_>, node: &Node) -> bool {
    node.has(CALL_QUOTAS | CALL_QUOTAS_ENABLED | CALL_RETURNED) && context.complete(node)
}

fn report_over(context: &mut CallContext<'_>, over: Over) {
    if context.fs.aborted || !context.judges {
        return;
    }
    let Over { key, node, had, bytes, origin } = over;
    let text = format!(
        "{} bytes of data were freed in the qgroup for an extent of the inode, which had {had} there.",
        node.args[1]
    );
    let mut deviation = Deviation::of(Account::InodeQgroupData, (bytes as i64).saturating_neg(), text);
    deviation.before = Some(had as i64);
    deviation.origins = vec![origin];
    context.report_on(&node, Some(key), deviation);
}

fn report_inode(context: &mut CallContext<'_>, node: &Node, bytes: u64, origin: Origin, text: String) {
    let mut deviation = Deviation::of(Account::InodeQgroupData, bytes as i64, text);
    deviation.origins = vec![origin];
    context.report_on(node, Some(node.key), deviation);
}

fn report_root(
    context: &mut CallContext<'_>,
    node: &Node,
    account: Account,
    bytes: u64,
    origin: Origin,
    text: String,
) {
    let mut deviation = Deviation::of(account, bytes as i64, text);
    deviation.root = Some(node.key.root);
    deviation.origins = vec![origin];
    context.report_on(node, None, deviation);
}
