//! One message of btrfs, by the kernel's format strings from 4.14 on.
use super::{
    figure::{counter, leading_counter},
    space::{Reserve, ReserveName, SpaceKind, Trigger},
};

/// What a message says, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// First line of a space_info: `space_info METADATA (sub-group id 0) has 0 free, is full`.
    Head {
        /// What it is for.
        kind: SpaceKind,
        /// Its sub-group.
        subgroup: i64,
        /// Free bytes.
        free: i64,
        /// Whether the last try to allocate a chunk failed.
        full: bool,
    },
    /// Second line of a space_info.
    Totals(Totals),
    /// `global_block_rsv: size 0 reserved 0`.
    Reserve(Reserve),
    /// A block group: its length, what it holds, whether it is read-only.
    Group {
        /// Bytes.
        length: i64,
        /// Used, pinned and reserved bytes.
        taken: i128,
        /// `[readonly]`
        readonly: bool,
    },
    /// A new dump begins.
    Begin(Trigger),
    /// A dump begins that says what was asked for.
    Request {
        /// Why.
        trigger: Trigger,
        /// Of what.
        kind: SpaceKind,
        /// How many bytes.
        bytes: i64,
    },
    /// `failing ticket with 3932160 bytes`.
    Ticket(i64),
    /// An error number: of a transaction that was aborted, or of a function that failed.
    Error(i64),
    /// `first mount of filesystem UUID`, in 6.1 and later.
    Mount(String),
    /// `forced readonly`
    ForcedReadonly,
    /// No chunk: too few devices have room.
    FewDevices {
        /// Devices with room.
        have: i64,
        /// Devices that the profile needs.
        need: i64,
    },
}

/// `space_info total=8388608, used=180224, ...`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the kernel's names")]
pub struct Totals {
    pub total: i64,
    pub used: i64,
    pub pinned: i64,
    pub reserved: i64,
    pub may_use: i64,
    pub readonly: i64,
    pub zone_unusable: i64,
}

/// Reads a message; `None` for one that says nothing about space.
#[must_use]
pub fn read(message: &str) -> Option<Said> {
    let message = message.trim();
    if let Some(rest) = message.strip_prefix("space_info total=") {
        return totals(rest).map(Said::Totals);
    }
    if let Some(rest) = message.strip_prefix("space_info ") {
        return head(rest);
    }
    if let Some(rest) = message.strip_prefix("block group ") {
        return group(rest);
    }
    if let Some(rest) = message.strip_prefix("failing ticket with ") {
        return leading_counter(rest).map(|(bytes, _)| Said::Ticket(bytes));
    }
    if let Some(rest) = message.strip_prefix("allocation failed flags ") {
        let (flags, rest) = leading_counter(rest)?;
        let (bytes, _) = leading_counter(rest.strip_prefix(", wanted ")?)?;
        let kind = SpaceKind::of_flags(flags as u64);
        return Some(Said::Request { trigger: Trigger::Allocation, kind, bytes });
    }
    if let Some(rest) = message.strip_prefix("left=") {
        let (_, rest) = rest.split_once(", need=")?;
        let (bytes, _) = leading_counter(rest)?;
        // `check_system_chunk()`, whatever the chunk is for that needs room in the chunk tree.
        return Some(Said::Request { trigger: Trigger::Reservation, kind: SpaceKind::System, bytes });
    }
    if message.starts_with("unable to make block group ") {
        return Some(Said::Begin(Trigger::MakeReadonly));
    }
    if message.starts_with("cannot satisfy tickets") {
        return Some(Said::Begin(Trigger::Tickets));
    }
    if message.starts_with("dumping space info") {
        return Some(Said::Begin(Trigger::Abort));
    }
    if let Some(rest) = message.strip_prefix("first mount of filesystem ") {
        return Some(Said::Mount(rest.trim().to_owned()));
    }
    if message == "forced readonly" {
        return Some(Said::ForcedReadonly);
    }
    if let Some((_, rest)) = message.split_once("not enough devices with free space: have=") {
        let (have, rest) = leading_counter(rest)?;
        let (_, rest) = rest.split_once('=')?;
        return leading_counter(rest).map(|(need, _)| Said::FewDevices { have, need });
    }
    if let Some((_, rest)) = message.split_once("Transaction aborted (error ") {
        return leading_counter(rest).map(|(error, _)| Said::Error(error));
    }
    if let Some((_, rest)) = message.split_once("errno=") {
        return leading_counter(rest).map(|(error, _)| Said::Error(error));
    }
    reserve(message).map(Said::Reserve)
}

