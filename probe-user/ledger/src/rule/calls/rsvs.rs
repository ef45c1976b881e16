//! Temporary block_rsvs (evict, truncate, subvolume operations, snapshots, relocation), by address.
//!
//! Each ends with `btrfs_block_rsv_release(rsv, -1)`, which leaves nothing. It belongs to one task, so `reserved` in a
//! record is what it holds at that moment. It has lost its bytes if a new one is set up at the same address while it holds
//! some, or if it still holds some when its filesystem is unmounted.
use probe_common::{
    call::{CALL_RETURNED, CALL_RSV, CALL_TREE_TORN, Call},
    claim::RsvType,
    fs::Levels,
    hook::HookId,
};
use rustc_hash::FxHashMap;

use super::{context::CallContext, report::Deviation};
use crate::{
    book::node::Node,
    vocabulary::{account::Account, finding::Origin},
};

/// Most temporary block_rsvs followed at once; beyond it all are forgotten.
const MAX_RSVS: usize = 1 << 14;

#[derive(Debug, Default)]
pub(crate) struct Rsvs {
    /// Temporary block_rsvs that hold bytes.
    open: FxHashMap<(u32, u64), Held>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    bytes: u64,
    /// The call that was first seen on it.
    node: Node,
    /// That call set it up, so it belongs to the call's task. The block_rsv of a relocation is used by other tasks too.
    set_up: bool,
}

impl Rsvs {
    /// Something may have been missed: forgets all.
    pub(crate) fn forget(&mut self) {
        self.open.clear();
    }

    /// Those of a filesystem that hold bytes, and how many bytes.
    pub(super) fn held(&self, fs: u32) -> (u64, i64) {
        let of = self.open.iter().filter(|((id, _), held)| *id == fs && held.bytes > 0);
        of.fold((0, 0), |(count, bytes), (_, held)| (count + 1, bytes.saturating_add_unsigned(held.bytes)))
    }

    /// A call of this thread was missed.
    pub(super) fn doubt(&mut self, tid: u32) {
        self.open.values_mut().filter(|held| held.node.tid == tid).for_each(|held| held.set_up = false);
    }

    /// A call on a block_rsv has returned.
    pub(crate) fn call(&mut self, context: &mut CallContext<'_>, node: &Node, record: &Call) {
        if node.rsv_type != RsvType::Temp || !node.has(CALL_RSV | CALL_RETURNED) {
            self.migrated_in(context, node);
            return;
        }
        let at = (node.fs, node.rsv);
        let (before, after) = (&record.before, &record.after);
        let judged = context.judges && node.entered > context.since && !node.has(CALL_TREE_TORN);
        // `btrfs_use_block_rsv` shows its block_rsv only at its return, so its record has no values from before.
        let adds = node.is(HookId::BlockRsvAdd) || node.is(HookId::BlockRsvRefill);
        let set_up = judged && adds && before.reserved == 0;
        if set_up {
            self.set_up_anew(context, node);
        }
        let all = node.is(HookId::BlockRsvRelease) && node.args[0] == u64::MAX;
        if judged && all && after.reserved != 0 && !context.fs.aborted {
            let text = format!(
                "A temporary block_rsv still held {} bytes after all of it was released.",
                after.reserved
            );
            let mut deviation = Deviation::of(Account::TempRsv, after.reserved as i64, text);
            deviation.origins = self.open.remove(&at).iter().map(Held::origin).collect();
            context.report_on(node, None, deviation);
            return;
        }
        if !judged || after.reserved == 0 {
            self.open.remove(&at);
        } else if self.open.len() < MAX_RSVS {
            let first = Held { bytes: 0, node: *node, set_up };
            let held = self.open.get(&at).copied().unwrap_or(first);
            self.open.insert(at, Held { bytes: after.reserved, ..held });
        } else {
            self.open.clear();
        }
    }

    /// Bytes migrated into a temporary block_rsv. The record shows the counters of the source only, so the amount is added
    /// here.
    ///
    /// A truncate fills its own block_rsv from that of its handle. The block_rsv of a relocation is filled by other tasks too, but
    /// from a temporary one (`btrfs_reloc_post_snapshot`).
    fn migrated_in(&mut self, context: &CallContext<'_>, node: &Node) {
        if !node.is(HookId::BlockRsvMigrate) || node.ret != 0 || node.args[3] != RsvType::Temp as u64 {
            return;
        }
        let at = (node.fs, node.args[0]);
        if let Some(held) = self.open.get_mut(&at) {
            held.bytes = held.bytes.wrapping_add(node.args[1]);
        } else if node.rsv_type == RsvType::Trans && context.complete(node) && self.open.len() < MAX_RSVS {
            self.open.insert(at, Held { bytes: node.args[1], node: *node, set_up: true });
        }
    }

    fn set_up_anew(&mut self, context: &mut CallContext<'_>, node: &Node) {
        let Some(held) = self.open.remove(&(node.fs, node.rsv)) else { return };
        if context.fs.aborted {
            return;
        }
        let text = format!(
            "A temporary block_rsv was set up anew while the one before at the same place still held {} bytes.",
            held.bytes
        );
        let mut deviation = Deviation::of(Account::TempRsv, held.bytes as i64, text);
        deviation.origins = vec![held.origin()];
        context.report_on(node, None, deviation);
    }

    /// The system call of a task has ended, so the temporary block_rsvs that it had set up are gone.
    pub(super) fn returned(&mut self, context: &mut CallContext<'_>, tid: u32, time: u64) {
        let fs = context.fs.id;
        let own = |held: &Held| held.set_up && held.node.tid == tid;
        if !self.open.iter().any(|((of, _), held)| *of == fs && own(held)) {
            return;
        }
        let mut left: Vec<_> = self.open.extract_if(|(of, _), held| *of == fs && own(held)).collect();
        left.sort_unstable_by_key(|(at, _)| *at);
        if !context.judges || context.fs.aborted {
            return;
        }
        for (_, held) in left {
            let text = format!(
                "The task set up a temporary block_rsv, which still held {} bytes when the system call of the task ended.",
                held.bytes
            );
            let mut deviation = Deviation::of(Account::TempRsv, held.bytes as i64, text);
            deviation.root = (held.node.key.root != 0).then_some(held.node.key.root);
            deviation.origins = vec![held.origin()];
            context.report_on(&Node { time, ..held.node }, None, deviation);
        }
    }

    /// The filesystem is unmounted, so no task can hold a temporary block_rsv any more.
    pub(crate) fn unmounted(&mut self, context: &mut CallContext<'_>, record: &Levels) {
        let fs = context.fs.id;
        let mut left: Vec<_> =
            self.open.iter().filter(|((of, _), _)| *of == fs).map(|(at, held)| (*at, *held)).collect();
        left.sort_unstable_by_key(|(at, _)| *at);
        self.open.retain(|(of, _), _| *of != fs);
        if !context.judges || context.fs.aborted {
            return;
        }
        for (_, held) in left {
            let text = format!("At unmount a temporary block_rsv still held {} bytes.", held.bytes);
            let mut deviation = Deviation::of(Account::TempRsv, held.bytes as i64, text);
            deviation.origins = vec![held.origin()];
            context.report_on(&Node { time: record.header.time, ..held.node }, None, deviation);
        }
    }
}

impl Held {
    const fn origin(&self) -> Origin {
        Origin { bytes: self.bytes, count: 1, stack: self.node.stack }
    }
}
