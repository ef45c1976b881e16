//! Lines of the kernel's log in which btrfs complains about reservations: of which filesystem, and what explains them.
//!
//! A line names a device and no account, so it is no finding. But where no finding on the same filesystem and the same kind
//! of account stands beside it, the kernel has seen what the books have not, and `clean` would be wrong.
use std::fmt::Write as _;

use probe_common::failure::LogLine;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    Ledger, Setup,
    docket::Docket,
    filesystem::{Filesystems, Fs},
    finding::{Account, Finding},
    held_back::HeldBack,
    log_line::{Complaint, Line, Topic, complaint, parse, shape},
    names::text,
    spans::{Span, Spans},
    summary::KernelLine,
    verdict::grouped,
    words,
};

/// Most complaints that are told apart; more are only counted.
const MOST: usize = 1024;
/// Most of them that the verdict's reasons name.
const MOST_SENTENCES: usize = 16;
/// From a complaint to the record of what it is about, a kernel may have a slow console to write to, ns.
const REACH_NS: u64 = 5_000_000_000;

/// Complaints of one shape about one filesystem.
#[derive(Debug)]
struct Entry {
    complaint: Complaint,
    /// The first of them.
    text: String,
    device: Option<String>,
    /// Filesystems that it may mean; empty if none with this device was known by then.
    fs: Vec<u32>,
    /// The filesystem had an error by then.
    after_error: bool,
    tid: u32,
    time: u64,
    seen: Spans,
}

type Key = (Vec<u32>, Option<String>, String, bool);

#[derive(Debug, Default)]
pub(super) struct Printed {
    entries: Vec<Entry>,
    index: FxHashMap<Key, usize>,
    held_back: HeldBack,
    beyond: u64,
}

impl Printed {
    pub(super) fn line(&mut self, record: &LogLine, filesystems: &Filesystems) {
        let line = text(&record.text);
        let header = &record.header;
        let said = match parse(&line) {
            None => return,
            Some(Line::HeldBack(count)) => return self.held_back.told(header.tid, count),
            Some(Line::Said(said)) => said,
        };
        self.held_back.said(header.tid, header.time, said.level);
        let Some(complaint) = complaint(said.text) else { return };
        let fs = said.device.map(|device| on_device(filesystems, device)).unwrap_or_default();
        let device = said.device.map(str::to_owned);
        let key = (fs, device, shape(said.text), said.after_error);
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None if self.entries.len() >= MOST => {
                self.beyond = self.beyond.saturating_add(1);
                return;
            }
            None => {
                self.entries.push(Entry {
                    complaint,
                    text: said.text.to_owned(),
                    device: key.1.clone(),
                    fs: key.0.clone(),
                    after_error: said.after_error,
                    tid: header.tid,
                    time: header.time,
                    seen: Spans::default(),
                });
                self.index.insert(key, self.entries.len() - 1);
                self.entries.len() - 1
            }
        };
        if let Some(entry) = self.entries.get_mut(at) {
            entry.seen.add(header.time);
        }
    }

    /// Lines that were not seen and may have been complaints, and complaints that were only counted. Only grows.
    pub(super) fn unread(&self) -> u64 {
        self.held_back.settled().saturating_add(self.beyond)
    }

    /// Filesystems that complaints name.
    pub(super) fn filesystems(&self) -> impl Iterator<Item = u32> + '_ {
        self.entries.iter().flat_map(|entry| entry.fs.iter().copied())
    }

    /// All complaints about filesystems that are followed, in the order in which they came first.
    pub(super) fn list(&self, setup: &Setup, docket: &Docket, filesystems: &Filesystems) -> Vec<KernelLine> {
        let lines = self.entries.iter().map(|entry| entry.judge(docket.findings(), filesystems));
        lines.filter(|line| !(setup.only_named && line.device.is_some() && line.fs.is_empty())).collect()
    }
}

/// Filesystems that a device's name can mean: those that live there; or the one that lived there last, and those whose
/// device is not known yet.
fn on_device(filesystems: &Filesystems, device: &str) -> Vec<u32> {
    let ids = |wanted: &dyn Fn(&Fs) -> bool| -> Vec<u32> {
        filesystems.iter().filter(|fs| wanted(fs)).map(|fs| fs.id).collect()
    };
    let alive = ids(&|fs| !fs.ended && fs.device == device);
    if !alive.is_empty() {
        return alive;
    }
    let last = ids(&|fs| fs.ended && fs.device == device).pop();
    last.into_iter().chain(ids(&|fs| !fs.ended && fs.device.is_empty())).collect()
}

impl Entry {
    /// The filesystems that it means: one that was there and had sent nothing shows with its next record.
    fn filesystems(&self, filesystems: &Filesystems) -> Vec<u32> {
        let Some(device) = self.device.as_deref().filter(|_| self.fs.is_empty()) else {
            return self.fs.clone();
        };
        let was_there = |fs: &&Fs| fs.device == device && !fs.born && fs.span.0 >= self.time;
        filesystems.iter().find(was_there).map(|fs| fs.id).into_iter().collect()
    }

    fn judge(&self, findings: &[Finding], all: &Filesystems) -> KernelLine {
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
    let mut known = fs.iter().filter_map(|id| all.find(*id)).map(|fs| words::uuid(&fs.fsid));
    if let Some(first) = known.next() {
        let more = known.fold(String::new(), |text, uuid| text + " or " + &uuid);
        let _ = write!(place, " ({first}{more})");
    }
    place
}

impl Topic {
    /// True if a finding on `account` can be what a complaint about this is about.
    const fn means(self, account: Account) -> bool {
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
    fn sentence(&self) -> Option<String> {
        let clause = self.clause(0, u64::MAX)?;
        clause.strip_prefix("the ").map(|rest| format!("The {rest}: read the kernel's log."))
    }
}

/// What could hide a finding, one sentence each.
pub(super) fn doubts(printed: &Printed, lines: &[KernelLine]) -> Vec<String> {
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
pub(super) fn notes(printed: &Printed, lines: &[KernelLine]) -> Vec<String> {
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
        let Self { setup, desk, filesystems, .. } = self;
        desk.printed.list(setup, &desk.docket, filesystems)
    }
}

/// Filesystems that must not be forgotten.
pub(super) fn named(docket: &Docket, printed: &Printed) -> FxHashSet<u32> {
    let mut named = docket.filesystems();
    named.extend(printed.filesystems());
    named
}
