//! What was not seen, and which books can still be trusted.
//!
//! Trust is an epoch: every event that may have hidden a transfer begins a new one, and books whose opening is
//! older than the trusted epoch are unknown. So a loss costs O(1), however many inodes are open.
use std::collections::BTreeMap;

use probe_common::loss::{LOSS_CLASSES, LOSS_SLOTS, LossClass};

use crate::vocabulary::words::total;

/// Where in the session the stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not all hooks are attached yet: what needs two hooks is not judged.
    Before,
    /// All hooks are attached.
    Attached,
    /// Hooks are going: only what one record proves by itself is judged.
    Detaching,
}

/// Loss counters and the epoch of trust.
#[derive(Debug)]
pub(crate) struct Loss {
    counts: [u64; LOSS_SLOTS],
    header: u16,
    announced: u64,
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

    /// `Header.lost` of a record of the kernel side. True if records were lost since the highest one seen.
    ///
    /// Two CPUs may read the count in another order than they take their slots in the recent, so a step back is
    /// not a loss.
    pub(crate) const fn on_header(&mut self, lost: u16) -> bool {
        if lost == self.header {
            return false;
        }
        let step = lost.wrapping_sub(self.header) as i16;
        if step <= 0 {
            return false;
        }
        self.announced += step as u64;
        self.header = lost;
        self.distrust();
        true
    }

    /// Time of the last reading of the counters, `CLOCK_MONOTONIC` ns; 0 before the first.
    pub(crate) const fn read_at(&self) -> u64 {
        self.read_at
    }

    /// The absolute counters were read at `time`. True if a class rose that touches the books.
    pub(crate) fn on_sample(&mut self, time: u64, counts: &[u64; LOSS_SLOTS]) -> bool {
        self.read_at = time;
        let touched = LossClass::ALL.into_iter().any(|class| {
            let index = class as usize;
            class.touches_books() && counts[index] > self.counts[index]
        });
        self.counts = *counts;
        if touched {
            self.distrust();
            self.confirmed = self.trusted;
        } else if self.ring_total() as u16 == self.header {
            // Everything that the headers announced was a stack or a name: the books saw all of their records.
            self.trusted = self.confirmed;
        }
        touched
    }

    fn ring_total(&self) -> u64 {
        total(self.counts[LossClass::BooksRecord as usize..=LossClass::Descriptive as usize].iter().copied())
    }

    /// Something may have been missed: books opened before are unknown from here on.
    pub(crate) const fn distrust(&mut self) {
        self.epoch += 1;
        self.trusted = self.epoch;
    }

    /// What a later sample could have exonerated is lost for good.
    pub(crate) const fn give_up_suspects(&mut self) {
        self.confirmed = self.trusted;
    }

    /// State was dropped to bound memory.
    pub(crate) const fn fold(&mut self, accounts: u64) {
        self.folded += accounts;
        self.distrust();
        self.confirmed = self.trusted;
    }

    /// `whole`: with every hook that the books need. Books with an entry missing on one side are none: then only
    /// what one record proves by itself is judged.
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

    /// True while what needs two hooks can be judged.
    pub(crate) fn judges(&self) -> bool {
        self.phase == Phase::Attached && self.whole
    }

    /// The present epoch; 0 while nothing can be trusted yet.
    pub(crate) const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// True if books that were right at `epoch` are still right. `epoch` 0 never was.
    pub(crate) fn exact(&self, epoch: u32) -> bool {
        self.judges() && self.trusted(epoch)
    }

    /// As [`Self::exact`], also when hooks are going: what was right until then may be shown, but not judged.
    pub(crate) const fn trusted(&self, epoch: u32) -> bool {
        !matches!(self.phase, Phase::Before) && self.whole && epoch > 0 && epoch >= self.trusted
    }

    /// True if nothing that touches the books was missed since all hooks were attached.
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

    /// Records that headers announced as lost and no sample has classified as harmless.
    pub(crate) fn unclassified(&self) -> u64 {
        self.announced.saturating_sub(self.ring_total())
    }

    /// All counts, zero ones included.
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
