//! Context of the rules of calls.
use probe_common::call::{CALL_INODE, CALL_RETURNED, CALL_SPECIAL_INODE, CALL_TREE_TORN};

use crate::{
    book::{filesystem::Fs, node::Node},
    context::Context,
    vocabulary::failed_reservations::FailedReservations,
};

/// What was checked so far, for the verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Records of calls.
    pub calls: u64,
    /// Calls whose effect was compared with their arguments.
    pub contracts: u64,
    /// Operations that gave back all extents that they had taken.
    pub operations: u64,
    /// Calls whose parent never returned in sight.
    pub orphans: u64,
    /// Calls with a missing call inside them.
    pub torn: u64,
    /// Changes of `csum_bytes` outside of all hooked calls.
    pub unframed: u64,
    /// Calls whose reservations in qgroups were compared.
    pub qgroups: u64,
    /// System calls that ended, and whose task was looked at.
    pub returned: u64,
    /// Transactions that ended, and whose pools were looked at.
    pub commits: u64,
    /// Calls in which block_rsvs and `bytes_may_use` were compared.
    pub balanced: u64,
}

/// Which groups of calls and events are hooked as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Follows {
    /// Calls that take and give back metadata of qgroups.
    pub qgroup_meta: bool,
    /// Calls that mark data as reserved in qgroups.
    pub marks: bool,
    /// Calls by which reserved data without marks changes its owner.
    pub owners: bool,
    /// Calls that take and free `BTRFS_QGROUP_RSV_META_PERTRANS`.
    pub pertrans: bool,
    /// `btrfs_space_reservation`
    pub events: bool,
    /// Where a task's data goes: dirty ranges and extents.
    pub data: bool,
    /// Calls that change block_rsvs.
    pub pools: bool,
    /// Extents on disk, from reservation to the extent tree.
    pub extents: bool,
}

/// What every rule of calls needs besides its call.
pub(crate) struct CallContext<'a> {
    pub shared: &'a mut Context,
    pub fs: &'a mut Fs,
    pub checked: &'a mut Checked,
    pub failed: &'a mut FailedReservations,
    pub since: u64,
    /// All hooks are attached, so rules may judge what threads hold.
    pub judges: bool,
    pub follows: Follows,
}

impl<'a> CallContext<'a> {
    /// `since`: see the field. `sums`: what was checked, and the failed reservations so far.
    pub(crate) fn new(
        shared: &'a mut Context,
        fs: &'a mut Fs,
        (checked, failed): (&'a mut Checked, &'a mut FailedReservations),
        since: u64,
        follows: Follows,
    ) -> Self {
        let judges = shared.loss.judges();
        Self { shared, fs, checked, failed, since, judges, follows }
    }

    /// True if the call and all calls inside it were seen.
    pub(crate) const fn complete(&self, node: &Node) -> bool {
        self.judges && node.entered > self.since && node.flags & (CALL_TREE_TORN | CALL_SPECIAL_INODE) == 0
    }

    /// True if everything inside the call was seen and its inode is not a special one.
    pub(crate) const fn judged(&self, node: &Node) -> bool {
        let wanted = CALL_RETURNED | CALL_INODE;
        self.complete(node) && node.flags & wanted == wanted
    }
}
