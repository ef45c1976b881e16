//! What the ledger knows besides findings, as plain data for reports and the screen.
use std::collections::BTreeMap;

use probe_common::{fs::Levels, hook::HookId, loss::LossClass};

use crate::{
    book::audits::AuditSummary,
    context::warnings::KernelWarn,
    read::{closings::Closing, kernel_lines::KernelLine},
    vocabulary::{
        account::Account, draws::FsDraws, failed_reservations::FailedReservations, holders::PoolHolders,
        path::SeenPath, shortage::Shortage, waits::FsWaits,
    },
};

/// The verdict of a run, or of a window of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Everything that this tier can see was seen, and no rule was broken.
    Clean,
    /// At least one finding.
    Findings,
    /// No finding, but something that could hide one was not seen.
    Inconclusive,
}

impl Verdict {
    /// Name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Findings => "findings",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// One chain of a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSummary {
    /// Account of the counter.
    pub account: Account,
    /// `space_info->flags` or qgroup id.
    pub object_flags: u64,
    /// Links checked.
    pub links: u64,
    /// Breaks so far. Each is a finding, or a reason of the verdict.
    pub breaks: u64,
    /// Last known value.
    pub value: u64,
    /// Position in the stream of the record that showed the value.
    pub at: u64,
    /// Highest known value.
    pub peak: u64,
}

/// One filesystem.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FsSummary {
    /// Filesystem id of the stream.
    pub fs: u32,
    /// `fs_devices->fsid`.
    pub fsid: [u8; 16],
    /// `sb->s_id`, lossily decoded.
    pub device: String,
    /// Times of the first and last record, `CLOCK_MONOTONIC` ns.
    pub span: (u64, u64),
    /// Its birth was seen.
    pub born: bool,
    /// Its unmount was seen.
    pub ended: bool,
    /// It was aborted (`fs_error`); rules for the whole filesystem do not apply from then on.
    pub aborted: bool,
    /// Live inodes with a book.
    pub inodes: u64,
    /// Inodes whose destroy was checked.
    pub inodes_closed: u64,
    /// Chains.
    pub chains: Vec<ChainSummary>,
    /// Last levels of the pools. [`Self::spaces`] also has newer values from chains.
    pub levels: Option<Levels>,
    /// Position in the stream of the record with these levels.
    pub levels_at: u64,
    /// Who held the pools when their levels were read last; `None` before that, and after the unmount.
    pub holders: Option<Box<PoolHolders>>,
    /// Balance of each account that the books follow, in bytes.
    pub books: BTreeMap<Account, i64>,
    /// What became of each account.
    pub closings: BTreeMap<Account, Closing>,
    /// Audits against sysfs.
    pub audit: AuditSummary,
    /// Tickets granted and tickets failed.
    pub tickets: (u64, u64),
    /// `space_info:enospc` events.
    pub enospc: u64,
    /// Transactions that were committed.
    pub commits: u64,
    /// Waits and flushes; `None` if there were none.
    pub waits: Option<Box<FsWaits>>,
    /// Who drew on what; `None` if nothing moved.
    pub draws: Option<Box<FsDraws>>,
}

/// The verdict so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Verdict.
    pub verdict: Verdict,
    /// Why, one sentence each; for `clean` what was checked.
    pub reasons: Vec<String>,
    /// Doubts, one sentence each. They are the reasons if no finding counts.
    pub doubts: Vec<String>,
}

/// One inode that holds something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InodeSummary {
    /// Filesystem id of the stream.
    pub fs: u32,
    /// Subvolume.
    pub root: u64,
    /// Inode number.
    pub ino: u64,
    /// Generation where known.
    pub generation: Option<u64>,
    /// Path where known, lossily decoded, unescaped.
    pub path: Option<SeenPath>,
    /// Balance of the inode's block_rsv in the books, bytes.
    pub meta_rsv: i64,
    /// True if the opening balance is known.
    pub opening_known: bool,
    /// Last known kernel counters: reserved, size, csum_bytes, delalloc_bytes, outstanding_extents.
    pub counters: Option<(u64, u64, u64, u64, u32)>,
    /// Bytes reserved so far.
    pub reserved_total: u64,
    /// Reservations so far.
    pub reservations: u64,
    /// Thread that reserved last.
    pub last_tid: u32,
    /// `comm` of that thread.
    pub last_comm: String,
}

/// Numbers of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Records in the stream, by the hook that sent them.
    pub records_by_hook: BTreeMap<HookId, u64>,
    /// All records.
    pub records: u64,
    /// Chain links checked, all chains and inodes.
    pub links: u64,
    /// Reservations that the order check decided.
    pub order_checked: u64,
    /// Reservations that the order check could not decide.
    pub order_unknown: u64,
    /// Inodes whose destroy was checked.
    pub inodes_closed: u64,
    /// Reservations that ran at the same time as another operation on the same inode.
    pub overlapping: u64,
    /// Most records in one second of the stream.
    pub peak_records_per_second: u64,
}

/// Everything, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Verdict so far.
    pub verdict: Verdict,
    /// Why, one sentence each; for `clean` what was checked.
    pub verdict_reasons: Vec<String>,
    /// Doubts, one sentence each. They are the reasons if no finding counts.
    pub doubts: Vec<String>,
    /// Loss by class since the session began.
    pub loss: BTreeMap<LossClass, u64>,
    /// Filesystems in the order in which they were met.
    pub filesystems: Vec<FsSummary>,
    /// Failed reservations.
    pub failed: FailedReservations,
    /// Failures for lack of space, and how many found no room in this list.
    pub shortages: (Vec<Shortage>, u64),
    /// The inodes that hold most, most bytes first.
    pub inodes: Vec<InodeSummary>,
    /// The kernel's own WARNs, by address.
    pub warnings: Vec<KernelWarn>,
    /// Complaints of btrfs in the kernel's log, in the order of their first line.
    pub lines: Vec<KernelLine>,
    /// Numbers.
    pub statistics: Statistics,
    /// First and last time in the stream, `CLOCK_MONOTONIC` ns.
    pub span: (u64, u64),
}

impl Summary {
    /// The verdict of this summary, with reasons and doubts.
    #[must_use]
    pub fn judged(&self) -> Judged {
        let Self { verdict, verdict_reasons, doubts, .. } = self;
        Judged { verdict: *verdict, reasons: verdict_reasons.clone(), doubts: doubts.clone() }
    }
}
