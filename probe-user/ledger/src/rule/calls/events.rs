//! `delalloc` events against the calls that send them: inode and bytes must be those of the call.
//!
//! `btrfs_inode_rsv_release` sends one if its block_rsv released anything, and a `btrfs_delalloc_reserve_metadata` that succeeds
//! sends one. The books of an inode follow these events. So an event with another inode or amount makes the books wrong, and
//! not the kernel's state: that is a mismatch of the event, and no leak of the inodes that it names.
use probe_common::{
    call::CALL_RETURNED,
    hook::HookId,
    inode::{DELALLOC_RESERVE, Delalloc},
};

use super::{context::CallContext, report::Deviation};
use crate::{
    book::{
        node::Node,
        thread::{DelallocEvent, Thread},
    },
    vocabulary::{account::Account, finding::FindingKind, keys::InodeKey},
};

/// Most events of a thread that no call has taken yet. A call takes its event when it returns.
const MAX_EVENTS: usize = 16;

impl Thread {
    /// A `delalloc` event of the thread.
    pub(crate) fn delalloc_event(&mut self, record: &Delalloc) {
        if self.events.len() >= MAX_EVENTS {
            self.events.remove(0);
        }
        self.has_events = true;
        self.events.push(DelallocEvent {
            reserve: record.flags & DELALLOC_RESERVE != 0,
            key: InodeKey { root: record.root, ino: record.ino },
            bytes: record.bytes,
        });
    }
}

/// Judges a call that has returned. `children` may contain those of inner calls.
pub(crate) fn check(context: &mut CallContext<'_>, thread: &mut Thread, node: &Node, children: &[Node]) {
    let reserve = node.is(HookId::ReserveMetadata);
    if !reserve && !node.is(HookId::InodeRsvRelease) {
        return;
    }
    let own = |hook: HookId| {
        children
            .iter()
            .filter(move |child| child.parent == node.serial && child.is(hook) && child.key == node.key)
    };
    let moved: u64 = if !reserve {
        own(HookId::BlockRsvRelease).map(|child| child.ret.max(0).unsigned_abs()).sum()
    } else if node.ret == 0 {
        own(HookId::BlockRsvAddBytes).map(|child| child.args[0]).sum()
    } else {
        0
    };
    let told = if moved > 0 {
        thread.events.iter().rposition(|event| event.reserve == reserve).map(|at| thread.events.remove(at))
    } else {
        None
    };
    if node.parent == 0 {
        thread.events.clear();
    }
    if moved == 0 || !node.has(CALL_RETURNED) || !context.judged(node) || !context.follows.events {
        return;
    }
    let verb = if reserve { "reserved" } else { "released" };
    let (told, text) = match told {
        Some(event) if event.key.ino == node.key.ino && event.bytes == moved => return,
        Some(event) => (
            Some(event.key),
            format!(
                "{moved} bytes of the inode's block_rsv were {verb}, and the event names inode {} and {} bytes. The state is \
                 right, and the event is not.",
                event.key.ino, event.bytes
            ),
        ),
        // Neither did any before: the thread's events are not seen.
        None if !thread.has_events => return,
        None => (None, format!("{moved} bytes of the inode's block_rsv were {verb}, and no event told it.")),
    };
    // The books of both inodes follow the event. They are not judged by it.
    for key in told.into_iter().chain([node.key]) {
        context.fs.reported.add(key, Account::InodeMetaRsv, 0);
    }
    let mut deviation = Deviation::new(FindingKind::CounterMismatch, Account::InodeMetaRsv, 0, text);
    deviation.amount = Some(moved);
    context.report(node, deviation);
}
