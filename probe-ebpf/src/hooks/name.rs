//! The name of an inode from its dentries. It is sent once, and only for an inode that is used repeatedly: a name costs
//! more than a record, and most inodes of a busy filesystem live for one write.
use aya_ebpf::helpers::bpf_probe_read_kernel_str_bytes;
use probe_common::{
    cell::{INODE_NAMED, InodeCell},
    header::RecordKind,
    inode::Name,
    loss::LossClass,
};

use crate::{cells, emit::Run, globals::off, read};

/// The link (change of `outstanding_extents`) at which an inode's name is sent: a file that is written once has fewer.
pub const AT_LINK: u64 = 24;

/// Sends the name of an inode.
#[inline(never)]
pub fn send(run: &Run, cell: *mut InodeCell, root_address: u64, ino: u64) {
    // SAFETY: a live entry.
    let inode = cells::checked_pointer(unsafe { (*cell).inode }, root_address, ino);
    if inode == 0 {
        return;
    }
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
