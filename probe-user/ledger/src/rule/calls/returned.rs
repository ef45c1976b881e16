//! A system call, a work item or a thread has ended: the task has nothing in hand any more.
//!
//! What a system call takes it gives back, or hands on to what outlives it: a dirty range, an ordered extent, a delayed node, the
//! qgroup half of an inode's block_rsv. No path of the kernel returns to user space in the middle of an operation, and none leaves one
//! to a worker. A worker does the same by the end of its work item. Page faults have no such end, so a thread that ends shows what its last
//! ones kept. So what is open by the books of the task at that moment was forgotten on the way out. This needs to know nothing of the
//! function that forgot it, so it holds for functions that no contract describes.
//!
//! Other kernel threads (the one that commits, the cleaner) do not come here. What they forget shows later: when they reserve again, when the inode is destroyed, or at unmount.
use probe_common::{hook::HookId, task::Returned};

use super::{context::CallContext, handles, operations, rsvs::Rsvs};
use crate::book::thread::Thread;

/// What has ended.
pub(crate) const fn end(record: &Returned) -> &'static str {
    const WORK: u8 = HookId::WorkEnd as u8;
    const THREAD: u8 = HookId::ThreadEnd as u8;
    match record.header.hook {
        WORK => "work item",
        THREAD => "thread",
        _ => "system call",
    }
}

impl Thread {
    /// The system call or the work item of the thread has ended. Returns whether all that it did was seen.
    pub(crate) fn returned(
        &mut self,
        context: &mut CallContext<'_>,
        rsvs: &mut Rsvs,
        record: &Returned,
    ) -> bool {
        let (tid, time) = (record.header.tid, record.header.time);
        if !self.waiting.is_empty() {
            self.orphans(context);
        }
        if std::mem::take(&mut self.missed) {
            // What a call did whose return was missed is not known. The end of the inode shows it.
            self.operations.iter_mut().for_each(|operation| operation.doubtful = true);
            self.data.clear();
            self.prealloc.clear();
            rsvs.doubt(tid);
            return false;
        }
        let moment = (tid, time);
        let fs = context.fs.id;
        let when = format!("when its {} ended", end(record));
        self.returned_after_failure(context, time, end(record));
        self.settle_published(context);
        self.data_gone(context, moment, &when, |_| true);
        self.data.retain(|data| data.fs != fs);
        operations::returned(context, self, moment, &when);
        self.prealloc_gone(context, moment, &when);
        rsvs.returned(context, tid, time);
        handles::gone(context, self, tid, time);
        context.checked.returned += 1;
        // From here on everything that it takes is seen.
        self.known = context.judges;
        self.data_known = context.judges;
        true
    }
}
