//! Counters that show their value before each change: `old + diff == next old`.
//!
//! The links are checked in the kernel, under the counter's lock. An underflow is proven by its own record. A
//! break says that the counter changed unseen: by us missing something (then it is counted) or by the kernel
//! changing it without saying so.
use probe_common::{
    chain::{CHAIN_BREAK, CHAIN_OPEN, CHAIN_OVERFLOW, CHAIN_REST, CHAIN_UNDERFLOW, Chain, ChainCounter},
    inode::{MOD_CHAIN_BREAK, MOD_OUTSTANDING_KNOWN, MOD_UNDERFLOW, Mod},
};
use rustc_hash::FxHashMap;

use crate::{
    Desk,
    docket::Violation,
    evidence::Query,
    filesystem::{Fs, InodeKey},
    finding::{Account, Confidence, FindingKind, SpaceCounter, StackRef},
    loss::Phase,
    statistics::total,
    summary::ChainSummary,
    words,
};

/// `BTRFS_BLOCK_GROUP_DATA`
const DATA: u64 = 1;
/// `BTRFS_BLOCK_GROUP_SYSTEM`
const SYSTEM: u64 = 2;
/// `BTRFS_BLOCK_GROUP_METADATA`
const METADATA: u64 = 4;

/// Chains of one filesystem, by object and counter.
#[derive(Debug, Default)]
pub(super) struct Chains {
    by_object: FxHashMap<(u64, u32), ChainBook>,
    /// How many objects with a book have these flags, by counter and flags.
    with_flags: FxHashMap<(u32, u64), u32>,
    /// Chains opened so far.
    opened: u64,
    /// Links of chains whose object is gone, or at rest.
    gone_links: u64,
    /// Qgroups whose counter was zero are no longer remembered: any that opens can be one of those.
    some_rest: bool,
    /// Breaks that a loss explains.
    pub explained: u64,
    /// Breaks that nothing explains but that a correct kernel can cause (qgroups).
    pub unexplained: u64,
}

#[derive(Clone, Copy, Debug)]
struct ChainBook {
    /// Place in the order of opening.
    number: u64,
    flags: u64,
    epoch: u32,
    links: u64,
    breaks: u64,
    value: u64,
    /// Position in the stream of the record that showed it.
    at: u64,
    peak: u64,
    /// Another object with the same qgroup id was followed before, or this one's value changed without its event: quotas
    /// were switched.
    replaced: bool,
}

impl Chains {
    pub(super) fn links(&self) -> u64 {
        total(self.by_object.values().map(|chain| chain.links)).saturating_add(self.gone_links)
    }

    /// True if a qgroup has reserved anything.
    pub(super) fn has_qgroups(&self) -> bool {
        let mut counters = self.by_object.keys().filter_map(|(_, counter)| ChainCounter::from_u32(*counter));
        self.some_rest || counters.any(is_qgroup)
    }

    pub(super) fn summaries(&self) -> Vec<ChainSummary> {
        let mut chains: Vec<_> = self.by_object.iter().collect();
        chains.sort_unstable_by_key(|(_, chain)| chain.number);
        chains
            .into_iter()
            .filter_map(|((_, counter), chain)| {
                Some(ChainSummary {
                    account: account(ChainCounter::from_u32(*counter)?, chain.flags)?,
                    object_flags: chain.flags,
                    links: chain.links,
                    breaks: chain.breaks,
                    value: chain.value,
                    at: chain.at,
                    peak: chain.peak,
                })
            })
            .collect()
    }

    fn open(&mut self, record: &Chain, epoch: u32) {
        let key = (record.object, record.counter);
        let before = self.take(key);
        let same = self.with_flags.entry((record.counter, record.object_flags)).or_default();
        let replaced = *same > 0 || before || self.some_rest;
        *same += 1;
        self.opened += 1;
        let chain = ChainBook {
            number: self.opened,
            flags: record.object_flags,
            epoch,
            links: 0,
            breaks: 0,
            value: 0,
            at: 0,
            peak: 0,
            replaced,
        };
        self.by_object.insert(key, chain);
    }

    /// A qgroup's counter is zero and not followed until it opens again.
    fn rest(&mut self, record: &Chain) {
        if let Some(chain) = self.by_object.get_mut(&(record.object, record.counter)) {
            chain.links = chain.links.max(record.links);
        }
        self.take((record.object, record.counter));
        self.some_rest = true;
    }

    /// Ends a book; its links stay counted. False if there was none.
    fn take(&mut self, key: (u64, u32)) -> bool {
        let Some(chain) = self.by_object.remove(&key) else { return false };
        self.gone_links = self.gone_links.saturating_add(chain.links);
        let flags = (key.1, chain.flags);
        match self.with_flags.get_mut(&flags) {
            Some(same) if *same > 1 => *same -= 1,
            _ => {
                self.with_flags.remove(&flags);
            }
        }
        true
    }
}

