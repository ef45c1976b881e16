//! The state of a filesystem at the moment at which a reservation failed: everything that the sentence why needs.
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use probe_common::{
    header::RecordKind,
    loss::LossClass,
    shortage::{
        DeviceState, FAILURE_NO_WAIT, FailureDevices, FailureState, STATE_DEVICES, STATE_SPACES,
        STATES_AT_MOST, STATES_NO_WAIT, state_class,
    },
};

use super::levels;
use crate::{
    cells,
    emit::Run,
    globals::{ABSENT, off},
    read,
};

/// What failed.
pub struct Ask {
    /// Filesystem id.
    pub fs: u32,
    /// `FAILURE_*`
    pub why: u32,
    /// Address of the fs_info.
    pub fs_info: u64,
    /// Negative errno; 0 if it is not known.
    pub error: i32,
    /// `enum btrfs_reserve_flush_enum`; -1 if it is not known.
    pub flush: i32,
    /// Bytes that were asked for.
    pub bytes: u64,
    /// `space_info->flags` of the request.
    pub space_flags: u64,
    /// Subvolume, if known.
    pub root: u64,
    /// Inode number, if known.
    pub ino: u64,
    /// Stack id.
    pub stack: u64,
}

/// Sends the state, unless it was sent too often of late: thousands of tasks can fail at once.
///
/// Fewer are sent of requests that may not wait: they have another way, and are many on a healthy filesystem that is full. Each class has
/// its own bound, so that failures of data do not hide those of metadata.
#[inline(never)]
pub fn send(run: &Run, ask: &Ask) {
    let most = if ask.why == FAILURE_NO_WAIT { STATES_NO_WAIT } else { STATES_AT_MOST };
    let class = state_class(ask.why, ask.space_flags);
    let Some(left_out) = cells::failure_due(run, ask.fs, class, most) else { return };
    // SAFETY: plain helper.
    let at = unsafe { bpf_ktime_get_ns() };
    state(run, ask, at, left_out);
    devices(run, ask, at);
}

#[inline(never)]
fn state(run: &Run, ask: &Ask, at: u64, left_out: u32) {
    let fs_info = ask.fs_info;
    run.emit::<FailureState>(RecordKind::FailureState, LossClass::Descriptive, ask.fs, |record| {
        // SAFETY: the ring gave this room; every field is written.
        unsafe {
            (*record).at = at;
            (*record).why = ask.why;
            (*record).error = ask.error;
            (*record).flush = ask.flush;
            (*record).fs_flags = levels::state_flags(fs_info);
            (*record).bytes = ask.bytes;
            (*record).space_flags = ask.space_flags;
            (*record).root = ask.root;
            (*record).ino = ask.ino;
            (*record).stack = ask.stack;
            (*record).transid = read::at(fs_info, off!(fs_generation));
            (*record).profiles = [
                read::at(fs_info, off!(fs_avail_data_alloc_bits)),
                read::at(fs_info, off!(fs_avail_metadata_alloc_bits)),
                read::at(fs_info, off!(fs_avail_system_alloc_bits)),
            ];
            (*record).free_chunk_space = read::at(fs_info, off!(fs_free_chunk_space));
            (*record).left_out = left_out;
            (*record).rsvs = [
                read::rsv(fs_info + off!(fs_global_block_rsv) as u64),
                read::rsv(fs_info + off!(fs_trans_block_rsv) as u64),
                read::rsv(fs_info + off!(fs_chunk_block_rsv) as u64),
                read::rsv(fs_info + off!(fs_delayed_block_rsv) as u64),
                read::rsv(fs_info + off!(fs_delayed_refs_rsv) as u64),
                read::rsv(part(fs_info, off!(fs_treelog_rsv))),
                read::rsv(part(fs_info, off!(fs_remap_block_rsv))),
            ];
            let head = fs_info + off!(fs_space_info) as u64;
            let mut node: u64 = read::at(head, 0);
            let (mut full, mut sub_groups) = (0u32, 0u32);
            for index in 0..STATE_SPACES {
                // Reads of address 0 leave zeroes: an empty entry.
                node = if node == head { 0 } else { node };
                let sinfo = if node == 0 { 0 } else { node.wrapping_sub(off!(sinfo_list) as u64) };
                let space = &raw mut (*record).space[index];
                (*space).flags = read::at(sinfo, off!(sinfo_flags));
                (*space).total = read::at(sinfo, off!(sinfo_total_bytes));
                (*space).used = read::at(sinfo, off!(sinfo_bytes_used));
                (*space).pinned = read::at(sinfo, off!(sinfo_bytes_pinned));
                (*space).reserved = read::at(sinfo, off!(sinfo_bytes_reserved));
                (*space).may_use = read::at(sinfo, off!(sinfo_bytes_may_use));
                (*space).readonly = read::at(sinfo, off!(sinfo_bytes_readonly));
                (*space).zone_unusable = read::at(sinfo, off!(sinfo_bytes_zone_unusable));
                full |= (u32::from(read::at::<u8>(sinfo, off!(sinfo_full))) & 1) << index;
                sub_groups += u32::from(read::at::<u64>(sinfo, off!(sinfo_sub_group)) != 0);
                node = read::at(node, 0);
            }
            (*record).full = full;
            (*record).sub_groups = sub_groups;
            (*record).spaces_beyond = u32::from(node != 0 && node != head);
        }
    });
}

