//! Amounts as kernel and btrfs-progs print them.
//!
//! The kernel prints its counters as `%llu`: one that went below zero shows as a number near 2^64. It is read as the
//! negative number that it stands for. btrfs-progs rounds unless it is told not to (`-b`), so an amount knows how far off
//! it may be.

/// An amount in bytes, and how far the true one may be from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Bytes.
    pub bytes: i64,
    /// The true amount is at most this much larger or smaller; 0 if it is exact.
    pub off_by: i64,
}

impl Amount {
    /// An exact amount.
    #[must_use]
    pub const fn exact(bytes: i64) -> Self {
        Self { bytes, off_by: 0 }
    }

    /// Whether `bytes` can be the true amount.
    #[must_use]
    pub const fn can_be(self, bytes: i64) -> bool {
        self.bytes.abs_diff(bytes) <= self.off_by.unsigned_abs()
    }
}

/// A counter of the kernel: digits, with a sign or without. A u64 above `i64::MAX` is the negative number that it wraps to.
#[must_use]
pub fn counter(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(digits) if plain(digits) => text.parse().ok(),
        Some(_) => None,
        None if plain(text) => text.parse::<u64>().ok().map(|number| number as i64),
        None => None,
    }
}

/// The counter at the start of a text, and what follows it.
#[must_use]
pub fn leading_counter(text: &str) -> Option<(i64, &str)> {
    let sign = usize::from(text.starts_with('-'));
    let digits = text.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(sign + digits)?;
    Some((counter(number)?, rest))
}

fn plain(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// An amount of btrfs-progs: `8388608`, `8.00MiB`, `-` for none. Rounded to the digits that are shown.
#[must_use]
pub fn amount(text: &str) -> Option<Amount> {
    if text == "-" {
        return Some(Amount::default());
    }
    let end = text.bytes().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-')).count();
    let (number, unit) = text.split_at_checked(end)?;
    let scale: i64 = match unit {
        "" => return counter(number).map(Amount::exact),
        "B" | "b" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "PB" => 1_000_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "PiB" => 1 << 50,
        "EiB" => 1 << 60,
        _ => return None,
    };
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if !plain(whole) || !(fraction.is_empty() || plain(fraction)) || fraction.len() > 6 {
        return None;
    }
    let parts = 10_i128.pow(fraction.len() as u32);
    let units = whole.parse::<i128>().ok()?.checked_mul(parts)?;
    let units = units.checked_add(if fraction.is_empty() { 0 } else { fraction.parse().ok()? })?;
    let bytes = i64::try_from(units.checked_mul(i128::from(scale))? / parts).ok()?;
    // The last digit that is shown may be half a step off; a byte more for the division above.
    let off_by = if scale == 1 { 0 } else { i64::try_from(i128::from(scale) / parts / 2 + 1).ok()? };
    Some(Amount { bytes: if negative { -bytes } else { bytes }, off_by })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_counter_below_zero_is_read_as_such() {
        assert_eq!(counter("18446744073701163008"), Some(-8_388_608));
        assert_eq!(counter("-5767168"), Some(-5_767_168));
        assert_eq!((counter("0"), counter(""), counter("+1"), counter("-")), (Some(0), None, None, None));
        assert_eq!(counter("18446744073709551616"), None);
        assert_eq!(leading_counter("12 bytes"), Some((12, " bytes")));
        assert_eq!(leading_counter("x"), None);
    }

    #[test]
    fn rounded_amounts_know_it() {
        assert_eq!(amount("8388608"), Some(Amount::exact(8_388_608)));
        assert_eq!(amount("0.00B"), Some(Amount::exact(0)));
        assert_eq!(amount("-"), Some(Amount::exact(0)));
        let mib = amount("242.94MiB").unwrap();
        assert!(mib.can_be(254_738_432) && !mib.can_be(254_803_968), "{mib:?}");
        assert!(amount("1.00kB").unwrap().can_be(1000));
        for wrong in ["8.00XiB", "MiB", "1..2MiB", "1.2.3MiB", "99999999999999999EiB", "--1MiB", "é"] {
            assert_eq!(amount(wrong), None, "{wrong}");
        }
    }
}
