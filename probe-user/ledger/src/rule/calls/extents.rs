//! Extents on disk, from their reservation until they are in the extent tree.
//!
//! A task reserves an extent, and in the same operation hands it to an ordered extent or to a delayed ref, or frees it. An ordered
//! extent hands it to a delayed ref or frees it before it is removed. So what a task has when its system call ends, and what an ordered
//! extent has when it is removed, stays in `bytes_reserved` for ever. What a delayed ref has is not followed any further.
//!
//! Not followed: metadata, and block groups of data and metadata.
//!
//! The extent and its owner are what the kernel's own events say, so this needs to know nothing of the functions between them.
use probe_common::{
    call::{CALL_INODE, CALL_SPECIAL_INODE},
    extent,
    fs::Levels,
    hook::HookId,
};

use super::{context::CallContext, report::Deviation};
use crate::{
    book::{
        extents::{Extent, Extents, Owner, Range, Removed},
        node::Node,
    },
    vocabulary::{
        account::{DATA_RESERVED, is_data},
        finding::{Origin, StackRef},
        keys::InodeKey,
    },
};

/// Most extents named at unmount.
const MAX_NAMED: usize = 64;

/// An event of an extent. `key`: an inode that the thread works on, if any is known. Returns what an ordered extent left behind when it was
/// removed; the call that removed it returns next.
pub(super) fn event(
    context: &mut CallContext<'_>,
    extents: &mut Extents,
    record: &extent::Extent,
    key: Option<InodeKey>,
) -> Option<Removed> {
    let (fs, tid) = (record.header.fs, record.header.tid);
    let range = Range { start: record.start, len: record.len };
    if range.len == 0 {
        return None;
    }
    match HookId::from_u8(record.header.hook) {
        Some(HookId::ReserveExtent) => {
            let stack = StackRef { id: record.stack, representative: false };
            let owner = Owner::Task(tid);
            extents.reserve(fs, Extent { range, owner, key, stack, doubtful: false });
        }
        Some(HookId::OrderedExtentAdd) => {
            extents.ordered(fs, range, InodeKey { root: record.root, ino: record.ino });
        }
        Some(HookId::DelayedDataRef | HookId::ReservedExtentAlloc) => {
            extents.hand_on(tid, fs, range);
        }
        Some(HookId::ReservedExtentFree) => match extents.free(fs, range) {
            Ok(freed) => {
                // Of an ordered extent, or of one that nobody has seen come.
                if freed.iter().any(|extent| extent.owner == Owner::Ordered)
                    || freed.is_empty() && record.stack != 0
                {
                    extents.give(tid, fs, range);
                }
            }
            // A free as long as a tree block has no stack. Its range may have become one of metadata since.
            Err(range) if record.stack != 0 => freed_twice(context, record, range),
            Err(_) => {}
        },
        Some(HookId::OrderedExtentRemove) => {
            let left = extents.remove(tid, fs, range);
            return (!left.is_empty()).then_some(Removed { fs, left });
        }
        _ => {}
    }
    None
}

/// `btrfs_remove_ordered_extent` has returned.
pub(super) fn removed(context: &mut CallContext<'_>, removed: Removed, node: &Node) {
    for extent in removed.left.into_iter().filter(|_| removed.fs == node.fs) {
        let text = format!(
            "The ordered extent was removed. Its extent of {} bytes at {} on disk is neither in a delayed ref nor in the extent tree, and \
             nobody has freed it.",
            extent.range.len, extent.range.start
        );
        kept(context, &extent, node, text);
    }
}

/// The system call, the work item or the thread has ended.
pub(super) fn returned(
    context: &mut CallContext<'_>,
    extents: &mut Extents,
    (tid, time): (u32, u64),
    when: &str,
) {
    for extent in extents.take_in_hand(tid, context.fs.id) {
        let node = Node { stack: extent.stack, ..Node::at(context.fs.id, tid, time) };
        let text = format!(
            "The task reserved an extent of {} bytes at {} on disk, and {when} neither an ordered extent nor a delayed ref had it, and \
             nobody had freed it.",
            extent.range.len, extent.range.start
        );
        kept(context, &extent, &node, text);
    }
}

/// At unmount nobody has an extent any more. Names those that are left if the kernel's counter has them.
pub(super) fn unmounted(context: &mut CallContext<'_>, extents: &mut Extents, record: &Levels) {
    let fs = context.fs.id;
    let spaces = record.space.iter().filter(|space| is_data(space.flags));
    let level = spaces.map(|space| space.reserved as i64).fold(0, i64::wrapping_add);
    let untold = level.saturating_sub(context.fs.reported.extents);
    let left = extents.of_filesystem(fs).filter(|extent| !extent.doubtful);
    let left: Vec<Extent> = left.take(MAX_NAMED).copied().collect();
    let sum = left.iter().map(|extent| extent.range.len).fold(0, u64::saturating_add);
    if untold > 0 && sum <= untold.unsigned_abs() {
        for extent in left {
            let node = Node { stack: extent.stack, ..Node::at(fs, record.header.tid, record.header.time) };
            let text = format!(
                "At unmount an extent of {} bytes at {} on disk was still reserved: it never got into the extent tree, and nobody \
                 freed it.",
                extent.range.len, extent.range.start
            );
            kept(context, &extent, &node, text);
        }
    }
    extents.forget_fs(fs);
}

fn kept(context: &mut CallContext<'_>, extent: &Extent, node: &Node, text: String) {
    let special = node.has(CALL_SPECIAL_INODE) && node.has(CALL_INODE);
    if extent.doubtful || special || !context.judges || context.fs.aborted {
        return;
    }
    let bytes = i64::try_from(extent.range.len).unwrap_or(i64::MAX);
    let mut deviation = Deviation::of(DATA_RESERVED, bytes, text);
    deviation.origins = vec![Origin { bytes: extent.range.len, count: 1, stack: extent.stack }];
    context.report_on(node, extent.key, deviation);
}

fn freed_twice(context: &mut CallContext<'_>, record: &extent::Extent, range: Range) {
    if !context.judges || context.fs.aborted {
        return;
    }
    let text = format!(
        "An extent of {} bytes at {} on disk was freed, and nobody had reserved it since it was freed before.",
        range.len, range.start
    );
    let stack = StackRef { id: record.stack, representative: false };
    let node = Node { stack, ..Node::at(record.header.fs, record.header.tid, record.header.time) };
    let bytes = i64::try_from(range.len).unwrap_or(i64::MAX);
    context.report_on(&node, None, Deviation::of(DATA_RESERVED, bytes.saturating_neg(), text));
}
