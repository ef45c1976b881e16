//! Kernel side of btrfs-probe: one raw tracepoint program per hook, grouped by subsystem under `hooks/`.
//!
//! Policy: a program does the least that the books need. Whole types of events are dropped before any other
//! work, chains are checked here and only counted, and every record leaves through `emit.rs`, which counts what
//! finds no room. The lines of `-vv` are made in `diagnose.rs` alone. Struct offsets come from the user side
//! (`globals.rs`); nothing here knows a layout.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![allow(internal_features, reason = "BPF has atomics, but core offers them only through intrinsics there")]

mod cells;
mod diagnose;
mod emit;
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
