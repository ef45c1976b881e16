//! The open calls of hooked functions of each thread, outermost first.
//!
//! A return is paired with its entry by hook and by height on the stack, never by order alone. A return that the kernel
//! missed leaves a frame behind; the next entry or return at that height shows that it is stale, and drops it. How a height
//! is measured depends on the kind of hook (`hooks/functions/context.rs`); heights of both kinds compare.
//!
//! Two open calls can have the same height: compilers end a function with a jump to another one, and between kprobes the
//! second then begins where the first began. Its return address is the trampoline that the first one's return probe put in.
//!
//! The functions that walk over the frames are BPF global functions: see [`Run::number`].
use probe_common::{
    call::{CALL_TREE_TORN, MAX_DEPTH},
    loss::LossClass,
    table::FRAMES as SHAPE,
};

use super::{pools, slot::claim};
use crate::{
    emit::Run,
    globals::config,
    layout::{
        frames::{Frame, Frames},
        task::TaskCell,
    },
    maps::FRAMES,
};

/// Where a call is on its thread's stack.
#[derive(Clone, Copy)]
pub struct StackPosition {
    /// Below the height of every call that is still open; equal to that of a call that jumped to this one.
    pub height: u64,
    /// Return address of the call; 0 if it cannot be seen.
    pub caller: u64,
    /// Whether another watched call can have jumped to this one, and so share its height.
    pub jumped: bool,
}

/// In place of a slot: the thread has no room for its frames, so none of its calls can be followed.
pub const NONE: u32 = u32::MAX;

/// Slot of the current thread's frames.
#[inline(always)]
pub fn slot(task: *mut TaskCell) -> u32 {
    // SAFETY: the cell is this thread's.
    unsafe { (*task).frames }
}

/// The frames of the current thread.
#[inline(always)]
pub fn of(task: *mut TaskCell) -> Option<*mut Frames> {
    FRAMES.get_ptr_mut(slot(task))
}

/// Takes frames for a thread that has none, with no open call, whatever the thread before it left there.
#[inline(always)]
pub fn take(tid: u64) -> u32 {
    if config!(functions) == 0 {
        return NONE;
    }
    for probe in 0..SHAPE.probes {
        let slot = SHAPE.slot_of_tid(tid, probe);
        let Some(frames) = FRAMES.get_ptr_mut(slot) else { return NONE };
        // SAFETY: an array entry stays; after the claim it is this thread's alone. If it already has this thread's id, it is
        // ours: the event that should have given it back was missed.
        unsafe {
            let owner = (*frames).owner;
            if owner == tid || (owner == 0 && claim(&raw mut (*frames).owner, 0, tid)) {
                (*frames).depth = 0;
                (*frames).serial = 0;
                (*frames).pool_open = 0;
                (*frames).pool_points = 0;
                (*frames).blocks_known = 0;
                return slot;
            }
        }
    }
    NONE
}

/// Frees the frames of a dead thread.
#[inline(always)]
pub fn give_back(slot: u32) {
    if config!(functions) != 0
        && slot != NONE
        && let Some(frames) = FRAMES.get_ptr_mut(slot)
    {
        // SAFETY: an array entry stays; nobody else had it.
        unsafe {
            if (*frames).pool_open != 0 {
                // The return of its last call was missed.
                if let Some(last) = top(frames) {
                    pools::close(frames, last);
                }
                (*frames).pool_open = 0;
            }
            (*frames).owner = 0;
        }
    }
}

/// The frame at a depth.
///
/// Never inlined: the compiler would fold the mask into the sums around it, and the verifier could not see the bounds.
#[inline(never)]
fn at(frames: *mut Frames, depth: u32) -> *mut Frame {
    // SAFETY: masked to the array's length; an array entry stays.
    unsafe { (&raw mut (*frames).frames).cast::<Frame>().add((depth & (MAX_DEPTH - 1)) as usize) }
}

/// Number of open calls. Read anew each time, and loops over them are unrolled: where the compiler counts by a number
/// that came from a map, the verifier cannot see the bounds.
#[inline(always)]
fn depth(frames: *mut Frames) -> u32 {
    // SAFETY: the frames are this thread's.
    unsafe { (&raw const (*frames).depth).read_volatile() }
}

