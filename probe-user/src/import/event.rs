//! The fields of btrfs' events, as `TP_printk` of `include/trace/events/btrfs.h` prints them (6.1 to 7.x).
use crate::format::parse_uuid;

/// A counter of a space_info whose changes are traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpaceCounter {
    /// `bytes_may_use`
    MayUse,
    /// `bytes_pinned`
    Pinned,
    /// `bytes_zone_unusable`
    ZoneUnusable,
}

impl SpaceCounter {
    /// The field of `struct btrfs_space_info`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MayUse => "bytes_may_use",
            Self::Pinned => "bytes_pinned",
            Self::ZoneUnusable => "bytes_zone_unusable",
        }
    }
}

/// An event with the fields that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// `update_bytes_*`: the counter before the change, as the kernel has it, and the change.
    Space {
        /// Which.
        counter: SpaceCounter,
        /// `DATA`, `METADATA`, ...
        kind: &'a str,
        /// Before.
        old: u64,
        /// Change.
        diff: i64,
    },
    /// `qgroup_update_reserve`
    Qgroup {
        /// `qgroupid`
        id: u64,
        /// `DATA`, `META_PREALLOC`, `META_PERTRANS`
        kind: &'a str,
        /// Before.
        old: u64,
        /// Change.
        diff: i64,
    },
    /// `btrfs_inode_mod_outstanding_extents`: the change, and the counter after it where the kernel prints it (6.12 on).
    Extents {
        /// Subvolume, signed.
        root: i64,
        /// Inode number.
        ino: u64,
        /// Change.
        diff: i32,
        /// After.
        new: Option<u32>,
    },
    /// `btrfs_space_reservation`
    Reservation {
        /// Of what.
        kind: &'a str,
        /// Reserved, not released.
        reserve: bool,
        /// Bytes.
        bytes: u64,
    },
    /// `btrfs_reserve_ticket`: a wait ended.
    Ticket {
        /// Type of the space_info.
        kind: &'a str,
        /// Bytes.
        bytes: u64,
        /// `CLOCK_MONOTONIC` ns of its begin; 0 if the event was off then.
        start: u64,
        /// 0 or a negative errno.
        error: i32,
    },
    /// `btrfs_trigger_flush`
    Trigger {
        /// Why.
        reason: &'a str,
    },
    /// `btrfs_flush_space`
    Flush {
        /// Name of the state.
        state: &'a str,
        /// 0 or a negative errno.
        ret: i32,
    },
    /// `btrfs_fail_all_tickets`
    FailAll,
    /// `btrfs_transaction_commit`
    Commit,
    /// `btrfs_reserved_extent_alloc` (true) or `_free`.
    Extent {
        /// Taken, not given back.
        alloc: bool,
        /// Bytes.
        bytes: u64,
    },
    /// Counted only.
    Other,
}

/// The filesystem and the event; `None` if the fields are not those of the event.
#[must_use]
pub fn read<'a>(name: &str, fields: &'a str) -> Option<([u8; 16], Event<'a>)> {
    let (uuid, fields) = fields.split_once(": ")?;
    let uuid = parse_uuid(uuid.trim())?;
    let name = name.strip_prefix("btrfs_").unwrap_or(name);
    Some((uuid, of_name(name, fields)?))
}

fn of_name<'a>(name: &str, fields: &'a str) -> Option<Event<'a>> {
    let space = |counter| {
        Some(Event::Space {
            counter,
            kind: word(fields, "type=")?,
            old: number(fields, "old=")?,
            diff: number(fields, "diff=")?,
        })
    };
    match name {
        "update_bytes_may_use" => space(SpaceCounter::MayUse),
        "update_bytes_pinned" => space(SpaceCounter::Pinned),
        "update_bytes_zone_unusable" => space(SpaceCounter::ZoneUnusable),
        "qgroup_update_reserve" => Some(Event::Qgroup {
            id: number(fields, "qgid=")?,
            kind: word(fields, "type=")?,
            old: number(fields, "cur_reserved=")?,
            diff: number(fields, "diff=")?,
        }),
        "inode_mod_outstanding_extents" => Some(Event::Extents {
            root: root(fields)?,
            ino: number(fields, "ino=")?,
            diff: number(fields, "mod=")?,
            new: number(fields, "outstanding="),
        }),
        "space_reservation" => reservation(fields),
        "reserve_ticket" => Some(Event::Ticket {
            kind: word(fields, "flags=")?,
            bytes: number(fields, "bytes=")?,
            start: number(fields, "start_ns=")?,
            error: number(fields, "error=")?,
        }),
        "trigger_flush" => Some(Event::Trigger { reason: fields.split_once(':')?.0 }),
        "flush_space" => {
            Some(Event::Flush { state: inside(word(fields, "state=")?), ret: number(fields, "ret=")? })
        }
        "fail_all_tickets" => word(fields, "flags=").map(|_| Event::FailAll),
        "transaction_commit" => Some(Event::Commit),
        "reserved_extent_alloc" | "reserved_extent_free" => {
            Some(Event::Extent { alloc: name.ends_with("alloc"), bytes: number(fields, "len=")? })
        }
        _ => Some(Event::Other),
    }
}

