//! Amounts and ids in sentences.
use std::fmt::Write as _;

/// `fs_devices->fsid` as the kernel prints it (`%pU`).
#[must_use]
pub fn uuid(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

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
