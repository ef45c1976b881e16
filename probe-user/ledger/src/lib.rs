//! The books. Pure: no IO, no clock, no `unsafe`; the same stream gives the same findings.
//!
//! Records go in through [`Ledger::apply`], in stream order; findings, a [`summary::Summary`] and the inodes
//! that an audit should look at come out.
//!
//! Policy: a false alarm is the worst defect. A sum below zero, a counter that differs for a moment, a release by
//! another thread are normal and judged nowhere; books are judged only where nothing can be in flight (destroy,
//! unmount, quiet audits) and only if their opening is known and nothing was missed since. What one record proves
//! is a finding at once; what follows from several waits until a loss can no longer explain it. What could not be
//! judged is counted and said in the verdict.
//!
//! Refuses to: balance `delayed_refs_rsv` (it does not balance by design), judge qgroup metadata per owner, judge
//! delayed items per directory, require reserve and release in one task, or guess a subvolume.
#![forbid(unsafe_code)]
mod audit;
mod calls;
mod chains;
mod claims;
mod closing;
mod delalloc;
mod docket;
mod doubts;
mod evidence;
mod failures;
mod filesystem;
pub mod finding;
mod givers;
mod held_back;
mod inode_book;
mod log_line;
mod loss;
mod names;
mod not_judged;
pub mod peek;
pub mod pools;
mod printed;
pub mod spans;
mod statistics;
mod summarise;
pub mod summary;
mod sums;
#[cfg(test)]
pub(crate) mod tests;
mod verdict;
mod warnings;
mod words;

use std::cmp::Reverse;

use probe_common::{
    fs::LEVELS_UNMOUNT,
    hook::HookId,
    inode::MOMENT_DESTROY,
    loss::{LossClass, LossSample},
    task::{Marker, MarkerKind},
};
use probe_record::record::Record;

pub use self::{audit::AuditCandidate, doubts::Doubts, words::uuid};
use self::{
    calls::Calls,
    docket::{Docket, Violation},
    evidence::Ring,
    failures::Failures,
    filesystem::Filesystems,
    finding::{Finding, TaskRef},
    inode_book::InodeBook,
    loss::Loss,
    names::Names,
    printed::Printed,
    statistics::Counts,
    summary::Summary,
    warnings::Warnings,
};

/// What the session could see, and how much the ledger may remember.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Hooks that are attached.
    pub attached: Vec<HookId>,
    /// Hooks that the books need.
    pub required: Vec<HookId>,
    /// Why a hook is not attached.
    pub missing_reasons: Vec<(HookId, String)>,
    /// Only filesystems that were named are followed: what is not known is somebody else's.
    pub only_named: bool,
    /// Most inodes with an account; beyond it accounts are folded, which is counted.
    pub max_inodes: usize,
    /// Records kept as possible evidence.
    pub evidence_window: usize,
}

impl Default for Setup {
    /// Everything of the tracepoint tier is attached.
    fn default() -> Self {
        Self {
            attached: HookId::ALL.into_iter().filter(|hook| !hook.is_function()).collect(),
            required: vec![
                HookId::SpaceReservation,
                HookId::BytesMayUse,
                HookId::BytesPinned,
                HookId::ModOutstanding,
                HookId::InodeEvict,
                HookId::ClearExtentBit,
                HookId::FindFreeExtent,
                HookId::ReserveTicket,
            ],
            missing_reasons: Vec::new(),
            only_named: false,
            max_inodes: 4_000_000,
            evidence_window: 65_536,
        }
    }
}

/// What every rule needs besides the filesystem it looks at.
#[derive(Debug)]
struct Desk {
    loss: Loss,
    names: Names,
    ring: Ring,
    docket: Docket,
    statistics: Counts,
    warnings: Warnings,
    printed: Printed,
}

impl Desk {
    /// See [`Docket::file`].
    fn file(&mut self, violation: Violation) {
        self.docket.file(violation, &self.ring, &self.names);
    }

    /// See [`Docket::defer_call`].
    fn defer_call(&mut self, violation: Violation) {
        self.docket.defer_call(violation, &self.ring, &self.names);
    }

    /// See [`Docket::defer`].
    fn defer(&mut self, violation: Violation) {
        self.docket.defer(violation, &self.ring, &self.names);
    }
}

/// The books of one stream.
#[derive(Debug)]
pub struct Ledger {
    setup: Setup,
    desk: Desk,
    filesystems: Filesystems,
    failures: Failures,
    calls: Calls,
}

