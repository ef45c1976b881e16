//! Reservations that the limit of a qgroup refuses (EDQUOT), which no tracepoint tells.
//!
//! A tracepoint fires right before `qgroup_reserve()` looks at the limits; we look at the same figures there, without its lock. If the
//! reservation is made all the same, the next change of the qgroup by this thread says so.
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use probe_common::{
    header::RecordKind,
    loss::LossClass,
    shortage::{LIMIT_MAX_EXCL, LIMIT_MAX_RFER, QGROUP_GRANTED, QGROUP_REFUSED, QgroupRefusal},
};

use super::{event::Arguments, fallback::with_fallback};
use crate::{cells, emit::Run, globals::off, layout::task::TaskCell, read, stack};

/// Deepest tree of qgroups that is searched: enough for millions.
const DEPTH: usize = 40;
/// Most qgroups above that of a subvolume which are looked at, and most levels above each of them.
const ABOVE: usize = 8;
const LEVELS: usize = 4;

with_fallback! {
    /// `trace_(btrfs_)qgroup_meta_reserve(root, diff, type)`: before a reservation of metadata, and when one is freed (`diff < 0`).
    "btrfs_qgroup_meta_reserve" QgroupMetaReserve qgroup_meta_reserve qgroup_meta_reserve_fallback qgroup_meta_reserve_iter metadata
}

#[inline(always)]
fn metadata(run: &Run, ctx: &impl Arguments) {
    let diff = ctx.arg(1) as i64;
    if diff > 0 {
        check(run, ctx.arg(0), 0, diff as u64, ctx.arg(2) as u32);
    }
}

with_fallback! {
    /// `trace_btrfs_qgroup_reserve_data(inode, start, len, reserved, op)`: before a reservation of the `reserved` bytes that are not yet.
    "btrfs_qgroup_reserve_data" QgroupDataReserve qgroup_data_reserve qgroup_data_reserve_fallback qgroup_data_reserve_iter data
}

#[inline(always)]
fn data(run: &Run, ctx: &impl Arguments) {
    let bytes: u64 = ctx.arg(3);
    if bytes != 0 {
        let first: u64 = ctx.arg(0);
        let inode = if off!(qgroup_data_has_btrfs_inode) == 1 { first } else { read::inode_of_vfs(first) };
        check(run, read::inode_root(inode), read::inode_ino(inode), bytes, 0);
    }
}

#[inline(always)]
fn check(run: &Run, root: u64, ino: u64, bytes: u64, kind: u32) {
    let fs_info = read::root_fs_info(root);
    if read::at::<u64>(fs_info, off!(fs_quota_root)) == 0 {
        return;
    }
    let objectid = read::root_objectid(root);
    let qgroup = qgroup_exceeded(fs_info, objectid, bytes);
    if qgroup == 0 {
        return;
    }
    let Some(fs) = cells::fs_id(run, fs_info) else { return };
    let Some(task) = cells::task_cell(run) else { return };
    cells::limit_refused(fs);
    let stack = stack::exact(run);
    // SAFETY: the cell is this thread's.
    unsafe { (*task).marks |= cells::MARK_QGROUP_REFUSED };
    send(run, fs, qgroup, &Asked { root: objectid, ino, bytes, kind, outcome: QGROUP_REFUSED, stack });
}

/// A reservation was made in the qgroup of a subvolume, by a thread that may have been refused before.
///
/// # Safety
/// `task` is the current thread's cell.
#[inline(always)]
pub unsafe fn granted(run: &Run, fs: u32, task: *mut TaskCell, qgroup: u64, bytes: u64, kind: u32) {
    // SAFETY: as promised.
    unsafe {
        if (*task).marks & cells::MARK_QGROUP_REFUSED == 0 {
            return;
        }
        (*task).marks &= !cells::MARK_QGROUP_REFUSED;
    }
    send(run, fs, qgroup, &Asked { root: 0, ino: 0, bytes, kind, outcome: QGROUP_GRANTED, stack: 0 });
}

struct Asked {
    root: u64,
    ino: u64,
    bytes: u64,
    kind: u32,
    outcome: u32,
    stack: u64,
}

