//! Data that an inode has reserved in its qgroups (`EXTENT_QGROUP_RESERVED` on its io_tree).
//!
//! `btrfs_qgroup_reserve_data` reserves what was not reserved yet, `btrfs_qgroup_free_data` gives back, and
//! `btrfs_qgroup_release_data` hands over to an ordered extent. Nothing may be left when the inode is destroyed. Ranges
//! reserved before quotas were switched off stay marked and are no leak, so only inodes whose every change was seen are
//! judged. The return value of a free counts as the bytes given back only after a free has shown that the qgroup lost as
//! much.
use probe_common::{
    call::{CALL_RETURNED, CALL_SPECIAL_INODE, Call},
    hook::HookId,
    inode::InodeState,
};
use rustc_hash::FxHashMap;

use super::{context::CallContext, report::Deviation};
use crate::{
    book::node::Node,
    vocabulary::{
        account::Account,
        finding::{Confidence, Origin, StackRef},
        keys::InodeKey,
    },
};

/// Most inodes followed; beyond it all are forgotten.
const MAX_INODES: usize = 1 << 16;

#[derive(Debug, Default)]
pub(crate) struct Qgroups {
    inodes: FxHashMap<(u32, InodeKey), Held>,
    /// At least one free returned exactly what the qgroup lost.
    proven: bool,
    disproven: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Held {
    bytes: i64,
    /// Some bytes were given back or handed over.
    given: bool,
    /// A change could not be followed.
    doubtful: bool,
    last: u64,
    stack: StackRef,
}

impl Qgroups {
    /// Something may have been missed: forgets all.
    pub(crate) fn forget(&mut self) {
        self.inodes.clear();
    }

    pub(crate) fn call(&mut self, context: &CallContext<'_>, node: &Node, record: &Call) {
        let reserve = node.is(HookId::QgroupReserveData);
        let free = node.is(HookId::QgroupFreeData);
        if !(reserve || free || node.is(HookId::QgroupReleaseData)) {
            return;
        }
        let Some(key) = node.inode().filter(|_| !node.has(CALL_SPECIAL_INODE)) else { return };
        let lost = record.qgroup_data.saturating_neg();
        if free && lost > 0 {
            self.proven |= node.ret == lost;
            self.disproven |= node.ret != lost;
        }
        let at = (node.fs, key);
        if self.inodes.len() >= MAX_INODES && !self.inodes.contains_key(&at) {
            self.inodes.clear();
        }
        let held = self.inodes.entry(at).or_default();
        held.doubtful |= !context.judges || node.entered <= context.since || !node.has(CALL_RETURNED);
        if reserve {
            held.bytes = held.bytes.saturating_add(record.qgroup_data);
            if record.qgroup_data > 0 {
                (held.last, held.stack) = (record.qgroup_data.unsigned_abs(), node.stack);
            }
        } else {
            // With quotas off, a free clears the marks of the range and does not change the qgroup.
            let already_reported = node.ret.max(0);
            held.doubtful |= node.ret < 0
                || (free && already_reported != lost)
                || (already_reported == 0 && held.bytes > 0);
            held.given |= already_reported > 0;
            held.bytes = held.bytes.saturating_sub(node.ret.max(0));
        }
        if held.bytes == 0 && !held.doubtful {
            self.inodes.remove(&at);
        }
    }

    /// The inode is destroyed: bytes still reserved in its qgroups are lost.
    pub(crate) fn destroyed(&mut self, context: &mut CallContext<'_>, key: InodeKey, record: &InodeState) {
        if self.inodes.is_empty() {
            return;
        }
        let Some(held) = self.inodes.remove(&(context.fs.id, key)) else { return };
        // Not judged below zero either: the inode had reserved before its first change was seen.
        let returns = !held.given || (self.proven && !self.disproven);
        if held.bytes <= 0 || held.doubtful || !returns || !context.judges {
            return;
        }
        let text = format!(
            "The inode was destroyed while {} bytes of its data were reserved in its qgroups.",
            held.bytes
        );
        let mut deviation = Deviation::of(Account::InodeQgroupData, held.bytes, text);
        deviation.origins = vec![Origin { bytes: held.last, count: 1, stack: held.stack }];
        deviation.confidence = Confidence::OneSided;
        let shown = StackRef { id: record.stack, representative: false };
        let stack = if record.stack == 0 { held.stack } else { shown };
        let node = Node { key, stack, ..Node::at(context.fs.id, record.header.tid, record.header.time) };
        context.report_on(&node, Some(key), deviation);
    }

    pub(crate) fn unmounted(&mut self, fs: u32) {
        self.inodes.retain(|(of, _), _| *of != fs);
    }
}
