//! A part of a session: a time, or a test.
//!
//! The books are those of the whole session, since a balance needs all that came before. What has a time is shown if it fell into the
//! part; levels, holders, flushes, hooks and counts are of the whole session.
use probe_ledger::{Finding, Judged, Verdict};

use crate::report::model::{self, Failure, Report};

/// A part of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Its begin, `CLOCK_MONOTONIC` ns.
    pub from: u64,
    /// Its end, `CLOCK_MONOTONIC` ns.
    pub to: u64,
    /// The test that it is.
    pub test: Option<String>,
    /// Ids of the ledger's findings in it, ascending.
    pub instances: Vec<u32>,
    /// What was missed in it, one sentence each. `None` if only that of the whole session is known.
    pub doubts: Option<Vec<String>>,
}

impl Part {
    /// Ids of those of the ledger's findings whose rule was broken from one time to another.
    #[must_use]
    pub fn within(findings: &[Finding], from: u64, to: u64) -> Vec<u32> {
        findings.iter().filter(|finding| finding.seen.touch(from, to)).map(|finding| finding.id).collect()
    }

    /// The verdict of the part, before any finding is ignored.
    pub(super) fn judged(&self, whole: Judged) -> Judged {
        let doubts = self.doubts.clone().unwrap_or(whole.doubts);
        let (verdict, reasons) = match (self.instances.is_empty(), doubts.is_empty()) {
            (false, _) => (Verdict::Findings, doubts.clone()),
            (true, false) => (Verdict::Inconclusive, doubts.clone()),
            (true, true) => {
                (Verdict::Clean, vec!["No rule was broken in this part of the session.".to_owned()])
            }
        };
        Judged { verdict, reasons, doubts }
    }

    /// Leaves out of a report what is not of the part. The findings are chosen already.
    pub(super) fn narrow(&self, report: &mut Report, since_start: impl Fn(u64) -> u64) {
        let (from, to) = (since_start(self.from), since_start(self.to));
        let touches = |first: u64, last: u64| last >= from && first <= to;
        report.failures.retain_mut(|failure| narrow_failure(failure, from, to));
        report.kernel_lines.retain(|line| touches(line.first_seen_ns, line.last_seen_ns));
        for filesystem in &mut report.filesystems {
            let stalls = &mut filesystem.waits.stalls;
            stalls.retain(|stall| touches(stall.ended_ns.saturating_sub(stall.waited_ns), stall.ended_ns));
        }
        let ids: Vec<u32> = report.findings.iter().map(|finding| finding.id).collect();
        report.outside_tests.retain(|part| ids.contains(&part.id) && self.test.is_none());
        report.part = Some(model::ReportPart { from_ns: from, to_ns: to, test: self.test.clone() });
    }
}

/// False if nothing of it is in the part. Its counts stay those of the session.
fn narrow_failure(failure: &mut Failure, from: u64, to: u64) -> bool {
    failure.instances.retain(|instance| (from..=to).contains(&instance.time_ns));
    failure.last_seen_ns >= from && failure.first_seen_ns <= to
}
