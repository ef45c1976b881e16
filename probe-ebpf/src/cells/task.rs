//! Threads: what the current operation of a thread was granted, has published and still holds.
use aya_ebpf::helpers::generated::bpf_get_current_comm;
use probe_common::{
    header::RecordKind,
    loss::LossClass,
    table::{NEAR_PROBES, TASKS as SHAPE},
    task::TaskSeen,
};

use super::slot::claim;
use crate::{emit::Run, layout::task::TaskCell, maps::TASKS};

/// `TaskCell::marks`: a ticket of the thread failed with ENOSPC; its `space_info:enospc` is the same failure.
pub const MARK_TICKET_FAILED: u32 = 1;
/// `TaskCell::marks`: the limit of a qgroup refuses the reservation that the thread makes.
pub const MARK_QGROUP_REFUSED: u32 = 2;

/// Events of a thread that become records after a failed reservation.
pub const FOLLOW_EVENTS: u32 = 16;

/// Forgets the last grant or refusal: it was not for the next tree block. `btrfs_use_block_rsv()` charges a block right
/// before the block is allocated, with no other event of its thread in between. The last grant of a commit, for example,
/// tops up the global reserve, often by one nodesize.
///
/// # Safety
/// `task` is the current thread's cell.
#[inline(always)]
pub unsafe fn paid_elsewhere(task: *mut TaskCell) {
    // SAFETY: as promised.
    unsafe {
        (*task).fresh = 0;
        (*task).fallback = 0;
    }
}

/// The current thread's cell. `None` in the idle task (interrupts) or if there is no room.
#[inline(always)]
pub fn get(run: &Run) -> Option<*mut TaskCell> {
    // Through a null pointer: where several paths end in `None`, the compiler moves a register that one of them left
    // unset, and the verifier rejects that.
    let cell = find(run);
    if cell.is_null() { None } else { Some(cell) }
}

/// The cell of the current thread if it has one among the first places, where nearly all are.
#[inline(always)]
pub fn known(run: &Run) -> Option<*mut TaskCell> {
    let tid = run.pid_tgid() & 0xffff_ffff;
    if tid == 0 {
        return None;
    }
    for probe in 0..NEAR_PROBES {
        let cell = TASKS.get_ptr_mut(SHAPE.slot_of_tid(tid, probe))?;
        // SAFETY: an array entry stays.
        if unsafe { (*cell).tid } == tid {
            return Some(cell);
        }
    }
    None
}

/// See [`get`]; null for none.
#[inline(always)]
fn find(run: &Run) -> *mut TaskCell {
    let pid_tgid = run.pid_tgid();
    let tid = pid_tgid & 0xffff_ffff;
    if tid == 0 {
        return core::ptr::null_mut();
    }
    for probe in 0..NEAR_PROBES {
        let Some(cell) = TASKS.get_ptr_mut(SHAPE.slot_of_tid(tid, probe)) else {
            return core::ptr::null_mut();
        };
        // SAFETY: an array entry stays.
        if unsafe { (*cell).tid } == tid {
            return cell;
        }
    }
    match task_meet(run.number(), pid_tgid) {
        0 => core::ptr::null_mut(),
        slot => TASKS.get_ptr_mut(slot as u32 - 1).unwrap_or(core::ptr::null_mut()),
    }
}

/// The cell of another thread, if it has one. That thread may write it meanwhile.
#[inline(always)]
pub fn other(tid: u64) -> Option<*mut TaskCell> {
    let slot = slot_of(tid).checked_sub(1)?;
    TASKS.get_ptr_mut(slot as u32)
}

/// The slot plus 1 of a thread that has a cell; 0 if it has none.
#[inline(always)]
fn slot_of(tid: u64) -> u64 {
    for probe in 0..SHAPE.probes {
        let slot = SHAPE.slot_of_tid(tid, probe);
        let Some(cell) = TASKS.get_ptr_mut(slot) else { return 0 };
        // SAFETY: an array entry stays.
        if unsafe { (*cell).tid } == tid {
            return u64::from(slot) + 1;
        }
    }
    0
}

/// The slot plus 1 of a thread whose cell is not among the first places, or that has no cell yet; 0 if there is no room.
///
/// A global function for the verifier: see [`Run::number`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn task_meet(run: u32, pid_tgid: u64) -> u64 {
    let Some(run) = Run::numbered(run) else { return 0 };
    let tid = pid_tgid & 0xffff_ffff;
    let known = slot_of(tid);
    if known != 0 {
        return known;
    }
    for probe in 0..SHAPE.probes {
        let slot = SHAPE.slot_of_tid(tid, probe);
        let Some(cell) = TASKS.get_ptr_mut(slot) else { return 0 };
        // SAFETY: an array entry stays; after the claim the cell is this thread's alone.
        unsafe {
            if (*cell).tid == 0 && claim(&raw mut (*cell).tid, 0, tid) {
                (*cell).frames = super::frame::take(tid);
                announce(&run, cell, pid_tgid);
                return u64::from(slot) + 1;
            }
        }
    }
    run.lost(LossClass::TaskCell);
    0
}

/// Sends the name of the thread if it is new or changed.
#[inline(never)]
pub fn announce(run: &Run, cell: *mut TaskCell, pid_tgid: u64) {
    let mut comm = [0u64; 2];
    // SAFETY: the helper writes at most the sixteen bytes.
    unsafe { bpf_get_current_comm((&raw mut comm).cast(), size_of_val(&comm) as u32) };
    let [word, rest] = comm;
    // SAFETY: the cell is this thread's.
    unsafe {
        if (*cell).comm == word {
            return;
        }
        (*cell).comm = word;
    }
    run.emit::<TaskSeen>(RecordKind::TaskSeen, LossClass::Descriptive, 0, |record| {
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).pid = (pid_tgid >> 32) as u32;
            (*record).reserved = 0;
            let to = (&raw mut (*record).comm).cast::<u64>();
            to.write(word);
            to.add(1).write(rest);
        }
    });
}

/// `sched_process_free`: frees the cell of the thread.
pub fn free(tid: u64) {
    let Some(slot) = slot_of(tid).checked_sub(1) else { return };
    let Some(cell) = TASKS.get_ptr_mut(slot as u32) else { return };
    // SAFETY: an array entry stays; the thread is dead, so nobody else writes the cell. Its id goes last, since others
    // search for it.
    unsafe {
        super::frame::give_back((*cell).frames);
        let start = cell.cast::<u64>();
        for word in 1..size_of::<TaskCell>() / 8 {
            core::ptr::write_volatile(start.add(word), 0);
        }
        core::ptr::write_volatile(start, 0);
    }
}
