//! The global block_rsv pays for a tree block: who made it pay, and what it still holds.
use probe_common::{draw::Draw, header::RecordKind, inode::BLOCK_FALLBACK, loss::LossClass};

use crate::{
    cells,
    emit::Run,
    globals::off,
    read,
    stack::{self, Context},
};

/// A tree block that the global block_rsv paid for.
pub struct Paid {
    /// Filesystem id.
    pub fs: u32,
    /// Address of the fs_info.
    pub fs_info: u64,
    /// Root objectid.
    pub root: u64,
    /// Bytes.
    pub bytes: u64,
    /// [`probe_common::claim::RsvType`] of the block_rsv that should have paid.
    pub payer: u32,
    /// `BLOCK_*`
    pub flags: u32,
}

/// Sends it. The stack is exact where another block_rsv should have paid, which is rare; else one per context.
#[inline(never)]
pub fn paid(run: &Run, paid: &Paid) {
    let stack = if paid.flags & BLOCK_FALLBACK != 0 {
        stack::exact(run)
    } else {
        match cells::task_cell(run) {
            Some(task) => stack::ordinary(run, task, Context::draw(), paid.root).0,
            None => 0,
        }
    };
    run.emit::<Draw>(RecordKind::Draw, LossClass::Descriptive, paid.fs, |record| {
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).root = paid.root;
            (*record).bytes = paid.bytes;
            (*record).global = read::rsv(paid.fs_info + off!(fs_global_block_rsv) as u64);
            (*record).payer = paid.payer;
            (*record).flags = paid.flags;
            (*record).stack = stack;
        }
    });
}