/// The account of a chained counter. `None` for space_infos that have no account (remap trees).
pub(super) const fn account(counter: ChainCounter, flags: u64) -> Option<Account> {
    match counter {
        ChainCounter::BytesMayUse => space(flags, SpaceCounter::BytesMayUse),
        ChainCounter::BytesPinned => space(flags, SpaceCounter::BytesPinned),
        ChainCounter::QgroupData => Some(Account::InodeQgroupData),
        ChainCounter::QgroupMetaPertrans => Some(Account::RootQgroupMetaPertrans),
        ChainCounter::QgroupMetaPrealloc => Some(Account::RootQgroupMetaPrealloc),
    }
}

/// The account of a counter of a `space_info` with these flags.
pub(super) const fn space(flags: u64, counter: SpaceCounter) -> Option<Account> {
    if flags & METADATA != 0 {
        Some(Account::SpaceMetadata(counter))
    } else if flags & DATA != 0 {
        Some(Account::SpaceData(counter))
    } else if flags & SYSTEM != 0 {
        Some(Account::SpaceSystem(counter))
    } else {
        None
    }
}

/// True for a data `space_info` (mixed ones count as metadata).
pub(super) const fn is_data(flags: u64) -> bool {
    flags & DATA != 0 && flags & METADATA == 0
}

/// True for a metadata or mixed `space_info`.
pub(super) const fn is_metadata(flags: u64) -> bool {
    flags & METADATA != 0
}

/// A link of a chain that says more than that it held.
pub(super) fn chain(desk: &mut Desk, fs: &mut Fs, record: &Chain) {
    desk.ring.chain(record);
    let Some(counter) = ChainCounter::from_u32(record.counter) else { return };
    if record.event == CHAIN_REST {
        fs.chains.rest(record);
        return;
    }
    let epoch = desk.loss.epoch();
    let key = (record.object, record.counter);
    let known = fs.chains.by_object.get(&key).is_some_and(|chain| chain.flags == record.object_flags);
    // While a tracepoint is switched on or off, one processor passes it and another does not: what the links of that
    // time say is where the chain stands, and no more.
    let opening = record.event == CHAIN_BREAK && desk.loss.phase() != Phase::Attached;
    if record.event == CHAIN_OPEN || !known || opening {
        fs.chains.open(record, epoch);
    }
    let Some(chain) = fs.chains.by_object.get_mut(&key) else { return };
    let explained = !known || !desk.loss.exact(chain.epoch);
    chain.epoch = epoch;
    chain.links = chain.links.max(record.links);
    let underflow = record.diff < 0 && record.old < record.diff.unsigned_abs();
    chain.value = if underflow { 0 } else { record.old.wrapping_add_signed(record.diff) };
    chain.at = desk.statistics.records();
    chain.peak = chain.peak.max(record.peak).max(chain.value);
    // A value that is both another than was left and too small is shown as the latter.
    let other = record.event == CHAIN_UNDERFLOW && is_qgroup(counter) && record.old != record.expected;
    let broke = (record.event == CHAIN_BREAK || other) && !opening;
    // A qgroup made anew can lie where the one before lay.
    chain.replaced |= broke && is_qgroup(counter);
    let replaced = chain.replaced;
    chain.breaks += u64::from(broke);
    if record.event == CHAIN_OVERFLOW {
        fs.chains.unexplained += 1;
    }
    if broke {
        if explained {
            fs.chains.explained += 1;
        } else {
            broken(desk, fs, record, counter);
        }
    }
    if underflow
        && (record.event == CHAIN_UNDERFLOW || record.event == CHAIN_BREAK || record.event == CHAIN_OPEN)
    {
        underflown(desk, fs, record, counter, replaced);
    }
}

const fn is_qgroup(counter: ChainCounter) -> bool {
    match counter {
        ChainCounter::BytesMayUse | ChainCounter::BytesPinned => false,
        ChainCounter::QgroupData | ChainCounter::QgroupMetaPertrans | ChainCounter::QgroupMetaPrealloc => {
            true
        }
    }
}

fn broken(desk: &mut Desk, fs: &mut Fs, record: &Chain, counter: ChainCounter) {
    let Some(account) = account(counter, record.object_flags) else { return };
    if is_qgroup(counter) {
        // Switching quotas off and on, and deleting a qgroup, change the values without an event.
        fs.chains.unexplained += 1;
        return;
    }
    let amount = record.old.abs_diff(record.expected);
    desk.defer(Violation {
        confidence: Confidence::Exact,
        explanation: format!(
            "The counter was {} where the change before had left {}, and nothing was lost in between: it was changed \
             without its tracepoint, or from outside its lock.",
            record.old, record.expected
        ),
        ..of_chain(fs.id, record, FindingKind::CounterMismatch, account, amount, record.expected as i64)
    });
}

