//! Filesystems: small ids that are never reused in a session, and the filter.
use probe_common::{
    fs::{FS_BORN, FS_LOG_RECOVERING, FsSeen},
    header::RecordKind,
    loss::LossClass,
};

use super::{claim, spread};
use crate::{
    emit::Run,
    globals::{ABSENT, config, off},
    maps::FILESYSTEMS,
    read,
};

/// Number of cells; the id of a filesystem is `slot | epoch << 8`.
pub const FS_CELLS: u32 = 128;
const PROBES: u32 = 8;

/// Follow it.
const STATE_FOLLOWED: u32 = 1;
/// The filter leaves it out.
const STATE_LEFT_OUT: u32 = 2;
/// Its work queues are gone: only the release of the global reserve can follow.
const FLAG_DYING: u32 = 1;
/// Its name (`sb->s_id`) was sent.
const FLAG_NAMED: u32 = 2;

/// One filesystem. Claimed by whoever meets it first; flags are set by mount, commit and unmount only.
#[repr(C)]
pub struct FsCell {
    /// Address of the `fs_info`; 0 while free.
    fs_info: u64,
    /// Counts the filesystems that lived in this slot.
    epoch: u32,
    /// `STATE_*`; 0 while it is being decided.
    state: u32,
    /// `FLAG_*`
    flags: u32,
    reserved: u32,
}

#[inline(always)]
fn slot_of(fs_info: u64, probe: u32) -> u32 {
    ((spread(fs_info) >> 57) as u32 + probe) & (FS_CELLS - 1)
}

#[inline(always)]
fn find(fs_info: u64) -> Option<(u32, *mut FsCell)> {
    for probe in 0..PROBES {
        let slot = slot_of(fs_info, probe);
        let cell = FILESYSTEMS.get_ptr_mut(slot)?;
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
    slot | unsafe { (*cell).epoch + 1 } << 8
}

/// Id of a filesystem that is followed; meets it if need be. `None` if it is left out or there is no cell.
#[inline(always)]
pub fn fs_id(run: &Run, fs_info: u64) -> Option<u32> {
    if fs_info == 0 {
        return None;
    }
    let (slot, cell) = match find(fs_info) {
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

/// Applies the filter. Rare, and its room on the stack must not lie under that of `announce`.
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

/// The cell of a filesystem that may have none yet.
#[inline(always)]
fn meet(run: &Run, fs_info: u64, born: u32) -> Option<(u32, *mut FsCell)> {
    let slot = fs_meet(run.number(), fs_info, born).checked_sub(1)? as u32 & (FS_CELLS - 1);
    Some((slot, FILESYSTEMS.get_ptr_mut(slot)?))
}

/// Its slot and one; 0 if there is no room.
///
/// A global function for the verifier: see [`Run::number`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fs_meet(run: u32, fs_info: u64, born: u32) -> u64 {
    let Some(run) = Run::numbered(run) else { return 0 };
    // A free slot first, then one whose filesystem is dying.
    for pass in 0..2u32 {
        for probe in 0..PROBES {
            let slot = slot_of(fs_info, probe);
            let Some(cell) = FILESYSTEMS.get_ptr_mut(slot) else { return 0 };
            // SAFETY: array entries stay; the compare-and-swap decides who initialises.
            unsafe {
                let there = (*cell).fs_info;
                // Another CPU met it at the same time, and was first: one filesystem must not get two ids.
                if there == fs_info {
                    return u64::from(slot) + 1;
                }
                let takeable = if pass == 0 { there == 0 } else { (*cell).flags & FLAG_DYING != 0 };
                if takeable && claim(&raw mut (*cell).fs_info, there, fs_info) {
                    if pass == 1 {
                        (*cell).epoch += 1;
                    }
                    (*cell).flags = 0;
                    (*cell).state = decide(fs_info);
                    if (*cell).state == STATE_FOLLOWED {
                        announce(&run, fs_info, id(slot, cell), born);
                    }
                    return u64::from(slot) + 1;
                }
                if takeable && (*cell).fs_info == fs_info {
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

/// A work queue is allocated: the first one is the birth of the filesystem.
pub fn fs_begin(run: &Run, fs_info: u64) {
    match find(fs_info) {
        // SAFETY: an array entry stays; mounting is serialised for one fs_info.
        Some((slot, cell)) => unsafe {
            if (*cell).flags & FLAG_DYING != 0 {
                (*cell).epoch += 1;
                (*cell).flags = 0;
                (*cell).state = decide(fs_info);
                if (*cell).state == STATE_FOLLOWED {
                    announce(run, fs_info, id(slot, cell), FS_BORN);
                }
            }
        },
        None => {
            meet(run, fs_info, FS_BORN);
        }
    }
}

/// A work queue is destroyed. Returns the id at the first one.
pub fn fs_end(fs_info: u64) -> Option<u32> {
    let (slot, cell) = find(fs_info)?;
    // SAFETY: an array entry stays; unmounting is serialised for one fs_info.
    unsafe {
        if (*cell).flags & FLAG_DYING != 0 || (*cell).state != STATE_FOLLOWED {
            (*cell).flags |= FLAG_DYING;
            return None;
        }
        (*cell).flags |= FLAG_DYING;
    }
    Some(id(slot, cell))
}

/// True between the first destroyed work queue and the end.
#[inline(always)]
pub fn fs_dying(id: u32) -> bool {
    // SAFETY: an array entry stays.
    FILESYSTEMS
        .get_ptr_mut(id & (FS_CELLS - 1))
        .is_some_and(|cell| unsafe { (*cell).flags } & FLAG_DYING != 0)
}

/// At a commit: sends the identity once more now that mounting is over and the super block has its name.
pub fn fs_named(run: &Run, fs_info: u64, fs: u32) {
    if let Some(cell) = FILESYSTEMS.get_ptr_mut(fs & (FS_CELLS - 1)) {
        // SAFETY: an array entry stays; sending it twice does no harm.
        unsafe {
            if (*cell).flags & FLAG_NAMED == 0 {
                (*cell).flags |= FLAG_NAMED;
                announce(run, fs_info, fs, 0);
            }
        }
    }
}

/// True if `fs` is the filesystem that lives in this cell now.
#[inline(always)]
pub fn current(cell: Option<*mut FsCell>, fs: u32) -> bool {
    // SAFETY: an array entry stays.
    cell.is_some_and(|cell| unsafe { (*cell).epoch + 1 == fs >> 8 && (*cell).fs_info != 0 })
}

/// True until the first commit that was seen: log replay is over after it.
#[inline(always)]
pub fn fs_young(id: u32) -> bool {
    // SAFETY: an array entry stays.
    FILESYSTEMS
        .get_ptr_mut(id & (FS_CELLS - 1))
        .is_some_and(|cell| unsafe { (*cell).flags } & FLAG_NAMED == 0)
}
