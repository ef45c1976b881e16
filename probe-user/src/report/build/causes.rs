//! Underflows that follow from another finding: what was freed too much is missing when the others free theirs.
use std::collections::BTreeMap;

use probe_ledger::FindingKind;

use crate::report::model::Finding;

/// Names the cause of each underflow that a finding before it explains: one that freed as much of the same account, on the same
/// filesystem, and that no other underflow needed. The order in which single violations of both came is not compared, so only
/// findings that count are causes, and the verdict does not change: the cause itself is a finding.
pub fn name_causes(findings: &mut [Finding]) {
    let mut left: BTreeMap<u32, u64> = BTreeMap::new();
    let frees = |kind| matches!(kind, FindingKind::OverRelease | FindingKind::ErrorPathOverRelease);
    let mut order: Vec<usize> = (0..findings.len()).collect();
    order.sort_by_key(|at| findings[*at].first_seen_ns);
    for at in order {
        let Finding { kind, account, filesystem, amount, first_seen_ns, .. } = &findings[at];
        let counts = findings[at].ignored.is_none();
        findings[at].cause = match u64::try_from(*amount) {
            Ok(amount) if counts && kind.0 == FindingKind::Underflow && filesystem.is_some() => {
                let explains = |cause: &&Finding| {
                    frees(cause.kind.0)
                        && cause.ignored.is_none()
                        && (&cause.account, &cause.filesystem) == (account, filesystem)
                        && cause.first_seen_ns <= *first_seen_ns
                        && left.get(&cause.id).copied().unwrap_or(cause.amount.unsigned_abs()) >= amount
                };
                let cause = findings.iter().find(explains);
                if let Some(cause) = cause {
                    *left.entry(cause.id).or_insert(cause.amount.unsigned_abs()) -= amount;
                }
                cause.map(|cause| cause.id)
            }
            _ => None,
        };
    }
}
