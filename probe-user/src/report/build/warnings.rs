//! Results of the kernel's own checks of its accounting.
//!
//! A WARN shows no filesystem, inode or bytes, so it is not a finding. But if btrfs's own check of an account that we follow
//! fails, and we have no finding of that kind, then we missed something, and `clean` would be wrong.
use probe_ledger::{Account, Finding, FsSummary, KernelWarn, Span};

use super::StackResolver;
use crate::report::model::Frame;

/// Longest time, in ns, from the first WARN of a check to the record of what it found, and from the last record of a filesystem to
/// the WARNs of its unmount. A slow console can take that long.
const REACH_NS: u64 = 5_000_000_000;
/// `ERROR_DETECTOR_WARN` (`include/trace/events/error_report.h`).
const DETECTOR_WARN: u64 = 2;

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checks {
    /// Counters of an inode that goes.
    Inode,
    /// What its qgroups still hold for an inode that goes.
    InodeQgroups,
    /// What is left in space_infos, block_rsvs and qgroups when a filesystem goes: also what its inodes have lost.
    Unmount,
}

/// Functions of btrfs that warn where reservations are not as they should be, 6.1 to 7.x. Those of an underflow of
/// `bytes_may_use` are not among them: they are inlined everywhere, and the event of the same change shows it.
const CHECKS: [(&str, Checks); 8] = [
    // inode.c
    ("btrfs_destroy_inode", Checks::Inode),
    // qgroup.c
    ("btrfs_qgroup_check_reserved_leak", Checks::InodeQgroups),
    ("btrfs_check_quota_leak", Checks::Unmount),
    // disk-io.c; in debug builds it warns if `btrfs_check_quota_leak()` found something.
    ("close_ctree", Checks::Unmount),
    // block-group.c; since 6.15 the second one is split off the first.
    ("btrfs_free_block_groups", Checks::Unmount),
    ("check_removing_space_info", Checks::Unmount),
    ("btrfs_put_block_group", Checks::Unmount),
    // block-rsv.c
    ("btrfs_release_global_block_rsv", Checks::Unmount),
];

impl Checks {
    /// True if a finding on `account` can be what such a check warns of.
    const fn means(self, account: Account) -> bool {
        match account {
            Account::InodeMetaRsv
            | Account::InodeOutstandingExtents
            | Account::InodeCsumBytes
            | Account::InodeDelallocBytes => !matches!(self, Self::InodeQgroups),
            Account::InodeQgroupData | Account::RootQgroupMetaPrealloc | Account::RootQgroupMetaPertrans => {
                !matches!(self, Self::Inode)
            }
            Account::TransRsv
            | Account::TransDelayedRefsRsv
            | Account::FsDelayedRsv
            | Account::FsDelayedRefsRsv
            | Account::FsGlobalRsv
            | Account::FsChunkRsv
            | Account::TempRsv
            | Account::SpaceData(_)
            | Account::SpaceMetadata(_)
            | Account::SpaceSystem(_) => matches!(self, Self::Unmount),
        }
    }
}

/// The kernel's checks that look at such an account.
#[must_use]
pub fn checks_of(account: Account) -> Vec<&'static str> {
    CHECKS.into_iter().filter(|(_, checks)| checks.means(account)).map(|(name, _)| name).collect()
}

/// What WARNs are held against.
pub struct Explanations<'a> {
    /// What was found.
    pub findings: Vec<&'a Finding>,
    /// Filesystems, to know when they went.
    pub filesystems: &'a [FsSummary],
    /// Names of addresses.
    pub stacks: &'a dyn StackResolver,
}

impl Explanations<'_> {
    /// True if something says why a check has failed.
    fn explain(&self, checks: Option<Checks>, span: &Span) -> bool {
        match checks {
            Some(Checks::Unmount) => self.filesystems.iter().any(|fs| self.explains_end(fs, span)),
            _ => self.findings.iter().any(|finding| {
                checks.is_none_or(|checks| checks.means(finding.violation.account))
                    && self.lives(finding, span)
            }),
        }
    }

    /// A filesystem that went then: something was found on it, or it was aborted, and what is left then is no bug.
    fn explains_end(&self, fs: &FsSummary, span: &Span) -> bool {
        let near = span.touches(fs.span.1.saturating_sub(REACH_NS), fs.span.1.saturating_add(REACH_NS));
        let found = || {
            self.findings.iter().any(|finding| {
                finding.violation.fs == fs.fs && Checks::Unmount.means(finding.violation.account)
            })
        };
        fs.ended && near && (fs.aborted || found())
    }

    /// A finding before the WARN, or out of the same call of the kernel, on a filesystem that was not gone yet: what an inode
    /// has lost is warned of when it goes, which may be long after.
    fn lives(&self, finding: &Finding, span: &Span) -> bool {
        let fs = self.filesystems.iter().find(|fs| fs.fs == finding.violation.fs);
        let end = match fs {
            Some(fs) if !fs.ended => u64::MAX,
            Some(fs) => fs.span.1,
            None => finding.last_seen,
        };
        finding.violation.time <= span.to.saturating_add(REACH_NS)
            && span.from <= end.saturating_add(REACH_NS)
    }
}

/// Failed checks from one time to another (`CLOCK_MONOTONIC` ns, both included) that no finding explains, one clause each.
#[must_use]
pub fn unexplained(
    warnings: &[KernelWarn],
    explanations: &Explanations<'_>,
    (from, to): (u64, u64),
) -> Vec<String> {
    let mut clauses = Vec::new();
    for warning in warnings {
        let Frame { address, symbol, .. } = explanations.stacks.symbolize(warning.address);
        let (place, checks) = match symbol.as_deref().map(function) {
            Some(name) => match CHECKS.iter().find(|(check, _)| *check == name) {
                Some((_, checks)) => (name.to_owned(), Some(*checks)),
                None => continue,
            },
            // btrfs was there when the symbols were read: with symbols a place without a name is of a module that came later.
            None if warning.detector == DETECTOR_WARN && !explanations.stacks.knows_names() => {
                (address, None)
            }
            None => continue,
        };
        let left = warning.seen.list().iter().filter(|span| span.touches(from, to));
        let left = left.filter(|span| !explanations.explain(checks, span));
        match left.fold(0_u64, |sum, span| sum.saturating_add(span.count)) {
            0 => {}
            1 => clauses.push(format!("the kernel warned in {place}, and no finding says why")),
            n => clauses.push(format!("the kernel warned {n} times in {place}, and no finding says why")),
        }
    }
    clauses
}

/// A function without what the compiler put behind its name (`.cold`, `.isra.0`).
fn function(symbol: &str) -> &str {
    symbol.split('.').next().unwrap_or(symbol)
}

/// Failed checks of the whole stream that no finding explains, one sentence each.
#[must_use]
pub fn failed_checks(warnings: &[KernelWarn], explanations: &Explanations<'_>) -> Vec<String> {
    unexplained(warnings, explanations, (0, u64::MAX)).iter().map(|clause| sentence(clause)).collect()
}

fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let capital: String = letters.next().map(char::to_uppercase).into_iter().flatten().collect();
    format!("{capital}{}: read the kernel's log.", letters.as_str())
}
