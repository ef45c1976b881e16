//! Kernel stacks. The key is a hash over all frames, and frames are sent once. The kernel's own stack map is not used: it
//! can drop or swap a stack on a collision.
use aya_ebpf::helpers::generated::bpf_get_stack;
use probe_common::{
    claim::ClaimType,
    config::{STACKS_ALL, STACKS_OFF},
    header::RecordKind,
    loss::LossClass,
    task::{MAX_FRAMES, STACK_FIXED_LEN},
};

use crate::{
    emit::Run,
    globals::config,
    layout::{
        frames::{Frames, ORIGINS, Origin},
        task::{CONTEXTS, TaskCell},
    },
    maps::{STACK_SCRATCH, STACKS_SENT},
};

/// The context of a thread for which a stack is kept: a slot of [`TaskCell::stacks`].
#[derive(Clone, Copy)]
pub struct Context(usize);

impl Context {
    /// Reserve or release of an inode's bytes.
    #[inline(always)]
    pub const fn delalloc(reserve: bool) -> Self {
        Self(reserve as usize)
    }

    /// A claim, made or given back.
    #[inline(always)]
    pub const fn claim(claim: ClaimType, reserve: bool) -> Self {
        Self((claim as usize & 3) * 2 + 2 + reserve as usize)
    }

    /// A draw of a tree on the global block_rsv.
    #[inline(always)]
    pub const fn draw() -> Self {
        Self(CONTEXTS - 1)
    }
}

/// A context that changes subvolume within this time, in ns, keeps its stack: the code path is the same.
const SUBVOLUME_NS: u64 = 16_000_000;

/// A stack taken at this event; 0 if stacks are off or it could not be walked.
#[inline(never)]
pub fn exact(run: &Run) -> u64 {
    if config!(stacks) == STACKS_OFF {
        return 0;
    }
    walk(run, 0)
}

/// A stack for an ordinary event: taken at this event if all stacks are wanted, else one per context, renewed from time to
/// time.
///
/// Returns the id, and whether the stack is from an earlier event.
#[inline(always)]
pub fn ordinary(run: &Run, task: *mut TaskCell, context: Context, root: u64) -> (u64, bool) {
    match config!(stacks) {
        STACKS_OFF => return (0, false),
        STACKS_ALL => return (walk(run, 0), false),
        _ => {}
    }
    let now = run.time();
    // SAFETY: the cell is this thread's.
    unsafe {
        let slot = &raw mut (*task).stacks[context.0];
        let age = now.wrapping_sub((*slot).taken);
        let renew = u64::from(config!(stack_renew_ms)) * 1_000_000;
        let keep = if (*slot).root == root { renew } else { SUBVOLUME_NS };
        if (*slot).id != 0 && age < keep {
            return ((*slot).id, true);
        }
        crate::cells::announce_task(run, task, run.pid_tgid());
        let id = walk(run, 0);
        (*slot).id = id;
        (*slot).root = root;
        (*slot).taken = now;
        (id, false)
    }
}

/// A stack for a call: as [`ordinary`], kept by function and caller.
#[inline(always)]
pub fn origin(run: &Run, task: *mut TaskCell, frames: *mut Frames, caller: u64) -> (u64, bool) {
    match config!(stacks) {
        STACKS_OFF => return (0, false),
        STACKS_ALL => return (walk(run, 0), false),
        _ => {}
    }
    let now = (run.time() >> UNIT) as u32;
    // Kernel text lies within 2 GiB, and the callers of two functions of btrfs never 32 MiB apart with the hooks' distance.
    let calls = caller as u32 ^ (run.hook as u32) << 25;
    // SAFETY: the frames are this thread's.
    unsafe {
        let slot = place(frames, calls, now);
        let renew = u64::from(config!(stack_renew_ms)) * 1_000_000 >> UNIT;
        if (*slot).id != 0 && (*slot).calls == calls && u64::from(now.wrapping_sub((*slot).taken)) < renew {
            return ((*slot).id, true);
        }
        crate::cells::announce_task(run, task, run.pid_tgid());
        let id = walk(run, 0);
        (*slot).id = id;
        (*slot).calls = calls;
        (*slot).taken = now;
        (id, false)
    }
}

/// Of times in [`Origin`].
const UNIT: u32 = 20;

/// The place of the stack of these calls: one of two, and the one whose stack is older where neither has it. With one place
/// each, half of the calls of a thread would lose their stack to other calls again and again, and a walk costs more than all
/// else that a program does.
///
/// # Safety
/// The frames are the current thread's.
#[inline(always)]
unsafe fn place(frames: *mut Frames, calls: u32, now: u32) -> *mut Origin {
    let first = (calls.wrapping_mul(0x9e37_79b1) >> 16) as usize;
    // SAFETY: the index is below the array's length.
    let at =
        |index: usize| unsafe { (&raw mut (*frames).origins).cast::<Origin>().add(index & (ORIGINS - 1)) };
    let (one, other) = (at(first), at(first ^ 1));
    // SAFETY: as above.
    unsafe {
        let older = now.wrapping_sub((*other).taken) > now.wrapping_sub((*one).taken);
        if (*one).calls != calls && ((*other).calls == calls || older) { other } else { one }
    }
}

