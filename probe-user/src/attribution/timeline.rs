//! When losses happened. Pure.
use probe_ledger::Doubts;

/// Most spans that are kept apart; above it, neighbours are joined.
const MOST: usize = 20_000;
/// In ns. Losses are checked ten times a second, so a loss shows at the next check. A loss that only a whole reading shows
/// lies between that reading and the one before.
const READING_NS: u64 = 250_000_000;
/// In ns. A pending finding waits so long for a reading of the losses. It is withdrawn if a loss up to then could explain
/// it; else it becomes a finding, or counts as a repeat.
pub const SETTLE_NS: u64 = 10_000_000_000;

/// The losses between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: u64,
    to: u64,
    missed: Doubts,
}

/// The losses over the time of the stream.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    spans: Vec<Span>,
    last: Doubts,
    read_until: u64,
    /// Time of the last reading of the losses in that call.
    read: u64,
}

impl Timeline {
    /// Takes all losses as of `time`, which is stream time; the losses were read at `read`.
    pub fn read_doubts(&mut self, time: u64, read: u64, doubts: Doubts) {
        // A time that steps back would put the spans out of order.
        let time = time.max(self.read_until);
        if doubts != self.last {
            let missed = doubts.since(&self.last);
            self.last = doubts;
            // A reading shows all losses since the one before, however far the stream is ahead of it.
            self.spans.push(Span { from: self.read_until.min(self.read).min(time), to: time, missed });
            if self.spans.len() > MOST {
                self.fold();
            }
        }
        self.read_until = time;
        self.read = self.read.max(read);
    }

    /// Time of the last call of `read_doubts`.
    #[must_use]
    pub const fn read_until(&self) -> u64 {
        self.read_until
    }

    /// Losses that may have happened between two moments.
    #[must_use]
    pub fn between(&self, from: u64, to: u64) -> Doubts {
        let mut sum = Doubts { blind: self.last.blind, ..Doubts::default() };
        // Time only grows from call to call, so both starts and ends of spans are in order.
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

    /// As when the tool was stopped: the stream is ahead of the last known losses.
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
