//! Which figures are about one filesystem: the dumps of a device, and the `btrfs filesystem usage` that fits them.
use std::collections::BTreeMap;

use super::{
    log::Filesystem,
    space::{Moment, SpaceInfo, SpaceKind},
    usage::Usage,
};

/// All that the text says of one filesystem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    /// The device by which the kernel names it; empty if no text names one.
    pub device: String,
    /// The log.
    pub log: Option<Filesystem>,
    /// The output of btrfs-progs.
    pub usage: Option<Usage>,
}

impl Case {
    /// The dump to explain.
    #[must_use]
    pub fn moment(&self) -> Option<&Moment> {
        self.log.as_ref()?.best.as_ref()
    }
}

/// Puts logs and outputs together. Figures are put together only if they show that they are of one filesystem: the output
/// lists the device that the kernel names, or it is the only one and the sizes agree.
#[must_use]
pub fn pair(logs: BTreeMap<String, Filesystem>, usages: Vec<Usage>) -> Vec<Case> {
    let mut usages: Vec<Option<Usage>> = usages.into_iter().map(Some).collect();
    let mut cases: Vec<Case> = logs
        .into_iter()
        .filter(|(_, log)| log.best.is_some() || log.enospc || log.edquot || log.few_devices.is_some())
        .map(|(device, log)| {
            // The last of several outputs is the nearest to the end of the log.
            let of_device =
                |usage: &&mut Option<Usage>| usage.as_ref().is_some_and(|usage| usage.has_device(&device));
            let usage = usages.iter_mut().rev().find(of_device).and_then(Option::take);
            Case { device, log: Some(log), usage }
        })
        .collect();
    let mut left: Vec<Usage> = usages.into_iter().flatten().collect();
    if let ([case], [usage]) = (cases.as_mut_slice(), left.as_slice())
        && case.usage.is_none()
        && agree(case, usage)
    {
        case.usage = left.pop();
    }
    // Earlier outputs of a filesystem that has one already say nothing new.
    left.retain(|usage| !cases.iter().any(|case| usage.has_device(&case.device)));
    cases.extend(left.into_iter().map(|usage| Case { usage: Some(usage), ..Case::default() }));
    cases
}

/// Whether the sizes of all block groups that both have can be the same.
#[must_use]
pub fn agree(case: &Case, usage: &Usage) -> bool {
    let Some(moment) = case.moment() else { return true };
    let total = |kind: SpaceKind| -> i64 {
        let of_kind = |space: &&SpaceInfo| space.kind == kind;
        moment.spaces.iter().filter(of_kind).map(|space| space.total).fold(0, i64::saturating_add)
    };
    moment
        .spaces
        .iter()
        .filter(|space| space.kind != SpaceKind::Unknown)
        .all(|space| usage.of(space.kind).is_some_and(|(size, _)| size.can_be(total(space.kind))))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{figure::Amount, profile::Profile, usage::Allocation},
        *,
    };

    fn log(total: i64) -> Filesystem {
        let space = SpaceInfo {
            kind: SpaceKind::Data,
            subgroup: 0,
            printed_free: None,
            full: None,
            total,
            used: 0,
            pinned: 0,
            reserved: 0,
            may_use: 0,
            readonly: 0,
            zone_unusable: 0,
        };
        let mut log = Filesystem::default();
        log.best = Some(Moment { spaces: vec![space], ..Moment::default() });
        log
    }

    fn usage(device: &str, size: i64) -> Usage {
        let size = Amount { bytes: size, off_by: 5 };
        let data =
            Allocation { kind: SpaceKind::Data, profile: Profile::Single, size, used: Amount::default() };
        Usage {
            allocations: vec![data],
            devices: vec![(format!("/dev/{device}"), Amount::default())],
            ..Usage::default()
        }
    }

    #[test]
    fn figures_of_two_filesystems_are_not_mixed() {
        let logs = |total| BTreeMap::from([("dm-0".to_owned(), log(total))]);
        let paired = |total, usages| {
            pair(logs(total), usages).into_iter().filter(|case| case.log.is_some() && case.usage.is_some())
        };
        assert_eq!(paired(100, vec![usage("dm-0", 7)]).count(), 1, "the device is listed");
        assert_eq!(paired(100, vec![usage("mapper/root", 103)]).count(), 1, "the sizes agree");
        assert_eq!(paired(100, vec![usage("mapper/root", 200)]).count(), 0);
        assert_eq!(paired(100, vec![usage("sda", 100), usage("sdb", 100)]).count(), 0, "it can be either");
        assert_eq!(pair(logs(100), vec![usage("dm-0", 1), usage("dm-0", 2)]).len(), 1, "the later one");
    }
}
