//! One counter over time, in a bounded number of points.
//!
//! A point stands for a span of time that is a power of two long: it has the last value of the span, and the lowest and highest. When
//! there are too many points, the spans get twice as long, and points that fall into one become one. So a spike is never lost;
//! only when it was becomes less exact.

/// Length of the first spans as a power of two, ns: about a millisecond, in which jiffies come.
const FIRST_BITS: u32 = 20;

/// What a counter was from `at` until the next point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Time of the first value of the span, `CLOCK_MONOTONIC` ns.
    pub at: u64,
    /// Lowest value of the span.
    pub low: i64,
    /// Highest value of the span.
    pub high: i64,
    /// Last value of the span, which holds until the next point.
    pub last: i64,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    points: Vec<Point>,
    bits: u32,
}

impl Default for Track {
    fn default() -> Self {
        Self { points: Vec::new(), bits: FIRST_BITS }
    }
}

impl Track {
    /// The points, oldest first.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Length of a span, ns: a time is exact to this.
    #[must_use]
    pub const fn span_ns(&self) -> u64 {
        1 << self.bits
    }

    /// The last value.
    #[must_use]
    pub fn last(&self) -> Option<i64> {
        self.points.last().map(|point| point.last)
    }

    /// The highest value.
    #[must_use]
    pub fn high(&self) -> Option<i64> {
        self.points.iter().map(|point| point.high).max()
    }

    /// The value at a time. At most `most` points (at least 2) are kept. A time before the last one counts as the last one.
    pub fn note(&mut self, at: u64, value: i64, most: usize) {
        if let Some(last) = self.points.last_mut() {
            if last.last == value {
                return;
            }
            if at >> self.bits <= last.at >> self.bits {
                last.low = last.low.min(value);
                last.high = last.high.max(value);
                last.last = value;
                return;
            }
        }
        self.make_room(most);
        self.points.push(Point { at, low: value, high: value, last: value });
    }

    /// What came to light later of the time right after `at`: the counter went up to `high`, and stood at `then` in the end.
    pub fn amend(&mut self, at: u64, high: i64, then: i64, most: usize) {
        let after =
            |points: &[Point], bits: u32| points.partition_point(|point| point.at >> bits <= at >> bits);
        let mut place = after(&self.points, self.bits);
        let Some(before) = place.checked_sub(1).map(|place| self.points[place]) else { return };
        if before.at >> self.bits != at >> self.bits {
            if high.max(then) <= before.last && then == before.last {
                return;
            }
            self.make_room(most);
            place = after(&self.points, self.bits);
            self.points.insert(place, Point { at, low: before.last, high: before.last, last: then });
            place += 1;
        }
        let newest = place == self.points.len();
        let point = &mut self.points[place - 1];
        point.high = point.high.max(high).max(then);
        point.low = point.low.min(then);
        if newest {
            point.last = then;
        }
    }

    fn make_room(&mut self, most: usize) {
        if self.points.len() >= most.max(2) {
            // By a half, so that it is not done for every point.
            self.shrink(most.max(2) / 2);
        }
    }

    /// Makes spans longer until there are at most `most` points (at least 1).
    pub fn shrink(&mut self, most: usize) {
        while self.points.len() > most.max(1) && self.bits < u64::BITS - 1 {
            self.bits += 1;
            let bits = self.bits;
            self.points.dedup_by(|next, kept| {
                let same = next.at >> bits == kept.at >> bits;
                if same {
                    kept.low = kept.low.min(next.low);
                    kept.high = kept.high.max(next.high);
                    kept.last = next.last;
                }
                same
            });
        }
        self.points.shrink_to_fit();
    }
}