/// The `inner`th call, counted from the innermost one, if there are as many.
#[inline(always)]
fn from_top(frames: *mut Frames, inner: u32) -> Option<*mut Frame> {
    let depth = depth(frames);
    if depth <= inner { None } else { Some(at(frames, depth - 1 - inner)) }
}

/// The innermost call, if there is one.
#[inline(always)]
pub fn top(frames: *mut Frames) -> Option<*mut Frame> {
    from_top(frames, 0)
}

/// Subvolume and inode number of the innermost open call on this filesystem that is about an inode; zeroes if there is none.
/// The frames may be another thread's, and change meanwhile.
#[inline(always)]
pub fn subject(frames: *mut Frames, fs: u32) -> (u64, u64) {
    let mut found = (0, 0);
    for index in 0..MAX_DEPTH {
        if index < depth(frames) {
            // SAFETY: an array entry stays.
            unsafe {
                let frame = at(frames, index);
                if (*frame).fs == fs && (*frame).ino != 0 {
                    found = ((*frame).root, (*frame).ino);
                }
            }
        }
    }
    found
}

/// Repeats up to [`MAX_DEPTH`] times, until a step says that it was the last.
macro_rules! steps {
    ($step:expr) => {
        #[allow(unused_mut, reason = "some steps count")]
        let mut step = $step;
        let _ = step() || step() || step() || step() || step() || step() || step() || step();
    };
}

/// Drops the innermost call, whose return was missed.
#[inline(never)]
fn give_away(run: &Run, frames: *mut Frames) {
    run.lost(LossClass::MissedReturn);
    if let Some(missed) = top(frames) {
        pools::close(frames, missed);
    }
    // SAFETY: the frames are this thread's.
    unsafe {
        (*frames).depth = depth(frames).saturating_sub(1);
        if let Some(outer) = top(frames) {
            (*outer).flags |= CALL_TREE_TORN;
        }
    }
}

/// Drops the calls that must have returned, since a new call begins at this height.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn calls_settle_entry(run: u32, slot: u32, begun: u64, jumped: u32) -> u64 {
    let (Some(run), Some(frames)) = (Run::numbered(run), FRAMES.get_ptr_mut(slot)) else { return 0 };
    steps!(|| {
        let Some(last) = top(frames) else { return true };
        // SAFETY: the frames are this thread's.
        let height = unsafe { (*last).height };
        // The stack grows down: a call that is still open lies higher, or has jumped to this one.
        if height > begun || (height == begun && jumped != 0) {
            return true;
        }
        give_away(&run, frames);
        false
    });
    0
}

/// Drops the calls that must have returned, since the call of this hook that began at this height now returns.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn calls_settle_return(run: u32, slot: u32, entered: u64) -> u64 {
    let (Some(run), Some(frames)) = (Run::numbered(run), FRAMES.get_ptr_mut(slot)) else { return 0 };
    steps!(|| {
        let Some(last) = top(frames) else { return true };
        // SAFETY: the frames are this thread's.
        if unsafe { (*last).height } >= entered {
            return true;
        }
        give_away(&run, frames);
        false
    });
    // Calls at the same height have each jumped to the next one. If the returning call is among them, those after it
    // have returned before.
    if is_at(frames, 0, run.hook, entered) {
        return 0;
    }
    if is_at(frames, 1, run.hook, entered) {
        give_away(&run, frames);
    } else if is_at(frames, 2, run.hook, entered) {
        give_away(&run, frames);
        give_away(&run, frames);
    }
    0
}

