//! Filesystems: small ids that are never reused in a session, and the filter.
use probe_common::{
    fs::{self, FS_BORN, FS_LOG_RECOVERING, FsSeen, MAX_LIVES},
    header::RecordKind,
    loss::LossClass,
    shortage::{STATE_CLASSES, STATE_WINDOW_BITS},
    table::{FILESYSTEMS as SHAPE, NEAR_PROBES, counters_are_gone, filesystem_is_gone},
};

use super::{
    pinned, pools,
    slot::{BEING_TAKEN, claim},
};
use crate::{
    diagnose,
    emit::Run,
    globals::{ABSENT, config, off},
    layout::fs::FsCell,
    maps::FILESYSTEMS,
    read,
};

/// Follow it.
const STATE_FOLLOWED: u32 = 1;
/// The filter leaves it out.
const STATE_LEFT_OUT: u32 = 2;
/// Its work queues are destroyed: only the release of the global reserve can follow.
const FLAG_DYING: u32 = 1;
/// Its name (`sb->s_id`) was sent.
const FLAG_NAMED: u32 = 2;

impl FsCell {
    /// Gives this slot to another filesystem. `born`: [`FS_BORN`] if it is being mounted.
    ///
    /// # Safety
    /// `cell` is an entry of the map, and the caller has claimed it or is mounting.
    #[inline(always)]
    unsafe fn begin(run: &Run, cell: *mut Self, fs_info: u64, born: u32) {
        // SAFETY: as promised.
        unsafe {
            (*cell).flags = 0;
            (*cell).died = 0;
            (*cell).qgroup_gave_way = 0;
            (*cell).pool_open = 0;
            (*cell).pool_points = 0;
            (*cell).unpinned = 0;
            (*cell).unpinning = 0;
            // Nobody can have waited on a filesystem that is being mounted.
            (*cell).pools_settled = if born != 0 { 0 } else { pools::look(run, fs_info, 0) };
            (*cell).pools_unknown = 0;
            (*cell).reclaim_told = 0;
            (*cell).failures_sent = 0;
            (*cell).failure_window = 0;
            (*cell).failures_left_out = 0;
            (*cell).limit_refused = 0;
            pinned::begin(cell, fs_info);
            (*cell).state = decide(fs_info);
            diagnose::fs_seen(run.number(), fs_info, (*cell).state == STATE_FOLLOWED);
        }
    }
}

/// Whether it is still to be told that `reclaim_size` is not zero although no ticket waits. Only once for a filesystem: it would
/// be at every change that follows.
#[inline(always)]
pub fn fs_reclaim_left(fs: u32) -> bool {
    let Some(cell) = fs_cell(fs) else { return false };
    // SAFETY: a cell of an array stays; written whole, and only ever to 1.
    unsafe {
        let first = (*cell).reclaim_told == 0;
        (*cell).reclaim_told = 1;
        first
    }
}

/// The cell in a slot.
#[inline(always)]
fn cell_at(slot: u32) -> Option<*mut FsCell> {
    FILESYSTEMS.get_ptr_mut(slot & SHAPE.mask())
}

/// A filesystem's slot and cell, if they are among the first `probes` places where it may lie.
#[inline(always)]
fn find_within(fs_info: u64, probes: u32) -> Option<(u32, *mut FsCell)> {
    for probe in 0..probes {
        let slot = SHAPE.slot(fs_info, probe);
        let cell = cell_at(slot)?;
        // SAFETY: an array entry stays.
        if unsafe { (*cell).fs_info } == fs_info {
            return Some((slot, cell));
        }
    }
    None
}

#[inline(always)]
fn id(slot: u32, cell: *mut FsCell) -> u32 {
    // SAFETY: an array entry stays.
    fs::id(slot, unsafe { (*cell).epoch } + 1)
}

/// Id of a filesystem that is followed; makes one if it is new. `None` if it is left out or there is no cell.
#[inline(always)]
pub fn fs_id(run: &Run, fs_info: u64) -> Option<u32> {
    if fs_info == 0 {
        return None;
    }
    let (slot, cell) = match find_within(fs_info, NEAR_PROBES) {
        Some(found) => found,
        None => meet(run, fs_info, 0)?,
    };
    // SAFETY: an array entry stays.
    let mut state = unsafe { (*cell).state };
    if state == 0 {
        state = decide(fs_info);
    }
    (state == STATE_FOLLOWED).then(|| id(slot, cell))
}

/// Applies the filter. Rare. Never inlined: its stack must not add to that of `announce`.
#[inline(never)]
fn decide(fs_info: u64) -> u32 {
    let wanted = config!(filter_fs);
    if wanted == 0 {
        return STATE_FOLLOWED;
    }
    let devices: u64 = read::at(fs_info, off!(fs_fs_devices));
    let fsid: [u64; 2] = read::at(devices, off!(fs_devices_fsid));
    let config = core::ptr::from_ref(&crate::globals::CONFIG).cast::<probe_common::config::Config>();
    for index in 0..probe_common::config::MAX_FILTER_FS {
        if index as u32 >= wanted {
            break;
        }
        // SAFETY: `index` is below the array's length; the static is initialised.
        let entry = unsafe {
            core::ptr::read_volatile((&raw const (*config).filter_fsid).cast::<[u64; 2]>().add(index))
        };
        if entry[0] == fsid[0] && entry[1] == fsid[1] {
            return STATE_FOLLOWED;
        }
    }
    STATE_LEFT_OUT
}

