//! Turns a violation by a call into a pending finding.
use super::context::CallContext;
use crate::{
    book::node::Node,
    vocabulary::{
        account::{Account, DATA_MAY_USE, DATA_RESERVED, METADATA_MAY_USE},
        finding::{Confidence, FindingKind, Origin, Query, Violation},
        keys::InodeKey,
    },
};

/// What is wrong, and how far the kernel's counter is off now: positive if too high.
pub(crate) struct Deviation {
    pub kind: FindingKind,
    pub account: Account,
    pub off: i64,
    /// The amount of the finding, if it is not how far the counter is off.
    pub amount: Option<u64>,
    pub before: Option<i64>,
    pub origins: Vec<Origin>,
    /// The subvolume, if the account belongs to one and not to an inode.
    pub root: Option<u64>,
    /// The inode number, if that is all that is known of the inode.
    pub ino: Option<u64>,
    pub confidence: Confidence,
    pub text: String,
}

impl Deviation {
    /// A leak if `off` is positive, else an over-release.
    pub(crate) const fn of(account: Account, off: i64, text: String) -> Self {
        let kind = if off < 0 { FindingKind::OverRelease } else { FindingKind::Leak };
        Self::new(kind, account, off, text)
    }

    pub(crate) const fn new(kind: FindingKind, account: Account, off: i64, text: String) -> Self {
        let confidence = Confidence::Exact;
        Self {
            kind,
            account,
            off,
            amount: None,
            before: None,
            origins: Vec::new(),
            root: None,
            ino: None,
            confidence,
            text,
        }
    }
}

impl CallContext<'_> {
    /// Reports a deviation of the inode of `node`.
    pub(crate) fn report(&mut self, node: &Node, deviation: Deviation) {
        self.report_on(node, node.inode(), deviation);
    }

    /// Reports a deviation of inode `key`; `None`: of the filesystem.
    pub(crate) fn report_on(&mut self, node: &Node, key: Option<InodeKey>, deviation: Deviation) {
        let Deviation { kind, account, off, amount, before, mut origins, root, ino, confidence, text } =
            deviation;
        if let Some(book) = key.filter(|_| origins.is_empty()).and_then(|key| self.fs.inodes.get(&key)) {
            // We do not know which reservation it was, but we know who reserved for the inode.
            origins = if off < 0 { book.origins_or_last() } else { book.origins() };
        }
        if origins.is_empty() {
            origins = self.fs.reserving_stacks.origins(account);
        }
        self.explain(key, account, off);
        self.shared.defer_call(Violation {
            root: key.map(|key| key.root).or(root),
            ino: key.map(|key| key.ino).or(ino),
            generation: key
                .and_then(|key| self.fs.inodes.get(&key))
                .map(|book| book.generation)
                .filter(|generation| *generation != 0),
            amount: amount.unwrap_or(off.unsigned_abs()),
            balance_before: before,
            stack: node.stack,
            exit: node.exit,
            origins,
            confidence,
            explanation: text,
            query: match key {
                Some(InodeKey { root, ino }) => Query::Inode { fs: node.fs, root, ino },
                None => Query::Task { fs: node.fs, tid: node.tid },
            },
            ..Violation::new(kind, account, node.fs, (node.time, node.tid))
        });
    }

    /// Notes that the counter is off by these bytes. Pending findings that show the same bytes are dropped, and later
    /// violations are compared with it.
    pub(crate) fn explain(&mut self, key: Option<InodeKey>, account: Account, off: i64) {
        let most = off.unsigned_abs();
        let owner = key.map(|key| (key.root, key.ino));
        match account {
            Account::InodeOutstandingExtents | Account::InodeCsumBytes | Account::InodeMetaRsv => {
                if let Some(key) = key {
                    self.fs.reported.add(key, account, off);
                }
                self.shared.pending.absorb(self.fs.id, owner, account, most);
            }
            DATA_MAY_USE => {
                self.fs.reported.data = self.fs.reported.data.saturating_add(off);
                self.shared.pending.absorb(self.fs.id, None, account, most);
            }
            Account::InodeQgroupData => {
                self.fs.reported.qgroup_data = self.fs.reported.qgroup_data.saturating_add(off);
                self.shared.pending.absorb(self.fs.id, None, account, most);
            }
            Account::RootQgroupMetaPrealloc => {
                self.fs.reported.qgroup_prealloc = self.fs.reported.qgroup_prealloc.saturating_add(off);
            }
            Account::RootQgroupMetaPertrans => {
                self.fs.reported.qgroup_pertrans = self.fs.reported.qgroup_pertrans.saturating_add(off);
            }
            Account::FsDelayedRsv => {
                self.fs.reported.delayed = self.fs.reported.delayed.saturating_add(off);
                self.shared.pending.absorb(self.fs.id, None, account, most);
            }
            Account::FsDelayedRefsRsv => {
                self.fs.reported.delayed_refs = self.fs.reported.delayed_refs.saturating_add(off);
            }
            Account::FsChunkRsv => self.fs.reported.chunk = self.fs.reported.chunk.saturating_add(off),
            Account::TransRsv => {
                self.fs.reported.trans = self.fs.reported.trans.saturating_add(off);
                self.shared.pending.absorb(self.fs.id, None, account, most);
            }
            METADATA_MAY_USE | Account::TransDelayedRefsRsv => {
                self.fs.reported.metadata = self.fs.reported.metadata.saturating_add(off);
                self.shared.pending.absorb(self.fs.id, None, account, most);
            }
            DATA_RESERVED => self.fs.reported.extents = self.fs.reported.extents.saturating_add(off),
            Account::TempRsv => self.fs.reported.metadata = self.fs.reported.metadata.saturating_add(off),
            _ => {}
        }
    }
}
