//! All of the books as plain data, made of the pieces in [`crate::peek`].
use std::{cmp::Reverse, collections::BTreeMap};

use crate::{
    Ledger,
    filesystem::{Filesystems, Fs, InodeKey},
    finding::Account,
    peek::InodeView,
    statistics::total,
    summary::{FsSummary, InodeSummary, Judged, Summary},
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
    let Judged { verdict, reasons, doubts } = ledger.judged();
    let held = ledger.held_by_inodes();
    let whole = |mut fs: FsSummary| {
        fs.books.insert(Account::InodeMetaRsv, held.get(&fs.fs).copied().unwrap_or(0));
        fs
    };
    Summary {
        verdict,
        verdict_reasons: reasons,
        doubts,
        loss: ledger.loss(),
        filesystems: ledger.pools().into_iter().map(whole).collect(),
        failed: ledger.failed(),
        inodes: top(ledger, top_inodes),
        warnings: ledger.warnings(),
        lines: ledger.kernel_lines(),
        statistics: ledger.statistics(),
        span: ledger.span(),
    }
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
        levels_at: fs.levels_at,
        books,
        audit: fs.audits.summary.clone(),
        tickets: fs.tickets,
        enospc: fs.enospc,
    }
}

/// Those that hold most. Walks all inodes.
fn top(ledger: &Ledger, most: usize) -> Vec<InodeSummary> {
    if most == 0 {
        return Vec::new();
    }
    let mut holders: Vec<(Reverse<u64>, u32, InodeKey)> = Vec::new();
    ledger.for_each_inode(|inode| {
        let InodeView { fs, root, ino, meta_rsv, .. } = *inode;
        holders.push((Reverse(meta_rsv.unsigned_abs()), fs, InodeKey { root, ino }));
        if holders.len() >= 2 * most {
            holders.select_nth_unstable(most);
            holders.truncate(most);
        }
    });
    holders.sort_unstable();
    holders.truncate(most);
    holders.into_iter().filter_map(|(_, fs, key)| inode(ledger, fs, key)).collect()
}

fn inode(ledger: &Ledger, fs: u32, key: InodeKey) -> Option<InodeSummary> {
    let InodeView {
        fs,
        root,
        ino,
        generation,
        meta_rsv,
        opening_known,
        counters,
        reserved_total,
        reservations,
        last_tid,
    } = ledger.inode(fs, key.root, key.ino)?;
    let counters =
        counters.map(|of| (of.reserved, of.size, of.csum_bytes, of.delalloc_bytes, of.outstanding_extents));
    Some(InodeSummary {
        fs,
        root,
        ino,
        generation: (generation != 0).then_some(generation),
        path: ledger.path(fs, root, ino).map(str::to_owned),
        meta_rsv,
        opening_known,
        counters,
        reserved_total,
        reservations: u64::from(reservations),
        last_tid,
        last_comm: ledger.task(last_tid).map(|task| task.comm).unwrap_or_default(),
    })
}
