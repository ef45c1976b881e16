//! Records of the kernel's own levels of all pools, and the commit, at which they are sent.
use probe_common::{
    fs::{
        LEVELS_CLOSING, LEVELS_COMMIT, LEVELS_ERROR, LEVELS_LOG_CLEANUP_ERROR, LEVELS_LOG_RECOVERING,
        LEVELS_QUIET, Levels, SpaceLevels,
    },
    header::RecordKind,
    loss::LossClass,
    pinned::PinnedLeft,
};

use super::{event::Arguments, fallback::with_fallback};
use crate::{
    cells,
    emit::Run,
    globals::{ABSENT, off},
    read, stack,
};

with_fallback! {
    /// `trace_btrfs_transaction_commit`: up to 6.18 it passes the fs_info, once per commit; from 7.3 on the handle, at
    /// every change of the transaction's state.
    "btrfs_transaction_commit" TransactionCommit transaction_commit transaction_commit_fallback transaction_commit_iter committed
}

#[inline(always)]
fn committed(run: &Run, ctx: &impl Arguments) {
    if let Some(task) = cells::task_cell(run) {
        // SAFETY: the cell is this thread's.
        unsafe { cells::paid_elsewhere(task) };
    }
    let mut fs_info: u64 = ctx.arg(0);
    let mut handle = 0;
    if off!(commit_has_handle) == 1 {
        handle = fs_info;
        let transaction: u64 = read::at(handle, off!(trans_transaction));
        let state: u32 = read::at(transaction, off!(transaction_state));
        if state != off!(trans_state_completed) as u32 {
            return;
        }
        fs_info = read::at(handle, off!(trans_fs_info));
    }
    if handle == 0 {
        handle = read::handle_address(fs_info);
    }
    let Some(fs) = cells::fs_id(run, fs_info) else { return };
    if handle != 0 && !has_error(fs_info) {
        unpinned(run, fs, read::at(handle, off!(trans_transid)));
    }
    cells::fs_named(run, fs_info, fs);
    cells::pools::committed(fs);
    send(run, &Ask { fs, why: LEVELS_COMMIT, fs_info, changing: 0, after: 0 });
}

/// A transaction has been committed: compares what it had pinned with what its commit has unpinned.
#[inline(never)]
fn unpinned(run: &Run, fs: u32, transid: u64) {
    for kind in 0..cells::pinned::TYPES.len() {
        let bytes = cells::pinned::left(fs, kind, transid);
        if bytes != 0 {
            let stack = stack::exact(run);
            run.emit::<PinnedLeft>(RecordKind::PinnedLeft, LossClass::BooksRecord, fs, |record| {
                // SAFETY: the ring gave this room.
                unsafe {
                    (*record).transid = transid;
                    (*record).flags = cells::pinned::TYPES[kind];
                    (*record).bytes = bytes;
                    (*record).stack = stack;
                }
            });
        }
    }
}

#[inline(always)]
fn bit(word: u64, bit: usize) -> bool {
    bit != ABSENT && word >> (bit & 63) & 1 != 0
}

/// Whether the filesystem is aborted or has an error.
#[inline(always)]
pub fn has_error(fs_info: u64) -> bool {
    let state: u64 = read::at(fs_info, off!(fs_fs_state));
    let error: i32 = read::at(fs_info, off!(fs_fs_error));
    is_error(state, error)
}

#[inline(always)]
fn is_error(state: u64, error: i32) -> bool {
    error != 0 || bit(state, off!(fs_state_error_bit)) || bit(state, off!(fs_state_trans_aborted_bit))
}

/// `LEVELS_*` state flags of a filesystem.
#[inline(always)]
pub fn state_flags(fs_info: u64) -> u32 {
    let flags: u64 = read::at(fs_info, off!(fs_flags));
    let state: u64 = read::at(fs_info, off!(fs_fs_state));
    let error: i32 = read::at(fs_info, off!(fs_fs_error));
    let mut out = 0;
    if bit(flags, off!(fs_closing_start_bit)) {
        out |= LEVELS_CLOSING;
    }
    if is_error(state, error) {
        out |= LEVELS_ERROR;
    }
    if bit(flags, off!(fs_log_recovering_bit)) {
        out |= LEVELS_LOG_RECOVERING;
    }
    if bit(state, off!(fs_state_log_cleanup_error_bit)) {
        out |= LEVELS_LOG_CLEANUP_ERROR;
    }
    out
}

/// Which filesystem's levels to send, and why.
pub struct Ask {
    /// Filesystem id.
    pub fs: u32,
    /// `LEVELS_*`
    pub why: u32,
    /// Address of the fs_info.
    pub fs_info: u64,
    /// A space_info that is just being changed: its `bytes_may_use` is sent as `after`; 0 if none.
    pub changing: u64,
    /// `bytes_may_use` of `changing` after the change.
    pub after: u64,
}

/// The number of the last transaction, if none is running; else 0.
#[inline(always)]
fn quiet(fs_info: u64) -> u64 {
    // An offset that is not known reads as zero, and is none.
    let running: u64 = read::at(fs_info, off!(fs_running_transaction));
    let last: u64 = read::at(fs_info, off!(fs_generation));
    if off!(fs_running_transaction) != ABSENT && running == 0 { last } else { 0 }
}

/// Sends the levels of a filesystem.
#[inline(never)]
pub fn send(run: &Run, ask: &Ask) {
    let fs_info = ask.fs_info;
    let before = quiet(fs_info);
    run.emit::<Levels>(RecordKind::Levels, LossClass::BooksRecord, ask.fs, |record| {
        // SAFETY: the ring gave this room; every field is written.
        unsafe {
            (*record).why = ask.why;
            (*record).fs_flags = state_flags(fs_info);
            (*record).transid = read::at(fs_info, off!(fs_generation));
            (*record).global = read::rsv(fs_info + off!(fs_global_block_rsv) as u64);
            (*record).trans = read::rsv(fs_info + off!(fs_trans_block_rsv) as u64);
            (*record).chunk = read::rsv(fs_info + off!(fs_chunk_block_rsv) as u64);
            (*record).delayed = read::rsv(fs_info + off!(fs_delayed_block_rsv) as u64);
            (*record).delayed_refs = read::rsv(fs_info + off!(fs_delayed_refs_rsv) as u64);
            let head = fs_info + off!(fs_space_info) as u64;
            let mut node: u64 = read::at(head, 0);
            for index in 0..4 {
                let mut levels = SpaceLevels::default();
                if node != 0 && node != head {
                    let sinfo = node.wrapping_sub(off!(sinfo_list) as u64);
                    levels = read::space(sinfo);
                    if sinfo == ask.changing {
                        levels.may_use = ask.after;
                    }
                    node = read::at(node, 0);
                }
                (*record).space[index] = levels;
            }
            // The same number twice: no transaction has run in between.
            if ask.why == LEVELS_COMMIT && before != 0 && before == quiet(fs_info) {
                (*record).fs_flags |= LEVELS_QUIET;
            }
        }
    });
}

/// `BTRFS_FS_LOG_RECOVERING` is set.
#[inline(always)]
pub fn log_recovering(fs_info: u64) -> bool {
    bit(read::at(fs_info, off!(fs_flags)), off!(fs_log_recovering_bit))
}
