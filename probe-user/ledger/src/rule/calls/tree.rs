//! The calls of one thread: those that wait for the call around them.
//!
//! A record comes when its call returns, so inner calls come first. The waiting calls form a stack: the children of a call
//! are the newest entries, those with a higher serial.
use probe_common::{
    call::{CALL_INODE, CALL_RETURNED, CALL_SPECIAL_INODE, CALL_TREE_TORN, Call},
    claim::RsvType,
    fs::Levels,
    hook::HookId,
};

use super::{
    context::CallContext, contracts, data, delayed, events, handles, operations, prealloc, qgroup::Qgroups,
    refs, rsvs::Rsvs,
};
use crate::book::{node::Node, thread::Thread};

/// Most calls that wait for the call around them. A flush inside a reservation makes many calls; the call around it needs
/// hardly any of them.
const MAX_WAITING: usize = 128;

/// True if call `a` began after call `b`; serials may wrap.
const fn younger(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 > 0
}

impl Thread {
    /// A call has returned, so all calls inside it are known.
    pub(crate) fn enter(
        &mut self,
        context: &mut CallContext<'_>,
        rsvs: &mut Rsvs,
        qgroups: &mut Qgroups,
        node: &Node,
        record: &Call,
    ) {
        self.items_released(context, node);
        self.past_writeback(context, node);
        let first = self
            .waiting
            .iter()
            .rposition(|waiting| !younger(waiting.serial, node.serial))
            .map_or(0, |at| at + 1);
        let mut node = *node;
        if first < self.waiting.len() {
            // The calls around the others never returned in sight.
            let orphans = self.waiting[first..].iter().filter(|child| child.parent != node.serial).count();
            node.torn |= orphans > 0;
            context.checked.orphans += orphans as u64;
            if orphans > 0 {
                self.missed = true;
                // The missing call may have used the data.
                self.data.clear();
                self.data_known = false;
            }
        }
        node.torn |= self.crowded;
        context.checked.torn += u64::from(node.torn);
        let inside = std::mem::take(&mut self.waiting);
        let children = &inside[first..];
        if node.torn {
            node.flags |= CALL_TREE_TORN;
        }
        let last = children.iter().rev().find(|child| child.parent == node.serial);
        node.exit = last.map_or(0, |child| child.caller);
        if node.is(HookId::QgroupReserveData) || node.is(HookId::QgroupFreeData) {
            // Free in these calls; for the call around it.
            node.args[3] = data::marked(&node, children);
        }
        if node.is(HookId::EndTransaction) {
            node.args[3] = handles::released_by_end(&node, children);
        }
        if node.is(HookId::InodeRsvRelease) {
            // `btrfs_inode_rsv_release` returns nothing. Its `ret` here is what it released, for the call around it.
            let released = children.iter().filter(|child| child.is(HookId::BlockRsvRelease));
            node.ret = released.map(|child| child.ret.max(0)).fold(0, i64::wrapping_add);
        }
        self.pool_released(context, &node, record);
        let pools = |context: &CallContext<'_>| (context.fs.reported.trans, context.fs.reported.delayed);
        let before = pools(context);
        rsvs.call(context, &node, record);
        handles::chunk(self, &node);
        prealloc::check(context, self, &node, children);
        events::check(context, self, &node, children);
        qgroups.call(context, &node, children, record);
        let already_reported = contracts::check(context, self, &node, children, record);
        self.effects(context, &node, children, record, already_reported);
        let told = before != pools(context);
        self.pool_settled(context, &node, told);
        if node.is(HookId::ReserveMetadata) {
            self.granted = false;
        }
        if node.parent == 0 {
            self.data_passed(&node);
        }
        self.waiting = inside;
        self.waiting.truncate(first);
        if node.parent == 0 {
            self.orphans(context);
        } else if node.is_kept() {
            self.drop_flushed(&node);
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push(node);
            } else {
                self.crowded = true;
            }
        }
    }

    /// The calls around those that wait never returned in sight.
    pub(super) fn orphans(&mut self, context: &mut CallContext<'_>) {
        let seen_in_full = |child: &&Node| child.entered > context.since;
        context.checked.orphans += self.waiting.iter().filter(seen_in_full).count() as u64;
        self.missed |= !self.waiting.is_empty();
        self.waiting.clear();
        self.crowded = false;
    }

    /// A flush inside a reservation releases `delayed_block_rsv` thousands of times. The call around such a release needs two
    /// at most, to see that there was more than one.
    fn drop_flushed(&mut self, node: &Node) {
        let same = |of: &Node| {
            of.parent == node.parent && of.is(HookId::BlockRsvRelease) && of.rsv_type == RsvType::DelayedOps
        };
        if same(node)
            && let [.., first, second] = self.waiting.as_slice()
            && same(first)
            && same(second)
        {
            self.waiting.pop();
        }
    }

    /// Books the call in what its thread holds. `already_reported`: the call broke its contract.
    fn effects(
        &mut self,
        context: &mut CallContext<'_>,
        node: &Node,
        children: &[Node],
        record: &Call,
        already_reported: bool,
    ) {
        if already_reported {
            self.data_disturbed(node);
        }
        match node.hook() {
            Some(HookId::ReserveMetadata) => {
                operations::reserve(context, self, node, children, record, already_reported)
            }
            Some(HookId::ReleaseExtents | HookId::ShrinkExtents) => {
                operations::release(context, self, node, already_reported)
            }
            Some(HookId::CheckDataFreeSpace | HookId::AllocDataChunkOndemand) => {
                self.data_reserved(context, node, children)
            }
            Some(HookId::ReserveSpace) => {
                self.released_inside(context, node, children);
                self.settle_failure(context, node);
            }
            Some(HookId::SetDelallocExtent) => self.data_dirtied(context, node),
            Some(HookId::ClearDelallocExtent) => self.cleared(context, node, already_reported),
            Some(HookId::DelayedInodeRelease) => delayed::released(context, node, children),
            Some(hook) if hook.ends_delayed_ref() => refs::ended(context, node, children),
            Some(HookId::StartTransaction) => handles::not_started(context, node, children),
            Some(HookId::TransReleaseMetadata) => handles::ended(context, self, node, children),
            Some(HookId::EndTransaction) => {
                self.released_inside(context, node, children);
                handles::ended(context, self, node, children);
            }
            // These release for a range, an ordered extent or themselves, not for an operation of the task.
            Some(HookId::FreeReservedDataSpace) => self.marks_freed(context, node, children),
            Some(HookId::RemoveOrderedExtent) => {}
            // What is wrong inside was reported. The bound stays too high, which cannot make a false alarm.
            _ if already_reported => {}
            _ => self.released_inside(context, node, children),
        }
        if let Some(published) = &mut self.published
            && node.is(HookId::BlockRsvRelease)
            && published.is_of(node.fs, node.key)
        {
            published.released = published.released.saturating_add(node.ret.max(0));
        }
        if node.parent == 0 && !already_reported {
            self.released(context, node);
        }
    }

    /// Books releases inside a call that does not account for them itself: they are the task's own.
    fn released_inside(&mut self, context: &mut CallContext<'_>, node: &Node, children: &[Node]) {
        for child in children.iter().filter(|child| child.parent == node.serial) {
            self.released(context, child);
        }
    }

    fn released(&mut self, context: &mut CallContext<'_>, node: &Node) {
        if !node.has(CALL_RETURNED) {
            return;
        }
        if node.has(CALL_SPECIAL_INODE) {
            return self.relocated_freed(context, node);
        }
        if node.is(HookId::ReleaseMetadata) {
            operations::release_metadata(context, self, node);
        } else if node.is(HookId::FreeReservedDataSpaceNoquota) && !node.has(CALL_INODE) {
            self.data_freed_by_nobody(context, node);
        } else if node.is(HookId::FreeReservedDataSpace) || node.is(HookId::FreeReservedDataSpaceNoquota) {
            self.data_freed(context, node);
        }
    }

    /// The filesystem is unmounted, so no task is inside it.
    pub(crate) fn unmounted(&mut self, context: &mut CallContext<'_>, tid: u32, record: &Levels) {
        self.unmounted_failure(context, record);
        self.operations.retain(|operation| operation.fs != context.fs.id);
        let moment = (tid, record.header.time);
        self.prealloc_gone(context, moment, "when the filesystem was unmounted");
        self.data_gone(context, moment, "until the filesystem was unmounted", |_| true);
        self.data.retain(|data| data.fs != context.fs.id);
        handles::gone(context, self, tid, record.header.time);
    }
}
