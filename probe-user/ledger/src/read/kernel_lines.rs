//! Complaints in the kernel's log: which filesystem each means, and which finding explains it.
use std::fmt::Write as _;

use crate::{
    book::{filesystem::Fs, filesystems::Filesystems},
    context::{
        log_line::{Complaint, Topic},
        pending::PendingFindings,
        printed::{Entry, Printed},
    },
    ledger::Ledger,
    vocabulary::{
        account::Account,
        finding::Finding,
        setup::Setup,
        spans::Span,
        words::{grouped, uuid},
    },
};

/// Most complaints that the verdict's reasons name.
const MOST_SENTENCES: usize = 16;

/// Longest time between a complaint and the record that it is about, ns. A slow console can delay the record.
const REACH_NS: u64 = 5_000_000_000;

/// Complaints of btrfs in the kernel's log that are about the same filesystem and differ in numbers alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelLine {
    /// Text of the first complaint, without level and device.
    pub text: String,
    /// `sb->s_id` as printed; `None` if the line names no filesystem.
    pub device: Option<String>,
    /// Filesystem ids of the stream that it may mean.
    pub fs: Vec<u32>,
    /// The filesystems in words.
    pub place: String,
    /// Thread that printed the first complaint.
    pub tid: u32,
    /// `CLOCK_MONOTONIC` ns of the first.
    pub first_seen: u64,
    /// `CLOCK_MONOTONIC` ns of the last.
    pub last_seen: u64,
    /// Number of complaints.
    pub count: u64,
    /// About a filesystem that had an error before; what such a filesystem still holds is not judged.
    pub after_error: bool,
    /// Findings that explain them, by [`crate::vocabulary::finding::Finding::id`].
    pub findings: Vec<u32>,
    /// Times of complaints that no finding explains.
    pub open: Vec<Span>,
}

/// Complaints about followed filesystems, in the order of their first line.
pub(crate) fn list(
    printed: &Printed,
    setup: &Setup,
    pending: &PendingFindings,
    filesystems: &Filesystems,
) -> Vec<KernelLine> {
    let lines = printed.entries.iter().map(|entry| entry.judge(pending.findings(), filesystems));
    lines.filter(|line| !(setup.only_named && line.device.is_some() && line.fs.is_empty())).collect()
}

impl Entry {
    /// Filesystems that the complaint means. A filesystem that had sent no record yet is found by its next record.
    pub(crate) fn filesystems(&self, filesystems: &Filesystems) -> Vec<u32> {
        let Some(device) = self.device.as_deref().filter(|_| self.fs.is_empty()) else {
            return self.fs.clone();
        };
        let was_there = |fs: &&Fs| fs.device == device && !fs.born && fs.span.0 >= self.time;
        filesystems.iter().find(was_there).map(|fs| fs.id).into_iter().collect()
    }

    pub(crate) fn judge(&self, findings: &[Finding], all: &Filesystems) -> KernelLine {
        let fs = self.filesystems(all);
        let Complaint { topic, of_inode } = self.complaint;
        let aborted = |id: &u32| all.find(*id).is_some_and(|fs| fs.aborted);
        // What is left after an error of the filesystem is no bug, but a leak of an inode is one in any case.
        let after_error = !of_inode && (self.after_error || (!fs.is_empty() && fs.iter().all(aborted)));
        let about = |finding: &&Finding| {
            topic.means(finding.violation.account)
                && (self.device.is_none() || fs.contains(&finding.violation.fs))
        };
        let about: Vec<&Finding> = findings.iter().filter(about).collect();
        let explains =
            |finding: &&Finding, span: &Span| finding.violation.time <= span.to.saturating_add(REACH_NS);
        let spans = self.seen.list();
        let open =
            spans.iter().filter(|span| !after_error && !about.iter().any(|finding| explains(finding, span)));
        let explaining = about.iter().filter(|finding| spans.iter().any(|span| explains(finding, span)));
        KernelLine {
            text: self.text.clone(),
            place: place(self.device.as_deref(), &fs, all),
            device: self.device.clone(),
            tid: self.tid,
            first_seen: spans.iter().map(|span| span.from).min().unwrap_or(self.time),
            last_seen: spans.iter().map(|span| span.to).max().unwrap_or(self.time),
            count: count(spans),
            after_error,
            findings: explaining.map(|finding| finding.id).collect(),
            open: open.copied().collect(),
            fs,
        }
    }
}

fn count<'a>(spans: impl IntoIterator<Item = &'a Span>) -> u64 {
    spans.into_iter().fold(0, |sum, span| sum.saturating_add(span.count))
}

