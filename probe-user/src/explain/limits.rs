//! What the figures do not prove, and what would show it.
use super::{
    case::{Case, agree},
    cause::Cause,
    derive::{Derived, Room, stuck},
    space::Trigger,
};
use crate::format::{bytes, counted};

/// All limits that matter for what was derived, a sentence each.
#[must_use]
pub fn find(case: &Case, derived: &Derived) -> Vec<String> {
    let mut limits: Vec<String> = Vec::new();
    let mut add = |text: &str| limits.push(text.to_owned());
    let log = case.log.as_ref();
    if let Some(moment) = case.moment() {
        if moment.trigger == Trigger::Reservation && !log.is_some_and(|log| log.enospc) {
            add(
                "The kernel prints this dump also for a try that may not wait and has another way afterwards, so it does not prove \
                 that anybody saw ENOSPC. A line \"cannot satisfy tickets\" or \"failing ticket\" would.",
            );
        }
        if moment.trigger == Trigger::MakeReadonly {
            add(
                "The dump is from a block group that should become read-only for balance or scrub; writers need not have seen ENOSPC.",
            );
        }
        if moment.request.is_none() && !matches!(moment.trigger, Trigger::Unmount) {
            add("The dump does not say how many bytes were asked for.");
        }
        if moment.trigger == Trigger::Abort && derived.causes.is_empty() {
            add(
                "By the time of this dump an aborted transaction has taken back block groups that it was allocating, so \
                 what was missing need not show.",
            );
        }
        if case.usage.is_none() && moment.trigger != Trigger::Unmount {
            if derived.room == Room::Refused {
                add(
                    "A dump has no unallocated bytes. \"is full\" says that the last try to allocate a chunk failed, not why: \
                     `btrfs filesystem usage -b MOUNT` shows what each device has unallocated.",
                );
            } else {
                add(
                    "A dump has no unallocated bytes: `btrfs filesystem usage -b MOUNT` shows whether a chunk finds room.",
                );
            }
        }
        if let Some(space) = stuck(moment) {
            let held: i64 =
                moment.reserves_of(space).map(|reserve| reserve.reserved).fold(0, i64::saturating_add);
            let other = space.may_use.saturating_sub(held);
            if moment.trigger == Trigger::Tickets && space.kind.has_metadata() && other > space.total / 4 {
                limits.push(format!(
                    "After all flushing, {} of may_use belong to no block_rsv of the dump. If `btrfs filesystem sync MOUNT` does not give \
                     them back, they are leaked: record the load with btrfs-probe.",
                    bytes(other, "iB")
                ));
            }
        }
    }
    let mut add = |text: &str| limits.push(text.to_owned());
    match &case.usage {
        Some(usage) => {
            if case.moment().is_none() {
                add(
                    "`btrfs filesystem usage` does not show what is pinned or held by reservations: mount with `-o enospc_debug`, and \
                     take the dump of the next failure from dmesg.",
                );
            } else if !agree(case, usage) {
                add(
                    "The block groups have other sizes in the dump than in `btrfs filesystem usage`: the two are not of one moment, or not of one \
                     filesystem.",
                );
            } else if derived.room == Room::Refused
                && derived.causes.contains(&Cause::NoRoomForAChunk)
                && !usage.devices.is_empty()
            {
                add(
                    "The devices have unallocated space in `btrfs filesystem usage`, and in the dump the kernel found none: both are not of \
                     the same moment, or the holes are too small.",
                );
            }
            if usage.allocations.iter().any(|allocation| allocation.size.off_by > 0) {
                add("The figures of btrfs-progs are rounded; `-b` gives exact ones.");
            }
            if usage.devices.is_empty() {
                add(
                    "`btrfs filesystem df` does not show unallocated space: `btrfs filesystem usage -b MOUNT` does.",
                );
            }
        }
        None if case.moment().is_none() && !derived.causes.contains(&Cause::QgroupLimit) => {
            add(
                "Mount with `-o enospc_debug`: the kernel then prints its figures when a reservation fails. `btrfs filesystem usage -b \
                 MOUNT` shows what is unallocated.",
            );
        }
        None => {}
    }
    if log.is_some_and(|log| log.edquot_by_program) {
        add(
            "A program reported \"Disk quota exceeded\"; that it wrote to this filesystem, and that its quotas are qgroups, is not in the text.",
        );
    }
    if let Some(log) = log
        && log.dumps > 1
    {
        limits.push(format!(
            "{} of this filesystem are in the text. Explained is the last one of those that say most (an abort, then failed reservations, \
             then other tries).",
            counted(log.dumps, "dump")
        ));
    }
    limits
}
