//! The state of a filesystem at the moment at which a reservation failed.
use crate::{
    fs::Rsv,
    header::{Header, MAX_RECORD_LEN},
};

/// `FailureState::why`: a ticket failed. Sent behind its [`crate::failure::Ticket`].
pub const FAILURE_TICKET: u32 = 1;
/// `FailureState::why`: a request that may not wait was refused. Sent behind its [`crate::failure::Enospc`].
pub const FAILURE_NO_WAIT: u32 = 2;
/// `FailureState::why`: `btrfs_fail_all_tickets`, under the lock of the space_info, before the tickets fail.
pub const FAILURE_ALL_TICKETS: u32 = 3;
/// `FailureState::why`: btrfs has logged that a transaction was aborted. Read on demand, so it is the state right after it.
pub const FAILURE_ABORT: u32 = 4;

/// Space_infos in a record. Others, and all sub-groups, are counted.
pub const STATE_SPACES: usize = 4;
/// Devices in a record. Others are counted.
pub const STATE_DEVICES: usize = 14;
/// States of one class ([`state_class`]) that are sent of one filesystem in a window of [`STATE_WINDOW_BITS`]. Others are counted in
/// the next one.
pub const STATES_AT_MOST: u32 = 4;
/// As [`STATES_AT_MOST`], of requests that may not wait.
pub const STATES_NO_WAIT: u32 = 2;
/// Classes of states.
pub const STATE_CLASSES: usize = 8;
/// Length of a window, as a power of two in ns: about a second.
pub const STATE_WINDOW_BITS: u32 = 30;

/// The class of a state, below [`STATE_CLASSES`]: a burst of one class does not hide another. `why`: `FAILURE_*`. `space_flags`:
/// `space_info->flags` of the request.
#[must_use]
#[inline(always)]
pub const fn state_class(why: u32, space_flags: u64) -> u32 {
    let data = (space_flags & crate::space::BLOCK_GROUP_DATA != 0) as u32;
    (why << 1 | data) & (STATE_CLASSES as u32 - 1)
}

/// One `struct btrfs_space_info`, with everything that its `total_bytes` have to be enough for; bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct SpaceState {
    /// `flags`; 0 if this entry is empty.
    pub flags: u64,
    /// `total_bytes`
    pub total: u64,
    /// `bytes_used`
    pub used: u64,
    /// `bytes_pinned`
    pub pinned: u64,
    /// `bytes_reserved`
    pub reserved: u64,
    /// `bytes_may_use`
    pub may_use: u64,
    /// `bytes_readonly`
    pub readonly: u64,
    /// `bytes_zone_unusable`
    pub zone_unusable: u64,
}

/// Why a reservation failed, as far as the kernel's figures show it. A [`FailureDevices`] with the same `at` and thread follows.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct FailureState {
    /// Header.
    pub header: Header,
    /// When it was read, `CLOCK_MONOTONIC` ns, exact.
    pub at: u64,
    /// `FAILURE_*`
    pub why: u32,
    /// Negative errno; 0 if it is not known.
    pub error: i32,
    /// `enum btrfs_reserve_flush_enum`; -1 if it is not known.
    pub flush: i32,
    /// `LEVELS_*` state flags, see [`crate::fs::Levels`].
    pub fs_flags: u32,
    /// Bytes that were asked for; 0 if they are not known.
    pub bytes: u64,
    /// `space_info->flags` of the request; 0 if they are not known.
    pub space_flags: u64,
    /// Subvolume that the task last published for in this operation; 0 if none.
    pub root: u64,
    /// Inode number that the task last published for in this operation; 0 if none.
    pub ino: u64,
    /// Stack id; 0 if none was taken.
    pub stack: u64,
    /// Generation of the running transaction.
    pub transid: u64,
    /// `avail_data_alloc_bits`, `avail_metadata_alloc_bits`, `avail_system_alloc_bits`: profiles of the block groups.
    pub profiles: [u64; 3],
    /// `free_chunk_space`: unallocated bytes of all devices.
    pub free_chunk_space: u64,
    /// Bit n: `full` of `space[n]` is set, so the last try to allocate a chunk for it failed.
    pub full: u32,
    /// Sub-groups of the space_infos (6.16 on), which are not in this record.
    pub sub_groups: u32,
    /// Space_infos of which this record has no room, at least.
    pub spaces_beyond: u32,
    /// Failures of this filesystem whose state was not sent because there were too many, since the last one that was.
    pub left_out: u32,
    /// global, trans, chunk, delayed, delayed_refs, treelog and remap block_rsv; zero where this kernel has none.
    pub rsvs: [Rsv; 7],
    /// The space_infos, in the order of `fs_info->space_info`.
    pub space: [SpaceState; STATE_SPACES],
}

