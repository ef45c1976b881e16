//! `META_PREALLOC` of qgroups: what is asked for in a call goes to a holder or comes back in the same call.
//!
//! A task takes it (`btrfs_qgroup_reserve_meta`) and gives it back (`__btrfs_qgroup_free_meta`,
//! `btrfs_qgroup_convert_reserved_meta`). Holders are the qgroup half of an inode's block_rsv and delayed nodes. Every other
//! call must leave what it found, whether it succeeds or fails.
//!
//! The rule compares the amounts that are asked for, not the changes of the qgroup's counter. A delayed node whose bytes were
//! migrated converts prealloc that it never took, and the kernel clamps the next release of another holder instead
//! (`sub_root_meta_rsv`). So on a correct kernel the counter is often lower than the sum of its holders.
use probe_common::{
    call::{CALL_FOREIGN, CALL_QUOTAS, CALL_RETURNED},
    hook::HookId,
};

use super::{context::CallContext, report::Deviation};
use crate::{
    book::{
        node::Node,
        thread::{HeldPrealloc, Thread},
    },
    vocabulary::{
        account::Account,
        finding::{FindingKind, Origin},
        keys::InodeKey,
    },
};

/// `BTRFS_QGROUP_RSV_META_PREALLOC`
const PREALLOC: u64 = 2;
/// What `btrfs_drop_snapshot` asks to convert: all that the root has.
const ALL: u64 = i32::MAX as u64;
/// Most reservations that a task may hold outside of all hooked calls; the kernel has one (an operation on subvolumes).
const MAX_HELD: usize = 4;

/// Judges a call that has returned, with the calls inside it. `children` may contain those of inner calls.
pub(crate) fn check(context: &mut CallContext<'_>, thread: &mut Thread, node: &Node, children: &[Node]) {
    if change(node).is_some() && node.has(CALL_FOREIGN) && context.complete(node) {
        let bytes = node.args[0] as i64;
        let text = format!(
            "{bytes} bytes of META_PREALLOC were to be given back to the qgroup of subvolume {}, and another qgroup lost them.",
            node.key.root
        );
        let account = Account::RootQgroupMetaPrealloc;
        let mut deviation = Deviation::new(FindingKind::WrongOwner, account, bytes, text);
        deviation.root = Some(node.key.root);
        context.report_on(node, None, deviation);
    }
    if node.parent == 0 && change(node).is_some() {
        held(context, thread, node);
        return;
    }
    if !node.has(CALL_QUOTAS | CALL_RETURNED) || !context.follows.qgroup_meta || !context.complete(node) {
        return;
    }
    let own = || children.iter().filter(|child| child.parent == node.serial);
    let of_root = || own().filter(|child| child.key.root == node.key.root);
    let Some(wanted) = wanted(context, node, children) else { return };
    context.checked.qgroups += 1;
    let got = of_root().filter_map(change).fold(0, i64::wrapping_add);
    if wanted.contains(&got) {
        return;
    }
    let off = got.wrapping_sub(wanted[0]);
    let taken = of_root().filter_map(change).filter(|change| *change > 0).fold(0, i64::wrapping_add);
    let given = taken.wrapping_sub(got);
    let what = node.hook().map_or("The call", HookId::name);
    let outcome =
        if node.ret < 0 { format!("failed with error {}", node.ret) } else { "succeeded".to_owned() };
    let text = match wanted[0] {
        0 => format!(
            "{what} {outcome}; it had reserved {taken} bytes of META_PREALLOC in the qgroup of its subvolume, gave back \
             {given}, and should have left nothing."
        ),
        keeps if keeps > 0 => format!(
            "{what} {outcome}; it reserved {taken} bytes of META_PREALLOC, gave back {given}, and booked {keeps} to the \
             block_rsv of the inode."
        ),
        gives => format!(
            "{what} had {} bytes of META_PREALLOC to give back to the qgroup of its subvolume, and gave back {given}.",
            gives.unsigned_abs()
        ),
    };
    let mut deviation = Deviation::of(Account::RootQgroupMetaPrealloc, off, text);
    if node.ret < 0 {
        deviation.kind = if off < 0 { FindingKind::ErrorPathOverRelease } else { FindingKind::ErrorPathLeak };
    }
    deviation.root = Some(node.key.root);
    deviation.origins = of_root()
        .filter(|child| change(child).is_some_and(|change| change > 0))
        .map(|child| Origin { bytes: child.args[0], count: 1, stack: child.stack })
        .collect();
    // A delayed node is named by its inode.
    let key = match node.hook() {
        Some(HookId::DelayedInodeRelease) if node.key.root != 0 => {
            Some(InodeKey { root: node.key.root, ino: node.args[0] })
        }
        _ => node.inode(),
    };
    context.report_on(node, key, deviation);
}