impl Ledger {
    /// Empty books.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let calls = Calls::new(&setup);
        let desk = Desk {
            loss: Loss::new(),
            names: Names::default(),
            ring: Ring::new(setup.evidence_window),
            docket: Docket::new(calls.active),
            statistics: Counts::new(),
            warnings: Warnings::default(),
            printed: Printed::default(),
        };
        let failures = Failures::new(calls.active);
        Self { setup, desk, filesystems: Filesystems::default(), failures, calls }
    }

    /// The next record of the stream.
    pub fn apply(&mut self, record: &Record) {
        let Self { setup, desk, filesystems, failures, calls } = self;
        let header = record.header();
        desk.statistics.record(header.hook, header.time);
        // Records of the capture layer carry no loss count of the ring.
        if header.kind < 128 {
            desk.loss.on_header(header.lost);
        }
        match record {
            Record::LossSample(body) => return loss_sample(desk, body),
            Record::Marker(body) => return marker(setup, desk, body),
            Record::Stack(body) => return desk.names.stack(body),
            Record::Warn(body) => return desk.warnings.warned(body),
            Record::LogLine(body) => return desk.printed.line(body, filesystems),
            Record::TaskSeen(body) => {
                if desk.names.task_seen(body) {
                    failures.resolve_undecided(body.header.tid);
                    calls.thread_replaced(body.header.tid);
                    filesystems.iter_mut().for_each(|fs| fs.claims.thread_replaced(body.header.tid));
                }
                return;
            }
            Record::Name(body) => return desk.names.path_seen(body),
            Record::Flush(_) | Record::TestSign(_) | Record::TestNote(_) => return,
            _ => {}
        }
        if header.fs == 0 {
            return;
        }
        let before = filesystems.inodes;
        let fs = filesystems.get(header.fs, &desk.loss, || printed::named(&desk.docket, &desk.printed));
        fs.met(header.time);
        let held = fs.inodes.len();
        match record {
            Record::Delalloc(body) => {
                delalloc::delalloc(desk, fs, body);
                failures.delalloc(desk, body);
            }
            Record::Claim(body) => {
                calls.claim(desk, fs, body);
                claims::claim(desk, fs, body);
            }
            Record::Block(body) => delalloc::block(desk, fs, body),
            Record::Mod(body) => {
                chains::modification(desk, fs, body);
                failures.modification(desk, body);
            }
            Record::InodeState(body) => {
                if body.moment == MOMENT_DESTROY {
                    calls.destroyed(desk, fs, body);
                }
                closing::inode_state(desk, fs, body);
            }
            Record::Chain(body) => chains::chain(desk, fs, body),
            Record::Bmu(body) => failures.bmu(desk, body),
            Record::Enospc(body) => failures.enospc(desk, fs, body),
            Record::Ticket(body) => failures.ticket(desk, fs, body),
            Record::Levels(body) => {
                if body.why == LEVELS_UNMOUNT {
                    calls.unmounted(desk, fs, body);
                }
                closing::levels(desk, fs, body);
            }
            Record::FsSeen(body) => fs.seen(body),
            Record::FsEnd(body) => closing::end(desk, fs, body),
            Record::AuditMark(body) => audit::mark(desk, fs, body),
            Record::SysfsLevels(body) => audit::sysfs(desk, fs, body),
            Record::Call(body) => calls.call(desk, fs, body),
            Record::LossSample(_)
            | Record::Marker(_)
            | Record::Stack(_)
            | Record::Warn(_)
            | Record::LogLine(_)
            | Record::TaskSeen(_)
            | Record::Name(_)
            | Record::Flush(_)
            | Record::TestSign(_)
            | Record::TestNote(_) => {}
        }
        filesystems.inodes = before + fs.inodes.len() - held;
        if filesystems.inodes > setup.max_inodes {
            filesystems.fold(&mut desk.loss);
        }
    }

    /// End of the stream: what was held back until nothing could explain it is settled.
    pub fn finish(&mut self) {
        let Self { setup: _, desk, filesystems, failures, calls } = self;
        failures.finish();
        calls.finish();
        for fs in filesystems.iter_mut() {
            calls.left_over(desk, fs);
            audit::finish(desk, fs);
        }
        desk.docket.settle_all(&desk.names);
    }

    /// Findings so far, in the order made.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        self.desk.docket.findings()
    }

    /// What was missed of the classes that touch the books. Cheap: grows exactly when there is something new to show.
    #[must_use]
    pub fn touching_loss(&self) -> u64 {
        let touching = LossClass::ALL.into_iter().filter(|class| class.touches_books());
        statistics::total(touching.map(|class| self.desk.loss.count(class)))
    }

    /// Everything, as of now. Walks all live inodes.
    #[must_use]
    pub fn summary(&self, top_inodes: usize) -> Summary {
        summarise::summary(self, top_inodes)
    }

    /// Frames of a stack, innermost first, if its record was seen.
    #[must_use]
    pub fn stack(&self, id: u64) -> Option<&[u64]> {
        self.desk.names.frames(id)
    }

    /// A thread, if its name was seen.
    #[must_use]
    pub fn task(&self, tid: u32) -> Option<TaskRef> {
        self.desk.names.task(tid)
    }

    /// Path of an inode, if its name was seen and the inode lives or has a finding.
    #[must_use]
    pub fn path(&self, fs: u32, root: u64, ino: u64) -> Option<&str> {
        self.desk.names.path(fs, filesystem::InodeKey { root, ino })
    }

    /// Live inodes of a filesystem that hold something, or whose books are not known to be right. Those that hold
    /// most come first.
    #[must_use]
    pub fn audit_candidates(&self, fs: u32, limit: usize) -> Vec<AuditCandidate> {
        let Some(fs) = self.filesystems.find(fs) else { return Vec::new() };
        let worth = |book: &InodeBook| {
            book.balance != 0 || book.counters.reserved != 0 || !fs.is_exact(book, &self.desk.loss)
        };
        let mut holders: Vec<_> = fs
            .inodes
            .iter()
            .filter(|(_, book)| worth(book))
            .map(|(key, book)| (Reverse(book.balance.unsigned_abs()), *key, book.address))
            .collect();
        holders.sort_unstable();
        holders
            .into_iter()
            .take(limit)
            .map(|(_, key, address)| AuditCandidate { root: key.root, ino: key.ino, address })
            .collect()
    }
}

fn loss_sample(desk: &mut Desk, sample: &LossSample) {
    if desk.loss.on_sample(sample.header.time, &sample.counts) {
        desk.docket.withdraw_waiting();
    }
    // Only here: records of a backlog may be far ahead of the sample that tells what was missed among them.
    desk.docket.settle(sample.header.time, &desk.names);
}

fn marker(setup: &Setup, desk: &mut Desk, marker: &Marker) {
    if marker.kind == MarkerKind::Attached as u32 {
        desk.loss.attached(setup.required.iter().all(|hook| setup.attached.contains(hook)));
    } else if marker.kind == MarkerKind::Detaching as u32 {
        desk.loss.detaching();
    }
}
