//! Amounts and ids as text.
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
pub(crate) fn extents(number: i64) -> String {
    format!("{number} {}", if number.abs() == 1 { "extent" } else { "extents" })
}

/// Bytes up to the first NUL, lossily decoded.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A saturating sum: the numbers come from the stream, and no stream may make the ledger panic.
pub(crate) fn total(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::{extents, grouped};

    #[test]
    fn one_extent_is_no_plural() {
        assert_eq!([0, 1, 2, -1].map(extents), ["0 extents", "1 extent", "2 extents", "-1 extent"]);
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
