//! Losses, and which books are still exact.
//!
//! Each loss that may have hidden a transfer begins a new epoch. A book whose opening is older than the trusted epoch is
//! unknown. So a loss costs O(1), however many inodes have books.
use std::collections::BTreeMap;

use probe_common::loss::{LOSS_CLASSES, LOSS_SLOTS, LossClass};

use crate::vocabulary::words::total;

/// How far a count may lie below the highest one without a loss: as many records can be lost while a record with the count of
/// before waits for its place in the ring.
const REORDERED: u16 = 1 << 14;

/// Which hooks are attached at this point of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not all hooks are attached yet. Rules that need two hooks judge nothing.
    Before,
    /// All hooks are attached.
    Attached,
    /// Hooks are being detached. Only a violation that one record proves is judged.
    Detaching,
}

/// Loss counters and the epoch of trust.
#[derive(Debug)]
pub(crate) struct Loss {
    counts: [u64; LOSS_SLOTS],
    header: u16,
    announced: u64,
    /// A sample has counted losses that no header has announced yet: the place of the gap is still to come, and what is booked until
    /// then was booked before it.
    ahead: bool,
    read_at: u64,
    epoch: u32,
    trusted: u32,
    confirmed: u32,
    since_attached: u32,
    phase: Phase,
    /// Every hook that the books need is attached.
    whole: bool,
    folded: u64,
}

impl Loss {
    pub(crate) const fn new() -> Self {
        Self {
            counts: [0; LOSS_SLOTS],
            header: 0,
            announced: 0,
            ahead: false,
            read_at: 0,
            epoch: 0,
            trusted: 0,
            confirmed: 0,
            since_attached: 0,
            phase: Phase::Before,
            whole: false,
            folded: 0,
        }
    }

    /// Takes `Header.lost` of a record of the kernel side. True if records were lost since the highest count seen.
    ///
    /// Two CPUs can read the count in one order and take their places in the ring in the other, so a count that is a little lower is
    /// not a loss. All others are: while nobody empties a ring that is full, more are lost than half of what 16 bits can count.
    pub(crate) fn on_header(&mut self, lost: u16) -> bool {
        if lost == self.header {
            return false;
        }
        let step = lost.wrapping_sub(self.header);
        // A gap can end where a record out of order would be. A sample that counts it tells.
        let counted = self.ahead && lost == self.ring_total() as u16;
        if !counted && step >= step.wrapping_neg() && step.wrapping_neg() <= REORDERED {
            return false;
        }
        self.announced += u64::from(step);
        self.header = lost;
        self.meet_sample();
        self.distrust();
        true
    }

    /// Time of the last loss sample, `CLOCK_MONOTONIC` ns; 0 before the first.
    pub(crate) const fn read_at(&self) -> u64 {
        self.read_at
    }

    /// Takes the absolute counters as read at `time`. True if a class that touches the books rose.
    pub(crate) fn on_sample(&mut self, time: u64, counts: &[u64; LOSS_SLOTS]) -> bool {
        self.read_at = time;
        let touched = LossClass::ALL.into_iter().any(|class| {
            let index = class as usize;
            class.touches_books() && counts[index] > self.counts[index]
        });
        self.counts = *counts;
        self.ahead |= touched;
        self.meet_sample();
        if touched {
            self.distrust();
            self.confirmed = self.trusted;
        } else if self.ring_total() as u16 == self.header {
            // All losses that the headers announced were stacks or names, so the books saw all of their records.
            self.trusted = self.confirmed;
        }
        touched
    }

    /// The headers have announced all that the last sample counted, maybe more. A gap that 16 bits cannot count is met by its rest.
    fn meet_sample(&mut self) {
        let total = self.ring_total();
        if total as u16 == self.header {
            self.announced = self.announced.max(total);
        }
        self.ahead &= self.announced < total;
    }

    fn ring_total(&self) -> u64 {
        total(self.counts[LossClass::BooksRecord as usize..=LossClass::Descriptive as usize].iter().copied())
    }

    /// Something may have been missed: every book opened before is unknown from here on.
    pub(crate) const fn distrust(&mut self) {
        self.epoch += 1;
        self.trusted = self.epoch;
    }

    /// Makes suspected losses final: no later sample can prove them harmless.
    pub(crate) const fn give_up_suspects(&mut self) {
        self.confirmed = self.trusted;
    }

    /// Books were dropped to bound memory.
    pub(crate) const fn fold(&mut self, accounts: u64) {
        self.folded += accounts;
        self.distrust();
        self.confirmed = self.trusted;
    }

    /// All hooks are attached. `whole`: including every hook that the books need. Without one of them the books are
    /// incomplete, and only a violation that one record proves is judged.
    pub(crate) const fn attached(&mut self, whole: bool) {
        self.whole = whole;
        self.phase = Phase::Attached;
        self.distrust();
        self.confirmed = self.trusted;
        self.since_attached = self.trusted;
    }

