//! The inode book: the book of one inode's delalloc block_rsv.
//!
//! `balance = opening + reserved - released - tree blocks paid by own bytes - delayed inode items`. That is what
//! `block_rsv.reserved` must be when no operation is in flight. At other times records may lag behind the changes in either
//! direction, so a balance is judged only when nothing can be in flight.
use probe_common::inode::{COUNTERS_VALID, Counters};

use crate::vocabulary::finding::{Origin, StackRef};

/// Most reserving stacks kept per inode, after the first.
const MORE_ORIGINS: usize = 3;

/// The inode book. Kept small: there is one per live inode.
#[derive(Clone, Debug, Default)]
pub(crate) struct InodeBook {
    /// Balance in bytes.
    pub balance: i64,
    /// Epoch since which the balance is exact; 0 if only the birth of the filesystem can make it so.
    pub exact_since: u32,
    /// Tree blocks that the inode paid for from its own bytes, saturating.
    pub blocks: u16,
    /// Tree blocks for which it is not known whether the inode paid from its own bytes, saturating.
    pub doubtful_blocks: u8,
    /// The opening balance comes from an audit. The record of a release that was in flight then may still come.
    pub by_audit: bool,
    /// The kernel's counters as last seen.
    pub counters: Counters,
    pub address: u64,
    pub generation: u64,
    pub reserved_total: u64,
    pub reservations: u32,
    /// Records of this inode so far, wrapping. Shows whether anything happened between two audits.
    pub records: u32,
    pub last_tid: u32,
    /// Links of the `outstanding_extents` chain, saturating.
    pub links: u32,
    /// The first stack that reserved. In place, because most inodes that hold something got it from one stack.
    first: Origins,
    /// The stacks after the first, no longer than needed.
    more: Box<[Origins]>,
    /// The stack that reserved last, even if its bytes are released; 0 if none.
    last_stack: u64,
}

/// A stack that reserved. 24 bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Origins {
    stack: u64,
    bytes: u64,
    /// Number of reservations, saturating below [`REPRESENTATIVE`], which is or-ed in. 0: no stack.
    count: u32,
}

/// Flag in `Origins::count`: the stack is a representative stack.
const REPRESENTATIVE: u32 = 1 << 31;

impl InodeBook {
    /// Opens the book at first sight of the inode.
    pub(crate) fn open(by_audit: bool) -> Self {
        Self { by_audit, ..Self::default() }
    }

    /// Reads each cache line of the book.
    pub(crate) const fn touch(&self) -> u64 {
        self.balance as u64
            ^ self.counters.csum_bytes
            ^ self.links as u64
            ^ self.first.bytes
            ^ self.last_stack
    }

    /// Bytes were reserved.
    pub(crate) fn reserve(&mut self, bytes: u64, tid: u32, stack: StackRef) {
        self.balance = self.balance.wrapping_add_unsigned(bytes);
        self.reserved_total = self.reserved_total.wrapping_add(bytes);
        self.reservations = self.reservations.saturating_add(1);
        self.records = self.records.wrapping_add(1);
        self.last_tid = tid;
        if stack.id != 0 {
            self.last_stack = stack.id;
            self.remember(bytes, stack);
        }
    }

    /// Bytes were taken out.
    pub(crate) const fn take(&mut self, bytes: u64) {
        self.balance = self.balance.wrapping_sub_unsigned(bytes);
        self.records = self.records.wrapping_add(1);
    }

    /// True if blocks of unknown payer explain `surplus` bytes by which the balance is too high.
    pub(crate) const fn explained_by_doubtful_blocks(&self, surplus: i64, nodesize: u64) -> bool {
        let surplus = surplus.unsigned_abs();
        nodesize != 0 && surplus.is_multiple_of(nodesize) && surplus / nodesize <= self.doubtful_blocks as u64
    }

    /// Takes the kernel's counters if they are valid.
    pub(crate) const fn set_counters(&mut self, counters: &Counters) {
        if counters.flags & COUNTERS_VALID != 0 {
            self.counters = *counters;
        }
    }

