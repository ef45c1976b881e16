//! Chains: counters whose events show the value before each change. The check runs here, under the counter's own
//! lock. A link that fits is only counted; anything else becomes a record.
use probe_common::{
    cell::ChainCell,
    chain::{
        CHAIN_BREAK, CHAIN_LEVEL, CHAIN_OPEN, CHAIN_OVERFLOW, CHAIN_REST, CHAIN_UNDERFLOW, Chain,
        ChainCounter,
    },
    header::RecordKind,
    loss::LossClass,
    table::{CHAINS as CHAINS_SHAPE, NEAR_PROBES, QGROUPS as QGROUPS_SHAPE},
};

use super::{
    fs::{fs_counters_gone, qgroup_gave_way, qgroups_gave_way},
    slot::{BEING_TAKEN, claim},
};
use crate::{
    emit::Run,
    globals::config,
    maps::{CHAINS, QGROUPS},
    stack,
};

/// One change, as the tracepoint shows it.
pub struct Change {
    /// Filesystem id.
    pub fs: u32,
    /// Address of the kernel object.
    pub object: u64,
    /// Which counter of the object.
    pub counter: ChainCounter,
    /// Value before the change.
    pub old: u64,
    /// The change.
    pub diff: i64,
}

/// Cell number `probe` of those in which a counter may lie, in the map of its kind.
#[inline(always)]
fn cell_at(key: u64, qgroup: bool, probe: u32) -> Option<*mut ChainCell> {
    if qgroup {
        QGROUPS.get_ptr_mut(QGROUPS_SHAPE.slot(key, probe))
    } else {
        CHAINS.get_ptr_mut(CHAINS_SHAPE.slot(key, probe))
    }
}

/// Finds the cell of a counter, or takes a free one.
#[inline(always)]
fn cell_of(run: &Run, change: &Change, qgroup: bool) -> Option<*mut ChainCell> {
    // Kernel objects are aligned to 8 bytes at least, so the low bits are free for the counter's number.
    let key = change.object | change.counter as u64;
    find(key, qgroup, NEAR_PROBES).or_else(|| meet(run, key, qgroup, change.fs))
}

#[inline(always)]
fn find(key: u64, qgroup: bool, probes: u32) -> Option<*mut ChainCell> {
    for probe in 0..probes {
        let cell = cell_at(key, qgroup, probe)?;
        // SAFETY: an array entry stays.
        if unsafe { (*cell).key } == key {
            return Some(cell);
        }
    }
    None
}

/// Searches all places where a counter's cell may lie, when the first few did not have it; takes one if there is none.
#[inline(never)]
fn meet(run: &Run, key: u64, qgroup: bool, fs: u32) -> Option<*mut ChainCell> {
    const _: () = assert!(CHAINS_SHAPE.probes == QGROUPS_SHAPE.probes);
    if let Some(cell) = find(key, qgroup, CHAINS_SHAPE.probes) {
        return Some(cell);
    }
    for probe in 0..CHAINS_SHAPE.probes {
        let cell = cell_at(key, qgroup, probe)?;
        // SAFETY: array entries stay; the compare-and-swap decides who takes a cell.
        unsafe {
            let there = (*cell).key;
            let free =
                there == 0 || (there != BEING_TAKEN && (*cell).fs != 0 && fs_counters_gone(run, (*cell).fs));
            if free && claim(&raw mut (*cell).key, there, BEING_TAKEN) {
                return Some(hand_over(cell, key, fs));
            }
        }
    }
    if qgroup {
        // No event shows that a qgroup is deleted, so all cells are kept until there is no room. Then a cell whose value is
        // zero gives way: it loses nothing, since it opens at zero again. Only one of the same filesystem: the `qgroup_lock`
        // that we hold keeps its counter still.
        for probe in 0..QGROUPS_SHAPE.probes {
            let cell = cell_at(key, qgroup, probe)?;
            // SAFETY: as above; `qgroup_lock` of this filesystem is held.
            unsafe {
                let there = (*cell).key;
                if there != BEING_TAKEN && (*cell).fs == fs && (*cell).value == 0 && (*cell).links > 0 {
                    rest(run, cell);
                    qgroup_gave_way(fs);
                    if claim(&raw mut (*cell).key, there, BEING_TAKEN) {
                        return Some(hand_over(cell, key, fs));
                    }
                }
            }
        }
    }
    run.lost(LossClass::ChainCell);
    None
}

