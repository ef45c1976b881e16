//! Complaints of the kernel's log: which filesystem each means, and which finding explains it.
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

/// Most of them that the verdict's reasons name.
const MOST_SENTENCES: usize = 16;

/// From a complaint to the record of what it is about, a kernel may have a slow console to write to, ns.
const REACH_NS: u64 = 5_000_000_000;

/// Complaints about reservations that btrfs wrote to the kernel's log: those about one filesystem that differ in numbers
/// alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelLine {
    /// What the first of them says, without level and device.
    pub text: String,
    /// `sb->s_id` as the line has it; `None` if it names no filesystem.
    pub device: Option<String>,
    /// Filesystem ids of the stream that it may mean.
    pub fs: Vec<u32>,
    /// The same in words.
    pub place: String,
    /// Thread that printed the first.
    pub tid: u32,
    /// `CLOCK_MONOTONIC` ns of the first.
    pub first_seen: u64,
    /// `CLOCK_MONOTONIC` ns of the last.
    pub last_seen: u64,
    /// How many.
    pub count: u64,
    /// Of what a filesystem held after an error, which is not judged.
    pub after_error: bool,
    /// Findings that explain them, by [`crate::vocabulary::finding::Finding::id`].
    pub findings: Vec<u32>,
    /// When those came that nothing explains.
    pub open: Vec<Span>,
}

/// All complaints about filesystems that are followed, in the order in which they came first.
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
    /// The filesystems that it means: one that was there and had sent nothing shows with its next record.
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
        // What an error leaves to its filesystem is no bug; what an inode has lost is one all the same.
        let after_error = !of_inode && (self.after_error || (!fs.is_empty() && fs.iter().all(aborted)));
        let about = |finding: &&Finding| {
            topic.means(finding.account) && (self.device.is_none() || fs.contains(&finding.fs))
        };
        let about: Vec<&Finding> = findings.iter().filter(about).collect();
        let explains =
            |finding: &&Finding, span: &Span| finding.first_seen <= span.to.saturating_add(REACH_NS);
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

/// Of what the kernel said it, in the middle of a sentence.
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
    /// True if a finding on `account` can be what a complaint about this is about.
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
    /// The clause for what no finding explains between two times (`CLOCK_MONOTONIC` ns, both included), if anything.
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

    /// The same of the whole stream, as a sentence.
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

/// What is not judged and is no doubt, one sentence each.
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
    /// Complaints of the kernel about reservations so far, in the order in which they came first.
    #[must_use]
    pub fn kernel_lines(&self) -> Vec<KernelLine> {
        let Self { setup, context, filesystems, .. } = self;
        list(&context.printed, setup, &context.pending, filesystems)
    }
}
