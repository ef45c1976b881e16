//! The name of an inode from its dentries, once per inode and only for inodes that come back: a name costs more
//! than a record, and most inodes of a busy filesystem live for one write.
use aya_ebpf::helpers::bpf_probe_read_kernel_str_bytes;
use probe_common::{
    cell::{INODE_NAMED, InodeCell},
    header::RecordKind,
    inode::Name,
    loss::LossClass,
};

use crate::{emit::Run, globals::off, read};

/// Reservation of an inode at which it gets its name.
pub const AT_RESERVE: u32 = 3;

/// Sends the name of an inode whose identity was checked.
#[inline(never)]
pub fn send(run: &Run, cell: *mut InodeCell, inode: u64, ino: u64) {
    // SAFETY: a live entry; the flag is set once and a race costs a second record.
    let (fs, root) = unsafe {
        if (*cell).flags & INODE_NAMED != 0 {
            return;
        }
        (*cell).flags |= INODE_NAMED;
        ((*cell).fs, (*cell).root)
    };
    let first: u64 = read::at(inode, off!(inode_vfs_inode) + off!(vfs_i_dentry));
    if first == 0 {
        return;
    }
    run.emit::<Name>(RecordKind::Name, LossClass::Descriptive, fs, |record| {
        let mut dentry = first.wrapping_sub(off!(dentry_d_alias) as u64);
        // SAFETY: the ring gave this room; the helper checks the addresses and writes at most a component.
        unsafe {
            (*record).root = root;
            (*record).ino = ino;
            for index in 0..4 {
                (*record).components[index] = [0; 48];
                let parent: u64 = read::at(dentry, off!(dentry_d_parent));
                // The root of the filesystem is its own parent.
                if dentry != 0 && parent != dentry && parent != 0 {
                    let name: u64 = read::at(dentry, off!(dentry_d_name_name));
                    let _ =
                        bpf_probe_read_kernel_str_bytes(name as *const u8, &mut (*record).components[index]);
                    dentry = parent;
                } else {
                    dentry = 0;
                }
            }
        }
    });
}