/// Makes a claimed cell that of a counter. Writes the owner first, so that nobody takes it for an abandoned cell.
///
/// # Safety
/// `cell` is an array entry that the caller has claimed.
#[inline(always)]
unsafe fn hand_over(cell: *mut ChainCell, key: u64, fs: u32) -> *mut ChainCell {
    // SAFETY: as promised.
    unsafe {
        (&raw mut (*cell).fs).write_volatile(fs);
        (&raw mut (*cell).links).write_volatile(0);
        (&raw mut (*cell).key).write_volatile(key);
    }
    cell
}

/// Sends a record: this counter is zero and no longer followed.
#[inline(never)]
fn rest(run: &Run, cell: *mut ChainCell) {
    // SAFETY: the counter's lock is held, so this chain is ours; the ring gives its room.
    unsafe {
        run.emit::<Chain>(RecordKind::Chain, LossClass::ChainRecord, (*cell).fs, |record| {
            (*record).object = (*cell).key & !7;
            (*record).object_flags = (*cell).object_flags;
            (*record).counter = ((*cell).key & 7) as u32;
            (*record).event = CHAIN_REST;
            (*record).expected = 0;
            (*record).old = 0;
            (*record).diff = 0;
            (*record).links = (*cell).links;
            (*record).peak = (*cell).peak;
            (*record).stack = 0;
        });
    }
}

/// Checks one link. Returns the cell's object flags.
///
/// `flags` reads the object's own flags (type or qgroup id). It is called for a new object, and for every link of a
/// `qgroup`: another qgroup can appear at the same address.
#[inline(always)]
pub fn link(run: &Run, change: &Change, qgroup: bool, flags: impl Fn(u64) -> u64) -> u64 {
    let Some(cell) = cell_of(run, change, qgroup) else { return flags(change.object) };
    let after = change.old.wrapping_add(change.diff as u64);
    let underflow = change.diff < 0 && change.old < change.diff.unsigned_abs();
    let overflow = change.diff > 0 && after < change.old;
    // The kernel warns of an underflow and sets the counter to zero.
    let value = if underflow { 0 } else { after };
    // SAFETY: the counter's lock is held, so this chain is ours.
    unsafe {
        let fresh = (*cell).links == 0
            || (*cell).fs != change.fs
            || (qgroup && (*cell).object_flags != flags(change.object));
        if fresh {
            (*cell).fs = change.fs;
            (*cell).object_flags = flags(change.object);
            (*cell).links = 0;
            (*cell).peak = 0;
            (*cell).value = change.old;
            // Its cell gave way while it was zero, or this is the first sight: we cannot tell if this opening is right.
            if qgroup && change.old != 0 && qgroups_gave_way(change.fs) {
                run.lost(LossClass::ChainCell);
            }
        }
        let expected = (*cell).value;
        (*cell).links += 1;
        (*cell).value = value;
        if value > (*cell).peak {
            (*cell).peak = value;
        }
        let event = if underflow {
            CHAIN_UNDERFLOW
        } else if overflow {
            CHAIN_OVERFLOW
        } else if expected != change.old {
            CHAIN_BREAK
        } else if fresh {
            CHAIN_OPEN
        } else {
            let now = run.time();
            if now.wrapping_sub((*cell).shown) < u64::from(config!(level_ms)) * 1_000_000 {
                return (*cell).object_flags;
            }
            CHAIN_LEVEL
        };
        show(run, change, cell, event, expected);
        (*cell).object_flags
    }
}

#[inline(never)]
fn show(run: &Run, change: &Change, cell: *mut ChainCell, event: u32, expected: u64) {
    let decisive = event != CHAIN_OPEN && event != CHAIN_LEVEL;
    // Who reserves in a qgroup is shown by samples, since an event shows no owner.
    let reserves = change.counter as u32 >= ChainCounter::QgroupData as u32 && change.diff > 0;
    let stack = if decisive || reserves { stack::exact(run) } else { 0 };
    // SAFETY: the counter's lock is held, so this chain is ours.
    unsafe { (*cell).shown = run.time() };
    run.emit::<Chain>(RecordKind::Chain, LossClass::ChainRecord, change.fs, |record| {
        // SAFETY: the ring gave this room; the cell is ours under the counter's lock.
        unsafe {
            (*record).object = change.object;
            (*record).object_flags = (*cell).object_flags;
            (*record).counter = change.counter as u32;
            (*record).event = event;
            (*record).expected = expected;
            (*record).old = change.old;
            (*record).diff = change.diff;
            (*record).links = (*cell).links;
            (*record).peak = (*cell).peak;
            (*record).stack = stack;
            (*cell).peak = 0;
        }
    });
}
