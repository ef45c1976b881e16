//! The books. Pure: no IO, no clock, no `unsafe`; the same stream gives the same findings.
//!
//! Records go in through [`Ledger::apply`], in stream order; findings, a [`Summary`] and the inodes
//! that an audit should look at come out.
//!
//! Policy: a false alarm is the worst defect. A sum below zero, a counter that differs for a moment, a release by
//! another thread are normal and judged nowhere; books are judged only where nothing can be in flight (destroy,
//! unmount, quiet audits) and only if their opening is known and nothing was missed since. What one record proves
//! is a finding at once; what follows from several waits until a loss can no longer explain it. What could not be
//! judged is counted and said in the verdict.
//!
//! Refuses to: balance `delayed_refs_rsv` (it does not balance by design), judge qgroup metadata per owner, judge
//! delayed items per directory, require reserve and release in one task, or guess a subvolume.
#![forbid(unsafe_code)]
mod book;
mod context;
mod ledger;
mod read;
mod rule;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use self::{
    book::audits::AuditSummary,
    context::warnings::KernelWarn,
    ledger::Ledger,
    read::{
        doubts::Doubts,
        kernel_lines::KernelLine,
        pools::{SpaceNow, SpaceRest},
        queries::{InodeView, add_held},
        summary::{ChainSummary, FsSummary, InodeSummary, Judged, Statistics, Summary, Verdict},
    },
    vocabulary::{
        account::{Account, SpaceCounter},
        failed_reservations::FailedReservations,
        finding::{Confidence, Evidence, Finding, FindingKind, Origin, StackRef, TaskRef},
        keys::AuditCandidate,
        setup::Setup,
        spans::{Span, Spans},
        words::uuid,
    },
};
