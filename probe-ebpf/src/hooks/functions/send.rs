//! A frame becomes a record.
use probe_common::{
    call::{CALL_FS_ERROR, CALL_INODE, CALL_ORDERED, CALL_RETURNED, CALL_RSV, Call},
    header::RecordKind,
    inode::Counters,
    loss::LossClass,
};

use super::{super::levels, enter::rsv_counters};
use crate::{
    cells,
    cells::frame,
    emit::Run,
    globals::{ABSENT, off},
    maps::FRAMES,
    read,
};

/// Sends the innermost call of the thread whose frames are in this slot. `more` are further flags.
///
/// A global function for the verifier: see [`Run::number`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn call_send(run: u32, slot: u32, more: u32, ret: i64) -> u64 {
    let (Some(run), Some(frames)) = (Run::numbered(run), FRAMES.get_ptr_mut(slot)) else { return 0 };
    let Some(frame) = frame::top(frames) else { return 0 };
    // SAFETY: the slot is the current thread's, and so are the frames.
    unsafe {
        let mut flags = (*frame).flags | more;
        let inode = (*frame).inode;
        let mut after = Counters::default();
        let (mut others, mut released) = (0, 0);
        if more & CALL_RETURNED != 0 {
            if flags & CALL_INODE != 0 {
                after = read::counters(inode, read::is_regular(inode));
                if off!(inode_ordered) != ABSENT && read::at::<u64>(inode, off!(inode_ordered)) != 0 {
                    flags |= CALL_ORDERED;
                }
                if let Some(cell) = cells::find_inode((*frame).root_address, (*frame).ino) {
                    others =
                        (*cell).changes.wrapping_sub((*frame).at_changes).wrapping_sub((*frame).own_changes);
                    released = (*cell)
                        .releases
                        .wrapping_sub((*frame).at_releases)
                        .wrapping_sub((*frame).own_releases);
                    // The cell gave way to another and came back meanwhile: the number of changes in between is unknown.
                    if (others as i32) < 0 || (released as i32) < 0 {
                        others = 1;
                        released = 1;
                    }
                }
            } else if flags & CALL_RSV != 0 {
                after = rsv_counters((*frame).rsv);
            }
        }
        if levels::has_error((*frame).fs_info) {
            flags |= CALL_FS_ERROR;
        }
        run.emit::<Call>(RecordKind::Call, LossClass::BooksRecord, (*frame).fs, |record| {
            (*record).serial = (*frame).serial;
            (*record).parent = (*frame).parent;
            (*record).flags = flags;
            (*record).rsv_type = (*frame).rsv_type;
            (*record).address = inode;
            (*record).root = (*frame).root;
            (*record).ino = (*frame).ino;
            (*record).rsv = (*frame).rsv;
            (*record).args[0] = (*frame).args[0];
            (*record).args[1] = (*frame).args[1];
            (*record).args[2] = (*frame).args[2];
            (*record).args[3] = (*frame).args[3];
            (*record).ret = ret;
            (*record).before = (*frame).before;
            (*record).after = after;
            (*record).extents = (*frame).extents;
            (*record).calculations = (*frame).calculations;
            (*record).csum_bytes = (*frame).csum_bytes;
            (*record).data = (*frame).data;
            (*record).metadata = (*frame).metadata;
            (*record).qgroup_data = (*frame).qgroup_data;
            (*record).others = others;
            (*record).others_released = released;
            (*record).entered = (*frame).entered;
            (*record).caller = (*frame).caller;
            (*record).stack = (*frame).stack;
            (*record).stack_representative = (*frame).stack_representative;
        });
    }
    0
}