fn underflown(desk: &mut Desk, fs: &mut Fs, record: &Chain, counter: ChainCounter, replaced: bool) {
    let Some(account) = account(counter, record.object_flags) else { return };
    let confidence = match counter {
        ChainCounter::BytesMayUse | ChainCounter::BytesPinned => Confidence::Exact,
        // The kernel may convert more than was reserved and clamps: legal.
        ChainCounter::QgroupMetaPertrans | ChainCounter::QgroupMetaPrealloc => {
            fs.not_judged.qgroup_clamps += 1;
            return;
        }
        // The qgroup may be one of those that are no longer remembered, or a new one.
        ChainCounter::QgroupData if fs.chains.some_rest => {
            fs.chains.unexplained += 1;
            return;
        }
        // Ranges that were reserved under the quotas of before are freed from the new qgroup.
        ChainCounter::QgroupData if replaced => {
            fs.not_judged.qgroup_clamps += 1;
            return;
        }
        ChainCounter::QgroupData if fs.born => Confidence::Exact,
        ChainCounter::QgroupData => Confidence::OneSided,
    };
    let amount = record.diff.unsigned_abs() - record.old;
    let known = match account {
        Account::SpaceData(SpaceCounter::BytesMayUse) => fs.explained.data,
        Account::InodeQgroupData => fs.explained.qgroup_data,
        _ => 0,
    };
    if known < 0 && amount <= known.unsigned_abs() {
        // The call that freed too much was reported.
        return;
    }
    let violation = Violation {
        confidence,
        explanation: format!(
            "{} bytes were taken from a counter that held {}: {amount} bytes were freed that were never reserved.",
            record.diff.unsigned_abs(),
            record.old
        ),
        ..of_chain(fs.id, record, FindingKind::Underflow, account, amount, record.old as i64)
    };
    desk.file(violation);
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
        kind,
        account,
        fs,
        root: None,
        ino: None,
        generation: None,
        amount,
        balance_before: Some(before),
        time: record.header.time,
        tid: record.header.tid,
        stack: StackRef { id: record.stack, representative: false },
        origins: Vec::new(),
        confidence: Confidence::Exact,
        explanation: String::new(),
        query: Query::Object { fs, object: record.object },
    }
}

/// `outstanding_extents`.
pub(super) fn modification(desk: &mut Desk, fs: &mut Fs, record: &Mod) {
    desk.ring.modification(record);
    let book = fs.book(InodeKey { root: record.root, ino: record.ino });
    book.links = book.links.max(u32::try_from(record.links).unwrap_or(u32::MAX));
    if record.flags & (MOD_UNDERFLOW | MOD_CHAIN_BREAK) == 0 {
        return;
    }
    let origins = book.origins_or_last();
    let explained = fs.explained.inode(InodeKey { root: record.root, ino: record.ino });
    let violation = |kind, amount, before, explanation| Violation {
        kind,
        account: Account::InodeOutstandingExtents,
        fs: record.header.fs,
        root: Some(record.root),
        ino: Some(record.ino),
        generation: None,
        amount,
        balance_before: Some(before),
        time: record.header.time,
        tid: record.header.tid,
        stack: StackRef { id: record.stack, representative: false },
        origins: origins.clone(),
        confidence: Confidence::OneSided,
        explanation,
        query: Query::Inode { fs: record.header.fs, root: record.root, ino: record.ino },
    };
    if record.flags & MOD_OUTSTANDING_KNOWN != 0 && record.flags & MOD_UNDERFLOW != 0 {
        let after = i64::from(record.outstanding as i32);
        let before = after - i64::from(record.modification);
        // What was below zero before was reported before.
        let amount = before.min(0) - after;
        let explained = explained.map_or(0, |wrong| wrong.extents);
        if amount > 0 && explained > after {
            let text = format!(
                "An inode that had {before} outstanding extents lost {}: the counter wrapped.",
                words::extents(i64::from(record.modification).abs())
            );
            let mut violation = violation(FindingKind::Underflow, amount as u64, before, text);
            violation.confidence = Confidence::Exact;
            desk.file(violation);
        }
    }
    if record.flags & MOD_CHAIN_BREAK != 0 {
        let before = record.outstanding.wrapping_sub(record.modification as u32);
        let difference = before.wrapping_sub(record.expected) as i32;
        if !desk.loss.complete() {
            fs.chains.explained += 1;
        } else if difference != 0 {
            let text = format!(
                "outstanding_extents was {before} where the change before had left {}, and nothing was lost.",
                record.expected
            );
            let amount = u64::from(difference.unsigned_abs());
            desk.defer(violation(FindingKind::CounterMismatch, amount, i64::from(record.expected), text));
        }
    }
}