/// Address of a part of the fs_info; 0 if this kernel does not have it.
#[inline(always)]
fn part(fs_info: u64, offset: usize) -> u64 {
    if offset == ABSENT { 0 } else { fs_info + offset as u64 }
}

/// Nobody locks the list for us. What is read of a device that leaves it meanwhile is wrong, but harmless: such a state can at most
/// say that there is room where there is none any more.
#[inline(never)]
fn devices(run: &Run, ask: &Ask, at: u64) {
    let reclaim_size = reclaim_size(ask);
    let list: u64 = read::at(ask.fs_info, off!(fs_fs_devices));
    run.emit::<FailureDevices>(RecordKind::FailureDevices, LossClass::Descriptive, ask.fs, |record| {
        // SAFETY: the ring gave this room; every field is written.
        unsafe {
            (*record).at = at;
            (*record).devices = read::at(list, off!(fs_devices_rw_devices));
            let head = list + off!(fs_devices_alloc_list) as u64;
            let mut node: u64 = read::at(head, 0);
            for index in 0..STATE_DEVICES {
                node = if node == head { 0 } else { node };
                let device =
                    if node == 0 { 0 } else { node.wrapping_sub(off!(device_dev_alloc_list) as u64) };
                (*record).device[index] = DeviceState {
                    devid: read::at(device, off!(device_devid)),
                    total: read::at(device, off!(device_total_bytes)),
                    used: read::at(device, off!(device_bytes_used)),
                    state: read::at(device, off!(device_dev_state)),
                };
                node = read::at(node, 0);
            }
            (*record).reclaim_size = reclaim_size;
        }
    });
}

/// Bytes of the tickets that wait for the same space_info.
#[inline(never)]
fn reclaim_size(ask: &Ask) -> u64 {
    if off!(sinfo_reclaim_size) == ABSENT || ask.space_flags == 0 {
        return 0;
    }
    let head = ask.fs_info + off!(fs_space_info) as u64;
    let mut node: u64 = read::at(head, 0);
    for _ in 0..STATE_SPACES {
        if node == 0 || node == head {
            break;
        }
        let sinfo = node.wrapping_sub(off!(sinfo_list) as u64);
        if read::at::<u64>(sinfo, off!(sinfo_flags)) == ask.space_flags {
            return read::at(sinfo, off!(sinfo_reclaim_size));
        }
        node = read::at(node, 0);
    }
    0
}
