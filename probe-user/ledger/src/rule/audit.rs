//! Audits: comparisons with the kernel's own figures while nothing moves.
//!
//! Two audits in a row are quiet if their four marks show the same link count, and no record of the books came between them.
//! What both show alike did not change meanwhile. But a thread could have been inside an operation all that time, so a
//! difference stays a suspicion until a third audit shows it too, or until the stream ends with nothing changed.
use probe_common::{
    fs::{AUDIT_BEGIN, AuditMark, LOOK_BEGIN, LOOK_END, Levels, SysfsLevels},
    inode::COUNTERS_FREE_SPACE,
};
use rustc_hash::FxHashMap;

use super::closing;
use crate::{
    book::{
        audits::{Round, Subject, Suspicion},
        filesystem::Fs,
        inode::{InodeBook, is_idle},
    },
    context::Context,
    vocabulary::{
        account::{Account, SpaceCounter, is_metadata, space},
        finding::{Confidence, FindingKind, Query, Violation},
        keys::InodeKey,
        words::total,
    },
};

/// Pairs of quiet audits that turn a suspicion into a pending finding before the stream ends.
const QUIET_AUDITS: u32 = 2;

/// An audit starts or ends.
pub(crate) fn mark(context: &mut Context, fs: &mut Fs, record: &AuditMark) {
    let begun = || {
        Some(Box::new(Round {
            epoch: context.loss.epoch(),
            links: (record.links, 0),
            activity: (fs.activity, 0),
            ..Round::default()
        }))
    };
    match record.phase {
        AUDIT_BEGIN => return fs.audits.current = begun(),
        LOOK_BEGIN => return fs.audits.look = begun(),
        LOOK_END => return fs.audits.look = None,
        _ => {}
    }
    let Some(mut round) = fs.audits.current.take() else { return };
    round.links.1 = record.links;
    round.activity.1 = fs.activity;
    if let Some(previous) = fs.audits.previous.take()
        && context.loss.exact(context.loss.epoch())
        && round.is_quiet_since(&previous)
        && round.epoch == context.loss.epoch()
    {
        fs.audits.quiet += 1;
        let seen = suspicions(context, fs, &previous, &round, record.header.time);
        confirm(context, fs, seen);
        reopen(context, fs, &previous, &round);
    }
    fs.audits.previous = Some(round);
}

/// Differences that both audits of a quiet pair show.
fn suspicions(
    context: &Context,
    fs: &Fs,
    previous: &Round,
    round: &Round,
    time: u64,
) -> FxHashMap<Subject, Suspicion> {
    let mut seen = FxHashMap::default();
    let suspicion = |amount: u64, balance: Option<i64>, records: u32| Suspicion {
        amount,
        balance,
        audits: 1,
        reported: false,
        activity: fs.activity,
        records,
        time,
        epoch: context.loss.epoch(),
    };
    for (key, counters) in &round.inodes {
        let reported = fs.reported.inode(*key).is_some();
        if previous.inodes.get(key) != Some(counters) || counters.flags & COUNTERS_FREE_SPACE != 0 || reported
        {
            continue;
        }
        let book = fs.inodes.get(key);
        let records = book.map_or(0, |book| book.records);
        if is_idle(counters) && (counters.reserved != 0 || counters.size != 0) {
            let amount = if counters.reserved != 0 { counters.reserved } else { counters.size };
            let subject = (FindingKind::Leak, Account::InodeMetaRsv, Some(*key));
            seen.insert(subject, suspicion(amount, book.map(|book| book.balance), records));
            continue;
        }
        let Some(book) = book else { continue };
        if !fs.is_exact(book, &context.loss) || fs.poisoned.contains(&key.ino) {
            continue;
        }
        let over = book.balance.wrapping_sub(counters.reserved as i64);
        // The kernel puts back a charged tree block without an event if its allocation fails (`btrfs_unuse_block_rsv`).
        if over < 0 && closing::is_unuse(fs, book, over.unsigned_abs()) {
            continue;
        }
        // Tree blocks of an unknown payer can explain a balance that is too high. A book opened by an audit can be too low,
        // because the record of a release in flight came later; so only a balance that is too high is judged there.
        if over > 0 && book.explained_by_doubtful_blocks(over, fs.nodesize) {
            continue;
        }
        if over != 0 && (over > 0 || !book.by_audit) {
            let kind = if over > 0 { FindingKind::OverRelease } else { FindingKind::CounterMismatch };
            let subject = (kind, Account::InodeMetaRsv, Some(*key));
            seen.insert(subject, suspicion(over.unsigned_abs(), Some(book.balance), records));
        }
    }
    if let Some(levels) = same_levels(previous, round) {
        let books = fs.claims.delayed;
        let size = levels.delayed.size;
        if fs.claims.is_exact(fs.born_since(), &context.loss) && size as i64 != books {
            let kind = if books == 0 { FindingKind::Leak } else { FindingKind::CounterMismatch };
            let amount = (size as i64).wrapping_sub(books).unsigned_abs();
            seen.insert((kind, Account::FsDelayedRsv, None), suspicion(amount, Some(books), 0));
        }
        // `trans_block_rsv` is judged at unmount only. A task may wait for long in `start_transaction` (`sb_start_intwrite`
        // on a frozen filesystem, `wait_current_trans` in a commit) after it has added bytes and before its event, and
        // eviction adds bytes without an event (`evict_refill_and_join`).
    }
    seen
}

