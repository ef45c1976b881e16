//! How the context of a program shows the call that the program runs for.
//!
//! Two kinds of hook, one body for both: what differs between them is here and nowhere else.
//!
//! Heights order the open calls of a thread, and both kinds may be mixed in one thread. A kprobe's is where the return
//! address lies. A fentry program's is its context, which `arch_prepare_bpf_trampoline()` puts on the stack between the
//! call of the trampoline and the function's own frame: below all that is still open, above all that the function calls
//! or jumps to. Entry and exit run in one trampoline and get the same context.
use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_func_arg, bpf_get_func_arg_cnt, bpf_get_func_ip, bpf_get_func_ret},
    programs::{ProbeContext, RetProbeContext},
};
use probe_common::signature::NO_ARG;

use crate::{
    cells::frame::StackPosition,
    globals::{config, off},
    read,
};

/// A context at the entry of a function.
pub trait Entry: EbpfContext {
    /// Around what the kernel handed to the program.
    fn of(ctx: *mut c_void) -> Self;
    /// An argument by position; 0 for [`NO_ARG`].
    fn argument(&self, position: u8) -> u64;
    /// Where the call is.
    fn position(&self) -> StackPosition;
    /// Address of the function.
    fn function(&self) -> u64;
}

/// A context at the return of a function.
pub trait Exit: EbpfContext {
    /// Around what the kernel handed to the program.
    fn of(ctx: *mut c_void) -> Self;
    /// The height of the call's [`StackPosition`].
    fn height(&self) -> u64;
    /// The register of return values; what lies in its upper part is the callee's affair.
    fn value(&self) -> u64;
    /// What has to take the place of the innermost frame in a stack that is taken here; 0 if all are right.
    fn innermost(&self, function: u64) -> u64;
}

/// The stack pointer: at an entry that of the return address, at a return one word above.
#[inline(always)]
fn stack_pointer(ctx: *mut c_void) -> u64 {
    read::at(ctx as u64, off!(regs_sp))
}

impl Entry for ProbeContext {
    #[inline(always)]
    fn of(ctx: *mut c_void) -> Self {
        Self::new(ctx)
    }

    /// Read as memory, since a context may not be read at an offset that is computed.
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
            // Above the return address.
            _ => read::at(stack_pointer(ctx), (position as usize - 5) * 8),
        }
    }

    #[inline(always)]
    fn position(&self) -> StackPosition {
        let height = stack_pointer(self.as_ptr());
        let caller = read::at(height, 0);
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
        // `arch_rethook_trampoline_callback()` shows the stack pointer as the `ret` left it: one word above.
        stack_pointer(self.as_ptr()).wrapping_sub(8)
    }

    #[inline(always)]
    fn value(&self) -> u64 {
        self.ret()
    }

    /// The function has left the stack, and what lies there instead is the trampoline of its return probe.
    #[inline(always)]
    fn innermost(&self, function: u64) -> u64 {
        function
    }
}

/// The context of a fentry or fexit program: arguments and return value by helpers of the kernel's (5.17).
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

    /// What was jumped to is called by the trampoline of what jumped, so that no two open calls share a height.
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
        // SAFETY: the helper writes the value; it fails in no fexit program.
        unsafe { bpf_get_func_ret(self.0, &raw mut value) };
        value
    }

    /// The trampoline stands between the function and its caller, and returns into the function.
    #[inline(always)]
    fn innermost(&self, _function: u64) -> u64 {
        0
    }
}

/// The address of a context as a number. The verifier hands no pointer to a global function as one, and takes what was read
/// from memory by a helper for a number.
#[inline(always)]
fn height(ctx: *mut c_void) -> u64 {
    let address = ctx as u64;
    read::at(&raw const address as u64, 0)
}

/// Words above the arguments that are looked at.
const WORDS: usize = 6;
/// A function calls its trampoline within this many bytes of its begin: `endbr64` and a call, with room to spare.
const SITE: u64 = 16;

/// Where the function was called from; 0 if that cannot be seen.
///
/// No helper tells, and where a trampoline keeps what is the kernel's affair, so it is found by content: the function
/// calls its trampoline first of all, so above the arguments lies an address just behind the function's begin, and right
/// above that one what the function returns to. Where calls leave nothing on the stack, nothing is found. Calls are told
/// apart by it for their representative stacks; no rule depends on it.
///
/// A function of its own, so that the verifier meets again on one way what it went through here on several.
#[inline(never)]
fn caller(ctx: *mut c_void) -> u64 {
    let mut words = [0u64; WORDS];
    // SAFETY: plain helpers on the context.
    let (function, arguments) = unsafe { (bpf_get_func_ip(ctx), bpf_get_func_arg_cnt(ctx)) };
    // The mask says to the verifier how far this can be from the context; trampolines take twelve arguments.
    let above = (arguments as u64 & 0xf) * 8;
    // SAFETY: the array has that room.
    unsafe { read::into(&raw mut words, ctx as u64 + above, 0) };
    let mut caller = 0;
    for word in (0..WORDS - 1).rev() {
        if words[word].wrapping_sub(function).wrapping_sub(1) < SITE {
            caller = words[word + 1];
        }
    }
    caller
}
