//! Claims of delayed items and transaction handles on the shared pools of a filesystem.
use rustc_hash::FxHashMap;

use super::{delayed::DelayedNodes, loss::Loss};

/// Most threads with an open transaction handle that are followed. Beyond it all are forgotten.
const MAX_HANDLES: usize = 1 << 16;

/// Shared claims of one filesystem.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Claims of delayed items and delayed inodes: what `delayed_block_rsv.size` must be, bytes.
    pub delayed: i64,
    /// Claims of transaction handles: what `trans_block_rsv.size` must be, bytes.
    pub trans: i64,
    /// Epoch of the audit that made `delayed` exact; 0 if there was none, so that only a birth in sight makes it exact.
    pub delayed_since: u32,
    /// Epoch of the audit that saw no open handle, so that all later ones are known; 0 if there was none.
    pub handles_since: u32,
    /// Log replay made claims without events.
    pub tainted: bool,
    pub handles: FxHashMap<u32, Handle>,
    pub nodes: DelayedNodes,
}

/// What a thread's current transaction handle has claimed, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Handle {
    pub epoch: u32,
    pub local: i64,
    pub trans: i64,
}

impl Claims {
    /// Handles that have claimed bytes for delayed refs in their own block_rsv, and how many bytes, as far as is known in this epoch.
    pub(crate) fn local_of_handles(&self, epoch: u32) -> (u64, i64) {
        let open = self.handles.values().filter(|handle| handle.epoch == epoch && handle.local > 0);
        open.fold((0, 0), |(count, bytes), handle| (count + 1, bytes.saturating_add(handle.local)))
    }

    pub(crate) const fn taint(&mut self) {
        self.tainted = true;
    }

    /// True if `delayed` is what the kernel must hold when nothing is in flight. `born`: epoch of the birth, 0 if not seen.
    pub(crate) fn is_exact(&self, born: u32, loss: &Loss) -> bool {
        loss.exact(self.delayed_since) || (!self.tainted && loss.exact(born))
    }

    /// A quiet audit showed that the kernel holds no claim of delayed items.
    pub(crate) const fn nothing_delayed(&mut self, epoch: u32) {
        self.delayed = 0;
        self.delayed_since = epoch;
    }

    pub(crate) fn end(&mut self) {
        // Not the delayed nodes: the last levels come after the end of the work queues.
        self.handles = FxHashMap::default();
    }

    /// The thread lost its handle, which was reported. Forgets what the handle had claimed for delayed refs, and returns it.
    pub(crate) fn lose_handle(&mut self, tid: u32) -> i64 {
        self.handles.remove(&tid).map_or(0, |handle| handle.local)
    }

    /// The thread id belongs to another thread now.
    pub(crate) fn thread_replaced(&mut self, tid: u32) {
        if !self.handles.is_empty() {
            self.handles.remove(&tid);
        }
    }
}

pub(crate) fn handle(claims: &mut Claims, tid: u32, epoch: u32) -> &mut Handle {
    if claims.handles.len() >= MAX_HANDLES && !claims.handles.contains_key(&tid) {
        claims.handles.clear();
    }
    let handle = claims.handles.entry(tid).or_default();
    if handle.epoch != epoch {
        *handle = Handle { epoch, ..Handle::default() };
    }
    handle
}

/// Threads without a claim need no entry.
pub(crate) fn close_idle(claims: &mut Claims, tid: u32) {
    if claims.handles.get(&tid).is_some_and(|handle| handle.trans == 0 && handle.local == 0) {
        claims.handles.remove(&tid);
    }
}
