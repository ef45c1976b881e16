//! The ledger: books and rules. Pure: no IO, no clock, no `unsafe`; the same stream gives the same findings.
//!
//! Records go in through [`Ledger::apply`], in stream order. Findings, a [`Summary`] and the inodes that an audit
//! should read come out.
//!
//! Policy: a false alarm is the worst defect. A balance below zero, a counter that differs for a moment and a release by
//! another thread are normal, so no rule judges them. A balance is judged only when no operation can be in flight (destroy,
//! unmount, quiet audit), if its opening is known and nothing was missed since. A violation that one record proves becomes a
//! finding at once. A violation that follows from several records waits until no loss can explain it. What could not be
//! judged is counted, and the verdict says so.
//!
//! The ledger does not balance `delayed_refs_rsv` (it does not balance by design), does not judge qgroup metadata per owner
//! or delayed items per directory, does not require reserve and release in one task, and does not guess a subvolume.
#![forbid(unsafe_code)]
mod ahead;
mod book;
mod context;
mod ledger;
mod read;
mod rule;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use self::{
    ahead::AHEAD,
    book::audits::AuditSummary,
    context::{log_line::is_about_reservations, warnings::KernelWarn},
    ledger::Ledger,
    read::{
        closings::Closing,
        doubts::Doubts,
        kernel_lines::KernelLine,
        pools::{SpaceNow, SpaceRest},
        queries::{InodeView, add_held},
        summary::{ChainSummary, FsSummary, InodeSummary, Judged, Statistics, Summary, Verdict},
    },
    vocabulary::{
        account::{Account, SpaceCounter},
        draws::{DrawCell, FsDraws, GlobalDraw, IdleGrowth, MoveKind, Moved, Mover, Reserve, ReserveRow},
        failed_reservations::FailedReservations,
        finding::{Confidence, Evidence, Finding, FindingKind, Origin, Query, StackRef, TaskRef, Violation},
        holders::{Holder, InodesRead, PoolHolders, SpaceHolders},
        keys::AuditCandidate,
        path::SeenPath,
        setup::Setup,
        shortage::{Shortage, ShortageEvent, ShortageHolder, ShortageKind, ShortageState},
        spans::{Span, Spans},
        waits::{
            EndedWait, FlushRuns, FlushTotals, FsWaits, Place, TaskWaits, WaitOutcome, WaitTimes,
            WaitingTicket, Worker, WorkerKind,
        },
        words::uuid,
    },
};
