//! The state that the kernel side read at a failure, as a case: the same rules explain it as a dump in a kernel log.
//!
//! It has more than a dump: the devices and the profiles, as `btrfs filesystem usage -b` shows them, of the same moment.
use probe_common::{
    fs::Rsv,
    shortage::{
        FAILURE_ABORT, FAILURE_NO_WAIT, FailureDevices, FailureState, QgroupRefusal, STATE_DEVICES,
        SpaceState,
    },
};

use super::{
    case::Case,
    figure::Amount,
    log::Filesystem,
    profile::Profile,
    space::{Moment, Reserve, ReserveName, SpaceInfo, SpaceKind, Trigger},
    usage::{Allocation, Usage},
};

/// `BTRFS_BLOCK_GROUP_*` of profiles, the one that the kernel prefers first (`btrfs_reduce_alloc_profile()`).
const PROFILES: [(u64, Profile); 8] = [
    (1 << 10, Profile::Raid1C4),
    (1 << 8, Profile::Raid6),
    (1 << 9, Profile::Raid1C3),
    (1 << 7, Profile::Raid5),
    (1 << 6, Profile::Raid10),
    (1 << 4, Profile::Raid1),
    (1 << 5, Profile::Dup),
    (1 << 3, Profile::Raid0),
];

/// A case of its own. `device`: the name of the filesystem's device.
#[must_use]
pub fn case(device: &str, state: &FailureState, devices: Option<&FailureDevices>) -> Case {
    let mut log = Filesystem::default();
    log.best = Some(moment(state, devices));
    log.dumps = 1;
    log.enospc = true;
    log.forced_readonly = state.why == FAILURE_ABORT;
    Case { device: device.to_owned(), log: Some(log), usage: Some(usage(state, devices)) }
}

/// A limit of a qgroup refused.
#[must_use]
pub fn qgroup_case(device: &str, refusal: &QgroupRefusal) -> Case {
    let mut log = Filesystem::default();
    log.edquot = true;
    log.refusal = Some(*refusal);
    Case { device: device.to_owned(), log: Some(log), usage: None }
}

fn spaces(state: &FailureState) -> impl Iterator<Item = (usize, &SpaceState)> {
    state.space.iter().enumerate().filter(|(_, space)| space.flags != 0)
}

fn moment(state: &FailureState, devices: Option<&FailureDevices>) -> Moment {
    let names = [
        ReserveName::Global,
        ReserveName::Trans,
        ReserveName::Chunk,
        ReserveName::Delayed,
        ReserveName::DelayedRefs,
        ReserveName::Treelog,
        ReserveName::Remap,
    ];
    // Not every kernel has the last two.
    let has = |name: ReserveName, rsv: &Rsv| {
        !matches!(name, ReserveName::Treelog | ReserveName::Remap) || *rsv != Rsv::default()
    };
    Moment {
        trigger: match state.why {
            FAILURE_NO_WAIT => Trigger::Reservation,
            FAILURE_ABORT => Trigger::Abort,
            _ => Trigger::Tickets,
        },
        spaces: spaces(state).map(|(at, space)| space_info(space, state.full >> at & 1 != 0)).collect(),
        reserves: names
            .into_iter()
            .zip(&state.rsvs)
            .filter(|(name, rsv)| has(*name, rsv))
            .map(|(name, rsv)| Reserve { name, size: rsv.size as i64, reserved: rsv.reserved as i64 })
            .collect(),
        request: (state.bytes != 0).then_some(state.bytes as i64),
        wanted: (state.space_flags != 0).then(|| SpaceKind::of_flags(state.space_flags)),
        waiting: devices.map_or(0, |devices| devices.reclaim_size as i64),
        tickets: u64::from(!matches!(state.why, FAILURE_NO_WAIT | FAILURE_ABORT)),
        ..Moment::default()
    }
}

fn space_info(space: &SpaceState, full: bool) -> SpaceInfo {
    let SpaceState { flags, total, used, pinned, reserved, may_use, readonly, zone_unusable } = *space;
    SpaceInfo {
        kind: SpaceKind::of_flags(flags),
        subgroup: 0,
        printed_free: None,
        full: Some(full),
        total: total as i64,
        used: used as i64,
        pinned: pinned as i64,
        reserved: reserved as i64,
        may_use: may_use as i64,
        readonly: readonly as i64,
        zone_unusable: zone_unusable as i64,
    }
}

fn usage(state: &FailureState, devices: Option<&FailureDevices>) -> Usage {
    let mut usage = Usage {
        unallocated: Some(Amount::exact(state.free_chunk_space as i64)),
        allocations: spaces(state).map(|(_, space)| allocation(space, state, devices)).collect(),
        ..Usage::default()
    };
    // If some are not known, what is known of the others proves nothing.
    if let Some(devices) = devices
        && devices.devices <= STATE_DEVICES as u64
    {
        let known = || devices.device.iter().filter(|device| device.devid != 0);
        let sum = known().fold(0_u64, |sum, device| sum.saturating_add(device.total));
        usage.device_size = Some(Amount::exact(sum as i64));
        let row = |device: &probe_common::shortage::DeviceState| {
            let left = device.total.saturating_sub(device.used);
            (format!("devid {}", device.devid), Amount::exact(left as i64))
        };
        usage.devices = known().map(row).collect();
    }
    usage
}

fn allocation(space: &SpaceState, state: &FailureState, devices: Option<&FailureDevices>) -> Allocation {
    let kind = SpaceKind::of_flags(space.flags);
    let [data, metadata, system] = state.profiles;
    let bits = match kind {
        SpaceKind::Data => data,
        SpaceKind::System => system,
        _ => metadata,
    };
    let possible = |profile: Profile| devices.is_none_or(|devices| devices.devices >= profile.devices());
    let profile = PROFILES.into_iter().find(|(bit, profile)| bits & bit != 0 && possible(*profile));
    Allocation {
        kind,
        profile: profile.map_or(Profile::Single, |(_, profile)| profile),
        size: Amount::exact(space.total as i64),
        used: Amount::exact(space.used as i64),
    }
}

/// What the record has no room for, a sentence each.
#[must_use]
pub fn left_out(state: &FailureState, devices: Option<&FailureDevices>) -> Vec<String> {
    let mut out = Vec::new();
    if state.sub_groups > 0 {
        out.push(format!("The figures of {} sub-groups of space_infos were not read.", state.sub_groups));
    }
    if state.spaces_beyond > 0 {
        out.push("The figures of more space_infos were not read.".to_owned());
    }
    match devices {
        None => out.push("The record of the devices was lost.".to_owned()),
        Some(devices) if devices.devices > STATE_DEVICES as u64 => {
            out.push(format!(
                "The filesystem has {} devices, too many to read them one by one.",
                devices.devices
            ));
        }
        Some(_) => {}
    }
    out
}

#[cfg(test)]
mod tests;
