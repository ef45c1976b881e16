//! The only way to send a record: reserve, fill, submit. A record that finds no room is counted by class.
use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::{
    EbpfContext,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_smp_processor_id, bpf_jiffies64, bpf_ktime_get_ns, bpf_ringbuf_output},
    },
};
use probe_common::{
    header::{Header, RecordKind},
    hook::HookId,
    loss::LossClass,
};

use crate::{
    diagnose,
    globals::config,
    maps::{CpuCell, LOST, RING, this_cpu},
};

/// The consumer polls on a timer: a wake-up per record would be the largest cost of a tracer.
const NO_WAKEUP: u64 = 1;

/// What every program needs to know about its present run.
#[derive(Clone, Copy)]
pub struct Run {
    /// [`HookId`] as a number.
    pub hook: u32,
    /// This program's own index into arrays with one entry per hook: counters, scratch.
    pub slot: u32,
    /// This CPU's cell.
    cpu: *mut CpuCell,
    /// Context, for stack walks.
    pub ctx: *mut core::ffi::c_void,
    /// Process and thread id of the current task; 0 until [`Run::identify`].
    pid_tgid: u64,
}

impl Run {
    /// Counts the run. `None` if programs are to be empty; else it cannot happen, but the verifier demands the check.
    #[inline(always)]
    pub fn begin(hook: HookId, ctx: &impl EbpfContext) -> Option<Self> {
        Self::in_slot(hook, hook as u32, ctx)
    }

    /// [`Run::begin`] in another slot of the counters.
    #[inline(always)]
    pub fn in_slot(hook: HookId, slot: u32, ctx: &impl EbpfContext) -> Option<Self> {
        if config!(empty) != 0 {
            return None;
        }
        let cpu = this_cpu()?;
        // SAFETY: a per-CPU entry that stays; the slot belongs to this program.
        unsafe { (*cpu).hits[slot as usize] += 1 };
        Some(Self { hook: hook as u32, slot, cpu, ctx: ctx.as_ptr(), pid_tgid: 0 })
    }

    /// A run that is not counted, for a check whether there is anything to do.
    #[inline(always)]
    pub fn unseen(hook: HookId, ctx: &impl EbpfContext) -> Option<Self> {
        if config!(empty) != 0 {
            return None;
        }
        let cpu = this_cpu()?;
        Some(Self { hook: hook as u32, slot: hook as u32, cpu, ctx: ctx.as_ptr(), pid_tgid: 0 }.identify())
    }

    /// Identifies the run to a global function; see [`Run::numbered`].
    ///
    /// The verifier checks a BPF global function once per program, with unknown arguments, instead of once on each path that
    /// calls it. Attaching takes most of its time in the verifier, so code that many paths reach is a global function where
    /// possible. It has C linkage, takes numbers and returns a number.
    #[inline(always)]
    pub const fn number(&self) -> u32 {
        self.hook | self.slot << 8
    }

    /// The run behind a [`Run::number`], without its context.
    #[inline(always)]
    pub fn numbered(number: u32) -> Option<Self> {
        let cpu = this_cpu()?;
        Some(Self { hook: number & 0xff, slot: number >> 8, cpu, ctx: core::ptr::null_mut(), pid_tgid: 0 })
    }

    /// Reads the process and thread id, once for the whole run. Programs that drop most events call it after the drop.
    #[inline(always)]
    pub fn identify(mut self) -> Self {
        self.pid_tgid = bpf_get_current_pid_tgid();
        self
    }

    /// Process id in the upper half, thread id in the lower.
    #[inline(always)]
    pub fn pid_tgid(&self) -> u64 {
        if self.pid_tgid != 0 { self.pid_tgid } else { bpf_get_current_pid_tgid() }
    }

    /// Counts a loss.
    #[inline(always)]
    pub fn lost(&self, class: LossClass) {
        // SAFETY: the class is below 32; several programs of this CPU may count, so it is atomic.
        unsafe {
            atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(&raw mut (*self.cpu).lost[class as usize], 1)
        };
        diagnose::lost(self.number(), class);
    }

    /// Counts an inode that was clean at its destroy and got no record.
    #[inline(always)]
    pub fn closed(&self) {
        // SAFETY: this CPU's cell; if one program interrupts another, at worst one count is lost, on which no rule depends.
        unsafe { (*self.cpu).closed += 1 };
    }

    /// `CLOCK_MONOTONIC` in ns, as first read in the current jiffy.
    ///
    /// The order of records is the order of the ring, so time need not be finer. To read the clock for each record would
    /// cost as much as the record.
    #[inline(always)]
    pub fn time(&self) -> u64 {
        // SAFETY: plain helpers; a program that interrupts between the two stores can at worst leave a time that is one
        // jiffy old.
        unsafe {
            let jiffy = bpf_jiffies64();
            if (*self.cpu).jiffy != jiffy {
                (*self.cpu).time = bpf_ktime_get_ns();
                (*self.cpu).jiffy = jiffy;
            }
            (*self.cpu).time
        }
    }

    #[inline(always)]
    fn header(&self, kind: RecordKind, len: u16, fs: u32) -> Header {
        let lost = LOST.get(0).map_or(0, |lost| *lost as u16);
        Header {
            kind: kind as u8,
            hook: self.hook as u8,
            len,
            // SAFETY: plain helper.
            cpu: unsafe { bpf_get_smp_processor_id() } as u16,
            lost,
            tid: self.pid_tgid() as u32,
            fs,
            time: self.time(),
        }
    }

    /// Sends a record. `fill` writes the whole body in place (the header is written here).
    ///
    /// Returns false if there was no room; the loss is counted.
    #[inline(always)]
    pub fn emit<T: 'static>(
        &self,
        kind: RecordKind,
        class: LossClass,
        fs: u32,
        fill: impl FnOnce(*mut T),
    ) -> bool {
        let Some(mut entry) = RING.reserve::<T>(0) else {
            self.ring_full(class);
            return false;
        };
        let record = entry.as_mut_ptr();
        fill(record);
        // SAFETY: every record begins with its header.
        unsafe { record.cast::<Header>().write(self.header(kind, size_of::<T>() as u16, fs)) };
        entry.submit(NO_WAKEUP);
        true
    }

    /// Sends bytes of variable length that begin with a header slot.
    ///
    /// # Safety
    /// `record` points to at least `len` readable and writable bytes.
    #[inline(always)]
    pub unsafe fn emit_bytes(
        &self,
        kind: RecordKind,
        class: LossClass,
        fs: u32,
        record: *mut u8,
        len: u64,
    ) -> bool {
        // SAFETY: as promised by the caller.
        let failed = unsafe {
            record.cast::<Header>().write(self.header(kind, len as u16, fs));
            bpf_ringbuf_output(core::ptr::from_ref(&RING).cast_mut().cast(), record.cast(), len, NO_WAKEUP)
        };
        if failed != 0 {
            self.ring_full(class);
        }
        failed == 0
    }

    #[inline(never)]
    fn count_global() {
        if let Some(lost) = LOST.get_ptr_mut(0) {
            // SAFETY: the entry stays; all CPUs count.
            unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(lost, 1) };
        }
    }

    #[inline(always)]
    fn ring_full(&self, class: LossClass) {
        self.lost(class);
        Self::count_global();
    }
}
