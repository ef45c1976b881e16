//! What every rule of calls needs.
use probe_common::call::{CALL_INODE, CALL_RETURNED, CALL_SPECIAL_INODE, CALL_TREE_TORN};

use crate::{
    book::{filesystem::Fs, node::Node},
    context::Context,
    vocabulary::failed_reservations::FailedReservations,
};

/// What was checked, for the verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Calls met.
    pub calls: u64,
    /// Calls whose effect was compared with their arguments.
    pub contracts: u64,
    /// Operations that gave back all extents that they had taken.
    pub operations: u64,
    /// Calls whose outer call never came.
    pub orphans: u64,
    /// Calls whose tree was torn.
    pub torn: u64,
    /// Records of `csum_bytes` that changed outside of all hooked calls.
    pub unframed: u64,
}

/// What every rule of calls needs.
pub(crate) struct CallContext<'a> {
    pub shared: &'a mut Context,
    pub fs: &'a mut Fs,
    pub checked: &'a mut Checked,
    pub failed: &'a mut FailedReservations,
    pub since: u64,
    /// Threads with something open, and what they hold, can be judged now.
    pub judges: bool,
}

impl CallContext<'_> {
    /// Everything inside the call was seen, and the filesystem's rules apply to its inode.
    pub(crate) const fn judged(&self, node: &Node) -> bool {
        let wanted = CALL_RETURNED | CALL_INODE;
        self.judges
            && node.entered > self.since
            && node.flags & (wanted | CALL_TREE_TORN | CALL_SPECIAL_INODE) == wanted
    }
}