fn head(rest: &str) -> Option<Said> {
    let (name, rest) = rest.split_once(" has ")?;
    let (free, rest) = leading_counter(rest)?;
    let full = match rest.strip_prefix(" free, is ")? {
        "full" => true,
        "not full" => false,
        _ => return None,
    };
    let (name, subgroup) = match name.split_once(" (sub-group id ") {
        Some((name, id)) => (name, counter(id.strip_suffix(')')?)?),
        None => (name, 0),
    };
    Some(Said::Head { kind: SpaceKind::of_kernel(name), subgroup, free, full })
}

fn totals(rest: &str) -> Option<Totals> {
    let (total, rest) = leading_counter(rest)?;
    let mut totals = Totals { total, ..Totals::default() };
    let mut used = false;
    for pair in rest.split([',', ' ']).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let value = counter(value)?;
        match name {
            "used" => {
                used = true;
                totals.used = value;
            }
            "pinned" => totals.pinned = value,
            "reserved" => totals.reserved = value,
            "may_use" => totals.may_use = value,
            "readonly" => totals.readonly = value,
            "zone_unusable" => totals.zone_unusable = value,
            _ => {}
        }
    }
    used.then_some(totals)
}

fn reserve(message: &str) -> Option<Reserve> {
    let (name, rest) = message.split_once(": size ")?;
    let name = ReserveName::ALL.into_iter().find(|known| known.kernel_name() == name)?;
    let (size, rest) = leading_counter(rest)?;
    let (reserved, _) = leading_counter(rest.strip_prefix(" reserved ")?)?;
    Some(Reserve { name, size, reserved })
}

