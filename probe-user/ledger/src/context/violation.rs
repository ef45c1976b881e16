//! A broken rule, before it is a finding.
use super::evidence::Query;
use crate::vocabulary::{
    account::Account,
    finding::{Confidence, FindingKind, Origin, StackRef},
};

/// A broken rule, before it is a finding.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub kind: FindingKind,
    pub account: Account,
    pub fs: u32,
    pub root: Option<u64>,
    pub ino: Option<u64>,
    pub generation: Option<u64>,
    pub amount: u64,
    pub balance_before: Option<i64>,
    pub time: u64,
    pub tid: u32,
    pub stack: StackRef,
    pub origins: Vec<Origin>,
    pub confidence: Confidence,
    pub explanation: String,
    pub query: Query,
}

/// Identity of a finding: violations with the same key are counted in one finding.
pub(crate) type Key = (FindingKind, Account, u32, Option<u64>, Option<u64>);

impl Violation {
    /// A violation of a rule about an account of filesystem `fs`, shown `at` a time (ns) by a thread. Confidence is exact;
    /// all other fields are unknown.
    pub(crate) const fn new(kind: FindingKind, account: Account, fs: u32, at: (u64, u32)) -> Self {
        Self {
            kind,
            account,
            fs,
            root: None,
            ino: None,
            generation: None,
            amount: 0,
            balance_before: None,
            time: at.0,
            tid: at.1,
            stack: StackRef { id: 0, representative: false },
            origins: Vec::new(),
            confidence: Confidence::Exact,
            explanation: String::new(),
            query: Query::Claims { fs },
        }
    }

    pub(crate) const fn key(&self) -> Key {
        (self.kind, self.account, self.fs, self.root, self.ino)
    }
}
