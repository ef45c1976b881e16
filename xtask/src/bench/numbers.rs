//! Series of runs, medians and ratios.
use super::variant::Variant;

/// All runs of one variant, in the order of the rounds.
#[derive(Debug)]
pub struct Series {
    /// What ran beside.
    pub variant: &'static Variant,
    /// Nanoseconds an operation.
    pub ns_per_op: Vec<f64>,
    /// CPU time of the tracer over wall time.
    pub cpu: Vec<f64>,
    /// Events lost, over all rounds; none if the tracer does not say.
    pub lost: Option<u64>,
    /// Why it did not run (to the end).
    pub why_not: Option<String>,
}

impl Series {
    /// Nothing yet.
    pub fn of(variant: &'static Variant) -> Self {
        Self { variant, ns_per_op: Vec::new(), cpu: Vec::new(), lost: None, why_not: None }
    }

    /// Adds a run; CPU and loss where a tracer was there.
    pub fn push(&mut self, ns_per_op: f64, tracer: Option<(f64, Option<u64>)>) {
        self.ns_per_op.push(ns_per_op);
        if let Some((cpu, lost)) = tracer {
            self.cpu.push(cpu);
            if let Some(lost) = lost {
                *self.lost.get_or_insert(0) += lost;
            }
        }
    }

    /// Ratio to the untraced run of the same round, each round.
    pub fn ratios(&self, untraced: &Self) -> Vec<f64> {
        self.ns_per_op.iter().zip(&untraced.ns_per_op).map(|(traced, alone)| traced / alone).collect()
    }
}

/// The middle value; the mean of the two in the middle of an even number; none of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    Some(if sorted.len().is_multiple_of(2) {
        f64::midpoint(sorted[sorted.len() / 2 - 1], upper)
    } else {
        upper
    })
}

/// Smallest and largest; none of nothing.
pub fn range(values: &[f64]) -> Option<(f64, f64)> {
    let smallest = values.iter().copied().reduce(f64::min)?;
    Some((smallest, values.iter().copied().reduce(f64::max)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::{super::variant::ALL, *};

    #[test]
    fn medians_are_of_the_sorted_values() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(range(&[3.0, 1.0, 2.0]), Some((1.0, 3.0)));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut alone = Series::of(&ALL[0]);
        let mut traced = Series::of(&ALL[2]);
        for (without, with) in [(100.0, 150.0), (200.0, 300.0)] {
            alone.push(without, None);
            traced.push(with, Some((0.01, Some(2))));
        }
        // One that stopped early has fewer rounds.
        alone.push(100.0, None);
        assert_eq!(traced.ratios(&alone), [1.5, 1.5]);
        assert_eq!(traced.lost, Some(4));
        assert_eq!(median(&traced.cpu).unwrap(), 0.01);
    }
}
