//! A counter in columns of equal width: what a picture of it needs.
use crate::report::model::{CounterTimeline, TimePoint};

/// What a counter was in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// Lowest.
    pub low: i64,
    /// Highest.
    pub high: i64,
    /// Last.
    pub last: i64,
}

/// A length of time, ns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    /// Its begin.
    pub from: u64,
    /// Its end.
    pub to: u64,
    /// What is drawn in it ends here.
    pub known_to: u64,
}

/// The columns of a length of time; `None` before the first point, and after the end.
pub(super) fn columns(points: &[TimePoint], length: Length, count: usize) -> Vec<Option<Column>> {
    let Length { from, to, known_to } = length;
    let length = u128::from(to.saturating_sub(from).max(1));
    let mut next = points.partition_point(|point| point.time_ns < from);
    let mut held = next.checked_sub(1).and_then(|before| points.get(before)).map(|point| point.last);
    (0..count as u128)
        .map(|column| {
            let begin = u128::from(from) + column * length / count as u128;
            if begin > u128::from(known_to) {
                return None;
            }
            // The last column has its right edge.
            let until = u128::from(from) + (column + 1) * length / count as u128;
            let mut sum = held.map(|last| Column { low: last, high: last, last });
            while let Some(point) = points.get(next) {
                let is_last = column + 1 == count as u128 && u128::from(point.time_ns) == until;
                if u128::from(point.time_ns) >= until && !is_last {
                    break;
                }
                next += 1;
                let here = sum.get_or_insert(Column { low: point.low, high: point.high, last: point.last });
                here.low = here.low.min(point.low);
                here.high = here.high.max(point.high);
                here.last = point.last;
                held = Some(point.last);
            }
            sum
        })
        .collect()
}

/// At most `most` points: those that lie near one another become one, which keeps the lowest and highest.
pub(super) fn coarsen(counter: &CounterTimeline, most: usize) -> Vec<TimePoint> {
    let (Some(first), Some(last)) = (counter.points.first(), counter.points.last()) else {
        return Vec::new();
    };
    if counter.points.len() <= most {
        return counter.points.clone();
    }
    let length = u128::from(last.time_ns - first.time_ns) + 1;
    let bin = |point: &TimePoint| u128::from(point.time_ns - first.time_ns) * most.max(1) as u128 / length;
    let mut points = counter.points.clone();
    points.dedup_by(|next, kept| {
        let same = bin(next) == bin(kept);
        if same {
            kept.low = kept.low.min(next.low);
            kept.high = kept.high.max(next.high);
            kept.last = next.last;
        }
        same
    });
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(points: &[(u64, i64, i64, i64)]) -> CounterTimeline {
        let point = |&(time_ns, low, high, last)| TimePoint { time_ns, low, high, last };
        CounterTimeline { name: "x", exact_to_ns: 1, points: points.iter().map(point).collect() }
    }

    #[test]
    fn columns_hold_a_value_until_the_next_and_show_a_spike() {
        let of = counter(&[(10, 1, 1, 1), (25, 1, 90, 3), (100, 5, 5, 5)]);
        let columns = columns(&of.points, Length { from: 0, to: 100, known_to: 100 }, 5);
        let shown: Vec<_> = columns.iter().map(|of| of.map(|of| (of.low, of.high, of.last))).collect();
        let [before, spike, after] = [(1, 1, 1), (1, 90, 3), (3, 3, 3)].map(Some);
        assert_eq!(shown, [before, spike, after, after, Some((3, 5, 5))]);
        let ended = super::columns(&of.points, Length { from: 0, to: 100, known_to: 45 }, 5);
        assert_eq!(ended.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, true, false, false]);
    }

    #[test]
    fn fewer_points_keep_what_stands_out() {
        let many: Vec<_> = (0..1000).map(|at| (at * 7, 3, 3, 3)).collect();
        let mut of = counter(&many);
        of.points[501] = TimePoint { time_ns: 501 * 7, low: -1, high: 99, last: 4 };
        let few = CounterTimeline { points: coarsen(&of, 50), ..counter(&[]) };
        assert!(few.points.len() <= 50);
        assert_eq!((few.low(), few.high()), (-1, 99));
    }
}
