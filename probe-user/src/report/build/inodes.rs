//! The inodes that hold most.
use probe_ledger::{InodeSummary, Summary};

use super::facts::uuid_of;
use crate::report::model::{InodeHolder, InodePath, Task};

/// All inodes of the summary, in its order (most bytes first).
pub(super) fn build(summary: &Summary) -> Vec<InodeHolder> {
    summary.inodes.iter().map(|inode| one(summary, inode)).collect()
}

fn one(summary: &Summary, inode: &InodeSummary) -> InodeHolder {
    let InodeSummary {
        fs,
        root,
        ino,
        generation,
        path,
        meta_rsv,
        opening_known,
        counters,
        reserved_total,
        reservations,
        last_tid,
        last_comm,
    } = inode;
    let place = InodePath::from(path.as_ref());
    InodeHolder {
        filesystem: uuid_of(summary, *fs),
        root: *root as i64,
        inode: *ino,
        generation: *generation,
        path: place.path,
        path_truncated: place.path_truncated,
        path_bytes: place.path_bytes,
        meta_rsv: *meta_rsv,
        opening_known: *opening_known,
        rsv_reserved: counters.map(|counters| counters.0 as i64),
        rsv_size: counters.map(|counters| counters.1 as i64),
        csum_bytes: counters.map(|counters| counters.2 as i64),
        delalloc_bytes: counters.map(|counters| counters.3 as i64),
        outstanding_extents: counters.map(|counters| i64::from(counters.4 as i32)),
        reserved_total: *reserved_total,
        reservations: *reservations,
        task: (*last_tid != 0).then(|| Task { pid: None, tid: *last_tid, comm: last_comm.clone() }),
    }
}
