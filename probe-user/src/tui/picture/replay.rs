//! The replay on the screen.
use super::inode::RecordLine;

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
