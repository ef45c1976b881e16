//! Chained counters, which show their value before each change: `old + diff == next old`.
//!
//! The kernel side checks the links under the counter's lock. An underflow is proven by its own record. A break means that
//! the counter changed unseen: either we missed a change, which is counted as a loss, or the kernel changed it without an
//! event.
use probe_common::{
    chain::{CHAIN_BREAK, CHAIN_OPEN, CHAIN_OVERFLOW, CHAIN_REST, CHAIN_UNDERFLOW, Chain, ChainCounter},
    inode::{MOD_CHAIN_BREAK, MOD_OUTSTANDING_KNOWN, MOD_UNDERFLOW, Mod},
};

use crate::{
    book::{chains::is_qgroup, filesystem::Fs, loss::Phase, reserving_stacks::Pool},
    context::Context,
    vocabulary::{
        account::{self, Account, SpaceCounter},
        finding::{Confidence, FindingKind, Query, StackRef, Violation},
        keys::InodeKey,
        words,
    },
};

/// `BTRFS_QGROUP_LEVEL_SHIFT`: the level of a qgroup is above its subvolume's id.
const LEVEL_SHIFT: u32 = 48;

/// A link with more to say than "the link fits". `twice`: see [`Violation::twice`].
pub(crate) fn chain(context: &mut Context, fs: &mut Fs, record: &Chain, twice: bool) {
    context.recent.chain(record);
    let Some(counter) = ChainCounter::from_u32(record.counter) else { return };
    if record.event == CHAIN_REST {
        fs.chains.rest(record);
        return;
    }
    let epoch = context.loss.epoch();
    let key = (record.object, record.counter);
    let before = fs.chains.by_object.get(&key).filter(|chain| chain.flags == record.object_flags);
    // The qgroup was seen to end, and this is another one at its address: it begins at zero.
    let anew = record.old == 0 && before.is_some_and(|chain| fs.chains.has_ended(counter, chain));
    let known = before.is_some() && !anew;
    // While a tracepoint is switched on or off, some CPUs have it and others do not. A link of that time only tells the
    // value of the counter.
    let opening = record.event == CHAIN_BREAK && context.loss.phase() != Phase::Attached;
    if record.event == CHAIN_OPEN || !known || opening {
        fs.chains.open(record, epoch);
    }
    let Some(chain) = fs.chains.by_object.get_mut(&key) else { return };
    let explained = !known || !context.loss.exact(chain.epoch);
    chain.epoch = epoch;
    chain.links = chain.links.max(record.links);
    let underflow = record.diff < 0 && record.old < record.diff.unsigned_abs();
    chain.value = if underflow { 0 } else { record.old.wrapping_add_signed(record.diff) };
    chain.at = context.statistics.records();
    chain.peak = chain.peak.max(record.peak).max(chain.value);
    // If `old` is too small and also not what the link before left, the kernel side sends an underflow.
    let other = record.event == CHAIN_UNDERFLOW && is_qgroup(counter) && record.old != record.expected;
    let broke = (record.event == CHAIN_BREAK || other) && !opening && !anew;
    // A new qgroup can have the address of an earlier one.
    chain.replaced |= broke && is_qgroup(counter);
    let replaced = chain.replaced;
    chain.breaks += u64::from(broke);
    if is_qgroup(counter) && record.diff > 0 && record.object_flags >> LEVEL_SHIFT == 0 {
        let stack = StackRef { id: record.stack, representative: false };
        fs.reserving_stacks.note(Pool::Qgroup(counter), record.diff.unsigned_abs(), stack);
    }
    if record.event == CHAIN_OVERFLOW {
        fs.chains.unexplained += 1;
    }
    if broke {
        if explained {
            fs.chains.explained += 1;
        } else {
            broken(context, fs, record, counter);
        }
    }
    if underflow
        && (record.event == CHAIN_UNDERFLOW || record.event == CHAIN_BREAK || record.event == CHAIN_OPEN)
    {
        underflown(context, fs, record, counter, (replaced, twice));
    }
}

fn broken(context: &mut Context, fs: &mut Fs, record: &Chain, counter: ChainCounter) {
    let Some(account) = account::of_chain(counter, record.object_flags) else { return };
    if is_qgroup(counter) {
        // Switching quotas off and on, and deleting a qgroup, change the counters without an event.
        fs.chains.unexplained += 1;
        return;
    }
    let amount = record.old.abs_diff(record.expected);
    context.defer(Violation {
        explanation: format!(
            "The counter was {} where the change before had left {}, and nothing was lost in between: it was changed \
             without its tracepoint, or from outside its lock.",
            record.old, record.expected
        ),
        ..of_chain(fs.id, record, FindingKind::CounterMismatch, account, amount, record.expected as i64)
    });
}

