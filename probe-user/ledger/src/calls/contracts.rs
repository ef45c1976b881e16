//! What a call must have done by its return, by its arguments. One finding per call at most: the first thing that is
//! wrong with it, the counter that others follow from first.
//!
//! Holds on 6.1, 6.12, 6.18 and 7.3 (`delalloc-space.c`, `ordered-data.c`, `inode.c`); where the versions differ the
//! rule is the weaker one.
use probe_common::{
    call::{CALL_FOREIGN, CALL_NODATASUM, Call},
    hook::HookId,
};

use super::{
    Bench, count, failed, owner,
    report::{DATA, Fault},
    tree::{Node, Thread},
};
use crate::{
    finding::{Account, FindingKind},
    words,
};

const EXTENTS: Account = Account::InodeOutstandingExtents;
const CSUMS: Account = Account::InodeCsumBytes;

/// True if the call was found wrong.
pub(super) fn check(
    bench: &mut Bench<'_>,
    thread: &Thread,
    node: &Node,
    children: &[Node],
    record: &Call,
) -> bool {
    if !bench.judged(node) {
        return false;
    }
    let inside = Inside { node, children };
    let is = |hook: HookId| node.is(hook);
    let found = if is(HookId::ReserveMetadata) {
        if node.ret < 0 {
            failed::contract(bench, thread.held_by_failing(node), node, children, record)
        } else {
            reserve(bench, &inside)
        }
    } else if is(HookId::ReleaseExtents) {
        release(bench, &inside, count::extents(node.args[0]).saturating_neg(), 0, record)
    } else if is(HookId::ReleaseMetadata) {
        let bytes = count::align(node.args[0], bench.fs.sector()) as i64;
        let csums = if node.has(CALL_NODATASUM) { 0 } else { bytes.saturating_neg() };
        release(bench, &inside, 0, csums, record)
    } else if is(HookId::ShrinkExtents) {
        let extents = count::extents(node.args[1]) - count::extents(node.args[0]);
        if node.calculations == 0 && extents == 0 {
            false
        } else {
            release(bench, &inside, extents, 0, record)
        }
    } else if is(HookId::InodeRsvRelease) {
        let released = inside.own().any(|child| child.is(HookId::BlockRsvRelease));
        !released && excess(bench, node, record)
    } else if is(HookId::RemoveOrderedExtent) {
        ordered(bench, &inside, record)
    } else if is(HookId::ClearDelallocExtent) {
        clear(bench, &inside, record)
    } else if is(HookId::ReleaseSpace) {
        space(bench, &inside, record)
    } else if is(HookId::ReserveSpace) {
        between(bench, node)
    } else if is(HookId::FreeReservedDataSpace) {
        data(bench, &inside, count::range(node.args[0], node.args[1], bench.fs.sector()))
    } else {
        return false;
    };
    bench.checked.contracts += 1;
    found
}

/// A call and what ran directly inside it.
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

/// `btrfs_delalloc_reserve_metadata` that succeeded.
fn reserve(bench: &mut Bench<'_>, inside: &Inside<'_>) -> bool {
    let node = inside.node;
    let asked = count::align(node.args[0], bench.fs.sector());
    let (want, got) = (count::extents(asked), i64::from(node.extents));
    if got != want && !fewer_per_extent(bench, inside, want, got) {
        let text = format!(
            "A reservation for {} bytes raised outstanding_extents by {got} and should have by {want}.",
            node.args[0]
        );
        bench.report(node, Fault::new(FindingKind::CounterMismatch, EXTENTS, got - want, text));
        return true;
    }
    let bytes = count::align(node.args[1], bench.fs.sector()) as i64;
    let want = if node.has(CALL_NODATASUM) { 0 } else { bytes };
    if node.csum_bytes != want {
        let text = format!(
            "A reservation for {} bytes on disk raised csum_bytes by {} and should have by {want}.",
            node.args[1], node.csum_bytes
        );
        let off = node.csum_bytes.wrapping_sub(want);
        bench.report(node, Fault::new(FindingKind::CounterMismatch, CSUMS, off, text));
        return true;
    }
    let added: Vec<u64> = inside.calls(HookId::BlockRsvAddBytes, true).map(|child| child.args[0]).collect();
    let text = match added.as_slice() {
        [_] => return false,
        [] => "A reservation succeeded and added no bytes to the inode's block_rsv.".to_owned(),
        more => format!("A reservation added bytes to the inode's block_rsv {} times.", more.len()),
    };
    let least = (got as u64).saturating_mul(2).saturating_add(1).saturating_mul(8 * bench.fs.nodesize) as i64;
    let off = if added.is_empty() { least.saturating_neg() } else { added[1..].iter().sum::<u64>() as i64 };
    bench.report(node, Fault::new(FindingKind::CounterMismatch, Account::InodeMetaRsv, off, text));
    true
}

