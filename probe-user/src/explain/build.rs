//! From what was read to what is printed.
use super::{
    case::Case,
    derive::{Derived, derive},
    impossible, limits, model, sentence,
    space::{Moment, SpaceInfo, Trigger, clamp},
    usage::Usage,
};

/// One filesystem.
#[must_use]
pub fn filesystem(case: &Case) -> model::Filesystem {
    let derived = derive(case);
    let moment = case.moment();
    model::Filesystem {
        device: device(case),
        sentence: sentence::why(case, &derived),
        causes: derived.causes.iter().map(|cause| cause.name().to_owned()).collect(),
        help: help(&derived),
        not_proven: limits::find(case, &derived),
        impossible: impossible::find(case),
        forced_readonly: case.log.as_ref().is_some_and(|log| log.forced_readonly),
        dumps: case.log.as_ref().map_or(0, |log| log.dumps),
        trigger: moment.map(|moment| trigger(moment.trigger)),
        request: moment.and_then(|moment| moment.request),
        space_infos: moment.map_or_else(Vec::new, |moment| {
            moment.spaces.iter().map(|space| space_info(space, moment)).collect()
        }),
        block_rsvs: moment.map_or_else(Vec::new, block_rsvs),
        usage: case.usage.as_ref().map(usage),
    }
}

fn device(case: &Case) -> Option<String> {
    if !case.device.is_empty() {
        return Some(case.device.clone());
    }
    case.usage.as_ref()?.devices.first().map(|(path, _)| path.clone())
}

fn help(derived: &Derived) -> Vec<String> {
    let first = derived.causes.first().map_or(&[][..], |cause| cause.helps());
    first.iter().map(|line| (*line).to_owned()).collect()
}

const fn trigger(of: Trigger) -> model::Trigger {
    match of {
        Trigger::Reservation => model::Trigger::Reservation,
        Trigger::MakeReadonly => model::Trigger::MakeReadonly,
        Trigger::Unmount => model::Trigger::Unmount,
        Trigger::Allocation => model::Trigger::Allocation,
        Trigger::Tickets => model::Trigger::Tickets,
        Trigger::Abort => model::Trigger::Abort,
    }
}

fn space_info(space: &SpaceInfo, moment: &Moment) -> model::SpaceInfo {
    let held = moment.reserves_of(space).map(|reserve| i128::from(reserve.reserved)).reduce(|a, b| a + b);
    model::SpaceInfo {
        kind: space.kind.name().to_owned(),
        subgroup: space.subgroup,
        full: space.full,
        total: space.total,
        used: space.used,
        pinned: space.pinned,
        reserved: space.reserved,
        may_use: space.may_use,
        readonly: space.readonly,
        zone_unusable: space.zone_unusable,
        free: space.free(),
        may_use_other: held.map(|held| clamp(i128::from(space.may_use) - held)),
    }
}

fn block_rsvs(moment: &Moment) -> Vec<model::BlockRsv> {
    moment
        .reserves
        .iter()
        .map(|reserve| model::BlockRsv {
            name: reserve.name.kernel_name().to_owned(),
            size: reserve.size,
            reserved: reserve.reserved,
            space_info: moment.owner_of(reserve.name).map(|space| space.kind.name().to_owned()),
        })
        .collect()
}

fn usage(usage: &Usage) -> model::Usage {
    let global = usage.global_reserve.map(|(size, _)| size);
    let amounts = usage
        .allocations
        .iter()
        .flat_map(|allocation| [allocation.size, allocation.used])
        .chain(usage.devices.iter().map(|(_, bytes)| *bytes))
        .chain([usage.device_size, usage.unallocated, global].into_iter().flatten());
    model::Usage {
        exact: amounts.into_iter().all(|amount| amount.off_by == 0),
        device_size: usage.device_size.map(|amount| amount.bytes),
        unallocated: usage.unallocated.map(|amount| amount.bytes),
        global_reserve: global.map(|amount| amount.bytes),
        allocations: usage
            .allocations
            .iter()
            .map(|allocation| model::Allocation {
                kind: allocation.kind.name().to_owned(),
                profile: allocation.profile.name().to_owned(),
                size: allocation.size.bytes,
                used: allocation.used.bytes,
                free: allocation.size.bytes.saturating_sub(allocation.used.bytes),
            })
            .collect(),
        devices: usage
            .devices
            .iter()
            .map(|(path, amount)| model::Device { path: path.clone(), unallocated: amount.bytes })
            .collect(),
    }
}
