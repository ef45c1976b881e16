//! What a call must have changed by its return, given its arguments. At most one finding per call: the counter that the
//! other counters follow from comes first.
//!
//! Holds on 6.1, 6.12, 6.18 and 7.3 (`delalloc-space.c`, `ordered-data.c`, `inode.c`). Where the versions differ, the rule
//! is the weaker one.
use probe_common::{
    call::{
        CALL_ENCODED, CALL_FOREIGN, CALL_NODATASUM, CALL_NOT_ENCODED, Call, STATE_DELALLOC, STATE_KNOWN,
        STATE_NORESERVE,
    },
    hook::HookId,
};

use super::{context::CallContext, failed, owner, report::Deviation};
use crate::{
    book::{node::Node, thread::Thread},
    vocabulary::{
        account::{Account, DATA_MAY_USE},
        finding::FindingKind,
        lengths, words,
    },
};

const EXTENTS: Account = Account::InodeOutstandingExtents;
const CSUMS: Account = Account::InodeCsumBytes;

/// Judges a call. True if it broke its contract.
pub(crate) fn check(
    context: &mut CallContext<'_>,
    thread: &Thread,
    node: &Node,
    children: &[Node],
    record: &Call,
) -> bool {
    if !context.judged(node) {
        return false;
    }
    let inside = Inside { node, children };
    let is = |hook: HookId| node.is(hook);
    let found = if is(HookId::ReserveMetadata) {
        if node.ret < 0 {
            failed::contract(context, thread, node, children, record)
        } else {
            reserve(context, &inside)
        }
    } else if is(HookId::ReleaseExtents) {
        release(context, &inside, lengths::extents(node.args[0]).saturating_neg(), 0, record)
    } else if is(HookId::ReleaseMetadata) {
        let bytes = lengths::align(node.args[0], context.fs.sector()) as i64;
        let csums = csums(context, node, bytes.saturating_neg());
        release(context, &inside, 0, csums, record)
    } else if is(HookId::ShrinkExtents) {
        let extents = lengths::extents(node.args[1]) - lengths::extents(node.args[0]);
        if node.calculations == 0 && extents == 0 {
            false
        } else {
            release(context, &inside, extents, 0, record)
        }
    } else if is(HookId::InodeRsvRelease) {
        let released = inside.own().any(|child| child.is(HookId::BlockRsvRelease));
        !released && excess(context, node, record)
    } else if is(HookId::RemoveOrderedExtent) {
        ordered(context, &inside, record)
    } else if is(HookId::ClearDelallocExtent) {
        clear(context, &inside, record)
    } else if is(HookId::MergeDelallocExtent) || is(HookId::SplitDelallocExtent) {
        parts(context, node)
    } else if is(HookId::ReleaseSpace) {
        space(context, &inside, record)
    } else if is(HookId::ReserveSpace) {
        between(context, node)
    } else if is(HookId::FreeReservedDataSpace) {
        data(context, &inside, lengths::range(node.args[0], node.args[1], context.fs.sector()))
    } else if is(HookId::FreeReservedDataSpaceNoquota) {
        data(context, &inside, lengths::align(node.args[0], context.fs.sector()))
    } else {
        return false;
    };
    context.checked.contracts += 1;
    found
}

/// A call and the calls that ran inside it.
struct Inside<'a> {
    node: &'a Node,
    children: &'a [Node],
}

impl<'a> Inside<'a> {
    fn own(&self) -> impl Iterator<Item = &'a Node> + use<'a> {
        let serial = self.node.serial;
        self.children.iter().filter(move |child| child.parent == serial)
    }

    fn calls(&self, hook: HookId, same_inode: bool) -> impl Iterator<Item = &'a Node> + use<'a> {
        let key = self.node.key;
        self.own().filter(move |child| child.is(hook) && (child.key == key) == same_inode)
    }
}

/// A `btrfs_delalloc_reserve_metadata` that succeeded.
fn reserve(context: &mut CallContext<'_>, inside: &Inside<'_>) -> bool {
    let node = inside.node;
    let asked = lengths::align(node.args[0], context.fs.sector());
    let (want, got) = (lengths::extents(asked), i64::from(node.extents));
    if got != want && !fewer_per_extent(context, inside, want, got) {
        let text = format!(
            "A reservation for {} bytes raised outstanding_extents by {got} and should have by {want}.",
            node.args[0]
        );
        context.report(node, Deviation::new(FindingKind::CounterMismatch, EXTENTS, got - want, text));
        return true;
    }
    let bytes = lengths::align(node.args[1], context.fs.sector()) as i64;
    let want = csums(context, node, bytes);
    if node.csum_bytes != want {
        miscounted(context, node, want);
        return true;
    }
    let added: Vec<u64> = inside.calls(HookId::BlockRsvAddBytes, true).map(|child| child.args[0]).collect();
    let text = match added.as_slice() {
        [_] => return false,
        [] => "A reservation succeeded and added no bytes to the inode's block_rsv.".to_owned(),
        more => format!("A reservation added bytes to the inode's block_rsv {} times.", more.len()),
    };
    let least =
        (got as u64).saturating_mul(2).saturating_add(1).saturating_mul(8 * context.fs.nodesize) as i64;
    let off = if added.is_empty() { least.saturating_neg() } else { added[1..].iter().sum::<u64>() as i64 };
    context.report(node, Deviation::new(FindingKind::CounterMismatch, Account::InodeMetaRsv, off, text));
    true
}

