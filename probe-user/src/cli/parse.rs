//! Values of options: sizes, durations, filesystems.
use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::builder::{OsStringValueParser, TypedValueParser};
use probe_record::why::STDIN;

/// Smallest ring: a few milliseconds of a busy kernel.
pub const RING_MIN: u32 = 64 << 10;
/// Largest ring.
pub const RING_MAX: u32 = 1 << 30;
/// Size of the ring without `--ring-size`.
pub const RING_DEFAULT: &str = "16M";

/// Why `-` can stand for one input only.
pub const ONCE: &str = "standard input can be read only once; give the other file a name";

/// A file to read; `-` is standard input. A file of that name is `./-`.
#[must_use]
pub fn input() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(
        |typed: OsString| {
            if typed == "-" { PathBuf::from(STDIN) } else { PathBuf::from(typed) }
        },
    )
}

/// A ring's size in bytes: a power of two, as the kernel requires.
///
/// # Errors
/// One sentence.
pub fn ring_size(typed: &str) -> Result<u32, String> {
    let bytes = size(typed)?;
    u32::try_from(bytes)
        .ok()
        .filter(|bytes| bytes.is_power_of_two() && (RING_MIN..=RING_MAX).contains(bytes))
        .ok_or_else(|| "choose a power of two from 64K to 1G".to_owned())
}

/// Bytes, followed by K, M or G (powers of 1024); `KiB` and `KB` mean the same.
///
/// # Errors
/// One sentence.
pub fn size(typed: &str) -> Result<u64, String> {
    let digits = typed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = typed.split_at(digits);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err("write a number with K, M or G behind it, for example 16M".to_owned()),
    };
    let number: u64 =
        number.parse().map_err(|_| "write a number with K, M or G behind it, for example 16M".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "that is more than 64 bits can count".to_owned())
}

/// A length of time: `90s`, `10m`, `1h30m`; a bare number means seconds.
///
/// # Errors
/// One sentence.
pub fn duration(typed: &str) -> Result<Duration, String> {
    let advice = "write a length of time such as 90s, 10m or 1h30m";
    let parsed = match typed.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(u64::from(seconds)),
        Err(_) => {
            let signed: jiff::SignedDuration = typed.parse().map_err(|_| advice.to_owned())?;
            Duration::try_from(signed).map_err(|_| advice.to_owned())?
        }
    };
    if parsed.is_zero() { Err("choose a time longer than zero".to_owned()) } else { Ok(parsed) }
}

/// A time since the start of a session: [`duration`], or 0.
///
/// # Errors
/// One sentence.
pub fn since_start(typed: &str) -> Result<Duration, String> {
    if matches!(typed, "0" | "0s") { Ok(Duration::ZERO) } else { duration(typed) }
}

/// Like [`duration`]; 0 means never, and is returned as zero.
///
/// # Errors
/// One sentence.
pub fn interval(typed: &str) -> Result<Duration, String> {
    if typed == "0" { Ok(Duration::ZERO) } else { duration(typed) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("16M"), Ok(16 << 20));
        assert_eq!(size("1 GiB"), Ok(1 << 30));
        assert_eq!(size("256kb"), Ok(256 << 10));
        for wrong in ["", "M", "-1M", "1.5M", "16X", "99999999999999999999", "18446744073709551615G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rings_are_powers_of_two_within_bounds() {
        assert_eq!(ring_size(RING_DEFAULT), Ok(16 << 20));
        assert_eq!(ring_size("1G"), Ok(1 << 30));
        for wrong in ["15M", "32K", "2G", "0", "8192G"] {
            assert!(ring_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_units_or_are_seconds() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "0", "0s", "-5s", "soon", "5 parsecs"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!((interval("0"), interval("2s")), (Ok(Duration::ZERO), Ok(Duration::from_secs(2))));
        assert!(interval("never").is_err());
    }
}
