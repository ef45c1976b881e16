//! The floor of the benchmark: what a tracer pays at least if it writes one record per event. Not part of the tool.
//!
//! It hooks what comparable tracers hook (`btrfs_space_reservation`, `btrfs_inode_mod_outstanding_extents`). Each program
//! writes a 64-byte record with a time stamp into a BPF ring buffer, without a wake-up. It decides and looks up nothing.
#![no_std]
#![no_main]

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns},
    macros::{map, raw_tracepoint},
    maps::{PerCpuArray, RingBuf},
    programs::RawTracePointContext,
};

#[map]
static RING: RingBuf = RingBuf::with_byte_size(1 << 24, 0);

/// Entry 0: records that found no room.
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

const NO_WAKEUP: u64 = 1;

#[inline(always)]
fn record(ctx: &RawTracePointContext, hook: u64) {
    let Some(mut entry) = RING.reserve::<[u64; 8]>(0) else {
        if let Some(lost) = LOST.get_ptr_mut(0) {
            // SAFETY: this CPU's entry.
            unsafe { *lost += 1 };
        }
        return;
    };
    // SAFETY: plain helper.
    let time = unsafe { bpf_ktime_get_ns() };
    entry.write([time, bpf_get_current_pid_tgid(), hook, ctx.arg(0), ctx.arg(1), ctx.arg(2), 0, 0]);
    entry.submit(NO_WAKEUP);
}

/// `trace_btrfs_space_reservation`
#[raw_tracepoint(tracepoint = "btrfs_space_reservation")]
pub fn floor_space_reservation(ctx: RawTracePointContext) -> i32 {
    record(&ctx, 1);
    0
}

/// `trace_btrfs_inode_mod_outstanding_extents`
#[raw_tracepoint(tracepoint = "btrfs_inode_mod_outstanding_extents")]
pub fn floor_mod_outstanding(ctx: RawTracePointContext) -> i32 {
    record(&ctx, 2);
    0
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel offers the helpers we need to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
