//! Flushes: what is done to get tickets their bytes.
use aya_ebpf::{
    helpers::{bpf_probe_read_kernel_str_bytes, generated::bpf_ktime_get_ns},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use probe_common::{
    failure::Flush,
    header::RecordKind,
    hook::HookId,
    loss::LossClass,
    shortage::FAILURE_ALL_TICKETS,
    wait::{FLUSH_BEGINS, FLUSH_PREEMPTIVE_DONE, FLUSH_STATE_DONE, FlushState},
};

use super::{event::Arguments, failure, fallback::with_fallback};
use crate::{cells, emit::Run, globals::off, read};

/// `trace_btrfs_trigger_flush(fs_info, flags, bytes, flush, reason)`: under `sinfo->lock`, with the ticket in
/// `reclaim_size`.
#[raw_tracepoint(tracepoint = "btrfs_trigger_flush")]
pub fn trigger_flush(ctx: RawTracePointContext) -> i32 {
    let Some(run) = Run::begin(HookId::TriggerFlush, &ctx) else { return 0 };
    let Some(fs) = cells::fs_id(&run, ctx.arg(0)) else { return 0 };
    let mut reason = [0u8; 24];
    // SAFETY: the helper checks the address; a reason that cannot be read stays empty.
    let _ = unsafe { bpf_probe_read_kernel_str_bytes(ctx.arg::<u64>(4) as *const u8, &mut reason) };
    flush(&run, fs, ctx.arg(1), ctx.arg(2), ctx.arg::<u64>(3) as i32, reason);
    // "preempt" is the only reason with this first letter; others are "enospc".
    let preemptive = u32::from(reason[0] == b'p');
    step(
        &run,
        ctx.arg(0),
        &Step {
            fs,
            space_flags: ctx.arg(1),
            bytes: ctx.arg(2),
            moment: FLUSH_BEGINS,
            state: 0,
            ret: 0,
            preemptive,
        },
    );
    0
}

/// `trace_btrfs_fail_all_tickets(fs_info, sinfo)`: under `sinfo->lock`.
#[raw_tracepoint(tracepoint = "btrfs_fail_all_tickets")]
pub fn fail_all_tickets(ctx: RawTracePointContext) -> i32 {
    let Some(run) = Run::begin(HookId::FailAllTickets, &ctx) else { return 0 };
    let Some(fs) = cells::fs_id(&run, ctx.arg(0)) else { return 0 };
    let space_flags: u64 = read::at(ctx.arg(1), off!(sinfo_flags));
    flush(&run, fs, space_flags, 0, -1, [0; 24]);
    failure::send(
        &run,
        &failure::Ask {
            fs,
            why: FAILURE_ALL_TICKETS,
            fs_info: ctx.arg(0),
            error: 0,
            flush: -1,
            bytes: 0,
            space_flags,
            root: 0,
            ino: 0,
            stack: 0,
        },
    );
    0
}

#[inline(always)]
fn flush(run: &Run, fs: u32, space_flags: u64, bytes: u64, flush: i32, reason: [u8; 24]) {
    run.emit::<Flush>(RecordKind::Flush, LossClass::Descriptive, fs, |record| {
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).space_flags = space_flags;
            (*record).bytes = bytes;
            (*record).flush = flush;
            (*record).reserved = 0;
            (*record).reason = reason;
        }
    });
}

with_fallback! {
    /// `trace_btrfs_flush_space(fs_info, flags, num_bytes, state, ret, for_preempt)`: in the task that flushed, when the state
    /// is over.
    "btrfs_flush_space" FlushSpace flush_space flush_space_fallback flush_space_iter state_done
}

#[inline(always)]
fn state_done(run: &Run, ctx: &impl Arguments) {
    let Some(fs) = cells::fs_id(run, ctx.arg(0)) else { return };
    step(
        run,
        ctx.arg(0),
        &Step {
            fs,
            space_flags: ctx.arg(1),
            bytes: ctx.arg(2),
            moment: FLUSH_STATE_DONE,
            state: ctx.arg(3) as i32,
            ret: ctx.arg(4) as i32,
            preemptive: u32::from(ctx.arg(5) as u8 != 0),
        },
    );
}

/// `trace_btrfs_done_preemptive_reclaim(fs_info, sinfo)`: under `sinfo->lock`.
#[raw_tracepoint(tracepoint = "btrfs_done_preemptive_reclaim")]
pub fn done_preemptive_reclaim(ctx: RawTracePointContext) -> i32 {
    let Some(run) = Run::begin(HookId::DonePreemptiveReclaim, &ctx) else { return 0 };
    let Some(fs) = cells::fs_id(&run, ctx.arg(0)) else { return 0 };
    step(
        &run,
        ctx.arg(0),
        &Step {
            fs,
            space_flags: read::at(ctx.arg(1), off!(sinfo_flags)),
            bytes: 0,
            moment: FLUSH_PREEMPTIVE_DONE,
            state: 0,
            ret: 0,
            preemptive: 1,
        },
    );
    0
}

/// What a tracepoint says of a flush.
struct Step {
    fs: u32,
    space_flags: u64,
    bytes: u64,
    moment: u32,
    state: i32,
    ret: i32,
    preemptive: u32,
}

#[inline(always)]
fn step(run: &Run, fs_info: u64, step: &Step) {
    // For the thread's name.
    let _ = cells::task_cell(run);
    let sinfo = space_info(fs_info, step.space_flags);
    run.emit::<FlushState>(RecordKind::FlushState, LossClass::Descriptive, step.fs, |record| {
        // SAFETY: the ring gave this room.
        unsafe {
            (*record).space_flags = step.space_flags;
            (*record).bytes = step.bytes;
            (*record).at = bpf_ktime_get_ns();
            (*record).moment = step.moment;
            (*record).state = step.state;
            (*record).ret = step.ret;
            (*record).preemptive = step.preemptive;
            (*record).reclaim_size =
                if sinfo == 0 { u64::MAX } else { read::at(sinfo, off!(sinfo_reclaim_size)) };
            (*record).may_use =
                if sinfo == 0 { u64::MAX } else { read::at(sinfo, off!(sinfo_bytes_may_use)) };
        }
    });
}

/// The only space_info with these flags; 0 if there is none, or several (zoned sub-groups share them).
#[inline(always)]
fn space_info(fs_info: u64, flags: u64) -> u64 {
    let head = fs_info + off!(fs_space_info) as u64;
    let mut node: u64 = read::at(head, 0);
    let mut found = 0;
    for _ in 0..4 {
        let sinfo = node.wrapping_sub(off!(sinfo_list) as u64);
        if node != 0 && node != head {
            if read::at::<u64>(sinfo, off!(sinfo_flags)) == flags {
                found = sinfo;
            }
            node = read::at(node, 0);
        }
    }
    found
}