#[inline(never)]
fn send(run: &Run, fs: u32, qgroup: u64, asked: &Asked) {
    run.emit::<QgroupRefusal>(RecordKind::QgroupRefusal, LossClass::Descriptive, fs, |record| {
        // SAFETY: the ring gave this room; every field is written.
        unsafe {
            (*record).at = bpf_ktime_get_ns();
            (*record).root = asked.root;
            (*record).ino = asked.ino;
            (*record).qgroupid = read::at(qgroup, off!(qgroup_qgroupid));
            (*record).lim_flags = read::at(qgroup, off!(qgroup_lim_flags));
            (*record).max_rfer = read::at(qgroup, off!(qgroup_max_rfer));
            (*record).max_excl = read::at(qgroup, off!(qgroup_max_excl));
            (*record).rfer = read::at(qgroup, off!(qgroup_rfer));
            (*record).excl = read::at(qgroup, off!(qgroup_excl));
            (*record).reserved = read::at(qgroup, off!(qgroup_rsv_values));
            (*record).bytes = asked.bytes;
            (*record).kind = asked.kind;
            (*record).outcome = asked.outcome;
            (*record).stack = asked.stack;
        }
    });
}

/// The first qgroup whose limit `bytes` more would exceed: that of the subvolume, or one above it. 0 if there is none.
///
/// A global function for the verifier: see [`Run::number`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn qgroup_exceeded(fs_info: u64, objectid: u64, bytes: u64) -> u64 {
    let mut node: u64 = read::at(fs_info, off!(fs_qgroup_tree));
    let mut qgroup = 0;
    for _ in 0..DEPTH {
        if node == 0 {
            return 0;
        }
        qgroup = node.wrapping_sub(off!(qgroup_node) as u64);
        let id: u64 = read::at(qgroup, off!(qgroup_qgroupid));
        if id == objectid {
            break;
        }
        // `find_qgroup_rb()`: larger ids are on the left.
        node = read::at(node, if id < objectid { off!(rb_left) } else { off!(rb_right) });
        qgroup = 0;
    }
    if qgroup == 0 {
        return 0;
    }
    if exceeds(qgroup, bytes) {
        return qgroup;
    }
    let head = qgroup + off!(qgroup_groups) as u64;
    let mut link: u64 = read::at(head, 0);
    for _ in 0..ABOVE {
        if link == 0 || link == head {
            break;
        }
        let mut above = group_of(link);
        for _ in 0..LEVELS {
            if above == 0 {
                break;
            }
            if exceeds(above, bytes) {
                return above;
            }
            let own = above + off!(qgroup_groups) as u64;
            let next: u64 = read::at(own, 0);
            above = if next == own { 0 } else { group_of(next) };
        }
        link = read::at(link, 0);
    }
    0
}

/// The qgroup above, of a link in `groups`.
#[inline(always)]
fn group_of(link: u64) -> u64 {
    read::at(link.wrapping_sub(off!(qgroup_list_next_group) as u64), off!(qgroup_list_group))
}

/// `qgroup_check_limits()`
#[inline(always)]
fn exceeds(qgroup: u64, bytes: u64) -> bool {
    let flags: u64 = read::at(qgroup, off!(qgroup_lim_flags));
    if flags & (LIMIT_MAX_RFER | LIMIT_MAX_EXCL) == 0 {
        return false;
    }
    let [data, pertrans, prealloc] = read::at::<[u64; 3]>(qgroup, off!(qgroup_rsv_values));
    let more = data.wrapping_add(pertrans).wrapping_add(prealloc).wrapping_add(bytes);
    let over = |used: usize, limit: usize| {
        more.wrapping_add(read::at::<u64>(qgroup, used)) > read::at::<u64>(qgroup, limit)
    };
    flags & LIMIT_MAX_RFER != 0 && over(off!(qgroup_rfer), off!(qgroup_max_rfer))
        || flags & LIMIT_MAX_EXCL != 0 && over(off!(qgroup_excl), off!(qgroup_max_excl))
}