fn underflown(
    context: &mut Context,
    fs: &mut Fs,
    record: &Chain,
    counter: ChainCounter,
    (replaced, twice): (bool, bool),
) {
    let Some(account) = account::of_chain(counter, record.object_flags) else { return };
    let confidence = match counter {
        ChainCounter::BytesMayUse | ChainCounter::BytesPinned => Confidence::Exact,
        // The kernel may convert more than was reserved; it clamps the counter. Legal.
        ChainCounter::QgroupMetaPertrans | ChainCounter::QgroupMetaPrealloc => {
            fs.not_judged.qgroup_clamps += 1;
            return;
        }
        // The qgroup may be a new one, or one whose counter rested.
        ChainCounter::QgroupData if fs.chains.some_rest => {
            fs.chains.unexplained += 1;
            return;
        }
        // Ranges reserved before quotas were switched off and on are freed from the new qgroup.
        ChainCounter::QgroupData if replaced => {
            fs.not_judged.qgroup_clamps += 1;
            return;
        }
        ChainCounter::QgroupData if fs.born => Confidence::Exact,
        ChainCounter::QgroupData => Confidence::OneSided,
    };
    let amount = record.diff.unsigned_abs() - record.old;
    let known = match account {
        Account::SpaceData(SpaceCounter::BytesMayUse) => fs.reported.data,
        Account::SpaceMetadata(SpaceCounter::BytesMayUse) => fs.reported.metadata,
        Account::InodeQgroupData => fs.reported.qgroup_data,
        _ => 0,
    };
    // What calls that were reported have freed too much.
    let amount = amount.saturating_sub(known.min(0).unsigned_abs());
    fs.underflow = Some((account, amount, record.header.tid));
    if amount == 0 {
        return;
    }
    let violation = Violation {
        confidence,
        twice,
        explanation: format!(
            "{} bytes were taken from a counter that held {}: {amount} bytes were freed that were never reserved.",
            record.diff.unsigned_abs(),
            record.old
        ),
        ..of_chain(fs.id, record, FindingKind::Underflow, account, amount, record.old as i64)
    };
    context.file(violation);
}

fn of_chain(
    fs: u32,
    record: &Chain,
    kind: FindingKind,
    account: Account,
    amount: u64,
    before: i64,
) -> Violation {
    Violation {
        amount,
        balance_before: Some(before),
        stack: StackRef { id: record.stack, representative: false },
        query: Query::Object { fs, object: record.object },
        ..Violation::new(kind, account, fs, (record.header.time, record.header.tid))
    }
}

/// A change of `outstanding_extents`.
pub(crate) fn modification(context: &mut Context, fs: &mut Fs, record: &Mod) {
    context.recent.modification(record);
    let book = fs.book(InodeKey { root: record.root, ino: record.ino });
    book.links = book.links.max(u32::try_from(record.links).unwrap_or(u32::MAX));
    if record.flags & (MOD_UNDERFLOW | MOD_CHAIN_BREAK) == 0 {
        return;
    }
    let origins = book.origins_or_last();
    let explained = fs.reported.inode(InodeKey { root: record.root, ino: record.ino });
    let violation = |kind, amount, before, explanation| Violation {
        root: Some(record.root),
        ino: Some(record.ino),
        amount,
        balance_before: Some(before),
        stack: StackRef { id: record.stack, representative: false },
        origins: origins.clone(),
        confidence: Confidence::OneSided,
        explanation,
        query: Query::Inode { fs: record.header.fs, root: record.root, ino: record.ino },
        ..Violation::new(
            kind,
            Account::InodeOutstandingExtents,
            record.header.fs,
            (record.header.time, record.header.tid),
        )
    };
    if record.flags & MOD_OUTSTANDING_KNOWN != 0 && record.flags & MOD_UNDERFLOW != 0 {
        let after = i64::from(record.outstanding as i32);
        let before = after - i64::from(record.modification);
        // The part that was below zero before was reported before.
        let amount = before.min(0) - after;
        let explained = explained.map_or(0, |wrong| wrong.extents);
        if amount > 0 && explained > after {
            let text = format!(
                "An inode that had {before} outstanding extents lost {}: the counter wrapped.",
                words::extents(i64::from(record.modification).abs())
            );
            let mut violation = violation(FindingKind::Underflow, amount as u64, before, text);
            violation.confidence = Confidence::Exact;
            context.file(violation);
        }
    }
    if record.flags & MOD_CHAIN_BREAK != 0 {
        let before = record.outstanding.wrapping_sub(record.modification as u32);
        let difference = before.wrapping_sub(record.expected) as i32;
        if !context.loss.complete() {
            fs.chains.explained += 1;
        } else if difference != 0 {
            let text = format!(
                "outstanding_extents was {before} where the change before had left {}, and nothing was lost.",
                record.expected
            );
            let amount = u64::from(difference.unsigned_abs());
            context.defer(violation(FindingKind::CounterMismatch, amount, i64::from(record.expected), text));
        }
    }
}
