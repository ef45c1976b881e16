//! From a broken rule of calls to the docket.
use super::{Bench, tree::Node};
use crate::{
    docket::Violation,
    evidence::Query,
    filesystem::InodeKey,
    finding::{Account, Confidence, FindingKind, Origin, SpaceCounter},
};

/// What is wrong, and by how much the kernel's counter is now off: positive if too high.
pub(super) struct Fault {
    pub kind: FindingKind,
    pub account: Account,
    pub off: i64,
    /// How much was wrong, where that is not how much the counter is off now.
    pub amount: Option<u64>,
    pub before: Option<i64>,
    pub origins: Vec<Origin>,
    pub confidence: Confidence,
    pub text: String,
}

impl Fault {
    /// More is left than should be (`off` positive), or less.
    pub(super) const fn of(account: Account, off: i64, text: String) -> Self {
        let kind = if off < 0 { FindingKind::OverRelease } else { FindingKind::Leak };
        Self::new(kind, account, off, text)
    }

    pub(super) const fn new(kind: FindingKind, account: Account, off: i64, text: String) -> Self {
        let confidence = Confidence::Exact;
        Self { kind, account, off, amount: None, before: None, origins: Vec::new(), confidence, text }
    }
}

/// The bytes of data that may be used.
pub(super) const DATA: Account = Account::SpaceData(SpaceCounter::BytesMayUse);

impl Bench<'_> {
    /// Files a fault of the inode of `node`.
    pub(super) fn report(&mut self, node: &Node, fault: Fault) {
        self.report_on(node, node.inode(), fault);
    }

    /// Files a fault of `key`, or of the filesystem.
    pub(super) fn report_on(&mut self, node: &Node, key: Option<InodeKey>, fault: Fault) {
        let Fault { kind, account, off, amount, before, mut origins, confidence, text } = fault;
        if let Some(book) = key.filter(|_| origins.is_empty()).and_then(|key| self.fs.inodes.get(&key)) {
            // Which reservation it was is not known, but who reserved for the inode is.
            origins = if off < 0 { book.origins_or_last() } else { book.origins() };
        }
        if origins.is_empty() {
            origins = self.fs.givers.origins(account);
        }
        self.explain(key, account, off);
        self.desk.defer_call(Violation {
            kind,
            account,
            fs: node.fs,
            root: key.map(|key| key.root),
            ino: key.map(|key| key.ino),
            generation: key
                .and_then(|key| self.fs.inodes.get(&key))
                .map(|book| book.generation)
                .filter(|generation| *generation != 0),
            amount: amount.unwrap_or(off.unsigned_abs()),
            balance_before: before,
            time: node.time,
            tid: node.tid,
            stack: node.stack,
            origins,
            confidence,
            explanation: text,
            query: match key {
                Some(InodeKey { root, ino }) => Query::Inode { fs: node.fs, root, ino },
                None => Query::Task { fs: node.fs, tid: node.tid },
            },
        });
    }

    /// Whatever else shows that the counter is off by these bytes shows the same bug: what waits is dropped, and
    /// what comes is compared.
    pub(super) fn explain(&mut self, key: Option<InodeKey>, account: Account, off: i64) {
        let most = off.unsigned_abs();
        let owner = key.map(|key| (key.root, key.ino));
        match account {
            Account::InodeOutstandingExtents | Account::InodeCsumBytes | Account::InodeMetaRsv => {
                if let Some(key) = key {
                    self.fs.explained.add(key, account, off);
                }
                self.desk.docket.absorb(self.fs.id, owner, account, most);
            }
            DATA => {
                self.fs.explained.data = self.fs.explained.data.saturating_add(off);
                self.desk.docket.absorb(self.fs.id, None, account, most);
            }
            Account::InodeQgroupData => {
                self.fs.explained.qgroup_data = self.fs.explained.qgroup_data.saturating_add(off);
                self.desk.docket.absorb(self.fs.id, None, account, most);
            }
            Account::TransRsv => {
                self.fs.explained.trans = self.fs.explained.trans.saturating_add(off);
                self.desk.docket.absorb(self.fs.id, None, account, most);
            }
            Account::TempRsv => self.fs.explained.metadata = self.fs.explained.metadata.saturating_add(off),
            _ => {}
        }
    }
}