/// The device and filesystems that a complaint is about, for the middle of a sentence.
fn place(device: Option<&str>, fs: &[u32], all: &Filesystems) -> String {
    let Some(device) = device else { return "without a filesystem".to_owned() };
    let mut place = format!("of {device}");
    let mut known = fs.iter().filter_map(|id| all.find(*id)).map(|fs| uuid(&fs.fsid));
    if let Some(first) = known.next() {
        let more = known.fold(String::new(), |text, uuid| text + " or " + &uuid);
        let _ = write!(place, " ({first}{more})");
    }
    place
}

impl Topic {
    /// True if a finding on `account` can explain this complaint.
    pub(crate) const fn means(self, account: Account) -> bool {
        match account {
            Account::InodeQgroupData | Account::RootQgroupMetaPrealloc | Account::RootQgroupMetaPertrans => {
                matches!(self, Self::Qgroups)
            }
            Account::InodeOutstandingExtents
            | Account::InodeCsumBytes
            | Account::InodeDelallocBytes
            | Account::SpaceData(_) => matches!(self, Self::Data | Self::Pools),
            Account::InodeMetaRsv
            | Account::TransRsv
            | Account::TransDelayedRefsRsv
            | Account::FsDelayedRsv
            | Account::FsDelayedRefsRsv
            | Account::FsGlobalRsv
            | Account::FsChunkRsv
            | Account::TempRsv
            | Account::SpaceMetadata(_)
            | Account::SpaceSystem(_) => matches!(self, Self::Pools),
        }
    }
}

impl KernelLine {
    /// A clause about complaints between `from` and `to` (`CLOCK_MONOTONIC` ns, both included) that no finding explains, if
    /// any.
    #[must_use]
    pub fn clause(&self, from: u64, to: u64) -> Option<String> {
        let Self { text, place, .. } = self;
        match count(self.open.iter().filter(|span| span.touches(from, to))) {
            0 => None,
            1 => Some(format!("the kernel said {place}: \"{text}\", and no finding says why")),
            n => Some(format!(
                "the kernel complained {} times {place}, first with \"{text}\", and no finding says why",
                grouped(n)
            )),
        }
    }

    /// The same for the whole stream, as a sentence.
    pub(crate) fn sentence(&self) -> Option<String> {
        let clause = self.clause(0, u64::MAX)?;
        clause.strip_prefix("the ").map(|rest| format!("The {rest}: read the kernel's log."))
    }
}

/// What could hide a finding, one sentence each.
pub(crate) fn doubts(printed: &Printed, lines: &[KernelLine]) -> Vec<String> {
    let mut doubts: Vec<String> = lines.iter().filter_map(KernelLine::sentence).collect();
    if let Some(more) = doubts.len().checked_sub(MOST_SENTENCES).filter(|more| *more > 0) {
        doubts.truncate(MOST_SENTENCES);
        doubts
            .push(format!("{more} more complaints of the kernel stand in kernel_lines of the JSON report."));
    }
    if printed.beyond > 0 {
        doubts.push(format!("{} more complaints of the kernel were only counted.", grouped(printed.beyond)));
    }
    let held_back = printed.held_back.complaints();
    if held_back > 0 {
        doubts.push(format!(
            "{} lines of btrfs were held back from the kernel's log and may have been complaints: run again with less at a time.",
            grouped(held_back)
        ));
    }
    if printed.held_back.may_be_more() {
        doubts.push(
            "btrfs had said as much as the kernel's log takes of it at a time, and what was held back may have been \
             complaints: read the kernel's log."
                .to_owned(),
        );
    }
    doubts
}

/// What is not judged without being a doubt, one sentence each.
pub(crate) fn notes(printed: &Printed, lines: &[KernelLine]) -> Vec<String> {
    let after_error =
        lines.iter().filter(|line| line.after_error).fold(0_u64, |sum, line| sum.saturating_add(line.count));
    [
        (
            after_error,
            "complaints of the kernel about what a filesystem held after an error were not judged.",
        ),
        (
            printed.held_back.others(),
            "lines of btrfs without a warning were held back from the kernel's log.",
        ),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{} {what}", grouped(count)))
    .collect()
}

impl Ledger {
    /// Complaints of btrfs about reservations so far, in the order of their first line.
    #[must_use]
    pub fn kernel_lines(&self) -> Vec<KernelLine> {
        let Self { setup, context, filesystems, .. } = self;
        list(&context.printed, setup, &context.pending, filesystems)
    }
}
