//! The inode books: what goes into and out of an inode's block_rsv. Also the order check.
//!
//! Only the order of reserve and publish is judged here. A balance can differ from the kernel in either direction while
//! operations are in flight; it is judged at destroy and at quiet audits.
use probe_common::{
    claim::RsvType,
    inode::{
        BLOCK_DOUBTFUL, BLOCK_FALLBACK, BLOCK_FRESH, Block, DELALLOC_ORDER_KNOWN, DELALLOC_RESERVE,
        DELALLOC_ROOT_KNOWN, DELALLOC_STACK_REPRESENTATIVE, Delalloc,
    },
};

use crate::{
    book::filesystem::Fs,
    context::Context,
    vocabulary::{
        account::Account,
        finding::{FindingKind, Query, StackRef, Violation},
        keys::InodeKey,
    },
};

/// `btrfs_space_reservation` of type `delalloc`.
pub(crate) fn delalloc(context: &mut Context, fs: &mut Fs, record: &Delalloc) {
    context.recent.delalloc(record);
    fs.activity += 1;
    let reserve = record.flags & DELALLOC_RESERVE != 0;
    if reserve {
        order(context, fs, record);
    }
    if record.flags & DELALLOC_ROOT_KNOWN == 0 {
        // The inode number can mean one inode per subvolume, so the balance of none of them is judged any more.
        fs.poisoned.insert(record.ino);
        fs.not_judged.unknown_root += 1;
        return;
    }
    let exact_fs = context.loss.exact(fs.zero_since);
    let book = fs.book(InodeKey { root: record.root, ino: record.ino });
    book.set_counters(&record.counters);
    if reserve {
        let representative = record.flags & DELALLOC_STACK_REPRESENTATIVE != 0;
        book.reserve(record.bytes, record.header.tid, StackRef { id: record.stack, representative });
        let exact = exact_fs || context.loss.exact(book.exact_since);
        // On the functions tier, the calls show overlapping operations exactly.
        let guessed = exact && !context.pending.calls;
        if guessed && book.counters == record.counters && record.counters.reserved as i64 != book.balance {
            // The kernel's counter contains bytes of another task's operation.
            context.statistics.overlapping += 1;
        }
    } else {
        book.take(record.bytes);
        if book.balance == 0 && book.kernel_is_empty() {
            book.forget_origins();
        }
    }
}

/// A tree block; counts only if an inode paid for it from its own bytes.
pub(crate) fn block(context: &mut Context, fs: &mut Fs, record: &Block) {
    context.recent.block(record);
    fs.activity += 1;
    fs.wrote(record.root);
    if RsvType::from_u32(record.payer) != RsvType::Delalloc {
        return;
    }
    let own_funds = record.flags & (BLOCK_FRESH | BLOCK_FALLBACK) == 0;
    if own_funds {
        if record.payer_ino == 0 {
            // An inode paid, and we do not know which one: no book is exact any more.
            context.loss.distrust();
            return;
        }
        let book = fs.book(InodeKey { root: record.payer_root, ino: record.payer_ino });
        book.take(record.bytes);
        book.blocks = book.blocks.saturating_add(1);
    } else if record.flags & BLOCK_DOUBTFUL != 0 {
        // The inode may have paid after all.
        let book = fs.book(InodeKey { root: record.payer_root, ino: record.payer_ino });
        book.doubtful_blocks = book.doubtful_blocks.saturating_add(1);
    }
}

/// The order check. Correct order per task: `bytes` are granted, then `outstanding_extents` rises, then
/// `btrfs_space_reservation` of type `delalloc` fires.
fn order(context: &mut Context, fs: &Fs, record: &Delalloc) {
    if record.flags & DELALLOC_ORDER_KNOWN == 0 || !context.loss.judges() {
        context.statistics.order_unknown += 1;
        return;
    }
    if record.fund_before == record.bytes {
        context.statistics.order_checked += 1;
        return;
    }
    if record.fund_after != record.bytes {
        context.statistics.order_unknown += 1;
        return;
    }
    context.statistics.order_checked += 1;
    let root = (record.flags & DELALLOC_ROOT_KNOWN != 0).then_some(record.root);
    context.defer(Violation {
        root,
        ino: Some(record.ino),
        amount: u64::from(record.published.unsigned_abs()),
        stack: StackRef {
            id: record.stack,
            representative: record.flags & DELALLOC_STACK_REPRESENTATIVE != 0,
        },
        explanation: format!(
            "The task raised outstanding_extents by {} before the {} bytes that cover them were granted: a release \
             that runs in between computes its share from extents that have no reservation yet.",
            record.published, record.bytes
        ),
        query: Query::Inode { fs: fs.id, root: record.root, ino: record.ino },
        ..Violation::new(FindingKind::PublishBeforeReserve, Account::InodeOutstandingExtents, fs.id, (record.header.time, record.header.tid))
    });
}
