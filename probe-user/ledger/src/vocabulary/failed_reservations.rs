//! Counts of failed reservations.
use probe_common::call::Call;

/// Failed reservations (tracepoints tier: by task order; functions tier: exact).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailedReservations {
    /// Failed delalloc metadata reservations.
    pub total: u64,
    /// A release on the same inode raced in between (functions tier; 0 where not visible).
    pub raced: u64,
    /// Nobody raced.
    pub not_raced: u64,
    /// The failing side gave back exactly what it had taken.
    pub balanced: u64,
    /// Whether balanced could not be seen (operation begun before attach, no data reservation).
    pub undecided: u64,
}

impl FailedReservations {
    pub(crate) const fn count(&mut self, record: &Call) {
        self.total += 1;
        if record.others_released > 0 {
            self.raced += 1;
        } else {
            self.not_raced += 1;
        }
    }
}
