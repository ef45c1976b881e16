//! All scenarios, in the order in which they run: those that leave a kernel with warnings and wrong pools of their own
//! filesystem only. None leaves a kernel that cannot go on: each filesystem is made for its scenario and goes with it.
mod balance;
mod extents;
mod failures;
mod holders;
mod inodes;
mod pools;
mod qgroups;
mod silent;
mod tickets;
mod transactions;

use super::scenario::Scenario;

/// Every scenario.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        inodes::ALL,
        pools::ALL,
        failures::ALL,
        qgroups::ALL,
        holders::ALL,
        extents::ALL,
        balance::ALL,
        transactions::ALL,
        tickets::ALL,
        silent::ALL,
    ]
    .into_iter()
    .flatten()
}

/// A scenario by name.
pub fn find(name: &str) -> &'static Scenario {
    all().find(|scenario| scenario.name == name).unwrap_or_else(|| panic!("no scenario {name}"))
}
