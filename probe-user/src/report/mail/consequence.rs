//! What follows from a finding: the kernel's WARN, the errno that users get, or the counter that is wrong from then on.
use probe_ledger::{Account, FindingKind, SpaceCounter};

use super::super::{
    build::checks_of,
    fingerprint::base_name,
    model::{Finding, Report},
    subject::kernel_name,
};
use crate::format;

/// Sentences, in the order of how near they are to the finding.
pub(super) fn of(finding: &Finding, report: &Report) -> String {
    let mut sentences = vec![in_general(finding.kind.0, finding.account.0)];
    sentences.extend(followers(finding, report));
    sentences.extend(warnings(finding, report));
    sentences.join(" ")
}

/// Findings that would not be without this one.
fn followers<'a>(finding: &'a Finding, report: &'a Report) -> impl Iterator<Item = String> {
    report.findings.iter().filter(|other| other.cause == Some(finding.id)).map(|other| {
        let amount = format::amount(other.amount, &other.unit);
        format!("An {} of {} by {amount} follows from it.", other.kind.name(), kernel_name(other.account.0))
    })
}

/// The kernel's own checks that failed in this session and look at such an account. A WARN names no inode, so it cannot be held
/// against one finding.
fn warnings(finding: &Finding, report: &Report) -> Option<String> {
    let checks = checks_of(finding.account.0);
    let mut warned: Vec<(&str, u64)> = Vec::new();
    for warning in &report.kernel_warnings {
        let Some(name) = warning.at.symbol.as_deref().map(base_name).filter(|name| checks.contains(name))
        else {
            continue;
        };
        match warned.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count = count.saturating_add(warning.count),
            None => warned.push((name, warning.count)),
        }
    }
    if warned.is_empty() {
        return None;
    }
    let list: Vec<String> =
        warned.iter().map(|(name, count)| format!("{name}() {}", format::counted(*count, "time"))).collect();
    Some(format!(
        "The kernel's own checks of such accounts warned in this session: {} (a WARN does not say which inode or \
         filesystem it means).",
        list.join(", ")
    ))
}

/// What the kernel does with an account that is wrong in this direction (`fs/btrfs`, 6.1 to 7.x).
fn in_general(kind: FindingKind, account: Account) -> String {
    match kind {
        FindingKind::Leak | FindingKind::ErrorPathLeak => kept(account).to_owned(),
        FindingKind::OverRelease | FindingKind::ErrorPathOverRelease | FindingKind::Underflow => {
            freed(account).to_owned()
        }
        FindingKind::WrongOwner => format!(
            "One owner keeps what it will never free, the other has freed what it never had: the sum is right, both {} are \
             wrong, and it shows when one of them ends.",
            kernel_name(account)
        ),
        FindingKind::PublishBeforeReserve => "A release on another CPU that comes in between frees bytes that nobody has \
                                              reserved yet."
            .to_owned(),
        FindingKind::CounterMismatch => {
            "The counter was changed without the event that belongs to the change, or the books are wrong; both figures are \
             in the timeline."
                .to_owned()
        }
    }
}

/// Something is held for ever.
const fn kept(account: Account) -> &'static str {
    match account {
        Account::InodeMetaRsv
        | Account::InodeOutstandingExtents
        | Account::InodeCsumBytes
        | Account::InodeDelallocBytes => {
            "The metadata that is reserved for it stays in bytes_may_use of its space_info until unmount, so ENOSPC comes \
             early; btrfs_destroy_inode() warns when the inode goes."
        }
        Account::InodeQgroupData | Account::RootQgroupMetaPrealloc | Account::RootQgroupMetaPertrans => {
            "The qgroup keeps the bytes, so EDQUOT comes early; btrfs_check_quota_leak() prints them at unmount."
        }
        Account::SpaceData(SpaceCounter::BytesPinned | SpaceCounter::BytesReserved)
        | Account::SpaceMetadata(SpaceCounter::BytesPinned | SpaceCounter::BytesReserved)
        | Account::SpaceSystem(SpaceCounter::BytesPinned | SpaceCounter::BytesReserved) => {
            "The space cannot be used again until the next mount, so ENOSPC comes early; the kernel warns at unmount, where \
             the counter has to be 0."
        }
        Account::SpaceData(SpaceCounter::BytesMayUse)
        | Account::SpaceMetadata(SpaceCounter::BytesMayUse)
        | Account::SpaceSystem(SpaceCounter::BytesMayUse)
        | Account::TransRsv
        | Account::TransDelayedRefsRsv
        | Account::FsDelayedRsv
        | Account::FsDelayedRefsRsv
        | Account::FsGlobalRsv
        | Account::FsChunkRsv
        | Account::TempRsv => {
            "The bytes stay in bytes_may_use of the space_info until unmount, so ENOSPC comes early; the kernel warns at \
             unmount, where the counter has to be 0."
        }
    }
}

/// Something was given back that was not there.
const fn freed(account: Account) -> &'static str {
    match account {
        Account::InodeOutstandingExtents | Account::InodeCsumBytes | Account::InodeDelallocBytes => {
            "The counter is too low from then on, and wraps below 0 when the last of it is released; the size of the inode's \
             block_rsv is computed from it, and btrfs_destroy_inode() warns when the inode goes."
        }
        Account::InodeQgroupData | Account::RootQgroupMetaPrealloc | Account::RootQgroupMetaPertrans => {
            "The qgroup's counter is too low from then on, so its limit is not kept; qgroup_rsv_release() stops at 0, and \
             warns with CONFIG_BTRFS_DEBUG only."
        }
        _ => {
            "bytes_may_use of the space_info is too low from then on: space is promised twice, a later release underflows \
             (WARN), and a write that was promised space may end in ENOSPC or an aborted transaction."
        }
    }
}
