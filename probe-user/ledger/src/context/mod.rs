//! What rules need besides the books: losses, names, evidence and pending findings.
pub(crate) mod evidence;
pub(crate) mod held_back;
pub(crate) mod log_line;
pub(crate) mod names;
pub(crate) mod pending;
pub(crate) mod printed;
pub(crate) mod qgroup_line;
pub(crate) mod statistics;
pub(crate) mod warnings;

use rustc_hash::FxHashSet;

use self::{
    evidence::RecentRecords, names::Names, pending::PendingFindings, printed::Printed, statistics::Counts,
    warnings::Warnings,
};
use crate::{book::loss::Loss, vocabulary::finding::Violation};

/// What every rule needs besides the filesystem it looks at.
#[derive(Debug)]
pub(crate) struct Context {
    pub loss: Loss,
    pub names: Names,
    pub recent: RecentRecords,
    pub pending: PendingFindings,
    pub statistics: Counts,
    pub warnings: Warnings,
    pub printed: Printed,
}

impl Context {
    /// Filesystems that a finding, pending finding or complaint names and that must not be forgotten.
    pub(crate) fn named(&self) -> FxHashSet<u32> {
        let mut named = self.pending.filesystems();
        named.extend(self.printed.filesystems());
        named
    }

    /// See [`PendingFindings::file`].
    pub(crate) fn file(&mut self, violation: Violation) {
        self.pending.file(violation, &self.recent, &self.names);
    }

    /// See [`PendingFindings::defer_call`].
    pub(crate) fn defer_call(&mut self, violation: Violation) {
        self.pending.defer_call(violation, &self.recent, &self.names);
    }

    /// See [`PendingFindings::defer`].
    pub(crate) fn defer(&mut self, violation: Violation) {
        self.pending.defer(violation, &self.recent, &self.names);
    }
}
