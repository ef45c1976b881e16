//! How often something happened over time, in a bounded number of points.

/// Most points.
const MOST: usize = 500;
/// Length of the first spans as a power of two, ns.
const FIRST_BITS: u32 = 20;

/// Like [`super::Track`], for what is added up: no event is lost, only when it was becomes less exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    points: Vec<(u64, u64)>,
    bits: u32,
}

impl Default for Counts {
    fn default() -> Self {
        Self { points: Vec::new(), bits: FIRST_BITS }
    }
}

impl Counts {
    /// Times of the first event of each span, `CLOCK_MONOTONIC` ns, and how many events it has; oldest first.
    #[must_use]
    pub fn points(&self) -> &[(u64, u64)] {
        &self.points
    }

    /// So many events. A time before the last one counts as the last one.
    pub fn add(&mut self, at: u64, count: u64) {
        if let Some((last, sum)) = self.points.last_mut()
            && at >> self.bits <= *last >> self.bits
        {
            *sum = sum.saturating_add(count);
            return;
        }
        if self.points.len() >= MOST {
            self.shrink(MOST / 2);
        }
        self.points.push((at, count));
    }

    /// Makes spans longer until there are at most `most` points (at least 1).
    pub fn shrink(&mut self, most: usize) {
        while self.points.len() > most.max(1) && self.bits < u64::BITS - 1 {
            self.bits += 1;
            let bits = self.bits;
            self.points.dedup_by(|next, kept| {
                let same = next.0 >> bits == kept.0 >> bits;
                if same {
                    kept.1 = kept.1.saturating_add(next.1);
                }
                same
            });
        }
    }
}
