//! Lengths of time, counted in classes of 12.5%.
use std::collections::BTreeMap;

use crate::vocabulary::waits::WaitTimes;

/// Classes per power of two.
const PER_OCTAVE: u32 = 8;

/// How many waits were how long.
#[derive(Clone, Debug, Default)]
pub(crate) struct LengthsOfTime {
    classes: BTreeMap<u32, u64>,
    count: u64,
    total: u64,
    max: u64,
}

impl LengthsOfTime {
    pub(crate) fn add(&mut self, ns: u64) {
        *self.classes.entry(class(ns)).or_default() += 1;
        self.count += 1;
        self.total = self.total.saturating_add(ns);
        self.max = self.max.max(ns);
    }

    /// The upper bound of the class in which the `permille`th part of all ends.
    fn percentile(&self, permille: u64) -> u64 {
        let rank = self.count.saturating_mul(permille).div_ceil(1000);
        let mut so_far = 0_u64;
        for (class, count) in &self.classes {
            so_far = so_far.saturating_add(*count);
            if so_far >= rank {
                return bound(*class).min(self.max);
            }
        }
        self.max
    }

    pub(crate) fn view(&self) -> WaitTimes {
        let mut octaves: Vec<(u64, u64)> = Vec::new();
        for (class, count) in &self.classes {
            let octave = bound(class | (PER_OCTAVE - 1)).saturating_add(1);
            match octaves.last_mut() {
                Some((upper, sum)) if *upper == octave => *sum += count,
                _ => octaves.push((octave, *count)),
            }
        }
        WaitTimes {
            count: self.count,
            unmeasured: 0,
            total: self.total,
            p50: self.percentile(500),
            p90: self.percentile(900),
            p99: self.percentile(990),
            max: self.max,
            octaves,
        }
    }
}

const fn class(ns: u64) -> u32 {
    let ns = if ns < PER_OCTAVE as u64 { PER_OCTAVE as u64 } else { ns };
    let octave = 63 - ns.leading_zeros();
    octave * PER_OCTAVE + (ns >> (octave - 3) & 7) as u32
}

/// The largest number in a class.
const fn bound(class: u32) -> u64 {
    let (octave, part) = (class / PER_OCTAVE, class % PER_OCTAVE);
    // As u128: the last class ends at u64::MAX.
    let end = (PER_OCTAVE as u128 + part as u128 + 1) << (octave - 3);
    (end - 1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_its_numbers() {
        for ns in [8, 9, 15, 16, 17, 1000, 123_456_789, u64::MAX / 3, u64::MAX] {
            let class = class(ns);
            assert!(bound(class) >= ns && bound(class) - ns <= ns / 8, "{ns}");
            assert!(class == 24 || bound(class - 1) < ns, "{ns}");
        }
    }

    #[test]
    fn percentiles_are_at_most_an_eighth_too_high() {
        let mut lengths = LengthsOfTime::default();
        (1..=1000_u64).for_each(|ms| lengths.add(ms * 1_000_000));
        let view = lengths.view();
        assert_eq!((view.count, view.max, view.total), (1000, 1_000_000_000, 500_500_000_000));
        for (seen, exact) in [(view.p50, 500), (view.p90, 900), (view.p99, 990)] {
            let exact = exact * 1_000_000;
            assert!(seen >= exact && seen <= exact + exact / 8, "{seen} for {exact}");
        }
        assert_eq!(view.octaves.iter().map(|(_, count)| count).sum::<u64>(), 1000);
        assert!(view.octaves.iter().all(|(upper, _)| upper.is_power_of_two()));
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert_eq!(LengthsOfTime::default().view(), WaitTimes::default());
    }
}
