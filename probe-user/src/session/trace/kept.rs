//! Slices and instants of a trace, in bounded memory.
use crate::report::trace::{Instant, Slice};

/// Most slices: when there are more, the shorter half goes.
pub(super) const MAX_SLICES: usize = 100_000;
/// Most instants: what comes after them is counted.
pub(super) const MAX_INSTANTS: usize = 50_000;

/// Slices, the longest of all.
#[derive(Debug, Default)]
pub(super) struct Slices {
    pub(super) list: Vec<Slice>,
    /// A shorter slice is left out, ns.
    shortest: u64,
    /// Those left out, and the longest of them in ns.
    pub(super) left_out: (u64, u64),
}

impl Slices {
    pub(super) fn add(&mut self, slice: Slice) {
        let length = length(&slice);
        if length < self.shortest {
            self.leave_out(1, length);
            return;
        }
        self.list.push(slice);
        if self.list.len() >= MAX_SLICES {
            self.halve();
        }
    }

    fn halve(&mut self) {
        let half = self.list.len() / 2;
        let mut lengths: Vec<u64> = self.list.iter().map(length).collect();
        let (_, middle, _) = lengths.select_nth_unstable(half);
        // Also where all are equal, half of them go.
        self.shortest = middle.saturating_add(1);
        let before = self.list.len();
        let shortest = self.shortest;
        self.list.retain(|slice| length(slice) >= shortest);
        let gone = before - self.list.len();
        self.leave_out(gone as u64, shortest - 1);
    }

    fn leave_out(&mut self, count: u64, longest: u64) {
        self.left_out = (self.left_out.0.saturating_add(count), self.left_out.1.max(longest));
    }
}

const fn length(slice: &Slice) -> u64 {
    slice.to.saturating_sub(slice.from)
}

/// Instants, the first of all.
#[derive(Debug, Default)]
pub(super) struct Instants {
    pub(super) list: Vec<Instant>,
    pub(super) left_out: u64,
}

impl Instants {
    pub(super) fn add(&mut self, instant: Instant) {
        if self.list.len() < MAX_INSTANTS {
            self.list.push(instant);
        } else {
            self.left_out += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::trace::{SliceKind, Track};

    #[test]
    fn the_longest_slices_stay_and_the_others_are_counted() {
        let mut slices = Slices::default();
        let all = 3 * MAX_SLICES as u64;
        for at in 0..all {
            let (from, what) = (at * 1000, SliceKind::Transaction { transid: at });
            slices.add(Slice {
                track: Track::Losses,
                from,
                to: from + (at * 7919) % 1000,
                filesystem: None,
                what,
            });
        }
        assert!(slices.list.len() < MAX_SLICES);
        assert_eq!(slices.list.len() as u64 + slices.left_out.0, all);
        assert!(slices.list.iter().all(|slice| length(slice) > slices.left_out.1));
    }
}