/// The levels, if both audits read the same.
fn same_levels<'a>(previous: &Round, round: &'a Round) -> Option<&'a Levels> {
    let (before, now) = (previous.levels.as_ref()?, round.levels.as_ref()?);
    let same = before.global == now.global
        && before.trans == now.trans
        && before.chunk == now.chunk
        && before.delayed == now.delayed
        && before.delayed_refs == now.delayed_refs
        && before.space == now.space;
    same.then_some(now)
}

/// Keeps suspicions seen again, reports those seen often enough, and drops those that are over.
fn confirm(context: &mut Context, fs: &mut Fs, mut seen: FxHashMap<Subject, Suspicion>) {
    let mut due = Vec::new();
    for (subject, now) in &mut seen {
        let Some(before) = fs.audits.suspicions.get(subject).filter(|before| before.amount == now.amount)
        else {
            continue;
        };
        now.audits = before.audits + 1;
        now.reported = before.reported || now.audits >= QUIET_AUDITS;
        if now.reported && !before.reported {
            due.push((*subject, *now));
        }
    }
    fs.audits.suspicions = seen;
    report(context, fs, due);
}

/// End of the stream: reports suspicions whose account nothing has touched since the last audit.
pub(crate) fn finish(context: &mut Context, fs: &mut Fs) {
    let untouched = |subject: &Subject, suspicion: &Suspicion| match subject.2 {
        Some(key) => fs.inodes.get(&key).map_or(0, |book| book.records) == suspicion.records,
        None => fs.activity == suspicion.activity,
    };
    let due = fs.audits.suspicions.iter();
    let due = due.filter(|(subject, suspicion)| !suspicion.reported && untouched(subject, suspicion));
    // Losses during the last audits are read only after them.
    let (due, spoiled): (Vec<_>, Vec<_>) = due
        .map(|(subject, suspicion)| (*subject, *suspicion))
        .partition(|(_, suspicion)| context.loss.trusted(suspicion.epoch));
    context.pending.withdrew(spoiled.len());
    for (subject, _) in &due {
        if let Some(suspicion) = fs.audits.suspicions.get_mut(subject) {
            suspicion.reported = true;
        }
    }
    report(context, fs, due);
}

fn report(context: &mut Context, fs: &Fs, mut due: Vec<(Subject, Suspicion)>) {
    due.sort_by_key(|(subject, _)| *subject);
    for ((kind, account, key), Suspicion { amount, balance, time, .. }) in due {
        let book = key.and_then(|key| fs.inodes.get(&key));
        let held = balance.map_or_else(|| "unknown".to_owned(), |bytes| bytes.to_string());
        let what = match kind {
            FindingKind::Leak => "the kernel still held them with nothing dirty, reserved or under way",
            FindingKind::OverRelease => "they left the kernel's reservation without a record",
            _ => "the kernel's counter and the books differ by them",
        };
        context.defer(Violation {
            root: key.map(|key| key.root),
            ino: key.map(|key| key.ino),
            generation: book.map(|book| book.generation).filter(|generation| *generation != 0),
            amount,
            balance_before: balance,
            origins: book.map(InodeBook::origins).unwrap_or_default(),
            confidence: Confidence::OneSided,
            explanation: format!("{amount} bytes at two quiet audits: {what} (books: {held})."),
            query: match key {
                Some(InodeKey { root, ino }) => Query::Inode { fs: fs.id, root, ino },
                None => Query::Claims { fs: fs.id },
            },
            ..Violation::new(kind, account, fs.id, (time, 0))
        });
    }
}

