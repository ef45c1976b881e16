//! Finds the filesystems that were mounted before the session, by the list of superblocks of btrfs' `file_system_type`.
//!
//! No symbol is needed: a file of ours on another filesystem leads to its type, and from there one goes along the list of all
//! types. The kernel adds a type at its end, so the file has to be on one that is older than btrfs: `/proc` is.
//!
//! Before 6.8 the superblocks belong to a second type (`btrfs_root_fs_type`), which is in no list. The user side has its address from
//! the kernel's symbols, if they show data (`CONFIG_KALLSYMS_ALL`). Elsewhere a filesystem is met at its first event.
use core::ffi::c_void;

use aya_ebpf::{helpers::generated::bpf_get_current_task, programs::RawTracePointContext};
use probe_common::{fs::LEVELS_AUDIT, hook::HookId};

use super::levels;
use crate::{
    cells,
    emit::Run,
    globals::{ABSENT, off},
    read,
};

/// Most types that are looked at; a kernel has some tens.
const MOST_TYPES: usize = 256;
/// Most superblocks that are looked at. The verifier walks each step of a loop.
const MOST_SUPERBLOCKS: u64 = 1024;
/// `BTRFS_SUPER_MAGIC`
const MAGIC: u64 = 0x9123_683e;
/// `SB_ACTIVE`: set from the end of the mount to the begin of the unmount.
const ACTIVE: u64 = 1 << 30;
/// "btrfs" and its NUL.
const NAME: u64 = u64::from_le_bytes(*b"btrfs\0\0\0");
const NAME_MASK: u64 = 0xffff_ffff_ffff;

/// Arguments: a file descriptor of the calling process on `/proc`. Returns the address of btrfs' `file_system_type`; 0 if it was not
/// found. Low and high half are asked for one by one: the second argument says which (0, 1).
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/audit_type")]
pub extern "C" fn audit_type(ctx: *mut c_void) -> u32 {
    let ctx = RawTracePointContext::new(ctx);
    let (fd, half): (u64, u64) = (ctx.arg(0), ctx.arg(1));
    // SAFETY: plain helper.
    let task = unsafe { bpf_get_current_task() };
    let files: u64 = read::at(task, off!(task_files));
    let table: u64 = read::at(files, off!(files_fdt));
    let most: u32 = read::at(table, off!(fdtable_max_fds));
    if fd >= u64::from(most) {
        return 0;
    }
    let slots: u64 = read::at(table, off!(fdtable_fd));
    let file: u64 = read::at(slots.wrapping_add(fd * 8), 0);
    let inode: u64 = read::at(file, off!(file_f_inode));
    let sb: u64 = read::at(inode, off!(vfs_i_sb));
    let mut of: u64 = read::at(sb, off!(sb_s_type));
    for _ in 0..MOST_TYPES {
        if of == 0 {
            break;
        }
        let name: u64 = read::at(of, off!(fs_type_name));
        if read::at::<u64>(name, 0) & NAME_MASK == NAME {
            return if half == 0 { of as u32 } else { (of >> 32) as u32 };
        }
        of = read::at(of, off!(fs_type_next));
        if of != 0 && off!(fs_type_list) != ABSENT {
            of = of.wrapping_sub(off!(fs_type_list) as u64);
        }
    }
    0
}

/// Arguments: address of a `file_system_type` of btrfs, and how many superblocks to skip. Meets one filesystem and sends its levels.
/// Returns 0 if there are no more superblocks, 1 if the filesystem is left out or not mounted, 2 if it was met.
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/audit_mounted")]
pub extern "C" fn audit_mounted(ctx: *mut c_void) -> u32 {
    let ctx = RawTracePointContext::new(ctx);
    let Some(run) = Run::begin(HookId::AuditMounted, &ctx) else { return 0 };
    let (of, skip): (u64, u64) = (ctx.arg(0), ctx.arg(1));
    let mut node: u64 = read::at(of, off!(fs_type_fs_supers));
    for at in 0..MOST_SUPERBLOCKS {
        if node == 0 || at >= skip {
            break;
        }
        node = read::at(node, 0);
    }
    if node == 0 {
        return 0;
    }
    let sb = node.wrapping_sub(off!(sb_s_instances) as u64);
    let flags: u64 = read::at(sb, off!(sb_s_flags));
    let magic: u64 = read::at(sb, off!(sb_s_magic));
    let fs_info: u64 = read::at(sb, off!(sb_s_fs_info));
    if magic != MAGIC || flags & ACTIVE == 0 || read::at::<u64>(fs_info, off!(fs_sb)) != sb {
        return 1;
    }
    // The unmount of one that is unmounted just now has been seen, or will be.
    let Some(fs) = cells::fs_id(&run, fs_info) else { return 1 };
    if cells::fs_dying(fs) {
        return 1;
    }
    levels::send(&run, &levels::Ask { fs, why: LEVELS_AUDIT, fs_info, changing: 0, after: 0 });
    2
}
