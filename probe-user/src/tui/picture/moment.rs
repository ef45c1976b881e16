//! One moment of a session, whole.
use std::{collections::BTreeMap, sync::Arc};

use probe_common::loss::LossClass;
use probe_ledger::Verdict;

use super::{
    failure::FailuresView,
    health::HealthView,
    inode::{InodeDetail, InodesView},
    pool::FsView,
    replay::ReplayView,
    session::SessionView,
    window::WindowsView,
};
use crate::report::model::{FailedReservationTotals, Finding};

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
    /// The inode of the page Inode.
    pub focus: Option<Arc<InodeDetail>>,
    /// Filesystems, those that live first.
    pub filesystems: Arc<Vec<FsView>>,
    /// Findings, oldest first; the first thousand.
    pub findings: Arc<Vec<Finding>>,
    /// How many there are.
    pub found: u64,
    /// Failures for lack of space.
    pub failures: Arc<FailuresView>,
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