/// Zoned filesystems have shorter extents than 128 MiB: the bytes that were reserved agree with the count then.
fn fewer_per_extent(bench: &mut Bench<'_>, inside: &Inside<'_>, want: i64, got: i64) -> bool {
    let step = 16 * bench.fs.nodesize;
    let bytes = inside.calls(HookId::BlockRsvAddBytes, true).map(|child| child.args[0]).next().unwrap_or(0);
    let zoned = step != 0 && got > want && inside.node.args[0] >= 1 << 17 && (bytes / step) as i64 >= got;
    bench.fs.zoned |= zoned;
    bench.fs.zoned
}

/// `btrfs_delalloc_release_extents`, `_release_metadata`, `_shrink_extents`.
fn release(bench: &mut Bench<'_>, inside: &Inside<'_>, extents: i64, csums: i64, record: &Call) -> bool {
    let node = inside.node;
    let got = i64::from(node.extents);
    let short = bench.fs.zoned && got != 0 && (got < 0) == (extents < 0);
    let pairs = [(EXTENTS, extents, if short { extents } else { got }), (CSUMS, csums, node.csum_bytes)];
    if let Some((account, want, got)) = pairs.into_iter().find(|(_, want, got)| want != got) {
        let other = inside.calls(HookId::InodeRsvRelease, false).next();
        if let Some(other) = other.filter(|_| got == 0 && node.has(CALL_FOREIGN)) {
            owner::wrong(bench, node, other.key, node.key, account, want.saturating_neg(), Vec::new());
            return true;
        }
        let text = format!(
            "A release of {} bytes changed {} by {got} and should have by {want}.",
            node.args[0],
            account.name()
        );
        bench.report(node, Fault::of(account, got.wrapping_sub(want), text));
        return true;
    }
    let released = inside.calls(HookId::InodeRsvRelease, true).next().is_some();
    !released && excess(bench, node, record)
}

/// The release of the inode's block_rsv was left out. The next one makes up for it, so it matters only if nobody else was
/// there and bytes above the size were left.
fn excess(bench: &mut Bench<'_>, node: &Node, record: &Call) -> bool {
    let known = bench.fs.explained.inode(node.key).map_or(0, |wrong| wrong.meta_rsv.max(0));
    let over = record.after.reserved.saturating_sub(record.after.size).saturating_sub(known.unsigned_abs());
    if over == 0 || record.others != 0 {
        return false;
    }
    let text = format!("{over} bytes above the size of the inode's block_rsv were not released.");
    bench.report(node, Fault::of(Account::InodeMetaRsv, over as i64, text));
    true
}

/// Exactly one `btrfs_delalloc_release_metadata` of one of `lengths` inside the call.
fn one_release(bench: &mut Bench<'_>, inside: &Inside<'_>, lengths: [u64; 2], record: &Call) -> bool {
    let node = inside.node;
    let mut released = inside.calls(HookId::ReleaseMetadata, true);
    let plain = node.has(CALL_NODATASUM);
    let Some(first) = released.next() else {
        let strange = inside.calls(HookId::ReleaseMetadata, false).find(|of| lengths.contains(&of.args[0]));
        if let Some(strange) = strange {
            let bytes = strange.args[0] as i64;
            owner::wrong(bench, strange, strange.key, node.key, CSUMS, bytes, Vec::new());
            return true;
        }
        if plain {
            return excess(bench, node, record);
        }
        let text = format!("The metadata of {} bytes of the inode was not released.", lengths[0]);
        bench.report(node, Fault::of(CSUMS, lengths[0] as i64, text));
        return true;
    };
    if let Some(second) = released.next() {
        let text = format!("The metadata of {} bytes of the inode was released twice.", second.args[0]);
        bench.report(second, Fault::of(CSUMS, (second.args[0] as i64).saturating_neg(), text));
        return true;
    }
    if lengths.contains(&first.args[0]) {
        return false;
    }
    let text = format!("The metadata of {} bytes was released instead of {}.", first.args[0], lengths[0]);
    let off = (lengths[0] as i64).wrapping_sub(first.args[0] as i64);
    bench.report(first, Fault::of(CSUMS, off, text));
    true
}

/// `btrfs_remove_ordered_extent`: one extent less, and the metadata of its bytes; of its bytes on disk if it was encoded
/// (the flag's bit differs between kernels, so both are accepted).
fn ordered(bench: &mut Bench<'_>, inside: &Inside<'_>, record: &Call) -> bool {
    let node = inside.node;
    if node.extents != -1 {
        let text = format!(
            "An ordered extent was removed, which changed outstanding_extents by {} and should have by -1.",
            node.extents
        );
        bench.report(node, Fault::of(EXTENTS, i64::from(node.extents) + 1, text));
        return true;
    }
    one_release(bench, inside, [node.args[1], node.args[2]], record)
}