/// Searches all places where a filesystem's cell may lie, when the first few did not have it; takes one if there is none.
#[inline(always)]
fn meet(run: &Run, fs_info: u64, born: u32) -> Option<(u32, *mut FsCell)> {
    let slot = fs_meet(run.number(), fs_info, born).checked_sub(1)? as u32;
    Some((slot, cell_at(slot)?))
}

/// Its slot plus 1; 0 if there is no room.
///
/// A global function for the verifier: see [`Run::number`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fs_meet(run: u32, fs_info: u64, born: u32) -> u64 {
    let Some(run) = Run::numbered(run) else { return 0 };
    if let Some((slot, _)) = find_within(fs_info, SHAPE.probes) {
        return u64::from(slot) + 1;
    }
    let now = run.time();
    // First a slot that was never used, then one whose filesystem is gone.
    for pass in 0..2u32 {
        for probe in 0..SHAPE.probes {
            let slot = SHAPE.slot(fs_info, probe);
            let Some(cell) = cell_at(slot) else { return 0 };
            // SAFETY: array entries stay; the compare-and-swap decides who initialises.
            unsafe {
                let there = (*cell).fs_info;
                let taken = if pass == 0 {
                    there == 0 && claim(&raw mut (*cell).fs_info, 0, fs_info)
                } else {
                    there != BEING_TAKEN
                        && filesystem_is_gone((*cell).died, now, (*cell).epoch + 1)
                        && claim(&raw mut (*cell).fs_info, there, BEING_TAKEN)
                };
                if taken {
                    if pass == 1 {
                        (*cell).epoch += 1;
                    }
                    FsCell::begin(&run, cell, fs_info, born);
                    (&raw mut (*cell).fs_info).write_volatile(fs_info);
                    if (*cell).state == STATE_FOLLOWED {
                        announce(&run, fs_info, id(slot, cell), born);
                    }
                    return u64::from(slot) + 1;
                }
                // Another CPU met it at the same time and was first: one filesystem must not get two ids.
                if (*cell).fs_info == fs_info {
                    return u64::from(slot) + 1;
                }
            }
        }
    }
    run.lost(LossClass::FsCell);
    0
}

#[inline(never)]
fn announce(run: &Run, fs_info: u64, id: u32, born: u32) {
    run.emit::<FsSeen>(RecordKind::FsSeen, LossClass::Descriptive, id, |record| {
        let devices: u64 = read::at(fs_info, off!(fs_fs_devices));
        let sb: u64 = read::at(fs_info, off!(fs_sb));
        let state: u64 = read::at(fs_info, off!(fs_flags));
        let mut flags = born;
        if off!(fs_log_recovering_bit) != ABSENT && state >> (off!(fs_log_recovering_bit) & 63) & 1 != 0 {
            flags |= FS_LOG_RECOVERING;
        }
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).fs_info = fs_info;
            read::into(&raw mut (*record).fsid, devices, off!(fs_devices_fsid));
            read::into(&raw mut (*record).s_id, sb, off!(sb_s_id));
            (*record).flags = flags;
            (*record).nodesize = read::at(fs_info, off!(fs_nodesize));
            (*record).sectorsize = read::at(fs_info, off!(fs_sectorsize));
            (*record).s_dev = read::at(sb, off!(sb_s_dev));
        }
    });
}

/// A work queue is allocated. The first one begins the life of the filesystem.
pub fn fs_begin(run: &Run, fs_info: u64) {
    // SAFETY: array entries stay; mounting is serialised for one fs_info.
    unsafe {
        let Some((slot, cell)) = meet(run, fs_info, FS_BORN) else { return };
        if (*cell).flags & FLAG_DYING == 0 {
            return;
        }
        if (*cell).epoch + 1 >= MAX_LIVES {
            run.lost(LossClass::FsCell);
            (*cell).state = STATE_LEFT_OUT;
            return;
        }
        (*cell).epoch += 1;
        FsCell::begin(run, cell, fs_info, FS_BORN);
        if (*cell).state == STATE_FOLLOWED {
            announce(run, fs_info, id(slot, cell), FS_BORN);
        }
    }
}

