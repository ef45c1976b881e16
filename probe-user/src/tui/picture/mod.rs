//! One moment of a session as plain data: everything that the views draw.
//!
//! Made beside the books, at a bounded rate, and handed to the screen whole. What a screen cannot show (a million
//! inodes) is counted here and not carried.
mod health;
mod inode;
mod pool;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use probe_common::loss::LossClass;
use probe_ledger::Verdict;

pub use self::{
    health::{HealthView, HookLine},
    inode::{InodeDetail, InodeId, InodeRow, InodesView, OriginView, RecordLine, Rest},
    pool::{FsView, History, PoolKey, PoolRow, TicketLine, TicketOutcome},
};
use super::{filter::Filter, state::InodeSort};
use crate::report::model::{FailedReservationTotals, Finding};

/// What is known of a session from its begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionView {
    /// `uname -r`
    pub release: String,
    /// `tracepoints` or `functions`.
    pub tier: String,
    /// Why it is not a better one; empty if it is the best.
    pub tier_reason: String,
    /// Recording that is played; `None` for a live session.
    pub recording: Option<String>,
    /// Command of a recording.
    pub command: Vec<String>,
}

/// What only a test has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestView {
    /// Number in this session, from 1.
    pub number: u32,
    /// Process id of the run that it belongs to; 0 if not known.
    pub run: u32,
    /// Section of the suite's configuration.
    pub section: Option<String>,
    /// The suite's own result.
    pub result: Option<String>,
    /// Verdict so far.
    pub verdict: Verdict,
}

/// A window of time: a test, or a command between its two markers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowView {
    /// Test, or command.
    pub name: String,
    /// The test; `None` for a command.
    pub test: Option<TestView>,
    /// Begin, ns since the start of the session.
    pub begun_ns: u64,
    /// Length so far.
    pub length_ns: u64,
    /// Its end was seen.
    pub ended: bool,
    /// Records in it.
    pub records: u64,
    /// Lost in it, classes that touch the books.
    pub lost: u64,
    /// Findings of it: those that a test has as its own, those made in a command.
    pub findings: u64,
}

/// The page Tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowsView {
    /// Newest first.
    pub rows: Vec<WindowView>,
    /// Older tests, which are in a report and not here.
    pub older: u64,
}

/// Where a replay stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplayView {
    /// Stands still.
    pub paused: bool,
    /// Seconds of the recording a second.
    pub speed: f64,
    /// Records applied.
    pub applied: u64,
    /// Records of the recording, once they are counted.
    pub records: Option<u64>,
    /// Length of the recording, once it is known.
    pub length_ns: Option<u64>,
    /// The end is reached.
    pub ended: bool,
    /// On the way to somewhere: percent done.
    pub seeking: Option<u8>,
    /// Books are begun anew to go back, percent done: the picture is the one of before, until they are where they should be.
    pub rebuilding: Option<u8>,
    /// The record applied last, while it goes step by step.
    pub last: Option<RecordLine>,
}

/// What the screen wants to see.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Time between two pictures.
    pub refresh: Duration,
    /// Order of inodes.
    pub sort: InodeSort,
    /// Which inodes.
    pub filter: Filter,
    /// Rows at most.
    pub rows: usize,
    /// The inode that is looked into.
    pub focus: Option<InodeId>,
    /// The run time of our own programs is asked for, which costs them a little.
    pub program_time: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(1),
            sort: InodeSort::default(),
            filter: Filter::default(),
            rows: 1000,
            focus: None,
            program_time: false,
        }
    }
}

/// One moment.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The session.
    pub session: Arc<SessionView>,
    /// ns since the start of the session.
    pub now_ns: u64,
    /// Verdict so far; `None` before there was anything to judge.
    pub verdict: Option<Verdict>,
    /// Why.
    pub reasons: Arc<Vec<String>>,
    /// Loss by class, absolute.
    pub loss: BTreeMap<LossClass, u64>,
    /// Records so far.
    pub records: u64,
    /// Records a second.
    pub record_rate: u64,
    /// Failed reservations.
    pub failed: FailedReservationTotals,
    /// Inodes.
    pub inodes: Arc<InodesView>,
    /// The inode looked into.
    pub focus: Option<Arc<InodeDetail>>,
    /// Filesystems, those that live first.
    pub filesystems: Arc<Vec<FsView>>,
    /// Findings, oldest first; the first thousand.
    pub findings: Arc<Vec<Finding>>,
    /// How many there are.
    pub found: u64,
    /// Tests and commands.
    pub windows: Arc<WindowsView>,
    /// Hooks and costs.
    pub health: Arc<HealthView>,
    /// The replay, if it is one.
    pub replay: Option<ReplayView>,
}

impl Picture {
    /// Classes with a loss, and how much.
    pub fn lost(&self) -> impl Iterator<Item = (LossClass, u64)> + '_ {
        self.loss.iter().filter(|(_, count)| **count > 0).map(|(class, count)| (*class, *count))
    }
}
