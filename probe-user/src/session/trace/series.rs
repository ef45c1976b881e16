//! A counter over time, in bounded memory: when it has too many points, those of an interval are put together, and their lowest, highest
//! and last value stay. So no peak is lost.

/// Most intervals of a counter.
pub(super) const MAX_INTERVALS: usize = 4096;
/// The shortest interval, ns.
const FIRST_WIDTH: u64 = 1_000_000;

/// The values of one interval, with their times in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    lowest: (u64, i64),
    highest: (u64, i64),
    last: (u64, i64),
}

impl Interval {
    const fn join(&mut self, later: Self) {
        if later.lowest.1 < self.lowest.1 {
            self.lowest = later.lowest;
        }
        if later.highest.1 > self.highest.1 {
            self.highest = later.highest;
        }
        self.last = later.last;
    }
}

/// A counter over time.
#[derive(Clone, Debug)]
pub(super) struct Series {
    width: u64,
    intervals: Vec<Interval>,
}

impl Series {
    pub(super) const fn new() -> Self {
        Self { width: FIRST_WIDTH, intervals: Vec::new() }
    }

    /// Length of an interval in ns; 0 if nothing was put together.
    pub(super) const fn width(&self) -> u64 {
        if self.width == FIRST_WIDTH { 0 } else { self.width }
    }

    /// The counter had this value at this time (ns).
    pub(super) fn note(&mut self, time: u64, value: i64) {
        let point = (time, value);
        let new = Interval { lowest: point, highest: point, last: point };
        match self.intervals.last_mut() {
            // A record that comes late belongs to the end too.
            Some(last) if time / self.width <= last.last.0 / self.width => last.join(new),
            // As before: nothing to draw.
            Some(last) if last.last.1 == value => {}
            _ => self.intervals.push(new),
        }
        while self.intervals.len() > MAX_INTERVALS {
            self.halve();
        }
    }

    fn halve(&mut self) {
        self.width = self.width.saturating_mul(2);
        let width = self.width;
        let mut joined: Vec<Interval> = Vec::with_capacity(MAX_INTERVALS + 1);
        for interval in self.intervals.drain(..) {
            match joined.last_mut() {
                Some(last) if interval.last.0 / width == last.last.0 / width => last.join(interval),
                _ => joined.push(interval),
            }
        }
        self.intervals = joined;
    }

    /// Times and values, in the order of time.
    pub(super) fn points(&self) -> Vec<(u64, i64)> {
        let mut points = Vec::with_capacity(self.intervals.len());
        for Interval { lowest, highest, last } in &self.intervals {
            let mut of = [*lowest, *highest, *last];
            // At one time the last value is the one that stays.
            of.sort_by_key(|point| (point.0, *point == *last));
            for point in of {
                if points.last() != Some(&point) {
                    points.push(point);
                }
            }
        }
        points
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_changes_takes_bounded_memory_and_keeps_its_peak() {
        let mut series = Series::new();
        let step = 10_000_000;
        for at in 0..1_000_000_u64 {
            let value = if at == 777_777 { 1 << 40 } else { (at % 100) as i64 };
            series.note(at * step, value);
        }
        let points = series.points();
        assert!(series.intervals.len() <= MAX_INTERVALS && points.len() <= 3 * MAX_INTERVALS);
        assert!(points.contains(&(777_777 * step, 1 << 40)), "the peak");
        assert_eq!(points.last(), Some(&(999_999 * step, 99)), "the last value");
        assert!(points.is_sorted_by_key(|(time, _)| *time));
        assert!(series.width() > 0);
    }

    #[test]
    fn few_changes_stay_as_they_are() {
        let mut series = Series::new();
        let changes = [(5_000_000, 1), (9_000_000, 7), (20_000_000, 0)];
        for (time, value) in changes {
            series.note(time, value);
        }
        series.note(30_000_000, 0);
        assert_eq!(series.points(), changes);
        assert_eq!(series.width(), 0);
    }
}
