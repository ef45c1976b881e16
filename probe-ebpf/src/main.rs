//! Kernel side of btrfs-probe: one raw tracepoint program per hook, grouped by subsystem under `hooks/`.
//!
//! Policy: a program does only what the books need. Events of ignored types are dropped before any other work. Chains are
//! checked here; a link that fits is only counted. Every record leaves through `emit.rs`, which counts those that find no
//! room. Only `diagnose.rs` makes log lines (`-vv`). Struct offsets come from the user side (`globals.rs`); no struct layout
//! is compiled in.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![allow(internal_features, reason = "BPF has atomics, but core offers them only through intrinsics there")]

mod cells;
mod diagnose;
mod emit;
mod extent_bits;
mod globals;
mod hooks;
mod layout;
mod maps;
mod read;
mod stack;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier rejects any program that can reach this.
    loop {}
}

/// The kernel offers the helpers we need to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
