//! What is known of a session.

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