/// By how much a call must change `csum_bytes`, if `bytes` is by how much on an inode with checksums.
fn csums(context: &mut CallContext<'_>, node: &Node, bytes: i64) -> i64 {
    if !node.has(CALL_NODATASUM) {
        return bytes;
    }
    let (want, wrong) = context.fs.plain_csums.want(node, bytes);
    for reservation in wrong {
        miscounted(context, &reservation, 0);
    }
    want
}

/// A reservation changed `csum_bytes` by something else than `want`.
fn miscounted(context: &mut CallContext<'_>, node: &Node, want: i64) {
    let text = format!(
        "A reservation for {} bytes on disk raised csum_bytes by {} and should have by {want}.",
        node.args[1], node.csum_bytes
    );
    let off = node.csum_bytes.wrapping_sub(want);
    context.report(node, Deviation::new(FindingKind::CounterMismatch, CSUMS, off, text));
}

/// True on a zoned filesystem, whose extents are shorter than 128 MiB. We know it is zoned if the reserved bytes agree with
/// the count of extents.
fn fewer_per_extent(context: &mut CallContext<'_>, inside: &Inside<'_>, want: i64, got: i64) -> bool {
    let step = 16 * context.fs.nodesize;
    let bytes = inside.calls(HookId::BlockRsvAddBytes, true).map(|child| child.args[0]).next().unwrap_or(0);
    let zoned = step != 0 && got > want && inside.node.args[0] >= 1 << 17 && (bytes / step) as i64 >= got;
    context.fs.zoned |= zoned;
    context.fs.zoned
}

/// `btrfs_delalloc_release_extents`, `_release_metadata`, `_shrink_extents`.
fn release(
    context: &mut CallContext<'_>,
    inside: &Inside<'_>,
    extents: i64,
    csums: i64,
    record: &Call,
) -> bool {
    let node = inside.node;
    let got = i64::from(node.extents);
    let short = context.fs.zoned && got != 0 && (got < 0) == (extents < 0);
    let pairs = [(EXTENTS, extents, if short { extents } else { got }), (CSUMS, csums, node.csum_bytes)];
    if let Some((account, want, got)) = pairs.into_iter().find(|(_, want, got)| want != got) {
        let other = inside.calls(HookId::InodeRsvRelease, false).next();
        if let Some(other) = other.filter(|_| got == 0 && node.has(CALL_FOREIGN)) {
            owner::wrong(context, node, other.key, node.key, account, want.saturating_neg(), Vec::new());
            return true;
        }
        let text = format!(
            "A release of {} bytes changed {} by {got} and should have by {want}.",
            node.args[0],
            account.name()
        );
        context.report(node, Deviation::of(account, got.wrapping_sub(want), text));
        return true;
    }
    let released = inside.calls(HookId::InodeRsvRelease, true).next().is_some();
    !released && excess(context, node, record)
}

/// The call did not release the inode's block_rsv. The next release makes up for that, so it is wrong only if no other task
/// changed the inode meanwhile and bytes above `size` are left.
fn excess(context: &mut CallContext<'_>, node: &Node, record: &Call) -> bool {
    let known = context.fs.reported.inode(node.key).map_or(0, |wrong| wrong.meta_rsv.max(0));
    let over = record.after.reserved.saturating_sub(record.after.size).saturating_sub(known.unsigned_abs());
    if over == 0 || record.others != 0 {
        return false;
    }
    let text = format!("{over} bytes above the size of the inode's block_rsv were not released.");
    context.report(node, Deviation::of(Account::InodeMetaRsv, over as i64, text));
    true
}