    /// True if the kernel's counters show nothing reserved, nothing dirty and no operation in flight.
    pub(crate) const fn kernel_is_empty(&self) -> bool {
        is_idle(&self.counters) && self.counters.reserved == 0 && self.counters.size == 0
    }

    /// The stacks that reserved since the inode was last empty, most bytes first.
    pub(crate) fn origins(&self) -> Vec<Origin> {
        let origin = |slot: &Origins| Origin {
            bytes: slot.bytes,
            count: u64::from(slot.count & !REPRESENTATIVE),
            stack: StackRef { id: slot.stack, representative: slot.count & REPRESENTATIVE != 0 },
        };
        let first = Some(&self.first).filter(|first| first.count > 0);
        let mut origins: Vec<Origin> = first.into_iter().chain(&self.more).map(origin).collect();
        origins.sort_by_key(|origin| std::cmp::Reverse(origin.bytes));
        origins
    }

    /// The stack that reserved last: if more is released than was reserved, no other stack is known.
    fn last_origin(&self) -> Option<Origin> {
        let stack = StackRef { id: self.last_stack, representative: true };
        (self.last_stack != 0).then_some(Origin { bytes: 0, count: 1, stack })
    }

    /// [`Self::origins`], or the stack that reserved last if the inode was empty before more was taken from it.
    pub(crate) fn origins_or_last(&self) -> Vec<Origin> {
        let mut origins = self.origins();
        if origins.is_empty() {
            origins.extend(self.last_origin());
        }
        origins
    }

    /// The inode holds nothing, so no stack so far has reserved anything that is still held.
    pub(crate) fn forget_origins(&mut self) {
        self.first = Origins::default();
        if !self.more.is_empty() {
            self.more = Box::default();
        }
    }

    fn remember(&mut self, bytes: u64, stack: StackRef) {
        let slot = if self.first.count == 0 || self.first.stack == stack.id {
            &mut self.first
        } else {
            let known = self.more.iter().position(|slot| slot.stack == stack.id);
            if known.is_none() && self.more.len() < MORE_ORIGINS {
                let mut longer = Vec::with_capacity(self.more.len() + 1);
                longer.extend_from_slice(&self.more);
                longer.push(Origins::default());
                self.more = longer.into_boxed_slice();
            }
            // All stacks after the first three share the last slot, which shows the newest of them.
            let last = self.more.len().saturating_sub(1);
            let Some(slot) = self.more.get_mut(known.unwrap_or(last)) else { return };
            slot
        };
        slot.stack = stack.id;
        slot.bytes = slot.bytes.wrapping_add(bytes);
        let count = ((slot.count & !REPRESENTATIVE) + 1).min(REPRESENTATIVE - 1);
        slot.count = count | if stack.representative { REPRESENTATIVE } else { 0 };
    }
}

/// True if no extent is outstanding, no checksum bytes are counted and no data is dirty: no task reserves or writes back.
pub(crate) const fn is_idle(counters: &Counters) -> bool {
    counters.flags & COUNTERS_VALID != 0
        && counters.outstanding_extents == 0
        && counters.csum_bytes == 0
        && counters.delalloc_bytes == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_inode_costs_at_most_200_bytes() {
        // With its hash. A place in the index takes 9 bytes, and 7/16 to 7/8 of them are used.
        let entry = size_of::<(u64, crate::vocabulary::keys::InodeKey, InodeBook)>() + 9 * 16 / 7;
        assert!(entry <= 200, "{entry}");
    }

    #[test]
    fn origins_are_bounded_and_sorted() {
        let mut book = InodeBook::default();
        for id in 1..=6 {
            book.reserve(id * 100, 1, StackRef { id, representative: false });
        }
        let origins = book.origins();
        assert_eq!(origins.len(), 4);
        assert_eq!((origins[0].stack.id, origins[0].bytes, origins[0].count), (6, 1500, 3));
        book.forget_origins();
        assert!(book.origins().is_empty());
        // Two ordered extents end at once, one of them twice. Between the two ends of that one, the balance is zero.
        let last = book.origins_or_last();
        assert_eq!((last.len(), last[0].stack.representative), (1, true));
    }
}
