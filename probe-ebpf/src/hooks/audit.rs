//! Programs that are attached to no hook: the auditor runs them on demand (`BPF_PROG_TEST_RUN`) to read the kernel's own
//! counters. Every pointer that they get is checked by its content first.
//!
//! They do not use the macro for raw tracepoints: it would make the program return 0, and here the return value is the
//! answer.
use core::ffi::c_void;

use aya_ebpf::programs::RawTracePointContext;
use probe_common::{
    fs::LEVELS_AUDIT,
    header::RecordKind,
    hook::HookId,
    inode::{InodeState, MOMENT_AUDIT},
    loss::LossClass,
    shortage::FAILURE_ABORT,
};

use super::{failure, levels};
use crate::{cells, emit::Run, globals::off, read};

/// Arguments: address of the inode, address of its root, inode number. Returns 1 if it was that inode.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/audit_inode")]
pub extern "C" fn audit_inode(ctx: *mut c_void) -> u32 {
    let ctx = RawTracePointContext::new(ctx);
    let Some(run) = Run::begin(HookId::AuditInode, &ctx) else { return 0 };
    let (inode, root, ino): (u64, u64, u64) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    if read::inode_ino(inode) != ino || read::inode_root(inode) != root {
        return 0;
    }
    let Some(cell) = cells::find_inode(root, ino) else { return 0 };
    // SAFETY: a live entry.
    let known = unsafe { *cell };
    run.emit::<InodeState>(RecordKind::InodeState, LossClass::BooksRecord, known.fs, |record| {
        let block_rsv = inode + off!(inode_block_rsv) as u64;
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).address = inode;
            (*record).root = known.root;
            (*record).ino = ino;
            (*record).generation = read::at(inode, off!(inode_generation));
            (*record).counters = read::counters_closing(inode);
            (*record).qgroup_reserved = read::at(block_rsv, off!(rsv_qgroup_rsv_reserved));
            (*record).qgroup_size = read::at(block_rsv, off!(rsv_qgroup_rsv_size));
            (*record).new_delalloc_bytes = 0;
            (*record).links = known.links;
            (*record).moment = MOMENT_AUDIT;
            (*record).nlink = read::at(inode, off!(inode_vfs_inode) + off!(vfs_i_nlink));
            (*record).stack = 0;
        }
    });
    1
}

/// Arguments: address of the fs_info, expected filesystem id, and 0 to ask for its levels, 1 for its state after an abort. Returns 1
/// if it was that filesystem.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/audit_fs")]
pub extern "C" fn audit_fs(ctx: *mut c_void) -> u32 {
    let ctx = RawTracePointContext::new(ctx);
    let Some(run) = Run::begin(HookId::AuditFs, &ctx) else { return 0 };
    let fs_info: u64 = ctx.arg(0);
    let fs: u32 = ctx.arg(1);
    // During unmount a filesystem can be freed at any moment, and its memory still looks valid after that.
    if cells::fs_dying(fs) || cells::fs_id(&run, fs_info) != Some(fs) {
        return 0;
    }
    if ctx.arg::<u64>(2) != 0 {
        failure::send(
            &run,
            &failure::Ask {
                fs,
                why: FAILURE_ABORT,
                fs_info,
                error: 0,
                flush: -1,
                bytes: 0,
                space_flags: 0,
                root: 0,
                ino: 0,
                stack: 0,
            },
        );
        return 1;
    }
    levels::send(&run, &levels::Ask { fs, why: LEVELS_AUDIT, fs_info, changing: 0, after: 0 });
    1
}
