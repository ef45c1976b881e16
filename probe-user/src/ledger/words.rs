//! Amounts in the sentences of findings.

/// A number of outstanding extents.
pub(super) fn extents(number: i64) -> String {
    format!("{number} {}", if number.abs() == 1 { "extent" } else { "extents" })
}

#[cfg(test)]
mod tests {
    use super::extents;

    #[test]
    fn one_extent_is_no_plural() {
        assert_eq!([0, 1, 2, -1].map(extents), ["0 extents", "1 extent", "2 extents", "-1 extent"]);
    }
}
