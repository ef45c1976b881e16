//! Whom a finding is about, in words, for text and screen.
use probe_ledger::FindingKind;

use super::model::{Finding, Instance};
use crate::format;

/// How many: `1,368 inodes`; `None` if it is about one only.
#[must_use]
pub fn counted(finding: &Finding) -> Option<String> {
    match (finding.inodes, finding.roots, finding.all_instances()) {
        (_, _, 0 | 1) => None,
        (2.., _, _) => Some(format::counted(finding.inodes, "inode")),
        (_, 2.., _) => Some(format::counted(finding.roots, "subvolume")),
        // The same owner, after another mount.
        (_, _, mounts) => Some(format::counted(mounts, "mount")),
    }
}

/// The finding's explanation, which is that of the first of several.
#[must_use]
pub fn explanation(finding: &Finding) -> String {
    let of = counted(finding).map(|owners| format!("The first of {owners}: ")).unwrap_or_default();
    of + &finding.explanation
}

/// The number of them and the `most` largest: `1,368, the largest: 257 of subvolume 5 (131,072 bytes), ...`, with its label;
/// `None` if it is about one only. What is listed of one owner is added up.
#[must_use]
pub fn largest(finding: &Finding, most: usize) -> Option<(String, String)> {
    let counted = counted(finding)?;
    let (number, what) = counted.split_once(' ')?;
    let mut owners: Vec<(String, i64)> = Vec::new();
    for instance in &finding.instances {
        let Some(name) = name(instance) else { continue };
        match owners.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum = sum.saturating_add(instance.amount),
            None => owners.push((name, instance.amount)),
        }
    }
    owners.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.unsigned_abs()));
    let named: Vec<String> = owners
        .into_iter()
        .take(most)
        .map(|(name, sum)| format!("{name} ({})", units(sum, finding)))
        .collect();
    let named = named.join(", ");
    let text = if named.is_empty() { number.to_owned() } else { format!("{number}, the largest: {named}") };
    Some((what.to_owned(), text))
}

/// The first of several, by its inode or subvolume, and the inode's generation; `None` if it is about one only.
#[must_use]
pub fn first(finding: &Finding) -> Option<String> {
    counted(finding)?;
    let generation = finding.generation.map(|of| format!(", generation {of}")).unwrap_or_default();
    Some(format!("{}{generation}", name(finding.instances.first()?)?))
}

/// An instance by its inode or subvolume.
#[must_use]
pub fn name(instance: &Instance) -> Option<String> {
    match (instance.inode, instance.root.map(format::root)) {
        (Some(inode), Some(root)) => Some(format!("{inode} of subvolume {root}")),
        (Some(inode), None) => Some(inode.to_string()),
        (None, root) => root,
    }
}

/// Its amount, exactly.
#[must_use]
pub fn amount(instance: &Instance, finding: &Finding) -> String {
    units(instance.amount, finding)
}

fn units(amount: i64, finding: &Finding) -> String {
    match finding.unit.as_str() {
        "bytes" => format!("{} bytes", format::exact(amount)),
        _ => format::exact(amount),
    }
}

/// The pages that explain it.
pub fn pages(finding: &Finding) -> String {
    match &finding.known {
        Some(known) => format!("{}, {}", finding.doc, known.doc),
        None => finding.doc.clone(),
    }
}

/// What the stack of a finding did: `freed`.
#[must_use]
pub const fn verb(finding: &Finding) -> &'static str {
    match finding.kind.0 {
        FindingKind::OverRelease | FindingKind::ErrorPathOverRelease | FindingKind::WrongOwner => "freed",
        FindingKind::PublishBeforeReserve => "published",
        FindingKind::Leak
        | FindingKind::ErrorPathLeak
        | FindingKind::Underflow
        | FindingKind::CounterMismatch => "showed",
    }
}

/// When its violations were seen.
#[must_use]
pub fn seen(finding: &Finding) -> String {
    let first = format::moment(finding.first_seen_ns);
    if finding.count == 1 {
        first
    } else {
        format!("{first} first, {} last", format::moment(finding.last_seen_ns))
    }
}
