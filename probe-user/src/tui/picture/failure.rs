//! Failures for lack of space on the screen.
use std::{cmp::Reverse, sync::Arc};

use crate::report::model::{Failure, FailureKind};

/// A row of the page Failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureRow {
    /// Its place among all, in the order of their first; it keeps it.
    pub number: u32,
    /// Filesystem id of the stream.
    pub fs: u32,
    /// Device of the filesystem, or the begin of its UUID.
    pub device: Arc<str>,
    /// As a report has it.
    pub failure: Failure,
}

/// The page Failures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailuresView {
    /// Failures of one kind each, in the order of their first.
    pub rows: Vec<FailureRow>,
    /// Failures that have no row.
    pub left_out: u64,
}

impl FailureRow {
    /// Whether its caller got the error; one that may not wait has another way.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self.failure.kind, FailureKind::NoWait)
    }
}

impl FailuresView {
    /// The last failure of which a caller knows.
    #[must_use]
    pub fn last(&self) -> Option<&FailureRow> {
        let last = |row: &&FailureRow| (row.failure.last_seen_ns, Reverse(row.number));
        self.rows.iter().filter(|row| row.is_final()).max_by_key(last)
    }

    /// How often reservations of this kind failed.
    #[must_use]
    pub fn count(&self, kind: FailureKind) -> u64 {
        let of = self.rows.iter().filter(|row| row.failure.kind == kind);
        of.fold(0, |sum, row| sum.saturating_add(row.failure.count))
    }
}
