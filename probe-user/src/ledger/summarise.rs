//! Plain data for reports and the screen.
use std::{cmp::Reverse, collections::BTreeMap};

use probe_common::inode::COUNTERS_VALID;

use super::{
    Ledger,
    filesystem::{Filesystems, Fs, InodeKey},
    finding::Account,
    inode_book::InodeBook,
    statistics::total,
    summary::{FsSummary, InodeSummary, Summary},
    verdict::{Judged, verdict},
};

/// Chain links of a filesystem, its inodes' included.
pub(super) fn links(fs: &Fs) -> u64 {
    let open = fs.inodes.values().map(|book| u64::from(book.links));
    total([fs.chains.links(), fs.closed_links].into_iter().chain(open))
}

/// Chain links of all filesystems so far.
pub(super) fn all_links(filesystems: &Filesystems) -> u64 {
    total(filesystems.iter().map(links).chain([filesystems.gone_links]))
}

pub(super) fn summary(ledger: &Ledger, top_inodes: usize) -> Summary {
    let Ledger { setup, desk, filesystems, failures, calls } = ledger;
    let Judged { verdict, reasons, doubts } = verdict(setup, desk, filesystems, calls);
    let closed = filesystems.sums().inodes_closed;
    let mut failed = failures.totals;
    failed.undecided += failures.open() as u64;
    if calls.active {
        failed = calls.failures();
    }
    Summary {
        verdict,
        verdict_reasons: reasons,
        doubts,
        loss: desk.loss.by_class(),
        filesystems: filesystems.iter().map(|fs| filesystem(ledger, fs)).collect(),
        failed,
        inodes: top(ledger, top_inodes),
        warnings: desk.warnings.list(),
        lines: ledger.kernel_lines(),
        statistics: desk.statistics.summary(all_links(filesystems), closed),
        span: desk.statistics.span(),
    }
}

fn filesystem(ledger: &Ledger, fs: &Fs) -> FsSummary {
    let held = fs.inodes.values().map(|book| shown(ledger, fs, book));
    let held = held.fold(0, i64::saturating_add);
    let mut summary = pools(ledger, fs);
    summary.books.insert(Account::InodeMetaRsv, held);
    summary
}

/// A filesystem without the sum over its inodes, which costs a walk.
pub(super) fn pools(ledger: &Ledger, fs: &Fs) -> FsSummary {
    let mut books = BTreeMap::new();
    // A sum without a known opening is no balance.
    let born = ledger.desk.loss.trusted(fs.born_since());
    if born || ledger.desk.loss.trusted(fs.claims.delayed_since) {
        books.insert(Account::FsDelayedRsv, fs.claims.delayed);
    }
    if born {
        books.insert(Account::TransRsv, fs.claims.trans);
    }
    FsSummary {
        fs: fs.id,
        fsid: fs.fsid,
        device: fs.device.clone(),
        span: fs.span,
        born: fs.born,
        ended: fs.ended,
        aborted: fs.aborted,
        inodes: fs.inodes.len() as u64,
        inodes_closed: fs.inodes_closed,
        chains: fs.chains.summaries(),
        levels: fs.levels.as_deref().copied(),
        books,
        audit: fs.audits.summary.clone(),
        tickets: fs.tickets,
        enospc: fs.enospc,
    }
}

/// The books where they are right, else the kernel's last figure.
pub(super) fn shown(ledger: &Ledger, fs: &Fs, book: &InodeBook) -> i64 {
    if !fs.is_exact(book, &ledger.desk.loss) && book.counters.flags & COUNTERS_VALID != 0 {
        book.counters.reserved as i64
    } else {
        book.balance
    }
}

fn top(ledger: &Ledger, most: usize) -> Vec<InodeSummary> {
    if most == 0 {
        return Vec::new();
    }
    let mut holders: Vec<(Reverse<u64>, u32, InodeKey)> = Vec::new();
    for fs in ledger.filesystems.iter() {
        let of = |(key, book): (&InodeKey, &InodeBook)| {
            (Reverse(shown(ledger, fs, book).unsigned_abs()), fs.id, *key)
        };
        holders.extend(fs.inodes.iter().map(of));
        if holders.len() > most {
            holders.select_nth_unstable(most);
            holders.truncate(most);
        }
    }
    holders.sort_unstable();
    holders.into_iter().filter_map(|(_, fs, key)| inode(ledger, fs, key)).collect()
}

fn inode(ledger: &Ledger, fs: u32, key: InodeKey) -> Option<InodeSummary> {
    let fs = ledger.filesystems.find(fs)?;
    let book = fs.inodes.get(&key)?;
    let counters = &book.counters;
    let valid = counters.flags & COUNTERS_VALID != 0;
    let last = ledger.desk.names.task(book.last_tid);
    Some(InodeSummary {
        fs: fs.id,
        root: key.root,
        ino: key.ino,
        generation: (book.generation != 0).then_some(book.generation),
        path: ledger.desk.names.path(fs.id, key).map(str::to_owned),
        meta_rsv: shown(ledger, fs, book),
        opening_known: fs.is_exact(book, &ledger.desk.loss),
        counters: valid.then_some((
            counters.reserved,
            counters.size,
            counters.csum_bytes,
            counters.delalloc_bytes,
            counters.outstanding_extents,
        )),
        reserved_total: book.reserved_total,
        reservations: u64::from(book.reservations),
        last_tid: book.last_tid,
        last_comm: last.map(|task| task.comm).unwrap_or_default(),
    })
}
