//! The log of the kernel side with `-vv`: rare moments, as lines of our own log and not as records of the stream.
//!
//! The only file that logs. By default the log is off: its level is then a constant zero for the verifier, which removes
//! the code behind [`on`] from every program. A line needs much of the stack and of the verifier's budget, so each is
//! made in a global function of its own: see [`crate::emit::Run::number`].
use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::helpers::{bpf_probe_read_kernel_str_bytes, generated::bpf_get_smp_processor_id};
use aya_log_ebpf::{
    info,
    macro_support::{Level, level_enabled},
    warn,
};
use probe_common::{
    hook::{HOOK_IDS, HookId},
    loss::{LOSS_SLOTS, LossClass},
};

use crate::{
    globals::off,
    maps::{DIAGNOSED, this_cpu},
    read,
};

/// Bytes for the name of a hook or of a loss class in a line. The name is filled up with zeroes, which the user side
/// removes: for a length that is not constant, LLVM would call `memcpy`.
const HOOK_NAME: usize = 40;
const CLASS_NAME: usize = 16;

static HOOK_NAMES: [[u8; HOOK_NAME]; HOOK_IDS as usize] = {
    let mut names = [[0; HOOK_NAME]; HOOK_IDS as usize];
    let mut at = 0;
    while at < HookId::ALL.len() {
        names[HookId::ALL[at] as usize] = padded(HookId::ALL[at].name());
        at += 1;
    }
    names
};

/// What was decided about a filesystem; the index is whether it is followed.
static FATES: [[u8; 8]; 2] = [*b"left out", *b"followed"];

static CLASS_NAMES: [[u8; CLASS_NAME]; LOSS_SLOTS] = {
    let mut names = [[0; CLASS_NAME]; LOSS_SLOTS];
    let mut at = 0;
    while at < LossClass::ALL.len() {
        names[LossClass::ALL[at] as usize] = padded(LossClass::ALL[at].name());
        at += 1;
    }
    names
};

const fn padded<const N: usize>(name: &str) -> [u8; N] {
    let mut padded = [0; N];
    let mut at = 0;
    while at < name.len() {
        padded[at] = name.as_bytes()[at];
        at += 1;
    }
    padded
}

/// Whether the log is on.
#[inline(always)]
fn on() -> bool {
    level_enabled(Level::Warn)
}

/// A filesystem without an id was met: it is followed or left out.
#[inline(always)]
pub fn fs_seen(run: u32, fs_info: u64, followed: bool) {
    if on() {
        diagnose_fs(run, fs_info, u32::from(followed));
    }
}

/// The type string of `btrfs_space_reservation` at this address is unknown to the books.
#[inline(always)]
pub fn type_unknown(address: u64) {
    if on() {
        diagnose_type(address);
    }
}

/// Something was lost, and counted.
#[inline(always)]
pub fn lost(run: u32, class: LossClass) {
    if on() {
        diagnose_loss(run, class as u32);
    }
}

/// Counts a line after it was made. The user side compares this number with the lines it read: the logging itself does not
/// tell how many found no room.
#[inline(always)]
fn count() {
    if let Some(count) = DIAGNOSED.get_ptr_mut(0) {
        // SAFETY: the entry stays; all CPUs count.
        unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(count, 1) };
    }
}

#[inline(always)]
fn hook_name(run: u32) -> &'static str {
    let hook = (run & 0xff).min(HOOK_IDS - 1);
    // SAFETY: below the table's length; the names are ASCII.
    unsafe { core::str::from_utf8_unchecked(HOOK_NAMES.get_unchecked(hook as usize)) }
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn diagnose_fs(run: u32, fs_info: u64, followed: u32) -> u64 {
    if !on() {
        return 0;
    }
    let device: u32 = read::at(read::at(fs_info, off!(fs_sb)), off!(sb_s_dev));
    let id: [u8; 16] = read::at(read::at(fs_info, off!(fs_fs_devices)), off!(fs_devices_fsid));
    // SAFETY: below the table's length; the words are ASCII.
    let fate = unsafe { core::str::from_utf8_unchecked(FATES.get_unchecked(followed as usize & 1)) };
    info!(
        &(),
        target: "kernel",
        "filesystem {:x}-{:x}-{:x}-{:x}-{:x} first seen by {}, device {}:{}: {}",
        &id[..4],
        &id[4..6],
        &id[6..8],
        &id[8..10],
        &id[10..],
        hook_name(run),
        // `MINORBITS`, `include/linux/kdev_t.h`
        device >> 20,
        device & 0xf_ffff,
        fate
    );
    count();
    0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn diagnose_type(address: u64) -> u64 {
    if !on() {
        return 0;
    }
    let mut text = [0u64; 4];
    let bytes = text.as_mut_ptr().cast::<[u8; 32]>();
    // SAFETY: the helper checks the address and writes at most the length.
    let _ = unsafe { bpf_probe_read_kernel_str_bytes(address as *const u8, &mut *bytes) };
    for word in &mut text {
        // Make it ASCII whatever it was: the user side takes nothing else for text.
        *word &= 0x7f7f_7f7f_7f7f_7f7f;
    }
    // SAFETY: all of it is ASCII.
    let text = unsafe { core::str::from_utf8_unchecked(&*text.as_ptr().cast::<[u8; 32]>()) };
    warn!(&(), target: "kernel", "btrfs_space_reservation has a type that the books do not know: {}", text);
    count();
    0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn diagnose_loss(run: u32, class: u32) -> u64 {
    if !on() {
        return 0;
    }
    let class = class as usize & (LOSS_SLOTS - 1);
    // SAFETY: this CPU's cell; masked to the array's length.
    let times = this_cpu().map_or(0, |cpu| unsafe { (*cpu).lost[class & (LOSS_SLOTS - 1)] });
    // Repeated losses are logged at ever larger intervals (powers of two): a full table fails at every event.
    if times & times.wrapping_sub(1) != 0 {
        return 0;
    }
    // SAFETY: below the table's length; the names are ASCII.
    let name = unsafe { core::str::from_utf8_unchecked(CLASS_NAMES.get_unchecked(class)) };
    // SAFETY: plain helper.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    warn!(&(), target: "kernel", "lost at {}: {} ({} so far on CPU {})", hook_name(run), name, times, cpu);
    count();
    0
}