/// By how much the call must change what its task asked for; the first is what is usual. `None`: not known.
fn wanted(context: &CallContext<'_>, node: &Node, children: &[Node]) -> Option<[i64; 2]> {
    let nodesize = i64::try_from(context.fs.nodesize).ok().filter(|nodesize| *nodesize > 0)?;
    let same = |amount: i64| Some([amount; 2]);
    match node.hook()? {
        HookId::ReserveMetadata if node.ret == 0 => same(i64::from(node.extents).saturating_mul(nodesize)),
        HookId::ReserveMetadata | HookId::StartTransaction => same(0),
        // A node that has its bytes already takes none, and one whose bytes are migrated takes no prealloc.
        HookId::DelayedUpdateInode if node.ret == 0 => Some([0, nodesize.saturating_mul(8)]),
        HookId::DelayedUpdateInode => same(0),
        HookId::InodeRsvRelease => {
            let released = children
                .iter()
                .filter(|child| child.parent == node.serial && child.is(HookId::BlockRsvRelease))
                .map(|child| child.args[1] as i64);
            same(released.fold(0, i64::wrapping_sub))
        }
        HookId::DelayedInodeRelease => same((node.args[1] as i64).saturating_neg()),
        _ => None,
    }
}

/// Bytes of prealloc that the call took (positive) or gave back, as asked; `None` if it is no such call.
fn change(node: &Node) -> Option<i64> {
    let bytes = i64::try_from(node.args[0]).ok().filter(|_| node.has(CALL_RETURNED))?;
    match node.hook()? {
        HookId::QgroupReserveMeta if node.args[1] == PREALLOC => Some(if node.ret == 0 { bytes } else { 0 }),
        HookId::QgroupFreeMeta if node.args[1] == PREALLOC => Some(bytes.saturating_neg()),
        HookId::QgroupConvertMeta => Some(bytes.saturating_neg()),
        _ => None,
    }
}

/// Outside of all hooked calls: the task of an operation on subvolumes holds prealloc for a while.
fn held(context: &mut CallContext<'_>, thread: &mut Thread, node: &Node) {
    let root = node.key.root;
    let position = thread.prealloc.iter().position(|held| held.fs == node.fs && held.root == root);
    let known = context.judges && context.follows.qgroup_meta && node.entered > context.since;
    if !known || node.args[0] == ALL {
        thread.prealloc.retain(|held| held.fs != node.fs || held.root != root);
        return;
    }
    match (change(node).unwrap_or(0), position) {
        (0, _) => {}
        (taken, Some(at)) if taken > 0 => {
            let origin = &mut thread.prealloc[at].origin;
            origin.bytes = origin.bytes.saturating_add(taken.unsigned_abs());
            origin.count += 1;
        }
        (taken, None) if taken > 0 => {
            if thread.prealloc.len() >= MAX_HELD {
                thread.prealloc.remove(0);
            }
            let origin = Origin { bytes: taken.unsigned_abs(), count: 1, stack: node.stack };
            thread.prealloc.push(HeldPrealloc { fs: node.fs, root, origin });
        }
        (given, None) => {
            // Nothing if it was taken before the session, or by another task.
            let exact = |held: &HeldPrealloc| held.fs == node.fs && held.origin.bytes == given.unsigned_abs();
            if let Some(at) = thread.prealloc.iter().position(exact) {
                let HeldPrealloc { root: owner, origin, .. } = thread.prealloc.remove(at);
                let text = format!(
                    "The task took {} bytes of META_PREALLOC in the qgroup of subvolume {owner}, and gave them back to \
                     that of subvolume {root}.",
                    origin.bytes
                );
                let account = Account::RootQgroupMetaPrealloc;
                let mut deviation = Deviation::new(FindingKind::WrongOwner, account, given, text);
                deviation.root = Some(root);
                deviation.origins = vec![origin];
                context.report_on(node, None, deviation);
            }
        }
        (given, Some(at)) => {
            let HeldPrealloc { origin, .. } = thread.prealloc[at];
            let rest = origin.bytes as i64 + given;
            if rest > 0 {
                thread.prealloc[at].origin.bytes = rest.unsigned_abs();
                return;
            }
            thread.prealloc.remove(at);
            if rest < 0 {
                let text = format!(
                    "The task gave back {} bytes of META_PREALLOC and held {}.",
                    given.unsigned_abs(),
                    origin.bytes
                );
                let mut deviation = Deviation::of(Account::RootQgroupMetaPrealloc, rest, text);
                deviation.root = Some(root);
                deviation.origins = vec![origin];
                context.report_on(node, None, deviation);
            }
        }
    }
}

impl Thread {
    /// The operation on subvolumes is over for which the task can have held prealloc. `when`: how that is known.
    pub(super) fn prealloc_gone(
        &mut self,
        context: &mut CallContext<'_>,
        (tid, time): (u32, u64),
        when: &str,
    ) {
        let fs = context.fs.id;
        let left: Vec<HeldPrealloc> = self.prealloc.iter().filter(|held| held.fs == fs).copied().collect();
        self.prealloc.retain(|held| held.fs != fs);
        if !context.judges || context.fs.aborted {
            return;
        }
        for HeldPrealloc { root, origin, .. } in left {
            let text = format!(
                "A task took {} bytes of META_PREALLOC for an operation on subvolumes, and had not given them back {when}.",
                origin.bytes
            );
            let mut deviation = Deviation::of(Account::RootQgroupMetaPrealloc, origin.bytes as i64, text);
            deviation.root = Some(root);
            deviation.origins = vec![origin];
            let node = Node { stack: origin.stack, ..Node::at(fs, tid, time) };
            context.report_on(&node, None, deviation);
        }
    }
}
