//! The one sentence that says why, with the figures that show it.
use super::{
    case::Case,
    cause::Cause,
    derive::{Derived, Room, free_of, stuck},
    qgroup,
    space::{Moment, ReserveName, SpaceInfo, SpaceKind, Trigger},
    usage::Usage,
};
use crate::format::bytes;

fn size(number: i64) -> String {
    bytes(number, "iB")
}

/// Why there is no space.
#[must_use]
pub fn why(case: &Case, derived: &Derived) -> String {
    let Some(cause) = derived.causes.first() else { return unknown(case) };
    if *cause == Cause::QgroupLimit {
        if let Some(refusal) = case.log.as_ref().and_then(|log| log.refusal.as_ref()) {
            return qgroup::sentence(refusal);
        }
        return "A limit of a qgroup refused it (EDQUOT, errno -122), whatever is free: the figures of the block groups do \
                not matter for it."
            .to_owned();
    }
    match (case.moment(), &case.usage) {
        (Some(moment), _) => match stuck(moment) {
            Some(space) => of_dump(case, moment, space, *cause, derived),
            None => unknown(case),
        },
        (None, Some(usage)) => of_usage(case, usage, *cause, derived),
        (None, None) => unknown(case),
    }
}

fn unknown(case: &Case) -> String {
    match (case.moment(), &case.usage) {
        (Some(moment), _) if moment.trigger == Trigger::Unmount => {
            "The dump is not about a lack of space: the unmount found bytes in the space_infos that nobody gave back.".to_owned()
        }
        (Some(moment), _) => {
            let Some(space) = stuck(moment) else {
                return "The dump shows no space_info that is short.".to_owned();
            };
            match moment.request.filter(|request| *request <= space.free()) {
                Some(request) if moment.trigger == Trigger::Allocation => format!(
                    "The figures show no reason: the allocator found no extent of {} although {} has {} free, which may be in smaller pieces.",
                    size(request),
                    space.kind.name(),
                    size(space.free())
                ),
                Some(request) => format!(
                    "The figures show no reason: the reservation of {} fits into the {} that {} has free, so they are of a later moment.",
                    size(request),
                    size(space.free()),
                    space.kind.name()
                ),
                None => format!("{}, and the figures do not show why it got no other chunk.", short(moment, space, "has too little room")),
            }
        }
        (None, Some(_)) => "The figures of btrfs-progs show no shortage.".to_owned(),
        (None, None) => {
            "The kernel says that something failed for lack of space, and the text has no figures of that moment.".to_owned()
        }
    }
}

fn of_dump(case: &Case, moment: &Moment, space: &SpaceInfo, cause: Cause, derived: &Derived) -> String {
    if cause == Cause::WaitingReservations {
        let begin = match moment.request.filter(|request| *request > space.free()) {
            Some(request) => format!(
                "A reservation of {} of {} could be granted against unallocated space only",
                size(request),
                space.kind.name()
            ),
            None => format!("{} has {} free", space.kind.title(), size(space.free())),
        };
        return format!(
            "{begin}, but reservations of {} wait for space already, and one that may not wait cannot pass them.",
            size(moment.waiting)
        );
    }
    let state =
        if matches!(derived.room, Room::None(_) | Room::Refused) { "is full" } else { "has too little room" };
    format!("{}, {}.", short(moment, space, state), reason(case, moment, space, cause, derived))
}

/// What did not fit, and the figures.
fn short(moment: &Moment, space: &SpaceInfo, state: &str) -> String {
    let free = space.free();
    let need = match moment.request {
        Some(request) if free >= 0 => {
            format!(
                "a reservation of {} does not fit into the {} that are free of",
                size(request),
                size(free)
            )
        }
        Some(request) => format!(
            "a reservation of {} does not fit, since {} more are promised than there are of",
            size(request),
            size(free.saturating_neg())
        ),
        None if free >= 0 && moment.trigger == Trigger::MakeReadonly => format!(
            "a block group that should become read-only has more in it than the {} that are free of",
            size(free)
        ),
        None if free >= 0 => format!("a reservation needs more than the {} that are free of", size(free)),
        None => format!("{} more are promised than there are of", size(free.saturating_neg())),
    };
    let title = match space.subgroup {
        0 => space.kind.title().to_owned(),
        id => format!("{} (sub-group {id})", space.kind.title()),
    };
    format!("{title} {state}: {need} {} ({})", size(space.total), terms(moment, space))
}

/// The terms that are not zero, and who holds `may_use`.
fn terms(moment: &Moment, space: &SpaceInfo) -> String {
    let mut parts = vec![format!("{} used", size(space.used))];
    let mut add = |number: i64, what: &str| {
        if number != 0 {
            parts.push(format!("{} {what}", size(number)));
        }
    };
    add(space.pinned, "pinned");
    add(space.reserved, "being written");
    add(space.readonly, "read-only");
    add(space.zone_unusable, "unusable in zones");
    if space.may_use != 0 {
        let largest = moment.reserves_of(space).max_by_key(|reserve| reserve.reserved);
        let of_it = largest.filter(|reserve| reserve.reserved > 0).map_or(String::new(), |reserve| {
            let part =
                if reserve.reserved == space.may_use { "all".to_owned() } else { size(reserve.reserved) };
            format!(", {part} of it by {}", reserve.name.phrase())
        });
        parts.push(format!("{} held by reservations{of_it}", size(space.may_use)));
    }
    parts.join(", ")
}