/// Makes room for a call that begins here, with its serial and parent filled in. The call counts after [`commit`] only.
#[inline(always)]
pub fn begin(
    run: &Run,
    task: *mut TaskCell,
    frames: *mut Frames,
    position: StackPosition,
) -> Option<*mut Frame> {
    calls_settle_entry(run.number(), slot(task), position.height, u32::from(position.jumped));
    let depth = depth(frames);
    // SAFETY: the frames are this thread's.
    unsafe {
        if depth >= MAX_DEPTH {
            run.lost(LossClass::CallFrame);
            (*at(frames, MAX_DEPTH - 1)).flags |= CALL_TREE_TORN;
            return None;
        }
        let (mut parent, mut around, mut caller) = (0, 0, position.caller);
        if let Some(outer) = top(frames) {
            (parent, around) = ((*outer).serial, (*outer).hook);
            if (*outer).height == position.height {
                caller = (*outer).function;
            }
        }
        let serial = ((*frames).serial.wrapping_add(1)).max(1);
        (*frames).serial = serial;
        let frame = at(frames, depth);
        let words = frame.cast::<u64>();
        for word in 0..size_of::<Frame>() / 8 {
            core::ptr::write_volatile(words.add(word), 0);
        }
        (*frame).serial = serial;
        (*frame).parent = parent;
        (*frame).around = around;
        (*frame).hook = run.hook;
        (*frame).height = position.height;
        (*frame).caller = caller;
        Some(frame)
    }
}

/// The frame between [`begin`] and [`commit`].
#[inline(always)]
pub fn begun(frames: *mut Frames) -> *mut Frame {
    at(frames, depth(frames))
}

/// Opens the call for which [`begin`] made room.
#[inline(always)]
pub fn commit(frames: *mut Frames) {
    // SAFETY: the frames are this thread's.
    unsafe { (*frames).depth = (depth(frames) + 1).min(MAX_DEPTH) };
}

/// The open call of this hook that began at this height and now returns. Drops the calls inside it whose return was missed.
#[inline(always)]
pub fn returning(run: &Run, task: *mut TaskCell, frames: *mut Frames, entered: u64) -> Option<*mut Frame> {
    calls_settle_return(run.number(), slot(task), entered);
    if is_at(frames, 0, run.hook, entered) { top(frames) } else { None }
}

/// Whether the `inner`th call, counted from the innermost one, is of this hook and height.
#[inline(always)]
fn is_at(frames: *mut Frames, inner: u32, hook: u32, entered: u64) -> bool {
    // SAFETY: the frames are this thread's.
    from_top(frames, inner).is_some_and(|call| unsafe { (*call).height == entered && (*call).hook == hook })
}

/// Ends the innermost call. Its changes of the inode are added to the next call around it on the same inode.
#[inline(always)]
pub fn end(task: *mut TaskCell, frames: *mut Frames) {
    // SAFETY: the frames are this thread's.
    unsafe {
        let Some(inner) = top(frames) else { return };
        let (inode, changes, releases) = ((*inner).inode, (*inner).own_changes, (*inner).own_releases);
        if (*inner).pools != 0 {
            pools::close(frames, inner);
        }
        (*frames).depth = depth(frames).saturating_sub(1);
        if changes != 0 {
            calls_pass_on(slot(task), inode, changes, releases);
        }
    }
}

/// Adds these changes by the current thread to the innermost open call on this inode.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn calls_pass_on(slot: u32, inode: u64, changes: u32, releases: u32) -> u64 {
    let Some(frames) = FRAMES.get_ptr_mut(slot) else { return 0 };
    let mut inner = 0;
    steps!(|| {
        let Some(call) = from_top(frames, inner) else { return true };
        inner += 1;
        // SAFETY: the frames are this thread's.
        unsafe {
            if (*call).inode != inode {
                return false;
            }
            (*call).own_changes = (*call).own_changes.wrapping_add(changes);
            (*call).own_releases = (*call).own_releases.wrapping_add(releases);
        }
        true
    });
    0
}

/// The inode of the innermost open call whose inode has this root and number; 0 if there is none.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn calls_inode_of(slot: u32, root: u64, ino: u64) -> u64 {
    let Some(frames) = FRAMES.get_ptr_mut(slot) else { return 0 };
    let (mut inner, mut inode) = (0, 0);
    steps!(|| {
        let Some(call) = from_top(frames, inner) else { return true };
        inner += 1;
        // SAFETY: the frames are this thread's.
        unsafe {
            if (*call).root_address != root || (*call).ino != ino {
                return false;
            }
            inode = (*call).inode;
        }
        true
    });
    inode
}
