//! What a replay is told to do.

/// What a replay is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayOrder {
    /// Stop or go on.
    Pause,
    /// So many records on (or back).
    Step(i64),
    /// Twice as fast (or half).
    Speed(bool),
    /// To the next (or the previous) finding.
    Finding(bool),
    /// So many twentieths of the recording on (or back).
    Jump(i64),
    /// To the begin.
    Restart,
}
