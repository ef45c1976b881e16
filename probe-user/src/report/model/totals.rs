//! Loss, failed reservations, the kernel's warnings, numbers.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Frame;
use crate::format::count;

/// What was not seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Records that found no room: `books_record`, `chain_record` and `descriptive` together.
    pub records: u64,
    /// Stacks that found no room or could not be walked.
    pub stacks: u64,
    /// Every class, the ones without loss too.
    pub by_class: BTreeMap<String, u64>,
}

/// Failed delalloc metadata reservations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailedReservationTotals {
    /// All.
    pub total: u64,
    /// A release on the same inode raced in between. What raced is seen on the functions tier only: elsewhere this and
    /// `not_raced` are 0, whatever the total is.
    pub raced: u64,
    /// Nobody raced.
    pub not_raced: u64,
    /// The failing side gave back exactly what it had taken.
    pub balanced: u64,
    /// Whether they were balanced could not be seen.
    pub undecided: u64,
}

impl FailedReservationTotals {
    /// Failed reservations, and how they ended.
    #[must_use]
    pub fn text(&self) -> String {
        let FailedReservationTotals { total, raced, not_raced, balanced, undecided } = *self;
        let ends = format!("{} balanced, {} undecided", count(balanced), count(undecided));
        match (total, raced + not_raced) {
            (0, _) => "none".to_owned(),
            // The tracepoints tier does not see who raced.
            (total, 0) => format!("{}: {ends}", count(total)),
            (total, _) => {
                format!("{}: {} raced, {} not raced; {ends}", count(total), count(raced), count(not_raced))
            }
        }
    }
}

/// One place in the kernel that warned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KernelWarning {
    /// The place.
    pub at: Frame,
    /// How often.
    pub count: u64,
    /// Stack of one of them; innermost frame first, empty if none was taken.
    pub stack: Vec<Frame>,
}

/// Complaints about reservations that btrfs wrote to the kernel's log: those about one filesystem that differ in numbers
/// alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KernelLine {
    /// What the first of them says, without level and device.
    pub text: String,
    /// The device that it names; null if it names no filesystem.
    pub device: Option<String>,
    /// Uuids of the filesystems that it may mean; empty if none is known.
    pub filesystems: Vec<String>,
    /// How many.
    pub count: u64,
    /// When the first came, ns since the start.
    pub first_seen_ns: u64,
    /// When the last came, ns since the start.
    pub last_seen_ns: u64,
    /// It is about what a filesystem held after an error, which is not judged.
    pub after_error: bool,
    /// `findings[].id` of those that explain it.
    pub finding_ids: Vec<u32>,
    /// How many of them nothing explains.
    pub unexplained: u64,
}

/// Numbers of the session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatisticTotals {
    /// Records in the stream.
    pub records: u64,
    /// Records by the hook that sent them.
    pub by_hook: BTreeMap<String, u64>,
    /// Highest rates.
    pub peak_rates: PeakRates,
    /// Chain links checked, all counters and inodes.
    pub links: u64,
    /// Reservations whose order (reserve, then publish) was checked.
    pub order_checked: u64,
    /// Reservations whose order could not be decided.
    pub order_unknown: u64,
    /// Inodes whose end of life was checked.
    pub inodes_closed: u64,
    /// Overlapping, unserialised reservations on one inode.
    pub overlapping: u64,
}

/// Highest rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeakRates {
    /// Most records in one second of the stream.
    pub records_per_second: u64,
}