/// `N has N bytes, N used N pinned N reserved`, then more words by kernel version, then `[readonly]` or nothing.
fn group(rest: &str) -> Option<Said> {
    let (_, rest) = rest.split_once(" has ")?;
    let (length, rest) = leading_counter(rest)?;
    let mut words = rest.strip_prefix(" bytes, ")?.split(' ');
    let mut taken = 0;
    for name in ["used", "pinned", "reserved"] {
        taken += i128::from(counter(words.next()?)?);
        if words.next()? != name {
            return None;
        }
    }
    Some(Said::Group { length, taken, readonly: words.any(|word| word == "[readonly]") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_in_all_dialects() {
        let head = |kind, subgroup, free, full| Some(Said::Head { kind, subgroup, free, full });
        for (line, said) in [
            // 4.14 to 5.9, %llu: overcommit wraps
            (
                "space_info 4 has 18446744073701163008 free, is not full",
                head(SpaceKind::Metadata, 0, -8_388_608, false),
            ),
            // 5.10 to 6.0, %lld
            ("space_info 1 has -4096 free, is full", head(SpaceKind::Data, 0, -4096, true)),
            ("space_info 5 has 0 free, is full", head(SpaceKind::Mixed, 0, 0, true)),
            ("space_info 2 has 1 free, is not full", head(SpaceKind::System, 0, 1, false)),
            // 6.1 on
            (
                "space_info METADATA has -11010048 free, is full",
                head(SpaceKind::Metadata, 0, -11_010_048, true),
            ),
            ("space_info DATA+METADATA has 5 free, is full", head(SpaceKind::Mixed, 0, 5, true)),
            // 6.1.y, 6.12.y and 6.16 on
            (
                "space_info METADATA (sub-group id 1) has 7 free, is not full",
                head(SpaceKind::Metadata, 1, 7, false),
            ),
            ("space_info UNKNOWN has 7 free, is full", head(SpaceKind::Unknown, 0, 7, true)),
            ("space_info METADATA has many free, is full", None),
            ("space_info METADATA has 7 free, is odd", None),
        ] {
            assert_eq!(read(line), said, "{line}");
        }
    }

    #[test]
    fn the_second_line_with_and_without_zones() {
        let old = "space_info total=8388608, used=425984, pinned=163840, reserved=16384, may_use=7323648, readonly=65536";
        let totals = Totals {
            total: 8_388_608,
            used: 425_984,
            pinned: 163_840,
            reserved: 16_384,
            may_use: 7_323_648,
            readonly: 65_536,
            zone_unusable: 0,
        };
        assert_eq!(read(old), Some(Said::Totals(totals)));
        let new = format!("{old} zone_unusable=4096");
        assert_eq!(read(&new), Some(Said::Totals(Totals { zone_unusable: 4096, ..totals })));
        assert_eq!(read("space_info total=8388608, us"), None, "a line that was cut off");
        assert_eq!(read("space_info total=8388608"), None);
    }

    #[test]
    fn reserves_by_name() {
        for name in ReserveName::ALL {
            let line = format!("{}: size 12 reserved 18446744073709551615", name.kernel_name());
            assert_eq!(read(&line), Some(Said::Reserve(Reserve { name, size: 12, reserved: -1 })));
        }
        assert_eq!(read("other_rsv: size 1 reserved 1"), None);
    }

    #[test]
    fn block_groups_in_all_dialects() {
        let group = |readonly| Some(Said::Group { length: 100, taken: 60, readonly });
        for (line, readonly) in [
            ("block group 1 has 100 bytes, 10 used 20 pinned 30 reserved [readonly]", true),
            ("block group 1 has 100 bytes, 10 used 20 pinned 30 reserved ", false),
            ("block group 1 has 100 bytes, 10 used 20 pinned 30 reserved 0 zone_unusable [readonly]", true),
            (
                "block group 1 has 100 bytes, 10 used 20 pinned 30 reserved 0 delalloc 0 super 0 zone_unusable (40 bytes available) ",
                false,
            ),
        ] {
            assert_eq!(read(line), group(readonly), "{line}");
        }
    }

    #[test]
    fn what_was_asked_for_and_what_became_of_it() {
        let request = |trigger, kind, bytes| Some(Said::Request { trigger, kind, bytes });
        for (line, said) in [
            ("failing ticket with 3932160 bytes", Some(Said::Ticket(3_932_160))),
            (
                "allocation failed flags 12, wanted 4096 tree-log 0, relocation: 0",
                request(Trigger::Allocation, SpaceKind::Metadata, 4096),
            ),
            (
                "allocation failed flags 1, wanted 1048576",
                request(Trigger::Allocation, SpaceKind::Data, 1 << 20),
            ),
            ("left=0, need=393216, flags=4", request(Trigger::Reservation, SpaceKind::System, 393_216)),
            ("unable to make block group 22020096 ro", Some(Said::Begin(Trigger::MakeReadonly))),
            ("cannot satisfy tickets, dumping space info", Some(Said::Begin(Trigger::Tickets))),
            ("dumping space info:", Some(Said::Begin(Trigger::Abort))),
            ("Transaction aborted (error -28)", Some(Said::Error(-28))),
            ("in btrfs_run_delayed_refs:2150: errno=-122 Quota", Some(Said::Error(-122))),
            ("forced readonly", Some(Said::ForcedReadonly)),
            ("first mount of filesystem 2a6f7e80", Some(Said::Mount("2a6f7e80".to_owned()))),
            (
                "btrfs_create_chunk: not enough devices with free space: have=1 minimum required=2",
                Some(Said::FewDevices { have: 1, need: 2 }),
            ),
            ("disk space caching is enabled", None),
        ] {
            assert_eq!(read(line), said, "{line}");
        }
    }
}
