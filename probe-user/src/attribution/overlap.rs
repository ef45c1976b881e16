//! Which spans of time overlap, among many. Pure.

/// A span: first and last moment, both included.
pub type Span = (u64, u64);

/// Calls `visit` once for each pair of a left and a right span that overlap, with their positions. The cost is a sort plus
/// the pairs found, not a check of all pairs.
pub fn pairs(left: &[Span], right: &[Span], mut visit: impl FnMut(usize, usize)) {
    let begins = |spans: &[Span], is_left: bool| -> Vec<(u64, bool, usize)> {
        spans.iter().enumerate().map(|(at, (from, _))| (*from, is_left, at)).collect()
    };
    let mut order = begins(left, true);
    order.extend(begins(right, false));
    order.sort_unstable();
    // Spans that have begun, and had not ended when they were last checked.
    let (mut open_left, mut open_right): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for (from, is_left, at) in order {
        if is_left {
            open_right.retain(|other| right[*other].1 >= from);
            open_right.iter().for_each(|other| visit(at, *other));
            open_left.push(at);
        } else {
            open_left.retain(|other| left[*other].1 >= from);
            open_left.iter().for_each(|other| visit(*other, at));
            open_right.push(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        prop::collection::vec((0_u64..40, 0_u64..12).prop_map(|(from, length)| (from, from + length)), 0..30)
    }

    proptest! {
        #[test]
        fn they_are_those_that_a_look_at_all_pairs_finds(left in spans(), right in spans()) {
            let mut found = Vec::new();
            pairs(&left, &right, |one, other| found.push((one, other)));
            found.sort_unstable();
            let touch = |one: &Span, other: &Span| one.1 >= other.0 && one.0 <= other.1;
            let mut all = Vec::new();
            for (one, left) in left.iter().enumerate() {
                for (other, right) in right.iter().enumerate() {
                    if touch(left, right) {
                        all.push((one, other));
                    }
                }
            }
            prop_assert_eq!(found, all);
        }
    }

    /// As of a test whose end was never seen: it stays open, and must not be compared with all that follow.
    #[test]
    fn an_open_span_costs_its_own_pairs_only() {
        let mut left = vec![(0, u64::MAX)];
        left.extend((1..2000).map(|at| (at * 10, at * 10 + 5)));
        let right: Vec<Span> = (1..2000).map(|at| (at * 10 + 3, at * 10 + 4)).collect();
        let mut count = 0;
        pairs(&left, &right, |_, _| count += 1);
        assert_eq!(count, 2 * 1999);
    }
}
