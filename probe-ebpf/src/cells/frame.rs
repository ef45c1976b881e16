//! Calls of hooked functions that a thread is in, outermost first.
//!
//! A return is paired with its entry by hook and height on the stack, never by order alone: a return that the kernel could
//! not catch leaves a frame behind, which the next entry or return at its height gives away. What the height is depends on
//! the kind of hook (`hooks/functions/context.rs`); those of both kinds compare.
//!
//! Equal heights need care, since compilers end a function by jumping to another: between kprobes the second begins where
//! the first began, and both are open. Its return address is then the trampoline that the first one's return probe put there.
//!
//! What walks over the calls is global functions for the verifier: see [`Run::number`].
use probe_common::{
    call::{CALL_TREE_TORN, MAX_DEPTH},
    loss::LossClass,
    table::FRAMES as SHAPE,
};

use super::slot::claim;
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
    /// Below that of every call that is still open, or equal to it where that one jumped to this one.
    pub height: u64,
    /// Where it was called from; 0 if that cannot be seen.
    pub caller: u64,
    /// Another watched call can have jumped to it without leaving its own height.
    pub jumped: bool,
}

/// A thread has no room for its calls: none of them can be followed.
pub const NONE: u32 = u32::MAX;

/// Where the current thread's frames are.
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

/// Room for the calls of a thread that has none, with no open call, whatever the thread before it there left.
#[inline(always)]
pub fn take(tid: u64) -> u32 {
    if config!(functions) == 0 {
        return NONE;
    }
    for probe in 0..SHAPE.probes {
        let slot = SHAPE.slot_of_tid(tid, probe);
        let Some(frames) = FRAMES.get_ptr_mut(slot) else { return NONE };
        // SAFETY: an array entry stays; after the claim it is this thread's alone. One that has its id is its own: what
        // gave it back was missed.
        unsafe {
            let owner = (*frames).owner;
            if owner == tid || (owner == 0 && claim(&raw mut (*frames).owner, 0, tid)) {
                (*frames).depth = 0;
                (*frames).serial = 0;
                return slot;
            }
        }
    }
    NONE
}

/// The thread is dead.
#[inline(always)]
pub fn give_back(slot: u32) {
    if config!(functions) != 0
        && slot != NONE
        && let Some(frames) = FRAMES.get_ptr_mut(slot)
    {
        // SAFETY: an array entry stays; nobody else had it.
        unsafe { (*frames).owner = 0 };
    }
}

/// The frame at a depth.
///
/// Never inlined: the compiler would fold the mask into sums around it, and the verifier could not see its bounds.
#[inline(never)]
fn at(frames: *mut Frames, depth: u32) -> *mut Frame {
    // SAFETY: masked to the array's length; an array entry stays.
    unsafe { (&raw mut (*frames).frames).cast::<Frame>().add((depth & (MAX_DEPTH - 1)) as usize) }
}

/// Open calls. Read anew each time, and steps over them are written out one by one: the verifier loses its way where
/// the compiler counts in terms of a number that came from a map.
#[inline(always)]
fn depth(frames: *mut Frames) -> u32 {
    // SAFETY: the frames are this thread's.
    unsafe { (&raw const (*frames).depth).read_volatile() }
}

/// The `inner`th call from the innermost one, if there are as many.
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

/// Up to [`MAX_DEPTH`] steps, until one says that it was the last.
macro_rules! steps {
    ($step:expr) => {
        #[allow(unused_mut, reason = "some steps count")]
        let mut step = $step;
        let _ = step() || step() || step() || step() || step() || step() || step() || step();
    };
}

/// Gives the innermost call away: it has returned, unseen.
#[inline(never)]
fn give_away(run: &Run, frames: *mut Frames) {
    run.lost(LossClass::MissedReturn);
    // SAFETY: the frames are this thread's.
    unsafe {
        (*frames).depth = depth(frames).saturating_sub(1);
        if let Some(outer) = top(frames) {
            (*outer).flags |= CALL_TREE_TORN;
        }
    }
}

/// Gives away what must have returned, since a call begins at this height.
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

/// Gives away what must have returned, since the call of this hook that began at this height returns.
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
    // Of calls at the same height, each jumped to the next. If the one that returns is among them, those that it jumped
    // to have returned before.
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

/// Room for a call that begins at this place, its serial and parent filled in; it counts once [`commit`] was called.
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
        let (mut parent, mut caller) = (0, position.caller);
        if let Some(outer) = top(frames) {
            parent = (*outer).serial;
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
        (*frame).hook = run.hook;
        (*frame).height = position.height;
        (*frame).caller = caller;
        Some(frame)
    }
}

/// The frame of [`begin`] before [`commit`].
#[inline(always)]
pub fn begun(frames: *mut Frames) -> *mut Frame {
    at(frames, depth(frames))
}

/// The call that [`begin`] made room for is open from now on.
#[inline(always)]
pub fn commit(frames: *mut Frames) {
    // SAFETY: the frames are this thread's.
    unsafe { (*frames).depth = (depth(frames) + 1).min(MAX_DEPTH) };
}

/// The open call of this hook that began at this height and returns. Calls inside it whose return was missed are given
/// away.
#[inline(always)]
pub fn returning(run: &Run, task: *mut TaskCell, frames: *mut Frames, entered: u64) -> Option<*mut Frame> {
    calls_settle_return(run.number(), slot(task), entered);
    if is_at(frames, 0, run.hook, entered) { top(frames) } else { None }
}

/// Whether the `inner`th call from the innermost one is this.
#[inline(always)]
fn is_at(frames: *mut Frames, inner: u32, hook: u32, entered: u64) -> bool {
    // SAFETY: the frames are this thread's.
    from_top(frames, inner).is_some_and(|call| unsafe { (*call).height == entered && (*call).hook == hook })
}

/// Ends the innermost call; what it changed of the inode counts for the next one around it on the same inode.
#[inline(always)]
pub fn end(task: *mut TaskCell, frames: *mut Frames) {
    // SAFETY: the frames are this thread's.
    unsafe {
        let Some(inner) = top(frames) else { return };
        let (inode, changes, releases) = ((*inner).inode, (*inner).own_changes, (*inner).own_releases);
        (*frames).depth = depth(frames).saturating_sub(1);
        if changes != 0 {
            calls_pass_on(slot(task), inode, changes, releases);
        }
    }
}

/// The innermost open call on this inode has these changes by its own thread.
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

/// The inode of the innermost open call on this root and number; 0 if there is none.
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
