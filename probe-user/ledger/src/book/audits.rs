//! Audits so far, and what looked wrong in the last one.
use probe_common::{
    fs::{AUDIT_END, LOOK_END, Levels},
    inode::{Counters, InodeState},
};
use rustc_hash::FxHashMap;

use crate::vocabulary::{account::Account, finding::FindingKind, keys::InodeKey};

/// Comparison of the books with sysfs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditSummary {
    /// Comparisons that were possible: the counter did not change while sysfs was read.
    pub compared: u64,
    /// Comparisons that agreed.
    pub equal: u64,
    /// Comparisons that were not possible, because the counter changed while sysfs was read.
    pub moving: u64,
    /// The last comparison per account, `(sysfs, books)`.
    pub last: Vec<(Account, u64, u64)>,
}

/// Audits of one filesystem.
#[derive(Debug, Default)]
pub(crate) struct Audits {
    pub previous: Option<Box<Round>>,
    pub current: Option<Box<Round>>,
    /// A look of the screen: of what it reads, no rule judges.
    pub look: Option<Box<Round>>,
    pub suspicions: FxHashMap<Subject, Suspicion>,
    pub summary: AuditSummary,
    /// Pairs of audits that were quiet and were judged.
    pub quiet: u64,
}

/// What one audit read, from its start to its end.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub epoch: u32,
    pub links: (u64, u64),
    pub activity: (u64, u64),
    pub inodes: FxHashMap<InodeKey, Counters>,
    pub levels: Option<Levels>,
}

pub(crate) type Subject = (FindingKind, Account, Option<InodeKey>);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Suspicion {
    pub amount: u64,
    pub balance: Option<i64>,
    pub audits: u32,
    pub reported: bool,
    /// `Fs::activity` and `InodeBook::records` at the last audit.
    pub activity: u64,
    pub records: u32,
    pub time: u64,
    /// Epoch of the last audit.
    pub epoch: u32,
}

impl Audits {
    pub(crate) fn inode(&mut self, key: InodeKey, record: &InodeState) {
        for round in [&mut self.current, &mut self.look].into_iter().flatten() {
            round.inodes.insert(key, record.counters);
        }
    }

    pub(crate) fn levels(&mut self, record: &Levels) {
        for round in [&mut self.current, &mut self.look].into_iter().flatten() {
            round.levels = Some(*record);
        }
    }

    /// An audit or a look is under way.
    pub(crate) const fn reads(&self) -> bool {
        self.current.is_some() || self.look.is_some()
    }

    /// The audit or look that a mark of this phase ends, which is still under way.
    pub(crate) fn ends(&self, phase: u32) -> Option<&Round> {
        match phase {
            AUDIT_END => self.current.as_deref(),
            LOOK_END => self.look.as_deref(),
            _ => None,
        }
    }

    /// The inode is destroyed. True if its block_rsv was reported as leaked while it lived.
    pub(crate) fn inode_closed(&mut self, key: InodeKey) -> bool {
        if self.suspicions.is_empty() {
            return false;
        }
        let subject = (FindingKind::Leak, Account::InodeMetaRsv, Some(key));
        let reported = self.suspicions.get(&subject).is_some_and(|suspicion| suspicion.reported);
        self.suspicions.retain(|(_, _, of), _| *of != Some(key));
        reported
    }

    pub(crate) fn end(&mut self) {
        self.previous = None;
        self.current = None;
        self.look = None;
        self.suspicions = FxHashMap::default();
    }
}

impl Round {
    pub(crate) fn is_quiet_since(&self, previous: &Self) -> bool {
        let links = previous.links.0;
        self.epoch == previous.epoch
            && [previous.links.1, self.links.0, self.links.1].into_iter().all(|mark| mark == links)
            && previous.activity.0 == self.activity.1
    }
}