/// A work queue is destroyed. Returns the filesystem id at the first one.
///
/// A filesystem that is not known yet gets its id here. At the release of its global reserve it would be too late: it
/// would then count as alive for ever.
pub fn fs_end(run: &Run, fs_info: u64) -> Option<u32> {
    let (slot, cell) = meet(run, fs_info, 0)?;
    // SAFETY: an array entry stays; unmounting is serialised for one fs_info.
    unsafe {
        if (*cell).flags & FLAG_DYING != 0 {
            return None;
        }
        (*cell).flags |= FLAG_DYING;
        (*cell).died = run.time();
        ((*cell).state == STATE_FOLLOWED).then(|| id(slot, cell))
    }
}

/// The cell of the filesystem with this id.
#[inline(always)]
pub fn fs_cell(id: u32) -> Option<*mut FsCell> {
    cell_at(fs::slot_of(id))
}

/// True between the first destroyed work queue and the end of the filesystem.
#[inline(always)]
pub fn fs_dying(id: u32) -> bool {
    // SAFETY: an array entry stays.
    cell_at(fs::slot_of(id)).is_some_and(|cell| unsafe { (*cell).flags } & FLAG_DYING != 0)
}

/// At a commit: sends the identity once more, because after the mount `sb->s_id` has the name.
pub fn fs_named(run: &Run, fs_info: u64, id: u32) {
    if let Some(cell) = cell_at(fs::slot_of(id)) {
        // SAFETY: an array entry stays; sending it twice does no harm.
        unsafe {
            if (*cell).flags & FLAG_NAMED == 0 {
                (*cell).flags |= FLAG_NAMED;
                announce(run, fs_info, id, 0);
            }
        }
    }
}

/// True until the first commit was seen: log replay is over after it.
#[inline(always)]
pub fn fs_young(id: u32) -> bool {
    // SAFETY: an array entry stays.
    cell_at(fs::slot_of(id)).is_some_and(|cell| unsafe { (*cell).flags } & FLAG_NAMED == 0)
}

/// True if this is the id of the filesystem that is now in its slot. Objects of an earlier filesystem have another id.
#[inline(always)]
pub fn fs_current(wanted: u32) -> bool {
    let slot = fs::slot_of(wanted);
    cell_at(slot).is_some_and(|cell| id(slot, cell) == wanted)
}

/// True if the cells of this filesystem's counters may be given to others.
#[inline(always)]
pub fn fs_counters_gone(run: &Run, wanted: u32) -> bool {
    let slot = fs::slot_of(wanted);
    cell_at(slot).is_none_or(|cell| {
        // SAFETY: an array entry stays.
        counters_are_gone(wanted, id(slot, cell), unsafe { (*cell).died }, run.time())
    })
}

/// Notes that a qgroup counter of this filesystem gave its cell to another.
#[inline(always)]
pub fn qgroup_gave_way(fs: u32) {
    if let Some(cell) = cell_at(fs::slot_of(fs)) {
        // SAFETY: an array entry stays; written whole, and only ever to 1 while the filesystem lives.
        unsafe { (*cell).qgroup_gave_way = 1 };
    }
}

/// Whether the state at a failure is to be sent, so that not more than `most` of its class are sent in a window. Returns the number of failures
/// left out since the last one that was sent. Two CPUs that count at the same time can send one more.
#[inline(always)]
pub fn failure_due(run: &Run, fs: u32, class: u32, most: u32) -> Option<u32> {
    let cell = fs_cell(fs)?;
    // Bytes of a number: the verifier of 6.1 does not take an array with such an index.
    let shift = (class & (STATE_CLASSES as u32 - 1)) * 8;
    let window = run.time() >> STATE_WINDOW_BITS;
    // SAFETY: an array entry stays.
    unsafe {
        if (*cell).failure_window != window {
            (*cell).failure_window = window;
            (*cell).failures_sent = 0;
        }
        if (*cell).failures_sent >> shift & 0xff >= u64::from(most) {
            (*cell).failures_left_out = (*cell).failures_left_out.wrapping_add(1);
            return None;
        }
        (*cell).failures_sent += 1 << shift;
        let left_out = (*cell).failures_left_out;
        (*cell).failures_left_out = 0;
        Some(left_out)
    }
}

/// Notes that the limit of a qgroup of this filesystem refused a reservation.
#[inline(always)]
pub fn limit_refused(fs: u32) {
    if let Some(cell) = cell_at(fs::slot_of(fs)) {
        // SAFETY: an array entry stays; written whole, and only ever to 1 while the filesystem lives.
        unsafe { (*cell).limit_refused = 1 };
    }
}

/// True if the limit of a qgroup of this filesystem ever refused a reservation.
#[inline(always)]
pub fn limits_refuse(fs: u32) -> bool {
    // SAFETY: an array entry stays.
    cell_at(fs::slot_of(fs)).is_some_and(|cell| unsafe { (*cell).limit_refused } != 0)
}

/// True if a qgroup counter without a cell may have had one before.
#[inline(always)]
pub fn qgroups_gave_way(fs: u32) -> bool {
    // SAFETY: an array entry stays.
    cell_at(fs::slot_of(fs)).is_some_and(|cell| unsafe { (*cell).qgroup_gave_way } != 0)
}