/// One `struct btrfs_device` on which chunks can be allocated.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct DeviceState {
    /// `devid`
    pub devid: u64,
    /// `total_bytes`
    pub total: u64,
    /// `bytes_used`: allocated to chunks.
    pub used: u64,
    /// `dev_state`
    pub state: u64,
}

/// The devices of a [`FailureState`]: those of `fs_devices->alloc_list`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct FailureDevices {
    /// Header.
    pub header: Header,
    /// [`FailureState::at`]
    pub at: u64,
    /// `rw_devices`: how many are in the list.
    pub devices: u64,
    /// The first of them; `devid` is 0 where there is none.
    pub device: [DeviceState; STATE_DEVICES],
    /// `reclaim_size` of the space_info of the request: bytes of the tickets that wait, the failed one no longer among them; 0 if
    /// the space_info is not known.
    pub reclaim_size: u64,
}

/// `QgroupRefusal::outcome`: the reservation exceeds the limit, so the kernel refuses it.
pub const QGROUP_REFUSED: u32 = 0;
/// `QgroupRefusal::outcome`: the reservation was made after all: after a flush, or because the limit does not bind this task.
pub const QGROUP_GRANTED: u32 = 1;

/// A reservation that does not fit into the limit of a qgroup (EDQUOT).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct QgroupRefusal {
    /// Header.
    pub header: Header,
    /// When it was read, `CLOCK_MONOTONIC` ns, exact.
    pub at: u64,
    /// Subvolume.
    pub root: u64,
    /// Inode number, of a reservation of data; else 0.
    pub ino: u64,
    /// The first qgroup whose limit is exceeded: the subvolume's, or one above it.
    pub qgroupid: u64,
    /// `lim_flags`
    pub lim_flags: u64,
    /// `max_rfer`, bytes.
    pub max_rfer: u64,
    /// `max_excl`, bytes.
    pub max_excl: u64,
    /// `rfer`, bytes.
    pub rfer: u64,
    /// `excl`, bytes.
    pub excl: u64,
    /// `rsv.values`: data, pertrans, prealloc; bytes.
    pub reserved: [u64; 3],
    /// Bytes that were asked for.
    pub bytes: u64,
    /// What was asked for: 0 data, 1 metadata of a running transaction (pertrans), 2 metadata in advance (prealloc).
    pub kind: u32,
    /// `QGROUP_*`
    pub outcome: u32,
    /// Stack id; 0 if none was taken.
    pub stack: u64,
}

/// `BTRFS_QGROUP_LIMIT_MAX_RFER` in `lim_flags`.
pub const LIMIT_MAX_RFER: u64 = 1;
/// `BTRFS_QGROUP_LIMIT_MAX_EXCL`
pub const LIMIT_MAX_EXCL: u64 = 1 << 1;

const _: () = assert!(size_of::<FailureState>() <= MAX_RECORD_LEN);
const _: () = assert!(size_of::<FailureDevices>() <= MAX_RECORD_LEN);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA};

    /// A burst of failed tickets of data left `mkdir` without figures.
    #[test]
    fn each_kind_of_failure_has_a_class_for_data_and_one_for_the_rest() {
        let mut seen = [false; STATE_CLASSES];
        for why in [FAILURE_TICKET, FAILURE_NO_WAIT, FAILURE_ALL_TICKETS, FAILURE_ABORT] {
            for flags in [BLOCK_GROUP_DATA, BLOCK_GROUP_METADATA] {
                seen[state_class(why, flags) as usize] = true;
            }
        }
        assert_eq!(seen, [true; STATE_CLASSES]);
    }
}