/// `btrfs_clear_delalloc_extent`: whether the range was dirty shows in the extents; whether its metadata is to be
/// released is in the bits. Whether its data is depends on the state's own bits, which are not seen.
fn clear(bench: &mut Bench<'_>, inside: &Inside<'_>, record: &Call) -> bool {
    let node = inside.node;
    let len = node.args[1].wrapping_sub(node.args[0]).wrapping_add(1);
    let (want, got) = (count::extents(len).saturating_neg(), i64::from(node.extents));
    let any = inside.own().any(|child| child.is(HookId::ReleaseMetadata));
    if got == 0 && !any {
        return false;
    }
    if got != want && !bench.fs.zoned {
        let text = format!(
            "A dirty range of {len} bytes was cleared, which changed outstanding_extents by {got} and should have by {want}."
        );
        bench.report(node, Fault::of(EXTENTS, got - want, text));
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
        bench.report_on(last, node.inode(), Fault::of(DATA, (over as i64).saturating_neg(), text));
        return true;
    }
    if got != 0 && frees_data(node.args[2]) && freed().next().is_none() && node.data == 0 {
        // Right if no data was reserved for the range, which its state says and no record.
        bench.fs.explained.kept(*node, len);
    }
    (any || releases_metadata(node.args[2])) && one_release(bench, inside, [len, len], record)
}

/// `EXTENT_CLEAR_META_RESV` is bit 8 on 6.1 and bit 9 later; the other of the two never comes with a cleared dirty
/// range, unless all bits but a few are cleared (`EXTENT_CLEAR_ALL_BITS`), which sets it in any case.
const fn releases_metadata(bits: u64) -> bool {
    let both = (bits >> 8) & 3;
    if (bits >> 31) & 1 == 1 { both == 3 } else { both != 0 }
}

/// `EXTENT_CLEAR_DATA_RESV`, bit 13 on all kernels; all others are set with `EXTENT_CLEAR_ALL_BITS` too.
const fn frees_data(bits: u64) -> bool {
    (bits >> 13) & 1 == 1
}

/// `btrfs_delalloc_release_space`: metadata and data of the same range.
fn space(bench: &mut Bench<'_>, inside: &Inside<'_>, record: &Call) -> bool {
    let node = inside.node;
    if one_release(bench, inside, [node.args[1]; 2], record) {
        return true;
    }
    let bytes = count::range(node.args[0], node.args[1], bench.fs.sector()) as i64;
    let off = match inside.calls(HookId::FreeReservedDataSpace, true).count() {
        1 => return false,
        0 => bytes,
        more => bytes.saturating_mul(1 - more as i64),
    };
    let text = format!("A release of {bytes} bytes of data and metadata left the data off by {off}.");
    bench.report(node, Fault::of(DATA, off, text));
    true
}

/// `btrfs_delalloc_reserve_space` changes nothing of the inode itself.
fn between(bench: &mut Bench<'_>, node: &Node) -> bool {
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
    let mut fault = Fault::new(FindingKind::PublishBeforeReserve, EXTENTS, extents, text);
    fault.amount = Some(count::extents(node.args[1]).unsigned_abs());
    if node.csum_bytes != 0 {
        bench.explain(node.inode(), CSUMS, node.csum_bytes);
    }
    bench.report(node, fault);
    true
}

/// `btrfs_free_reserved_data_space`: no more than its range leaves `bytes_may_use`. It may grant the tickets of others, so
/// less shows nothing.
fn data(bench: &mut Bench<'_>, inside: &Inside<'_>, bytes: u64) -> bool {
    let inner = inside.calls(HookId::FreeReservedDataSpaceNoquota, true).map(|child| child.data);
    let freed = inner.fold(inside.node.data, i64::wrapping_add).wrapping_neg();
    let over = freed.saturating_sub(bytes as i64);
    if over <= 0 {
        return false;
    }
    let text = format!("A free of {bytes} bytes of data took {freed} from bytes_may_use.");
    bench.report(inside.node, Fault::of(DATA, over.saturating_neg(), text));
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
        // EXTENT_CLEAR_ALL_BITS: all but the control bits (8 and 13 on 6.1, 9 and 13 later).
        let all = u64::from(u32::MAX);
        assert!(!releases_metadata(all & !(1 << 8)) && !releases_metadata(all & !(1 << 9)));
        assert!(releases_metadata(all));
    }
}
