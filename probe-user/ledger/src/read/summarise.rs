//! A summary of all books, made of the pieces in [`super::queries`].
use std::{cmp::Reverse, collections::BTreeMap};

use probe_common::chain::ChainCounter;

use super::{
    closings,
    queries::InodeView,
    summary::{FsSummary, InodeSummary, Judged, Summary},
};
use crate::{
    book::{chains::Chains, filesystem::Fs},
    ledger::Ledger,
    read::summary::ChainSummary,
    vocabulary::{
        account::{Account, of_chain},
        holders::{Holder, PoolHolders},
        keys::InodeKey,
    },
};

fn whole(ledger: &Ledger, top_inodes: usize) -> Summary {
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
        shortages: (ledger.shortages().to_vec(), ledger.shortages_beyond()),
        inodes: top(ledger, top_inodes),
        warnings: ledger.warnings(),
        lines: ledger.kernel_lines(),
        statistics: ledger.statistics(),
        span: ledger.span(),
    }
}

/// A filesystem without the sum over its inodes, which would cost a walk over them.
pub(crate) fn pools(ledger: &Ledger, fs: &Fs) -> FsSummary {
    let mut books = BTreeMap::new();
    // Without a known opening the sum is not a balance.
    let born = ledger.context.loss.trusted(fs.born_since());
    if born || ledger.context.loss.trusted(fs.claims.delayed_since) {
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
        chains: chains(&fs.chains),
        levels: fs.levels.as_deref().copied(),
        levels_at: fs.levels_at,
        holders: fs.holders.as_deref().map(|holders| Box::new(named(ledger, fs.id, holders))),
        books,
        closings: closings::of(&ledger.context, &ledger.calls, fs),
        audit: fs.audits.summary.clone(),
        tickets: fs.tickets,
        enospc: fs.enospc,
        commits: fs.commits,
        waits: fs.waits.as_ref().map(|waits| Box::new(waits.view())),
        draws: fs.draws.as_ref().and_then(|draws| draws.view(ledger.context.loss.epoch())).map(Box::new),
    }
}

/// With the paths of its inodes.
fn named(ledger: &Ledger, fs: u32, holders: &PoolHolders) -> PoolHolders {
    let mut holders = holders.clone();
    let rows = holders.spaces.iter().flat_map(|space| &space.rows);
    let paths = rows.filter_map(|(holder, _)| match holder {
        Holder::Inode { root, ino, .. } => Some(((*root, *ino), ledger.path(fs, *root, *ino)?.clone())),
        _ => None,
    });
    holders.paths = paths.collect();
    holders
}

/// In the order in which they were opened.
fn chains(of: &Chains) -> Vec<ChainSummary> {
    let mut chains: Vec<_> = of.by_object.iter().collect();
    chains.sort_unstable_by_key(|(_, chain)| chain.number);
    chains
        .into_iter()
        .filter_map(|((_, counter), chain)| {
            Some(ChainSummary {
                account: of_chain(ChainCounter::from_u32(*counter)?, chain.flags)?,
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

/// The inodes that hold most. Walks all inodes.
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
        path: ledger.path(fs, root, ino).cloned(),
        meta_rsv,
        opening_known,
        counters,
        reserved_total,
        reservations: u64::from(reservations),
        last_tid,
        last_comm: ledger.task(last_tid).map(|task| task.comm).unwrap_or_default(),
    })
}

impl Ledger {
    /// Everything, as of now. Walks all live inodes.
    #[must_use]
    pub fn summary(&self, top_inodes: usize) -> Summary {
        whole(self, top_inodes)
    }

    /// All filesystems, without the sum over their inodes in [`FsSummary::books`].
    #[must_use]
    pub fn pools(&self) -> Vec<FsSummary> {
        self.filesystems.iter().map(|fs| pools(self, fs)).collect()
    }
}
