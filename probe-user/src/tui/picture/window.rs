//! Tests and commands on the screen.
use probe_ledger::Verdict;

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