/// The exact stack of a call that returns. `function` becomes the innermost frame if it is not 0: the function has already left
/// the stack.
#[inline(never)]
pub fn returned(run: &Run, function: u64) -> u64 {
    if config!(stacks) == STACKS_OFF {
        return 0;
    }
    walk(run, function)
}

/// `innermost` becomes the innermost frame if it is not 0.
#[inline(never)]
fn walk(run: &Run, innermost: u64) -> u64 {
    match take(run) {
        0 => 0,
        bytes => stack_walked(run.number(), bytes, innermost),
    }
}

/// Frames of a stack among which [`passes`] looks.
const NEAR: usize = 12;

/// Whether one of the innermost frames of the stack that [`take`] has walked lies in the function at `begin`: 1 or 0.
///
/// A global function: see [`Run::number`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn passes(slot: u32, begin: u64, length: u64) -> u64 {
    let Some(scratch) = STACK_SCRATCH.get_ptr_mut(slot) else { return 0 };
    for frame in 0..NEAR {
        // SAFETY: this program's scratch on this CPU; below the array's length. A return address is not the first.
        if unsafe { (*scratch).addresses[frame] }.wrapping_sub(begin).wrapping_sub(1) < length {
            return 1;
        }
    }
    0
}

/// The id of the stack that [`take`] has walked; 0 if stacks are off or there is none.
#[inline(always)]
pub fn known(run: &Run, bytes: u64) -> u64 {
    if bytes == 0 || config!(stacks) == STACKS_OFF { 0 } else { stack_walked(run.number(), bytes, 0) }
}

/// Walks the stack into this program's scratch. Returns the length of the addresses in bytes; 0 if it could not be walked.
///
/// Inlined: the verifier of 7.x takes a run that is handed on twice for one that nobody reads, and then refuses the read.
#[inline(always)]
pub fn take(run: &Run) -> u64 {
    let Some(scratch) = STACK_SCRATCH.get_ptr_mut(run.slot) else { return 0 };
    // SAFETY: this program's scratch on this CPU; the helper writes at most the array's size.
    let bytes =
        unsafe { bpf_get_stack(run.ctx, (&raw mut (*scratch).addresses).cast(), (MAX_FRAMES * 8) as u32, 0) };
    if bytes <= 0 {
        run.lost(LossClass::Stack);
        return 0;
    }
    bytes as u64
}

/// Makes the id of the stack in this program's scratch, and sends its frames if they were not sent before.
///
/// A global function: see [`Run::number`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn stack_walked(run: u32, bytes: u64, innermost: u64) -> u64 {
    let Some(run) = Run::numbered(run) else { return 0 };
    let Some(scratch) = STACK_SCRATCH.get_ptr_mut(run.slot) else { return 0 };
    // A return probe shows where the function returns to, which is its caller, or the trampoline that it returned to.
    // SAFETY: this program's scratch on this CPU.
    let above = innermost != 0 && unsafe { (*scratch).addresses[0] } != config!(return_trampoline);
    let frames = (bytes / 8 + u64::from(above)).min(MAX_FRAMES as u64);
    // SAFETY: as above.
    unsafe {
        if above {
            for frame in (1..MAX_FRAMES).rev() {
                (*scratch).addresses[frame] = (*scratch).addresses[frame - 1];
            }
        }
        if innermost != 0 {
            (*scratch).addresses[0] = innermost;
        }
        (*scratch).frames = frames;
    }
    // Over all entries, also those that the helper filled with zeroes. Without a branch the verifier walks this once, and
    // not once for each possible depth.
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for frame in 0..MAX_FRAMES {
        // SAFETY: below the array's length.
        let address = unsafe { (*scratch).addresses[frame] };
        hash = (hash ^ address).wrapping_mul(0x0000_0100_0000_01b3);
        hash ^= hash >> 29;
    }
    let id = hash | 1;
    // SAFETY: reading a map value that may be replaced, not freed, during the run.
    if unsafe { STACKS_SENT.get(&id) }.is_some() {
        return id;
    }
    let length = STACK_FIXED_LEN as u64 + frames * 8;
    // SAFETY: the scratch is one whole record.
    unsafe {
        (*scratch).id = id;
        if run.emit_bytes(RecordKind::Stack, LossClass::Stack, 0, scratch.cast(), length) {
            let _ = STACKS_SENT.insert(&id, &1, 0);
        }
    }
    id
}
