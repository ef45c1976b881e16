//! When something came that can come often: what lies close to each other is one span.

/// Times closer than this are one span, ns.
const TOGETHER_NS: u64 = 1_000_000_000;
/// Most spans; neighbours are put together beyond it.
const MOST: usize = 32;

/// One of [`Spans`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Time of the first, `CLOCK_MONOTONIC` ns.
    pub from: u64,
    /// Time of the last.
    pub to: u64,
    /// How many.
    pub count: u64,
}

impl Span {
    /// True if a part of it lies between two times, both included.
    #[must_use]
    pub const fn touches(&self, from: u64, to: u64) -> bool {
        self.to >= from && self.from <= to
    }
}

/// A bounded list of spans, none of which is forgotten: where there are too many they become longer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    list: Vec<Span>,
}

impl Spans {
    /// One, at `time`.
    #[must_use]
    pub fn at(time: u64) -> Self {
        Self { list: vec![Span { from: time, to: time, count: 1 }] }
    }

    /// One more.
    pub fn add(&mut self, time: u64) {
        self.put(Span { from: time, to: time, count: 1 });
    }

    /// Those of another.
    pub fn join(&mut self, other: &Self) {
        other.list.iter().for_each(|span| self.put(*span));
    }

    /// All, in the order in which they came.
    #[must_use]
    pub fn list(&self) -> &[Span] {
        &self.list
    }

    /// True if any lies, in part, between two times.
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
            self.list.sort_unstable_by_key(|span| span.from);
            let pairs = self.list.chunks(2);
            self.list =
                pairs.map(|pair| pair.iter().skip(1).fold(pair[0], |sum, span| both(&sum, span))).collect();
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
        // Times of two processors can be in the wrong order by a little.
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
}
