//! Figures that a correct kernel cannot print.
//!
//! What is listed here hints at a bug of the accounting, not at a lack of space.
use super::{
    case::Case,
    space::{Moment, SpaceInfo, Trigger},
};
use crate::format::{bytes, counted};

/// All impossible figures of a filesystem, a sentence each.
#[must_use]
pub fn find(case: &Case) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(moment) = case.moment() {
        for space in &moment.spaces {
            of_space(space, moment, &mut found);
        }
        for reserve in &moment.reserves {
            if reserve.size < 0 || reserve.reserved < 0 {
                found.push(format!("{} is below zero.", reserve.name.kernel_name()));
            }
        }
        let groups = moment.groups.impossible;
        if groups > 0 {
            found.push(format!("{} hold more than their length.", counted(groups, "block group")));
        }
    }
    if let Some(usage) = &case.usage {
        for allocation in &usage.allocations {
            let least = allocation.used.bytes.saturating_sub(allocation.used.off_by);
            if least > allocation.size.bytes.saturating_add(allocation.size.off_by) {
                found.push(format!("{}: more is used than its block groups hold.", allocation.kind.title()));
            }
        }
    }
    found
}

fn of_space(space: &SpaceInfo, moment: &Moment, found: &mut Vec<String>) {
    let name = space.kind.name();
    let size = |number: i64| bytes(number, "iB");
    let below: Vec<&str> = [("total", space.total)]
        .into_iter()
        .chain(space.terms())
        .filter(|(_, number)| *number < 0)
        .map(|(term, _)| term)
        .collect();
    if !below.is_empty() {
        found.push(format!("{name}: {} is below zero.", below.join(" and ")));
        return;
    }
    let held = i128::from(space.used) + i128::from(space.pinned) + i128::from(space.reserved);
    if held > i128::from(space.total) {
        found.push(format!(
            "{name}: used, pinned and reserved are {} together, more than the total of {}.",
            size(super::space::clamp(held)),
            size(space.total)
        ));
    }
    let reserves: i128 = moment.reserves_of(space).map(|reserve| i128::from(reserve.reserved)).sum();
    if reserves > i128::from(space.may_use) {
        found.push(format!(
            "{name}: the block_rsvs hold {}, more than the {} of may_use that they are part of.",
            size(super::space::clamp(reserves)),
            size(space.may_use)
        ));
    }
    if let Some(printed) = space.printed_free
        && printed != space.free()
    {
        found.push(format!(
            "{name}: the kernel printed {} free, and its own figures give {}; a line is missing or damaged.",
            size(printed),
            size(space.free())
        ));
    }
    if moment.trigger == Trigger::Unmount {
        for (term, left) in
            [("may_use", space.may_use), ("pinned", space.pinned), ("reserved", space.reserved)]
        {
            if left > 0 {
                found.push(format!(
                    "{name}: {} are left in {term} at the unmount; nobody gave them back.",
                    size(left)
                ));
            }
        }
    }
}
