//! Times of repeated events, bounded: events close to each other share one span.

/// Events closer than this share a span, ns.
const TOGETHER_NS: u64 = 1_000_000_000;
/// Most spans. Beyond it, the two nearest spans become one.
const MOST: usize = 64;

/// A run of events close to each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Time of the first event, `CLOCK_MONOTONIC` ns.
    pub from: u64,
    /// Time of the last event, `CLOCK_MONOTONIC` ns.
    pub to: u64,
    /// Number of events.
    pub count: u64,
}

impl Span {
    /// True if any part of the span lies between `from` and `to`, both included.
    #[must_use]
    pub const fn touches(&self, from: u64, to: u64) -> bool {
        self.to >= from && self.from <= to
    }
}

/// A bounded list of spans that loses no event: if there are too many spans, some become longer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    list: Vec<Span>,
}

impl Spans {
    /// One event, at `time`.
    #[must_use]
    pub fn at(time: u64) -> Self {
        Self { list: vec![Span { from: time, to: time, count: 1 }] }
    }

    /// Adds an event.
    pub fn add(&mut self, time: u64) {
        self.put(Span { from: time, to: time, count: 1 });
    }

    /// Adds the events of another list.
    pub fn join(&mut self, other: &Self) {
        other.list.iter().for_each(|span| self.put(*span));
    }

    /// All spans: sorted by time if there were ever too many, else in the order in which they were added.
    #[must_use]
    pub fn list(&self) -> &[Span] {
        &self.list
    }

    /// True if any span touches `from` to `to`.
    #[must_use]
    pub fn touch(&self, from: u64, to: u64) -> bool {
        self.list.iter().any(|span| span.touches(from, to))
    }

    fn put(&mut self, new: Span) {
        if let Some(last) = self.list.last_mut()
            && new.touches(last.from.saturating_sub(TOGETHER_NS), last.to.saturating_add(TOGETHER_NS))
        {
            *last = both(last, &new);
            return;
        }
        self.list.push(new);
        if self.list.len() > MOST {
            self.close_a_gap();
        }
    }

    /// Joins the two spans with the smallest gap between them.
    fn close_a_gap(&mut self) {
        self.list.sort_unstable_by_key(|span| span.from);
        let gap = |pair: &[Span]| pair[1].from.saturating_sub(pair[0].to);
        let gaps = self.list.windows(2).map(gap).enumerate();
        if let Some((at, _)) = gaps.min_by_key(|(_, gap)| *gap) {
            let second = self.list.remove(at + 1);
            self.list[at] = both(&self.list[at], &second);
        }
    }
}

fn both(one: &Span, other: &Span) -> Span {
    Span {
        from: one.from.min(other.from),
        to: one.to.max(other.to),
        count: one.count.saturating_add(other.count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn of(times: impl IntoIterator<Item = u64>) -> Spans {
        let mut spans = Spans::default();
        times.into_iter().for_each(|time| spans.add(time));
        spans
    }

    #[test]
    fn times_close_to_each_other_are_one_span() {
        // Times of two CPUs can be slightly out of order.
        let spans = of([10, 10 + SECOND, 5, 4 * SECOND]);
        let list: Vec<_> = spans.list().iter().map(|span| (span.from, span.to, span.count)).collect();
        assert_eq!(list, [(5, 10 + SECOND, 3), (4 * SECOND, 4 * SECOND, 1)]);
        assert!(spans.touch(0, 5) && spans.touch(SECOND / 2, SECOND) && spans.touch(4 * SECOND, u64::MAX));
        assert!(!spans.touch(2 * SECOND, 3 * SECOND) && !spans.touch(0, 4));
    }

    #[test]
    fn many_are_bounded_and_none_is_forgotten() {
        let times = (0..1000).map(|at| at * 10 * SECOND);
        let spans = of(times.clone());
        assert!(spans.list().len() <= MOST);
        assert_eq!(spans.list().iter().map(|span| span.count).sum::<u64>(), 1000);
        assert!(times.clone().all(|time| spans.touch(time, time)));
        let mut joined = of(times.map(|time| time + 5 * SECOND));
        joined.join(&spans);
        assert!(joined.list().len() <= MOST);
        assert_eq!(joined.list().iter().map(|span| span.count).sum::<u64>(), 2000);
    }

    #[test]
    fn the_widest_gap_is_the_last_to_be_closed() {
        let spans = of((0..500).map(|at| (at * 2 + if at < 400 { 0 } else { 10_000 }) * SECOND));
        assert!(!spans.touch(800 * SECOND, 10_799 * SECOND), "{spans:?}");
        assert!(spans.touch(798 * SECOND, 798 * SECOND) && spans.touch(10_800 * SECOND, 10_800 * SECOND));
    }
}