/// `delalloc: 257 reserve 4096`; the name can have colons.
fn reservation(fields: &str) -> Option<Event<'_>> {
    let (kind, rest) = fields.rsplit_once(": ")?;
    let mut words = rest.split_whitespace();
    let _object = words.next()?;
    let reserve = match words.next()? {
        "reserve" => true,
        "release" => false,
        _ => return None,
    };
    let bytes = words.next()?.parse().ok()?;
    (kind.len() <= 64).then_some(Event::Reservation { kind, reserve, bytes })
}

/// `root=5(FS_TREE)`; ids of the kernel's own trees are negative.
fn root(fields: &str) -> Option<i64> {
    let word = word(fields, "root=")?;
    let number: u64 = word.split('(').next()?.parse().ok()?;
    Some(number as i64)
}

/// `9(ALLOC_CHUNK_FORCE)` without the number.
fn inside(word: &str) -> &str {
    word.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(word)
}

/// What stands behind a name, up to the next blank; the name begins a word.
fn word<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    let found = fields.split_whitespace().find_map(|word| word.strip_prefix(name))?;
    (found.len() <= 64 && !found.is_empty()).then_some(found)
}

fn number<N: std::str::FromStr>(fields: &str, name: &str) -> Option<N> {
    word(fields, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(name: &str, fields: &'a str) -> Option<Event<'a>> {
        of_name(name, fields)
    }

    #[test]
    fn fields_are_read_as_the_kernel_prints_them() {
        let cases = [
            (
                "update_bytes_may_use",
                "type=DATA|METADATA old=18446744073709551615 diff=-4096",
                Event::Space {
                    counter: SpaceCounter::MayUse,
                    kind: "DATA|METADATA",
                    old: u64::MAX,
                    diff: -4096,
                },
            ),
            (
                "qgroup_update_reserve",
                "qgid=256 type=META_PREALLOC cur_reserved=81920 diff=-81920",
                Event::Qgroup { id: 256, kind: "META_PREALLOC", old: 81920, diff: -81920 },
            ),
            (
                "inode_mod_outstanding_extents",
                "root=18446744073709551607(DATA_RELOC_TREE) ino=257 mod=-1 outstanding=4294967295",
                Event::Extents { root: -9, ino: 257, diff: -1, new: Some(u32::MAX) },
            ),
            (
                "inode_mod_outstanding_extents",
                "root=5(FS_TREE) ino=257 mod=1",
                Event::Extents { root: 5, ino: 257, diff: 1, new: None },
            ),
            (
                "space_reservation",
                "space_info:enospc: 1 reserve 229376",
                Event::Reservation { kind: "space_info:enospc", reserve: true, bytes: 229_376 },
            ),
            (
                "space_reservation",
                "delalloc: 257 release 4096",
                Event::Reservation { kind: "delalloc", reserve: false, bytes: 4096 },
            ),
            (
                "reserve_ticket",
                "flags=DATA bytes=32768 start_ns=11374358138 flush=0x3 error=-28",
                Event::Ticket { kind: "DATA", bytes: 32768, start: 11_374_358_138, error: -28 },
            ),
            (
                "flush_space",
                "state=9(ALLOC_CHUNK_FORCE) flags=1(DATA) num_bytes=18446744073709551615 ret=-28 for_preempt=0",
                Event::Flush { state: "ALLOC_CHUNK_FORCE", ret: -28 },
            ),
            (
                "reserved_extent_free",
                "root=2(EXTENT_TREE) start=30441472 len=16384",
                Event::Extent { alloc: false, bytes: 16384 },
            ),
        ];
        for (name, fields, expected) in cases {
            assert_eq!(of(name, fields), Some(expected), "{fields}");
        }
    }

    #[test]
    fn fields_of_another_event_are_none() {
        for (name, fields) in [
            ("update_bytes_may_use", "old=1 diff=2"),
            ("update_bytes_may_use", "type= old=1 diff=2"),
            ("update_bytes_may_use", "type=DATA old=-1 diff=2"),
            ("qgroup_update_reserve", "qgid=5 type=DATA cur_reserved=1"),
            ("space_reservation", "delalloc: 257 keep 4096"),
            ("reserve_ticket", "flags=DATA bytes=99999999999999999999999 start_ns=1 error=0"),
        ] {
            assert_eq!(of(name, fields), None, "{fields}");
        }
        assert_eq!(read("update_bytes_may_use", "no-uuid: type=DATA old=1 diff=2"), None);
    }
}
