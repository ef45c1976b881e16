//! Who reserved in all: bytes by reserving stack. Metadata only: nothing shows data reservations with their stacks on every tier.
//!
//! Bytes of one reservation can be counted in two accounts, if they were handed on: a delayed inode item is paid by its inode.
use probe_common::{
    claim::{CLAIM_NOT_GIVEN_BACK, CLAIM_RESERVE, Claim, ClaimType},
    inode::{DELALLOC_RESERVE, DELALLOC_STACK_REPRESENTATIVE, Delalloc},
};
use probe_ledger::{Account, Origin, StackRef};
use rustc_hash::FxHashMap;

/// Most stacks that are kept.
const MOST: usize = 1024;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reserving {
    /// By filesystem id of the stream, account and stack id; the last number tells whether it is a representative stack.
    stacks: FxHashMap<(u32, Account, u64), (u64, u64, bool)>,
    /// Bytes of reservations of which no stack is kept.
    without: u64,
}

/// Stacks that reserved, most bytes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stacks {
    /// Filesystem id of the stream, account, and what the stack reserved.
    pub list: Vec<(u32, Account, Origin)>,
    /// Bytes of others, and of reservations without a stack.
    pub others: u64,
}

impl Reserving {
    #[inline]
    pub(super) fn delalloc(&mut self, body: &Delalloc) {
        if body.flags & DELALLOC_RESERVE != 0 {
            let representative = body.flags & DELALLOC_STACK_REPRESENTATIVE != 0;
            let stack = StackRef { id: body.stack, representative };
            self.add(body.header.fs, Account::InodeMetaRsv, body.bytes, stack);
        }
    }

    #[inline]
    pub(super) fn claim(&mut self, body: &Claim) {
        if body.flags & CLAIM_RESERVE == 0 || body.flags & CLAIM_NOT_GIVEN_BACK != 0 {
            return;
        }
        let account = match ClaimType::from_u32(body.claim) {
            Some(ClaimType::Transaction) => Account::TransRsv,
            Some(ClaimType::DelayedItem | ClaimType::DelayedInode) => Account::FsDelayedRsv,
            Some(ClaimType::LocalDelayedRefs) => Account::TransDelayedRefsRsv,
            None => return,
        };
        self.add(body.header.fs, account, body.bytes, StackRef { id: body.stack, representative: true });
    }

    fn add(&mut self, fs: u32, account: Account, bytes: u64, stack: StackRef) {
        if stack.id == 0 {
            self.without = self.without.saturating_add(bytes);
            return;
        }
        let key = (fs, account, stack.id);
        if self.stacks.len() >= MOST && !self.stacks.contains_key(&key) {
            self.forget();
        }
        let (sum, count, representative) = self.stacks.entry(key).or_default();
        *sum = sum.saturating_add(bytes);
        *count += 1;
        *representative |= stack.representative;
    }

    /// Forgets the half that reserved least.
    fn forget(&mut self) {
        let mut all: Vec<_> = self.stacks.drain().collect();
        all.sort_unstable_by_key(|(key, (bytes, ..))| (std::cmp::Reverse(*bytes), *key));
        let least = all.split_off(MOST / 2);
        self.without = least.iter().fold(self.without, |sum, (_, (bytes, ..))| sum.saturating_add(*bytes));
        self.stacks = all.into_iter().collect();
    }

    /// The stacks that reserved most.
    #[must_use]
    pub fn most(&self, most: usize) -> Stacks {
        let all = self.stacks.iter().map(|((fs, account, id), (bytes, count, representative))| {
            let stack = StackRef { id: *id, representative: *representative };
            (*fs, *account, Origin { bytes: *bytes, count: *count, stack })
        });
        Stacks::most(all.collect(), self.without, most)
    }
}

impl Stacks {
    /// The `most` with most bytes of these, with `others` besides.
    #[must_use]
    pub fn most(mut list: Vec<(u32, Account, Origin)>, mut others: u64, most: usize) -> Self {
        list.sort_unstable_by_key(|(fs, account, origin)| {
            (std::cmp::Reverse(origin.bytes), *fs, *account, origin.stack.id)
        });
        for (_, _, origin) in list.drain(list.len().min(most)..) {
            others = others.saturating_add(origin.bytes);
        }
        Self { list, others }
    }
}
