//! Another report to hold one against: what it has does not count again.
use std::collections::BTreeMap;

use super::{
    model::{Against, Finding, PastFinding, Report, SameFinding, Tier, VerdictName},
    subject,
};
use probe_ledger::Verdict;

/// A fault: fingerprint, and the known kernel bug if it is one. The fingerprint does not know who reserved, so one that is a known
/// bug and one that is none can have the same.
type Fault = (String, Option<String>);

/// The findings of another report, by their fingerprints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    file: String,
    kernel: String,
    tier: Tier,
    started_at: String,
    verdict: VerdictName,
    findings: BTreeMap<Fault, PastFinding>,
}

impl Baseline {
    /// That of a report; `file` is where it came from.
    #[must_use]
    pub fn new(file: String, report: &Report) -> Self {
        let mut findings: BTreeMap<Fault, PastFinding> = BTreeMap::new();
        for finding in &report.findings {
            let past = findings.entry(fault(finding)).or_insert_with(|| PastFinding {
                fingerprint: finding.fingerprint.clone(),
                kind: finding.kind,
                account: finding.account,
                amount: 0,
                unit: finding.unit.clone(),
                count: 0,
                heading: subject::heading(finding),
                known: finding.known.as_ref().map(|known| known.id.clone()),
            });
            past.amount = past.amount.saturating_add(finding.amount);
            past.count = past.count.saturating_add(finding.count);
        }
        Self {
            file,
            kernel: report.kernel.release.clone(),
            tier: report.tier,
            started_at: report.started_at.clone(),
            verdict: report.verdict,
            findings,
        }
    }

    /// True if the other report has it.
    #[must_use]
    pub fn has(&self, fingerprint: &str, known: Option<&str>) -> bool {
        self.findings.contains_key(&(fingerprint.to_owned(), known.map(ToOwned::to_owned)))
    }

    /// What these findings of a report are against it.
    #[must_use]
    pub fn compare(&self, findings: &[Finding], tier: Tier, verdict: Verdict) -> Against {
        let mut own: BTreeMap<Fault, Vec<&Finding>> = BTreeMap::new();
        for finding in findings {
            own.entry(fault(finding)).or_default().push(finding);
        }
        let new = findings.iter().filter(|finding| !self.findings.contains_key(&fault(finding)));
        let same = self.findings.iter().filter_map(|(fault, past)| {
            let of = own.get(fault)?;
            Some(SameFinding {
                ids: of.iter().map(|finding| finding.id).collect(),
                fingerprint: past.fingerprint.clone(),
                count: of.iter().fold(0, |sum: u64, finding| sum.saturating_add(finding.count)),
                before: past.clone(),
            })
        });
        let gone: Vec<PastFinding> = self
            .findings
            .iter()
            .filter(|(fault, _)| !own.contains_key(*fault))
            .map(|(_, past)| past.clone())
            .collect();
        let mut notes = Vec::new();
        if self.tier != tier {
            notes.push(format!(
                "The tiers differ ({} there, {} here): the same fault can have another fingerprint, or be visible in one of \
                 them only.",
                self.tier.name(),
                tier.name()
            ));
        }
        if !gone.is_empty() && verdict == Verdict::Inconclusive {
            notes.push("This session is inconclusive: what is gone may have been missed.".to_owned());
        }
        if self.verdict.0 == Verdict::Inconclusive {
            notes.push("That session is inconclusive: what is new may have been missed there.".to_owned());
        }
        Against {
            file: self.file.clone(),
            kernel: self.kernel.clone(),
            tier: self.tier,
            started_at: self.started_at.clone(),
            verdict: self.verdict,
            new: new.map(|finding| finding.id).collect(),
            same: same.collect(),
            gone,
            notes,
        }
    }
}

fn fault(finding: &Finding) -> Fault {
    (finding.fingerprint.clone(), finding.known.as_ref().map(|known| known.id.clone()))
}