/// Opens books that are not exact with the kernel's figures, where no operation in flight can hide in those.
fn reopen(context: &Context, fs: &mut Fs, previous: &Round, round: &Round) {
    let epoch = context.loss.epoch();
    let zero_since = fs.zero_since;
    for (key, counters) in &round.inodes {
        // A reserve in flight shows in `outstanding_extents`, so the inode must be idle.
        if previous.inodes.get(key) != Some(counters) || !is_idle(counters) {
            continue;
        }
        if let Some(book) =
            fs.inodes.get_mut(key).filter(|book| !context.loss.exact(book.exact_since.max(zero_since)))
        {
            open_at(book, counters.reserved as i64, epoch);
        }
    }
    let Some(levels) = same_levels(previous, round) else { return };
    // Only if the pool is empty: otherwise a claim in flight would be counted twice or never.
    if levels.delayed.size == 0 && !fs.claims.is_exact(fs.born_since(), &context.loss) {
        fs.claims.nothing_delayed(epoch);
    }
    if levels.trans.size == 0 && !context.loss.exact(fs.claims.handles_since.max(fs.born_since())) {
        fs.claims.handles_since = epoch;
    }
    if context.loss.exact(zero_since) {
        return;
    }
    let pools = [levels.global, levels.trans, levels.delayed, levels.delayed_refs];
    let held = total(pools.iter().map(|pool| pool.reserved));
    let metadata = levels.space.iter().filter(|space| is_metadata(space.flags));
    let may_use = total(metadata.map(|space| space.may_use));
    if held == 0 || held != may_use {
        return;
    }
    // The pools account for all of `bytes_may_use` of metadata, so no inode holds anything, known or not.
    fs.zero_since = epoch;
    fs.zero_by_audit = true;
    for book in fs.inodes.values_mut().filter(|book| !context.loss.exact(book.exact_since)) {
        open_at(book, 0, epoch);
    }
}

const fn open_at(book: &mut InodeBook, balance: i64, epoch: u32) {
    book.balance = balance;
    book.exact_since = epoch;
    book.by_audit = true;
}

/// Compares sysfs with the chain at the same moment.
pub(crate) fn sysfs(context: &mut Context, fs: &mut Fs, record: &SysfsLevels) {
    if record.stable != 1 {
        fs.audits.summary.moving += 1;
        return;
    }
    let pairs = [
        (SpaceCounter::BytesMayUse, record.may_use, record.chain_may_use),
        (SpaceCounter::BytesPinned, record.pinned, record.chain_pinned),
    ];
    for (counter, kernel, books) in pairs {
        if books == u64::MAX {
            continue;
        }
        let Some(account) = space(record.flags, counter) else { continue };
        let summary = &mut fs.audits.summary;
        summary.compared += 1;
        match summary.last.iter_mut().find(|(of, _, _)| *of == account) {
            Some(last) => *last = (account, kernel, books),
            None => summary.last.push((account, kernel, books)),
        }
        if kernel == books {
            summary.equal += 1;
            continue;
        }
        if !context.loss.complete() {
            fs.chains.explained += 1;
            continue;
        }
        context.defer(Violation {
            amount: kernel.abs_diff(books),
            balance_before: Some(books as i64),
            explanation: format!(
                "sysfs shows {kernel} where the chain of changes ends at {books}, and nothing was lost: the counter was \
                 changed without its tracepoint."
            ),
            query: Query::Claims { fs: fs.id },
            ..Violation::new(FindingKind::CounterMismatch, account, fs.id, (record.header.time, 0))
        });
    }
}
