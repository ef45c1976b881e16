//! The context of a program, and how it shows the call for which the program runs.
//!
//! One program body serves both kinds of hook, kprobe and fentry, and both machines, x86-64 and arm64. This file alone knows how
//! they differ: offsets of registers are constants of the loaded object, so the verifier removes what the other machine needs.
//!
//! Heights order the open calls of a thread, which may mix both kinds. The height of a kprobe is the stack pointer at the
//! entry: on x86-64 the return address lies there, on arm64 it is in a register. The height of a fentry program is its context, which `arch_prepare_bpf_trampoline()` puts on the
//! stack between the call of the trampoline and the function's own frame: below all calls that are still open, above all
//! that the function calls or jumps to. Entry and exit run in one trampoline and get the same context.
use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_func_arg, bpf_get_func_arg_cnt, bpf_get_func_ip, bpf_get_func_ret},
    programs::{ProbeContext, RetProbeContext},
};
use probe_common::signature::NO_ARG;

use crate::{
    cells::frame::StackPosition,
    globals::{ABSENT, config, off},
    read,
};

/// A context at the entry of a function.
pub trait Entry: EbpfContext {
    /// Wraps the context that the kernel passed to the program.
    fn of(ctx: *mut c_void) -> Self;
    /// An argument by position, from 0; 0 for [`NO_ARG`].
    fn argument(&self, position: u8) -> u64;
    /// Where the call is.
    fn position(&self) -> StackPosition;
    /// Address of the function.
    fn function(&self) -> u64;
}

/// A context at the return of a function.
pub trait Exit: EbpfContext {
    /// Wraps the context that the kernel passed to the program.
    fn of(ctx: *mut c_void) -> Self;
    /// The height of the call's [`StackPosition`].
    fn height(&self) -> u64;
    /// The return value register. Its upper part is undefined if the function returns a smaller type.
    fn value(&self) -> u64;
    /// The address that must replace the innermost frame of a stack taken here; 0 if no frame is wrong.
    fn innermost(&self, function: u64) -> u64;
}

/// Whether a call leaves its return address in a register (arm64), not on the stack (x86-64).
#[inline(always)]
fn has_link() -> bool {
    off!(regs_link) != ABSENT
}

/// The stack pointer. On x86-64 it points to the return address at an entry, and one word above at a return.
#[inline(always)]
fn stack_pointer(ctx: *mut c_void) -> u64 {
    read::at(ctx as u64, off!(regs_sp))
}

impl Entry for ProbeContext {
    #[inline(always)]
    fn of(ctx: *mut c_void) -> Self {
        Self::new(ctx)
    }

    /// Read as memory: the verifier does not let a program read its context at a computed offset.
    #[inline(always)]
    fn argument(&self, position: u8) -> u64 {
        let ctx = self.as_ptr();
        match position {
            0 => read::at(ctx as u64, off!(regs_arg0)),
            1 => read::at(ctx as u64, off!(regs_arg1)),
            2 => read::at(ctx as u64, off!(regs_arg2)),
            3 => read::at(ctx as u64, off!(regs_arg3)),
            4 => read::at(ctx as u64, off!(regs_arg4)),
            5 => read::at(ctx as u64, off!(regs_arg5)),
            NO_ARG => 0,
            6 if has_link() => read::at(ctx as u64, off!(regs_arg6)),
            7 if has_link() => read::at(ctx as u64, off!(regs_arg7)),
            _ if has_link() => read::at(stack_pointer(ctx), (position as usize - 8) * 8),
            // On the stack, above the return address.
            _ => read::at(stack_pointer(ctx), (position as usize - 5) * 8),
        }
    }

    #[inline(always)]
    fn position(&self) -> StackPosition {
        let height = stack_pointer(self.as_ptr());
        let caller =
            if has_link() { read::at(self.as_ptr() as u64, off!(regs_link)) } else { read::at(height, 0) };
        StackPosition { height, caller, jumped: caller == config!(return_trampoline) }
    }

    #[inline(always)]
    fn function(&self) -> u64 {
        read::at(self.as_ptr() as u64, off!(regs_ip))
    }
}

impl Exit for RetProbeContext {
    #[inline(always)]
    fn of(ctx: *mut c_void) -> Self {
        Self::new(ctx)
    }

    #[inline(always)]
    fn height(&self) -> u64 {
        let height = stack_pointer(self.as_ptr());
        // `arch_rethook_trampoline_callback()` gives the stack pointer as `ret` left it: one word above, on x86-64.
        if has_link() { height } else { height.wrapping_sub(8) }
    }

