//! The event of a tracepoint, as a program gets it.
//!
//! A program of a raw tracepoint gets the arguments themselves. A kprobe on `__traceiter_NAME(void *data, ...)`, the function that
//! calls the programs of a tracepoint, finds them in registers and on the stack (`fallback.rs` says why there are both).
use aya_ebpf::{
    EbpfContext as _,
    programs::{ProbeContext, RawTracePointContext},
};

use super::functions::Entry as _;
use crate::read;

/// See the module.
pub trait Arguments {
    /// An argument by position, from 0.
    fn arg(&self, position: u8) -> u64;
    /// An address on the stack of the task, below the frame of the function that made the event.
    fn stack(&self) -> u64;
}

impl Arguments for RawTracePointContext {
    #[inline(always)]
    fn arg(&self, position: u8) -> u64 {
        self.arg::<u64>(position as usize)
    }

    /// The arguments lie on the stack, in `bpf_trace_run6()` and its like.
    #[inline(always)]
    fn stack(&self) -> u64 {
        let address = self.as_ptr() as u64;
        // What a helper read from memory is a number for the verifier, as an argument of a global function has to be.
        read::at(&raw const address as u64, 0)
    }
}

impl Arguments for ProbeContext {
    #[inline(always)]
    fn arg(&self, position: u8) -> u64 {
        self.argument(position + 1)
    }

    #[inline(always)]
    fn stack(&self) -> u64 {
        self.position().height
    }
}
