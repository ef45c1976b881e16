//! What a finding is in one line: the rule, the account, the function, the amount. The heading of a finding in the text
//! report, and the subject of a mail.
use probe_ledger::{Account, FindingKind, SpaceCounter};

use super::{
    fingerprint::{base_name, is_tracing},
    model::{Finding, Frame},
};
use crate::format::{self, escape::escape};

/// Functions that only do the step that was seen, for whoever calls them: the caller says more.
const STEPS: [&str; 12] = [
    "__clear_extent_bit",
    "btrfs_clear_extent_bit",
    "btrfs_clear_extent_bit_changeset",
    "clear_state_bit",
    "btrfs_qgroup_check_reserved_leak",
    "btrfs_sysfs_del_one_qgroup",
    "btrfs_mod_outstanding_extents",
    "btrfs_space_info_update_bytes_may_use",
    "btrfs_space_info_update_bytes_pinned",
    "btrfs_block_rsv_add_bytes",
    "btrfs_inode_rsv_release",
    "qgroup_rsv_release",
];

/// Functions that end an object: what shows there went wrong before.
const ENDS: [&str; 8] = [
    "btrfs_destroy_inode",
    "btrfs_evict_inode",
    "btrfs_free_qgroup_config",
    "btrfs_remove_qgroup",
    "btrfs_free_block_groups",
    "check_removing_space_info",
    "btrfs_release_global_block_rsv",
    "close_ctree",
];

/// The function that a stack is about, and how the finding belongs to it: `in`, or `seen in` where it only showed there.
#[must_use]
pub fn function(stack: &[Frame]) -> Option<(&'static str, &str)> {
    let names = || {
        stack
            .iter()
            .filter_map(|frame| frame.symbol.as_deref())
            .map(base_name)
            .skip_while(|name| is_tracing(name))
    };
    let name = names().find(|name| !STEPS.contains(name)).or_else(|| names().next())?;
    Some((if ENDS.contains(&name) { "seen in" } else { "in" }, name))
}

/// The heading in a report: `over-release of inode.meta_rsv in btrfs_buffered_write(): 131,072 bytes (128 KiB)`.
#[must_use]
pub fn heading(finding: &Finding) -> String {
    let times = match finding.count {
        0 | 1 => String::new(),
        count => format!(" in {}", format::counted(count, "violation")),
    };
    let amount = amount(finding, |bytes| format::amount(bytes, "bytes"));
    format!("{} of {}{}: {amount}{times}", finding.kind.name(), finding.account.name(), place(finding))
}

/// The subject of a mail, with the kernel's name of the account: `btrfs: leak of inode csum_bytes in
/// btrfs_remove_ordered_extent(): 65536 bytes`. ASCII, one line.
#[must_use]
pub fn of_mail(finding: &Finding) -> String {
    let amount = amount(finding, |bytes| format!("{bytes} bytes"));
    let owners = match (finding.inodes, finding.roots) {
        (2.., _) => format!(" of {} inodes", finding.inodes),
        (_, 2..) => format!(" of {} subvolumes", finding.roots),
        _ => String::new(),
    };
    let (kind, account) = (words(finding.kind.0), kernel_name(finding.account.0));
    format!("btrfs: {kind} {account}{}: {amount}{owners}", place(finding))
}

/// The only account that is no bytes counts extents.
fn amount(finding: &Finding, bytes: impl Fn(i64) -> String) -> String {
    match (finding.unit.as_str(), finding.amount) {
        ("bytes", amount) => bytes(amount),
        (_, 1) => "1 extent".to_owned(),
        (_, amount) => format!("{} extents", format::exact(amount)),
    }
}

fn place(finding: &Finding) -> String {
    function(&finding.stack)
        .map(|(how, name)| format!(" {how} {}()", ascii(&escape(name))))
        .unwrap_or_default()
}

fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

const fn words(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::OverRelease => "over-release of",
        FindingKind::Leak => "leak of",
        FindingKind::ErrorPathOverRelease => "over-release on an error path of",
        FindingKind::ErrorPathLeak => "leak on an error path of",
        FindingKind::PublishBeforeReserve => "raised before it is reserved:",
        FindingKind::WrongOwner => "release from the wrong owner of",
        FindingKind::Underflow => "underflow of",
        FindingKind::CounterMismatch => "wrong",
    }
}

/// The account as the kernel's source calls it.
#[must_use]
pub const fn kernel_name(account: Account) -> &'static str {
    use SpaceCounter::{BytesMayUse, BytesPinned, BytesReserved};
    match account {
        Account::InodeMetaRsv => "inode block_rsv",
        Account::InodeOutstandingExtents => "inode outstanding_extents",
        Account::InodeCsumBytes => "inode csum_bytes",
        Account::InodeDelallocBytes => "inode delalloc_bytes",
        Account::InodeQgroupData => "qgroup data of an inode",
        Account::RootQgroupMetaPrealloc => "qgroup META_PREALLOC",
        Account::RootQgroupMetaPertrans => "qgroup META_PERTRANS",
        Account::TransRsv => "trans_block_rsv",
        Account::TransDelayedRefsRsv => "trans->delayed_rsv",
        Account::FsDelayedRsv => "delayed_block_rsv",
        Account::FsDelayedRefsRsv => "delayed_refs_rsv",
        Account::FsGlobalRsv => "global_block_rsv",
        Account::FsChunkRsv => "chunk_block_rsv",
        Account::TempRsv => "a temporary block_rsv",
        Account::SpaceData(BytesMayUse) => "data bytes_may_use",
        Account::SpaceData(BytesReserved) => "data bytes_reserved",
        Account::SpaceData(BytesPinned) => "data bytes_pinned",
        Account::SpaceMetadata(BytesMayUse) => "metadata bytes_may_use",
        Account::SpaceMetadata(BytesReserved) => "metadata bytes_reserved",
        Account::SpaceMetadata(BytesPinned) => "metadata bytes_pinned",
        Account::SpaceSystem(BytesMayUse) => "system bytes_may_use",
        Account::SpaceSystem(BytesReserved) => "system bytes_reserved",
        Account::SpaceSystem(BytesPinned) => "system bytes_pinned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(names: &[&str]) -> Vec<Frame> {
        let frame = |name: &&str| Frame {
            address: "0xffffffff81000000".to_owned(),
            symbol: Some((*name).to_owned()),
            offset: Some(5),
            module: None,
        };
        names.iter().map(frame).collect()
    }

    #[test]
    fn the_function_is_the_one_that_does_the_work_of_the_step() {
        let of = |names: &[&str]| function(&stack(names)).map(|(how, name)| format!("{how} {name}"));
        let freed = ["bpf_trace_run5", "btrfs_inode_rsv_release", "btrfs_delalloc_release_extents.isra.0"];
        assert_eq!(of(&freed).as_deref(), Some("in btrfs_delalloc_release_extents"));
        let destroyed = ["__clear_extent_bit", "btrfs_qgroup_check_reserved_leak", "btrfs_destroy_inode"];
        assert_eq!(of(&destroyed).as_deref(), Some("seen in btrfs_destroy_inode"));
        assert_eq!(of(&["btrfs_inode_rsv_release"]).as_deref(), Some("in btrfs_inode_rsv_release"));
        assert_eq!(of(&[]), None);
    }
}
