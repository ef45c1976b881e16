//! When something was missed. Pure.
use probe_ledger::Doubts;

/// Most spans that are kept apart; neighbours are put together beyond it.
const MOST: usize = 20_000;
/// A loss shows up at the next look for one, which come ten times a second; one that takes a whole reading to show lies
/// between that and the reading before.
const READING_NS: u64 = 250_000_000;
/// A suspicion waits for a reading so much later, and is dropped if a loss turns up by then that could explain it; else it
/// is a finding, or counted as one more.
pub const SETTLE_NS: u64 = 10_000_000_000;

/// What was missed between two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: u64,
    to: u64,
    missed: Doubts,
}

/// What was missed, over the time of the stream.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    spans: Vec<Span>,
    last: Doubts,
    read_until: u64,
    /// Time of the last reading of the losses at that look.
    read: u64,
}

impl Timeline {
    /// What is missed in all as of `time`, which is that of the stream, with its losses as they were read at `read`.
    pub fn read_doubts(&mut self, time: u64, read: u64, doubts: Doubts) {
        // A time that steps back would put the spans out of order.
        let time = time.max(self.read_until);
        if doubts != self.last {
            let missed = doubts.since(&self.last);
            self.last = doubts;
            // A reading tells of all that was missed since the one before, however far the stream is ahead of it.
            self.spans.push(Span { from: self.read_until.min(self.read).min(time), to: time, missed });
            if self.spans.len() > MOST {
                self.fold();
            }
        }
        self.read_until = time;
        self.read = self.read.max(read);
    }

    /// Time of the last look.
    #[must_use]
    pub const fn read_until(&self) -> u64 {
        self.read_until
    }

    /// What may have been missed between two moments.
    #[must_use]
    pub fn between(&self, from: u64, to: u64) -> Doubts {
        let mut sum = Doubts { blind: self.last.blind, ..Doubts::default() };
        // Time only grows from look to look, so both begins and ends of spans are in order.
        let first = self.spans.partition_point(|span| span.to < from);
        let after = self.spans.get(first..).unwrap_or_default();
        for span in after.iter().take_while(|span| span.from <= to.saturating_add(SETTLE_NS)) {
            if span.from <= to.saturating_add(READING_NS) {
                sum.add(&span.missed);
            } else {
                sum.withdrawn = sum.withdrawn.saturating_add(span.missed.withdrawn);
                sum.beyond = sum.beyond.saturating_add(span.missed.beyond);
            }
        }
        sum
    }

    fn fold(&mut self) {
        let halves = self.spans.chunks(2).map(|pair| {
            let mut sum = pair[0];
            for other in &pair[1..] {
                sum.to = sum.to.max(other.to);
                sum.missed.add(&other.missed);
            }
            sum
        });
        self.spans = halves.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn lost(lost: u64) -> Doubts {
        Doubts { lost, ..Doubts::default() }
    }

    #[test]
    fn a_loss_falls_into_the_windows_around_it() {
        let mut timeline = Timeline::default();
        timeline.read_doubts(10 * SECOND, 10 * SECOND, Doubts::default());
        timeline.read_doubts(11 * SECOND, 11 * SECOND, lost(5));
        timeline.read_doubts(20 * SECOND, 20 * SECOND, lost(5));
        assert_eq!(timeline.between(9 * SECOND, 10 * SECOND).lost, 5);
        assert_eq!(timeline.between(11 * SECOND, 12 * SECOND).lost, 5);
        assert_eq!(timeline.between(12 * SECOND, 30 * SECOND), Doubts::default());
        assert_eq!(timeline.between(0, 9 * SECOND), Doubts::default());
    }

    /// As when the tool was stopped: the stream is ahead of what is known to be missed.
    #[test]
    fn a_loss_falls_into_all_windows_since_the_reading_before() {
        let mut timeline = Timeline::default();
        timeline.read_doubts(10 * SECOND, 10 * SECOND, Doubts::default());
        timeline.read_doubts(30 * SECOND, 10 * SECOND, Doubts::default());
        timeline.read_doubts(31 * SECOND, 31 * SECOND, Doubts { withdrawn: 1, ..lost(5) });
        let missed = timeline.between(12 * SECOND, 13 * SECOND);
        assert_eq!((missed.lost, missed.withdrawn), (5, 1));
        assert_eq!(timeline.between(0, 9 * SECOND).lost, 0);
    }

    #[test]
    fn a_dropped_suspicion_may_come_from_a_window_before() {
        let mut timeline = Timeline::default();
        timeline.read_doubts(20 * SECOND, 20 * SECOND, Doubts::default());
        timeline.read_doubts(21 * SECOND, 21 * SECOND, Doubts { withdrawn: 1, lost: 1, ..Doubts::default() });
        assert_eq!(timeline.between(5 * SECOND, 12 * SECOND), Doubts { withdrawn: 1, ..Doubts::default() });
    }

    #[test]
    fn what_is_never_seen_is_missed_in_every_window() {
        let mut timeline = Timeline::default();
        timeline.read_doubts(SECOND, SECOND, Doubts { blind: true, ..Doubts::default() });
        assert!(timeline.between(5 * SECOND, 6 * SECOND).blind);
    }

    #[test]
    fn many_losses_are_put_together_and_none_is_forgotten() {
        let mut timeline = Timeline::default();
        let most = 3 * MOST as u64;
        for at in 1..=most {
            timeline.read_doubts(at * SECOND, at * SECOND, lost(at));
        }
        assert!(timeline.spans.len() <= MOST);
        assert_eq!(timeline.between(0, u64::MAX).lost, most);
    }
}
