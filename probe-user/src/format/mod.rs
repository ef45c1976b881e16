//! Numbers and ids as a person reads them.
mod base64;
mod draws;
pub mod escape;
mod waits;

pub use base64::base64;
pub use draws::pays;
pub use waits::{length, reclaims, reserves};

use probe_common::space::{
    BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA, BLOCK_GROUP_SYSTEM, BLOCK_GROUP_TYPE_MASK,
};
pub use probe_ledger::uuid;

/// Reads what [`uuid`] writes.
#[must_use]
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    if text.len() != 36 || dashes != [8, 13, 18, 23] {
        return None;
    }
    let digits: Vec<u32> =
        text.chars().filter(|c| *c != '-').map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (pair[0] << 4 | pair[1]) as u8;
    }
    Some(bytes)
}

/// Type of a space_info by its `flags` (`BTRFS_BLOCK_GROUP_*`).
#[must_use]
pub const fn space_type(flags: u64) -> &'static str {
    const MIXED: u64 = BLOCK_GROUP_DATA | BLOCK_GROUP_METADATA;
    match flags & BLOCK_GROUP_TYPE_MASK {
        BLOCK_GROUP_DATA => "data",
        BLOCK_GROUP_SYSTEM => "system",
        BLOCK_GROUP_METADATA => "metadata",
        MIXED => "mixed",
        _ => "unknown",
    }
}

/// A space_info among those of its filesystem: its type, with `#2` behind it for the second of that type (zoned
/// filesystems).
#[must_use]
pub fn space_name(flags: u64, nth: u32) -> String {
    match nth {
        0 => space_type(flags).to_owned(),
        nth => format!("{}#{}", space_type(flags), nth + 1),
    }
}

/// The level of a space_info in a few words; `total` is 0 if it is not known.
#[must_use]
pub fn level(filesystem: &str, space: &str, may_use: i64, total: i64) -> String {
    let of = if total == 0 { String::new() } else { format!(" of {}", bytes(total, "")) };
    format!("{} {space} may_use {}{of}", escape::escape(filesystem), bytes(may_use, ""))
}

/// `qgroup->qgroupid` as btrfs-progs prints it: the level is in the upper 16 bits.
#[must_use]
pub fn qgroup(id: u64) -> String {
    format!("{}/{}", id >> 48, id & ((1 << 48) - 1))
}

/// `enum btrfs_reserve_flush_enum` of `fs/btrfs/space-info.h` (6.1 to 7.3), without its prefix.
#[must_use]
pub const fn reserve_flush(flush: i32) -> &'static str {
    match flush {
        0 => "NO_FLUSH",
        1 => "FLUSH_LIMIT",
        2 => "FLUSH_EVICT",
        3 => "FLUSH_DATA",
        4 => "FLUSH_FREE_SPACE_INODE",
        5 => "FLUSH_ALL",
        6 => "FLUSH_ALL_STEAL",
        7 => "FLUSH_EMERGENCY",
        _ => "",
    }
}

/// A subvolume, or a tree of the kernel's own, by its objectid.
#[must_use]
pub fn root(id: i64) -> String {
    match id {
        -9 => "-9 (data relocation)".to_owned(),
        id => id.to_string(),
    }
}