/// The call must contain exactly one `btrfs_delalloc_release_metadata`, with one of `lengths`.
fn one_release(context: &mut CallContext<'_>, inside: &Inside<'_>, lengths: [u64; 2], record: &Call) -> bool {
    let node = inside.node;
    let mut released = inside.calls(HookId::ReleaseMetadata, true);
    let plain = node.has(CALL_NODATASUM);
    let Some(first) = released.next() else {
        let strange = inside.calls(HookId::ReleaseMetadata, false).find(|of| lengths.contains(&of.args[0]));
        if let Some(strange) = strange {
            let bytes = strange.args[0] as i64;
            owner::wrong(context, strange, strange.key, node.key, CSUMS, bytes, Vec::new());
            return true;
        }
        if plain {
            return excess(context, node, record);
        }
        let text = format!("The metadata of {} bytes of the inode was not released.", lengths[0]);
        context.report(node, Deviation::of(CSUMS, lengths[0] as i64, text));
        return true;
    };
    if let Some(second) = released.next() {
        let text = format!("The metadata of {} bytes of the inode was released twice.", second.args[0]);
        context.report(second, Deviation::of(CSUMS, (second.args[0] as i64).saturating_neg(), text));
        return true;
    }
    if lengths.contains(&first.args[0]) {
        return false;
    }
    let text = format!("The metadata of {} bytes was released instead of {}.", first.args[0], lengths[0]);
    let off = (lengths[0] as i64).wrapping_sub(first.args[0] as i64);
    context.report(first, Deviation::of(CSUMS, off, text));
    true
}

/// `btrfs_remove_ordered_extent` takes one extent and releases the metadata of `num_bytes`, or of `disk_num_bytes` if the
/// extent is encoded. Of an older recording both lengths are accepted.
fn ordered(context: &mut CallContext<'_>, inside: &Inside<'_>, record: &Call) -> bool {
    let node = inside.node;
    if node.extents != -1 {
        let text = format!(
            "An ordered extent was removed, which changed outstanding_extents by {} and should have by -1.",
            node.extents
        );
        context.report(node, Deviation::of(EXTENTS, i64::from(node.extents) + 1, text));
        return true;
    }
    let [_, bytes, disk_bytes, _] = node.args;
    let lengths = if node.has(CALL_ENCODED) {
        [disk_bytes; 2]
    } else if node.has(CALL_NOT_ENCODED) {
        [bytes; 2]
    } else {
        [bytes, disk_bytes]
    };
    one_release(context, inside, lengths, record)
}

/// `btrfs_clear_delalloc_extent`: the change of `outstanding_extents` shows whether the range was dirty, and `bits` whether its
/// metadata must be released. Whether its data must be freed, the state's own bits say (`args[3]`); older recordings lack them.
fn clear(context: &mut CallContext<'_>, inside: &Inside<'_>, record: &Call) -> bool {
    let node = inside.node;
    let len = node.args[1].wrapping_sub(node.args[0]).wrapping_add(1);
    let (want, got) = (lengths::extents(len).saturating_neg(), i64::from(node.extents));
    let any = inside.own().any(|child| child.is(HookId::ReleaseMetadata));
    if got == 0 && !any {
        return false;
    }
    if got != want && !context.fs.zoned {
        let text = format!(
            "A dirty range of {len} bytes was cleared, which changed outstanding_extents by {got} and should have by {want}."
        );
        context.report(node, Deviation::of(EXTENTS, got - want, text));
        return true;
    }
    let freed = || inside.own().filter(|child| child.is(HookId::FreeReservedDataSpaceNoquota));
    let over = freed().map(|child| child.args[0]).fold(0, u64::wrapping_add).saturating_sub(len);
    if over > 0
        && let Some(last) = freed().last()
    {
        let text = format!(
            "A dirty range of {len} bytes was cleared, and {over} bytes of data more than that were freed."
        );
        context.report_on(
            last,
            node.inode(),
            Deviation::of(DATA_MAY_USE, (over as i64).saturating_neg(), text),
        );
        return true;
    }
    let state = node.args[3];
    if state & STATE_KNOWN == 0 {
        if got != 0 && frees_data(node.args[2]) && freed().next().is_none() && node.data == 0 {
            // An older recording. Right if no data was reserved for the range; only the state's bits would tell.
            context.fs.reported.cleared_range_kept(*node, len);
        }
    } else if state & STATE_DELALLOC != 0 && state & STATE_NORESERVE == 0 && frees_data(node.args[2]) {
        let kept = (len as i64).saturating_sub(freed().map(|child| child.args[0] as i64).sum());
        if kept != 0 && node.data == 0 {
            let text = format!(
                "A dirty range of {len} bytes was cleared, and {kept} bytes of its data were not freed."
            );
            context.report(node, Deviation::of(DATA_MAY_USE, kept, text));
            return true;
        }
    }
    (any || releases_metadata(node.args[2])) && one_release(context, inside, [len, len], record)
}

