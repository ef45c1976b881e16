//! Calls that are replaced when the kernel side is loaded.

/// Stands for `bpf_preempt_disable()`.
pub const DISABLE: i32 = 0x7ff0_b701;
/// Stands for `bpf_preempt_enable()`.
pub const ENABLE: i32 = 0x7ff0_b702;