/// A whole number with thousands set off: `1,234,567`.
#[must_use]
pub fn exact(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// [`exact`] for counts.
#[must_use]
pub fn count(number: u64) -> String {
    exact(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A count and what it counts: `1 finding`, `2 findings`.
#[must_use]
pub fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Bytes in the largest binary unit, at most three significant digits behind a whole: `128K`, `1.25M`, `0`.
///
/// Rounded down; exact amounts are in the JSON report. `suffix` goes behind the unit letter (`iB` or nothing).
#[must_use]
pub fn bytes(number: i64, suffix: &str) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    let sign = if number < 0 { "-" } else { "" };
    let size = number.unsigned_abs();
    if size < 1024 {
        return if suffix.is_empty() { format!("{sign}{size}") } else { format!("{sign}{size} B") };
    }
    let power = (63 - size.leading_zeros()) / 10;
    let unit = UNITS.get(power as usize - 1).copied().unwrap_or("E");
    let scale = 10 * power;
    let whole = size >> scale;
    // Hundredths of the unit; the remainder is below 2^60, so it is scaled down before it is multiplied.
    let rest = size & ((1 << scale) - 1);
    let hundredths = ((rest >> (scale - 10)) * 100) >> 10;
    let space = if suffix.is_empty() { "" } else { " " };
    let number = match (whole, hundredths) {
        (_, 0) | (100.., _) => whole.to_string(),
        (10.., _) => format!("{whole}.{}", hundredths / 10),
        _ => format!("{whole}.{hundredths:02}"),
    };
    format!("{sign}{number}{space}{unit}{suffix}")
}

/// An amount of an account: exact bytes with the size in a unit behind, or a count.
#[must_use]
pub fn amount(number: i64, unit: &str) -> String {
    match unit {
        "bytes" if number.unsigned_abs() >= 1024 => {
            format!("{} bytes ({})", exact(number), bytes(number, "iB"))
        }
        "bytes" => format!("{} bytes", exact(number)),
        _ => exact(number),
    }
}

/// ns as seconds with as many digits as matter: `1.203 s`, `2 min 5 s`, `3 h 20 min`.
#[must_use]
pub fn duration(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0..60 => format!("{seconds}.{:03} s", ns / 1_000_000 % 1000),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A moment of the session: seconds since its start, to the microsecond.
#[must_use]
pub fn moment(ns: u64) -> String {
    format!("+{}.{:06} s", ns / 1_000_000_000, ns / 1000 % 1_000_000)
}

/// The time of a record, which is that of a jiffy: [`moment`] to the millisecond.
#[must_use]
pub fn coarse_moment(ns: u64) -> String {
    format!("+{}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1000)
}

/// A moment of the session with the digits that can be read at a glance.
#[must_use]
pub fn about(ns: u64) -> String {
    format!("+{}.{} s", count(ns / 1_000_000_000), ns / 100_000_000 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_the_unit_that_fits() {
        let cases = [
            (0, "0", "0 B"),
            (1023, "1023", "1023 B"),
            (1024, "1K", "1 KiB"),
            (131_072, "128K", "128 KiB"),
            (1_310_720, "1.25M", "1.25 MiB"),
            (-262_144, "-256K", "-256 KiB"),
            (5_767_168, "5.50M", "5.50 MiB"),
            (i64::MAX, "7.99E", "7.99 EiB"),
            (i64::MIN, "-8E", "-8 EiB"),
        ];
        for (number, short, long) in cases {
            assert_eq!((bytes(number, "").as_str(), bytes(number, "iB").as_str()), (short, long));
        }
    }

    #[test]
    fn one_has_no_plural() {
        assert_eq!(
            [counted(0, "break"), counted(1, "break"), counted(2, "break")],
            ["0 breaks", "1 break", "2 breaks"]
        );
    }

    #[test]
    fn thousands_are_set_off() {
        assert_eq!(exact(0), "0");
        assert_eq!(exact(999), "999");
        assert_eq!(exact(-1000), "-1,000");
        assert_eq!(exact(i64::MIN), "-9,223,372,036,854,775,808");
    }

    #[test]
    fn a_uuid_reads_back_and_nothing_else_does() {
        let bytes = [0x2a, 0x6f, 0x7e, 0x80, 0xab, 0x5e, 0x4c, 1, 2, 3, 4, 5, 6, 7, 8, 0xff];
        assert_eq!(uuid(&bytes), "2a6f7e80-ab5e-4c01-0203-0405060708ff");
        assert_eq!(parse_uuid(&uuid(&bytes)), Some(bytes));
        for wrong in
            ["", "2a6f7e80ab5e4c010203040506070 8ff", "2a6f7e80-ab5e-4c01-0203-0405060708fg", "/dev/vdb"]
        {
            assert_eq!(parse_uuid(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_keep_the_digits_that_matter() {
        assert_eq!(duration(1_203_000_000), "1.203 s");
        assert_eq!(duration(125_000_000_000), "2 min 5 s");
        assert_eq!(duration(12_000_000_000_000), "3 h 20 min");
        assert_eq!(duration(864_000_000_000_000), "10 d 0 h");
        assert_eq!(moment(1_203_004_567), "+1.203004 s");
    }
}
