//! Why a limit of a qgroup refused a reservation: the rule is that of `qgroup_check_limits()`.
use probe_common::shortage::{LIMIT_MAX_EXCL, LIMIT_MAX_RFER, QgroupRefusal};

use crate::format::{bytes, qgroup};

fn size(number: u64) -> String {
    bytes(number as i64, "iB")
}

/// What the reservation was for.
#[must_use]
pub const fn kind(kind: u32) -> &'static str {
    match kind {
        0 => "data",
        1 => "metadata for the running transaction",
        _ => "metadata",
    }
}

/// The sentence.
#[must_use]
pub fn sentence(refusal: &QgroupRefusal) -> String {
    let QgroupRefusal { qgroupid, lim_flags, max_rfer, max_excl, rfer, excl, reserved, bytes, .. } = *refusal;
    let [data, pertrans, prealloc] = reserved;
    let held = data.saturating_add(pertrans).saturating_add(prealloc);
    let needs = |used: u64| used.saturating_add(held).saturating_add(bytes);
    let (limit, used, what) = if lim_flags & LIMIT_MAX_RFER != 0 && needs(rfer) > max_rfer {
        (max_rfer, rfer, "referenced")
    } else if lim_flags & LIMIT_MAX_EXCL != 0 {
        (max_excl, excl, "exclusive")
    } else {
        (max_rfer, rfer, "referenced")
    };
    let over = needs(used).saturating_sub(limit);
    let kinds: Vec<String> = [
        (data, "data"),
        (pertrans, "metadata of the running transaction"),
        (prealloc, "metadata in advance"),
    ]
    .into_iter()
    .filter(|(bytes, _)| *bytes != 0)
    .map(|(bytes, what)| format!("{} {what}", size(bytes)))
    .collect();
    let by_kind = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    format!(
        "Qgroup {} may have {} {what}: {} are used and {} reserved{by_kind}, so another {} of {} exceed the limit by {}.",
        qgroup(qgroupid),
        size(limit),
        size(used),
        size(held),
        size(bytes),
        kind(refusal.kind),
        size(over),
    )
}
