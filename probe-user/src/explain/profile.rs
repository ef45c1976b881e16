//! Profiles of block groups, and whether a chunk of one finds room.
use super::usage::Usage;

/// How block groups are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the kernel's names")]
pub enum Profile {
    Single,
    Dup,
    Raid0,
    Raid1,
    Raid1C3,
    Raid1C4,
    Raid10,
    Raid5,
    Raid6,
}

/// The first MiB of each device belongs to no chunk (`BTRFS_DEVICE_RANGE_RESERVED`).
const DEVICE_RESERVED: i64 = 1 << 20;
/// A stripe of a chunk is at least this long (`BTRFS_STRIPE_LEN`).
const STRIPE: i64 = 64 << 10;

impl Profile {
    const ALL: [(Self, &'static str, u64, i64, i64); 9] = [
        (Self::Single, "single", 1, 1, 1),
        (Self::Dup, "DUP", 1, 2, 2),
        (Self::Raid0, "RAID0", 1, 1, 1),
        (Self::Raid1, "RAID1", 2, 2, 1),
        (Self::Raid1C3, "RAID1C3", 3, 3, 1),
        (Self::Raid1C4, "RAID1C4", 4, 4, 1),
        (Self::Raid10, "RAID10", 2, 2, 1),
        (Self::Raid5, "RAID5", 2, 1, 1),
        (Self::Raid6, "RAID6", 3, 1, 1),
    ];

    /// As btrfs-progs prints it.
    #[must_use]
    pub fn of_progs(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name, ..)| *name == text).map(|(profile, ..)| *profile)
    }

    const fn row(self) -> (Self, &'static str, u64, i64, i64) {
        Self::ALL[self as usize]
    }

    /// Name as btrfs-progs prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// Devices that a chunk needs at least (`devs_min`, 5.15 on).
    #[must_use]
    pub const fn devices(self) -> u64 {
        self.row().2
    }

    /// Bytes on disk for a byte of the space_info (`btrfs_bg_type_to_factor()`).
    #[must_use]
    pub const fn factor(self) -> i64 {
        self.row().3
    }

    /// Stripes of one chunk on one device (`dev_stripes`).
    const fn stripes(self) -> i64 {
        self.row().4
    }
}

/// Whether a chunk of this profile finds room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRoom {
    /// Devices with room for a stripe.
    pub devices: u64,
    /// Devices that the profile needs.
    pub needed: u64,
}

impl ChunkRoom {
    /// Whether a chunk can be allocated.
    #[must_use]
    pub const fn enough(self) -> bool {
        self.devices >= self.needed
    }
}

/// Counts the devices with room for a stripe. `None` if the text does not say: it has no unallocated bytes by device, and
/// those of all devices together would be enough for one.
#[must_use]
pub fn chunk_room(usage: &Usage, profile: Profile) -> Option<ChunkRoom> {
    let smallest = DEVICE_RESERVED + STRIPE * profile.stripes();
    // In doubt a rounded number has room: "no room" must be proven.
    let has_room = |bytes: &super::figure::Amount| bytes.bytes.saturating_add(bytes.off_by) >= smallest;
    if usage.devices.is_empty() {
        let none = !has_room(usage.unallocated.as_ref()?);
        return none.then_some(ChunkRoom { devices: 0, needed: profile.devices() });
    }
    // Nothing is allocated on a device that is missing.
    let present = |path: &str| path != "missing" && !path.starts_with("<missing");
    let devices =
        usage.devices.iter().filter(|(path, bytes)| present(path) && has_room(bytes)).count() as u64;
    Some(ChunkRoom { devices, needed: profile.devices() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::{super::figure::Amount, *};

    #[test]
    fn rows_stand_at_their_profile() {
        for (at, (profile, name, ..)) in Profile::ALL.into_iter().enumerate() {
            assert_eq!(profile as usize, at);
            assert_eq!(Profile::of_progs(name), Some(profile));
            assert_eq!(profile.name(), name);
        }
    }

    #[test]
    fn a_chunk_needs_its_devices_and_the_first_mib_does_not_count() {
        let usage = |amounts: &[i64]| Usage {
            devices: amounts.iter().map(|bytes| ("/dev/x".to_owned(), Amount::exact(*bytes))).collect(),
            ..Usage::default()
        };
        let enough = |amounts: &[i64], profile| chunk_room(&usage(amounts), profile).map(ChunkRoom::enough);
        assert_eq!(enough(&[1 << 20], Profile::Single), Some(false));
        assert_eq!(enough(&[2 << 20], Profile::Single), Some(true));
        assert_eq!(enough(&[(1 << 20) + STRIPE], Profile::Dup), Some(false));
        assert_eq!(enough(&[1 << 30, 1 << 20], Profile::Raid1), Some(false));
        assert_eq!(enough(&[1 << 30, 1 << 30], Profile::Raid1), Some(true));
        assert_eq!(enough(&[], Profile::Single), None);
        let together = |bytes| Usage { unallocated: Some(Amount::exact(bytes)), ..Usage::default() };
        assert!(!chunk_room(&together(1 << 20), Profile::Single).unwrap().enough());
        assert_eq!(chunk_room(&together(1 << 30), Profile::Single), None);
        let mut degraded = usage(&[1 << 30, 1 << 30]);
        degraded.devices[1].0 = "missing".to_owned();
        assert!(!chunk_room(&degraded, Profile::Raid1).unwrap().enough());
    }
}