/// `EXTENT_CLEAR_META_RESV`: bits 8 and 9 in a record. Older recordings have the kernel's own bits: there it is bit 8 on 6.1 and bit 9 on 6.12 and later, and
/// the other of the two is set only with `EXTENT_CLEAR_ALL_BITS`, which sets all bits but a few. So with all bits, both must be set.
pub(super) const fn releases_metadata(bits: u64) -> bool {
    let both = (bits >> 8) & 3;
    if (bits >> 31) & 1 == 1 { both == 3 } else { both != 0 }
}

/// `EXTENT_CLEAR_DATA_RESV`, bit 13 in a record; also set in `EXTENT_CLEAR_ALL_BITS`.
pub(super) const fn frees_data(bits: u64) -> bool {
    (bits >> 13) & 1 == 1
}

/// `btrfs_delalloc_release_space` releases metadata and data of the same range.
fn space(context: &mut CallContext<'_>, inside: &Inside<'_>, record: &Call) -> bool {
    let node = inside.node;
    if one_release(context, inside, [node.args[1]; 2], record) {
        return true;
    }
    let bytes = lengths::range(node.args[0], node.args[1], context.fs.sector()) as i64;
    let off = match inside.calls(HookId::FreeReservedDataSpace, true).count() {
        1 => return false,
        0 => bytes,
        more => bytes.saturating_mul(1 - more as i64),
    };
    let text = format!("A release of {bytes} bytes of data and metadata left the data off by {off}.");
    context.report(node, Deviation::of(DATA_MAY_USE, off, text));
    true
}

/// `btrfs_merge_delalloc_extent` and `btrfs_split_delalloc_extent`: the same bytes are dirty as before, in one range or in two, and each
/// range has an extent for each `max_extent_size` that it begins. The record comes only if the change is another one.
fn parts(context: &mut CallContext<'_>, node: &Node) -> bool {
    let [first, second, want, _] = node.args;
    let (want, got) = (want as i64, i64::from(node.extents));
    if got == want {
        return false;
    }
    let what = if node.is(HookId::MergeDelallocExtent) {
        format!("Dirty ranges of {first} and {second} bytes became one")
    } else {
        format!("A dirty range was split into {first} and {second} bytes")
    };
    let text = format!("{what}, which changed outstanding_extents by {got} and should have by {want}.");
    context.report(node, Deviation::of(EXTENTS, got - want, text));
    true
}

/// `btrfs_delalloc_reserve_space` itself, without the calls inside it, changes nothing of the inode.
fn between(context: &mut CallContext<'_>, node: &Node) -> bool {
    if node.calculations == 0 && node.csum_bytes == 0 {
        return false;
    }
    let extents = i64::from(node.extents);
    let text = format!(
        "Extents for {} bytes were published outside of their reservation, which returned {}; {} and {} \
         bytes of csum_bytes stayed.",
        node.args[1],
        node.ret,
        words::extents(extents),
        node.csum_bytes
    );
    let mut deviation = Deviation::new(FindingKind::PublishBeforeReserve, EXTENTS, extents, text);
    deviation.amount = Some(lengths::extents(node.args[1]).unsigned_abs());
    if node.csum_bytes != 0 {
        context.explain(node.inode(), CSUMS, node.csum_bytes);
    }
    context.report(node, deviation);
    true
}

/// `btrfs_free_reserved_data_space` and its variant without quotas take at most their range from `bytes_may_use`. It may take less, because it can grant
/// tickets of other tasks in the same call.
fn data(context: &mut CallContext<'_>, inside: &Inside<'_>, bytes: u64) -> bool {
    let inner = inside.calls(HookId::FreeReservedDataSpaceNoquota, true).map(|child| child.data);
    let freed = inner.fold(inside.node.data, i64::wrapping_add).wrapping_neg();
    let over = freed.saturating_sub(bytes as i64);
    if over <= 0 {
        return false;
    }
    let text = format!("A free of {bytes} bytes of data took {freed} from bytes_may_use.");
    context.report(inside.node, Deviation::of(DATA_MAY_USE, over.saturating_neg(), text));
    true
}

#[cfg(test)]
mod tests {
    use super::releases_metadata;

    #[test]
    fn the_bit_of_the_metadata_is_known_on_all_kernels() {
        let (delalloc_6_1, delalloc) = (1 << 4, 1 << 5);
        assert!(releases_metadata(delalloc_6_1 | 1 << 8 | 1 << 13));
        assert!(releases_metadata(delalloc | 1 << 9 | 1 << 13));
        assert!(!releases_metadata(delalloc | 1 << 13));
        // `EXTENT_CLEAR_ALL_BITS`: all bits but the control bits (8 and 13 on 6.1, 9 and 13 later).
        let all = u64::from(u32::MAX);
        assert!(!releases_metadata(all & !(1 << 8)) && !releases_metadata(all & !(1 << 9)));
        assert!(releases_metadata(all));
    }
}
