//! Counts of failed reservations.
use probe_common::call::Call;

/// Failed reservations. Exact on the functions tier; on the tracepoints tier derived from the order of the task's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailedReservations {
    /// Failed delalloc metadata reservations.
    pub total: u64,
    /// A release on the same inode ran during the reservation (functions tier only; 0 on the tracepoints tier).
    pub raced: u64,
    /// No release on the same inode ran during the reservation.
    pub not_raced: u64,
    /// The failing task gave back exactly what it had taken.
    pub balanced: u64,
    /// Not known whether balanced: the operation began before the attach, or had no data reservation.
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
