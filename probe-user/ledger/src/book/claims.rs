//! What is claimed of the pools that a filesystem shares, by delayed items and by handles.
use rustc_hash::FxHashMap;

use super::loss::Loss;

/// Most threads with an open handle that are followed; beyond it all are forgotten.
const MAX_HANDLES: usize = 1 << 16;

/// Shared claims of one filesystem.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Claims of delayed items and delayed inodes: `delayed_block_rsv.size`.
    pub delayed: i64,
    /// Claims of handles: `trans_block_rsv.size`.
    pub trans: i64,
    /// Epoch since which `delayed` is right by an audit; 0 if only a birth can make it so.
    pub delayed_since: u32,
    /// Epoch since which all open handles are known by an audit that saw none; 0 if only a birth can make it so.
    pub handles_since: u32,
    /// Claims without events were made (log replay).
    pub tainted: bool,
    pub handles: FxHashMap<u32, Handle>,
}

/// What a thread's present handle has claimed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Handle {
    pub epoch: u32,
    pub local: i64,
    pub trans: i64,
}

impl Claims {
    pub(crate) const fn taint(&mut self) {
        self.tainted = true;
    }

    /// True if `delayed` is what the kernel must hold when nothing is in flight. `born` is the epoch of a birth.
    pub(crate) fn is_exact(&self, born: u32, loss: &Loss) -> bool {
        loss.exact(self.delayed_since) || (!self.tainted && loss.exact(born))
    }

    /// The kernel holds no claim of delayed items at a quiet audit.
    pub(crate) const fn nothing_delayed(&mut self, epoch: u32) {
        self.delayed = 0;
        self.delayed_since = epoch;
    }

    pub(crate) fn end(&mut self) {
        self.handles = FxHashMap::default();
    }

    /// The thread's handle is lost, which was reported: what it had claimed for delayed refs went with it.
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