fn reason(case: &Case, moment: &Moment, space: &SpaceInfo, cause: Cause, derived: &Derived) -> String {
    let reserve = |name| moment.reserve(name).map_or((0, 0), |reserve| (reserve.size, reserve.reserved));
    match cause {
        Cause::DataOnlyFreeSpace | Cause::NoRoomForAChunk => chunk(case, cause, derived),
        Cause::GlobalReserveDrained => {
            let (whole, left) = reserve(ReserveName::Global);
            format!("and the global reserve, the last resort, has {} of its {} left", size(left), size(whole))
        }
        Cause::DelayedRefsReserve => {
            let (_, held) = reserve(ReserveName::DelayedRefs);
            format!(
                "and {} of it wait in the delayed refs reserve until the references are written",
                size(held)
            )
        }
        Cause::PinnedUntilCommit => format!(
            "and the {} that are pinned were freed in the running transaction and can be used only after its commit",
            size(space.pinned)
        ),
        Cause::OvercommitRefused => {
            let unallocated = case.usage.as_ref().and_then(|usage| usage.unallocated);
            let with = unallocated
                .map_or(String::new(), |bytes| format!(" ({} are unallocated)", size(bytes.bytes)));
            format!(
                "and although the last try for a chunk did not fail, the kernel promises no more against unallocated space{with}: at \
                 most half of it, and an eighth to a task that can wait"
            )
        }
        Cause::ZoneUnusable => format!(
            "and {} behind the write pointers of zones come back only when these zones are reset",
            size(space.zone_unusable)
        ),
        Cause::ReadonlyBlockGroups => {
            let groups = moment.groups;
            let counted = match groups.readonly {
                0 => String::new(),
                readonly => format!(" ({readonly} of the {} in the dump)", groups.listed),
            };
            format!(
                "and the {} in read-only block groups{counted} cannot be used while they are read-only",
                size(space.readonly)
            )
        }
        Cause::QgroupLimit | Cause::WaitingReservations => String::new(),
    }
}

/// No chunk, and what data has free.
fn chunk(case: &Case, cause: Cause, derived: &Derived) -> String {
    let usage = case.usage.as_ref();
    let few_devices = case.log.as_ref().and_then(|log| log.few_devices);
    let none = match derived.room {
        Room::None(room) if room.needed == 1 => {
            "no device has unallocated space for another chunk".to_owned()
        }
        Room::None(room) => {
            let profile = usage
                .and_then(|usage| usage.profile(derived.kind))
                .map_or("its profile", |found| found.name());
            let (number, verb) = match room.devices {
                0 => ("none".to_owned(), "has"),
                1 => ("only 1".to_owned(), "has"),
                more => (format!("only {more}"), "have"),
            };
            format!(
                "of the {} devices that a chunk of {profile} needs, {number} {verb} unallocated space for it",
                room.needed
            )
        }
        _ => match few_devices {
            Some((have, need)) => format!(
                "the kernel found room for another chunk on {have} of the {need} devices that it needs"
            ),
            None => "the kernel found no room for another chunk".to_owned(),
        },
    };
    if cause == Cause::DataOnlyFreeSpace {
        format!(
            "and {none}; the {} that data has free cannot be used for {}",
            size(derived.data_free),
            derived.kind.name()
        )
    } else {
        format!("and {none}")
    }
}

fn of_usage(case: &Case, usage: &Usage, cause: Cause, derived: &Derived) -> String {
    let kind = derived.kind;
    let (whole, used) = usage.of(kind).unwrap_or_default();
    let free = free_of(usage, kind).unwrap_or(0);
    let global = match (kind, usage.global_reserve) {
        (SpaceKind::Metadata | SpaceKind::Mixed, Some((reserve, _))) => {
            format!(", and the global reserve of {} is part of what is left", size(reserve.bytes))
        }
        _ => String::new(),
    };
    let figures = format!(
        "of {}, {} are used and {} are left{global}",
        size(whole.bytes),
        size(used.bytes),
        size(free)
    );
    let reason = match cause {
        Cause::GlobalReserveDrained => {
            let (whole, used) = usage.global_reserve.unwrap_or_default();
            format!(
                "and {} of the {} of the global reserve, the last resort, are gone",
                size(used.unwrap_or_default().bytes),
                size(whole.bytes)
            )
        }
        Cause::ZoneUnusable => format!(
            "and {} behind the write pointers of zones come back only when these zones are reset",
            size(usage.zone_unusable.unwrap_or_default().bytes)
        ),
        _ => chunk(case, cause, derived),
    };
    format!("{} is full: {figures}, {reason}.", kind.title())
}