    #[inline(always)]
    fn value(&self) -> u64 {
        // The register of the first argument has the result.
        if has_link() { read::at(self.as_ptr() as u64, off!(regs_arg0)) } else { self.ret() }
    }

    /// The function has left the stack; the trampoline of its return probe is there instead.
    #[inline(always)]
    fn innermost(&self, function: u64) -> u64 {
        function
    }
}

/// The context of a fentry or fexit program. Helpers give arguments and return value (5.17 on).
#[derive(Clone, Copy)]
pub struct Traced(*mut c_void);

impl EbpfContext for Traced {
    #[inline(always)]
    fn as_ptr(&self) -> *mut c_void {
        self.0
    }
}

impl Entry for Traced {
    #[inline(always)]
    fn of(ctx: *mut c_void) -> Self {
        Self(ctx)
    }

    #[inline(always)]
    fn argument(&self, position: u8) -> u64 {
        let mut value = 0;
        if position != NO_ARG {
            // SAFETY: the helper writes the value, or nothing where the function has fewer arguments.
            unsafe { bpf_get_func_arg(self.0, u32::from(position), &raw mut value) };
        }
        value
    }

    /// The trampoline of the function that jumps calls the function that it jumps to, so no two open calls share a height.
    #[inline(always)]
    fn position(&self) -> StackPosition {
        StackPosition { height: height(self.0), caller: caller(self.0), jumped: false }
    }

    #[inline(always)]
    fn function(&self) -> u64 {
        // SAFETY: plain helper.
        unsafe { bpf_get_func_ip(self.0) }
    }
}

impl Exit for Traced {
    #[inline(always)]
    fn of(ctx: *mut c_void) -> Self {
        Self(ctx)
    }

    #[inline(always)]
    fn height(&self) -> u64 {
        height(self.0)
    }

    #[inline(always)]
    fn value(&self) -> u64 {
        let mut value = 0;
        // SAFETY: the helper writes the value; it cannot fail in a fexit program.
        unsafe { bpf_get_func_ret(self.0, &raw mut value) };
        value
    }

    /// The trampoline stands between the function and its caller, and returns into the function.
    #[inline(always)]
    fn innermost(&self, _function: u64) -> u64 {
        0
    }
}

/// The address of a context as a number. The verifier rejects a pointer as argument of a global function, but takes what a
/// helper read from memory for a number.
#[inline(always)]
fn height(ctx: *mut c_void) -> u64 {
    let address = ctx as u64;
    read::at(&raw const address as u64, 0)
}

/// Words above the arguments that are searched.
const WORDS: usize = 6;
/// On arm64, words above the arguments that are not searched: of the registers that the trampoline saves, two at least. Then
/// come the function's address and a frame pointer, and only then the return address.
const SAVED: u64 = 2;
/// A function calls its trampoline within this many bytes of its start: `endbr64` and a call, with room to spare; on arm64
/// `bti`, a move and a call.
const SITE: u64 = 16;

/// Return address of the function; 0 if it cannot be seen.
///
/// No helper gives it, and the layout of a trampoline's stack is the kernel's affair, so we find it by content. The
/// function calls its trampoline first of all. So above the arguments there is an address just behind the function's
/// start, and in the next word the return address of the function. Where calls leave nothing on the stack, we find
/// nothing. The address only selects the representative stack of a call; no rule depends on it.
///
/// A function of its own: here the verifier merges its several paths into one.
#[inline(never)]
fn caller(ctx: *mut c_void) -> u64 {
    let mut words = [0u64; WORDS];
    // SAFETY: plain helpers on the context.
    let (function, arguments) = unsafe { (bpf_get_func_ip(ctx), bpf_get_func_arg_cnt(ctx)) };
    // The mask bounds the distance from the context for the verifier; trampolines take at most twelve arguments.
    let above = (arguments as u64 & 0xf) * 8 + if has_link() { SAVED * 8 } else { 0 };
    // SAFETY: the array has that room.
    unsafe { read::into(&raw mut words, ctx as u64 + above, 0) };
    let mut caller = 0;
    for word in (0..WORDS - 1).rev() {
        if words[word].wrapping_sub(function).wrapping_sub(1) < SITE {
            caller = if has_link() { words[(word + 2).min(WORDS - 1)] } else { words[word + 1] };
        }
    }
    caller
}
