//! The wire contract between the kernel side (`probe-ebpf`) and the user side (`probe-user`).
//!
//! **Records.** Everything the kernel side has to say is a record: a 24-byte [`header::Header`] and a body whose
//! layout is fixed by [`header::RecordKind`]. All records of all CPUs go through one BPF ring buffer, so the
//! order in the ring is the order in which the handlers ran; for hooks that run under a kernel lock that is the
//! order of the changes themselves. The recording file holds the same bytes. Layouts are `repr(C)`, little
//! endian, without implicit padding (checked by zerocopy on the user side), multiples of eight bytes, and
//! append-only: a layout that changes raises [`ABI_VERSION`].
//!
//! **Loss.** A record that finds no room is counted by [`loss::LossClass`] per CPU, and in one global counter
//! whose low 16 bits every later record carries in [`header::Header::lost`]: whoever reads the stream knows of a
//! loss before it judges the first record after it.
//!
//! **Offsets.** The kernel side never knows a struct layout: [`offsets::Offsets`] is filled by the user side from
//! the running kernel's BTF and handed over as read-only data.
#![no_std]

pub mod call;
pub mod cell;
pub mod chain;
pub mod claim;
pub mod config;
pub mod failure;
pub mod fs;
pub mod header;
pub mod hook;
pub mod inode;
pub mod loss;
pub mod offsets;
pub mod signature;
pub mod space;
pub mod suite;
pub mod table;
pub mod task;

/// Version of the record layouts and of [`config::Config`] and [`offsets::Offsets`].
pub const ABI_VERSION: u32 = 4;
