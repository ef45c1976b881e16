//! Read-only data that the user side sets before loading. It is frozen then, so the verifier knows every value and
//! removes the branches that this kernel does not need.
use aya_ebpf::Global;
use probe_common::{
    config::Config,
    hook::HookId,
    offsets::Offsets,
    signature::{Signature, Signatures},
};

/// Struct offsets of the running kernel.
#[unsafe(no_mangle)]
pub static OFFSETS: Global<Offsets> = Global::new(Offsets::UNKNOWN);

/// Session settings.
#[unsafe(no_mangle)]
pub static CONFIG: Global<Config> = Global::new(Config {
    abi: probe_common::ABI_VERSION,
    stacks: 1,
    stack_renew_ms: 256,
    level_ms: 256,
    stream_all: 0,
    filter_fs: 0,
    filter_fsid: [[0; 16]; 16],
    filter_ino: 0,
    filter_root: 0,
    own_pid: 0,
    functions: 0,
    fallbacks: 0,
    suite: 0,
    return_trampoline: 0,
    granting: 0,
    granting_len: 0,
    empty: 0,
});

/// Arguments of the hooked functions.
#[unsafe(no_mangle)]
pub static SIGNATURES: Global<Signatures> = Global::new(Signatures::UNKNOWN);

/// A byte of a hook's [`Signature`], by its place in it.
#[inline(always)]
pub fn signature_byte(hook: HookId, at: usize) -> u8 {
    let at = hook as usize * size_of::<Signature>() + at;
    // SAFETY: within the initialised static: hooks are below HOOK_IDS.
    unsafe { core::ptr::read_volatile(core::ptr::from_ref(&SIGNATURES).cast::<u8>().add(at)) }
}

/// The `u32` at `at` bytes into [`Offsets`]. A volatile read of one field: the whole struct would not fit the stack.
#[inline(always)]
pub fn offset_field(at: usize) -> usize {
    // SAFETY: `at` comes from `offset_of!`; `Global<T>` is `repr(transparent)` over an initialised `T`.
    (unsafe { core::ptr::read_volatile(core::ptr::from_ref(&OFFSETS).cast::<u8>().add(at).cast::<u32>()) })
        as usize
}

/// The value at `at` bytes into [`Config`].
#[inline(always)]
pub fn config_field<T: Copy>(at: usize, _of: fn(&Config) -> T) -> T {
    // SAFETY: as above; `_of` pins the field's type.
    unsafe { core::ptr::read_volatile(core::ptr::from_ref(&CONFIG).cast::<u8>().add(at).cast::<T>()) }
}

/// One offset, as a `usize`.
macro_rules! off {
    ($field:ident) => {
        $crate::globals::offset_field(core::mem::offset_of!(probe_common::offsets::Offsets, $field))
    };
}

/// One setting.
macro_rules! config {
    ($field:ident) => {
        $crate::globals::config_field(core::mem::offset_of!(probe_common::config::Config, $field), |config| {
            config.$field
        })
    };
}

/// An offset that this kernel does not have.
pub const ABSENT: usize = probe_common::offsets::ABSENT as usize;

pub(crate) use {config, off};