    pub(crate) const fn detaching(&mut self) {
        self.phase = Phase::Detaching;
    }

    pub(crate) const fn phase(&self) -> Phase {
        self.phase
    }

    /// True while rules that need two hooks may judge.
    pub(crate) fn judges(&self) -> bool {
        self.phase == Phase::Attached && self.whole
    }

    /// The current epoch; 0 while nothing can be trusted yet.
    pub(crate) const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// True if a book that was exact at `epoch` is still exact; false for `epoch` 0.
    pub(crate) fn exact(&self, epoch: u32) -> bool {
        self.judges() && self.trusted(epoch)
    }

    /// Like [`Self::exact`], but stays true while hooks are detached: what was exact until then may be shown, not judged.
    pub(crate) const fn trusted(&self, epoch: u32) -> bool {
        !matches!(self.phase, Phase::Before)
            && self.whole
            && !self.ahead
            && epoch > 0
            && epoch >= self.trusted
    }

    /// True if nothing that touches the books was missed since all hooks were attached, and rules may judge.
    pub(crate) fn complete(&self) -> bool {
        self.exact(self.since_attached)
    }

    /// True if nothing that touches the books is known or suspected to be missed since all hooks were attached.
    pub(crate) const fn trusts_all(&self) -> bool {
        self.trusted == self.since_attached
    }

    /// Count of a class.
    pub(crate) const fn count(&self, class: LossClass) -> u64 {
        let folded = if matches!(class, LossClass::LedgerBound) { self.folded } else { 0 };
        self.counts[class as usize].saturating_add(folded)
    }

    /// Records that headers announced as lost and that no sample has classified yet.
    pub(crate) fn unclassified(&self) -> u64 {
        self.announced.saturating_sub(self.ring_total())
    }

    /// All counts, including zeros.
    pub(crate) fn by_class(&self) -> BTreeMap<LossClass, u64> {
        LossClass::ALL.into_iter().take(LOSS_CLASSES).map(|class| (class, self.count(class))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(class: LossClass, count: u64) -> [u64; LOSS_SLOTS] {
        let mut counts = [0; LOSS_SLOTS];
        counts[class as usize] = count;
        counts
    }

    #[test]
    fn nothing_is_exact_before_attached_or_while_detaching() {
        let mut loss = Loss::new();
        assert!(!loss.exact(loss.epoch()));
        loss.attached(true);
        let epoch = loss.epoch();
        assert!(loss.exact(epoch));
        loss.detaching();
        assert!(!loss.exact(epoch));
    }

    #[test]
    fn a_lost_stack_is_exonerated_by_the_next_sample() {
        let mut loss = Loss::new();
        loss.attached(true);
        let epoch = loss.epoch();
        assert!(loss.on_header(2));
        assert!(!loss.exact(epoch));
        assert!(!loss.on_sample(0, &sample(LossClass::Stack, 2)));
        assert!(loss.exact(epoch));
    }

    #[test]
    fn a_gap_of_more_than_half_of_what_a_header_can_count_is_a_loss() {
        for gap in [1, 1_000, 32_767, 32_768, 40_000, 70_000, 100_000] {
            let mut loss = Loss::new();
            loss.attached(true);
            let epoch = loss.epoch();
            assert!(loss.on_header(gap as u16), "{gap}");
            assert!(!loss.exact(epoch), "{gap}");
            // Later records are of the same time.
            let after = loss.epoch();
            assert!(!loss.on_header((gap as u16).wrapping_sub(REORDERED)), "{gap}");
            assert!(loss.exact(after), "{gap}");
        }
    }

    #[test]
    fn what_is_booked_between_a_sample_and_its_gap_is_not_exact() {
        for gap in [3, 40_000, 65_536 - 7, 70_000] {
            let mut loss = Loss::new();
            loss.attached(true);
            // The ring is full of records from before the gap when the sample is taken.
            assert!(loss.on_sample(0, &sample(LossClass::BooksRecord, gap)));
            let before_gap = loss.epoch();
            assert!(!loss.exact(before_gap), "{gap}");
            loss.on_header(gap as u16);
            assert!(!loss.exact(before_gap), "{gap}");
            assert!(loss.exact(loss.epoch()), "{gap}");
        }
    }

    #[test]
    fn a_lost_books_record_stays_lost() {
        let mut loss = Loss::new();
        loss.attached(true);
        let epoch = loss.epoch();
        loss.on_header(1);
        assert!(loss.on_sample(0, &sample(LossClass::BooksRecord, 1)));
        assert!(!loss.exact(epoch));
        assert!(loss.exact(loss.epoch()));
    }

    #[test]
    fn the_header_count_wraps_and_may_step_back() {
        let mut loss = Loss::new();
        loss.attached(true);
        assert!(loss.on_header(0x7fff));
        assert!(loss.on_header(0xfffe));
        assert!(!loss.on_header(0xfffd));
        assert!(loss.on_header(3));
        assert_eq!(loss.unclassified(), 0x1_0003);
    }
}
