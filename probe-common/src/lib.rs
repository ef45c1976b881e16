//! The wire contract between the kernel side (`probe-ebpf`) and the user side (`probe-user`).
//!
//! **Records.** All that the kernel side says is a record: a 24-byte [`header::Header`] and a body whose layout
//! [`header::RecordKind`] decides. The records of all CPUs go through one BPF ring buffer, so the order in the ring is the
//! order in which the programs ran. For hooks that run under a kernel lock, that is the order of the changes. A recording
//! holds the same bytes. Layouts are `repr(C)`, little endian, without implicit padding (checked by zerocopy on the user
//! side), multiples of eight bytes, and append-only: a layout that changes raises [`ABI_VERSION`].
//!
//! **Loss.** A record that finds no room is counted by [`loss::LossClass`] per CPU, and in one global counter. Every later
//! record carries the low 16 bits of that counter in [`header::Header::lost`], so a reader knows of a loss before it judges
//! the first record after it.
//!
//! **Offsets.** The kernel side contains no struct layout. The user side fills [`offsets::Offsets`] from the running
//! kernel's BTF and passes it as read-only data.
#![no_std]

pub mod call;
pub mod cell;
pub mod chain;
pub mod claim;
pub mod config;
pub mod draw;
pub mod extent;
pub mod failure;
pub mod fs;
pub mod header;
pub mod hook;
pub mod inode;
pub mod loss;
pub mod offsets;
pub mod pinned;
pub mod shortage;
pub mod signature;
pub mod space;
pub mod suite;
pub mod table;
pub mod task;
pub mod ticket;
pub mod unpinning;
pub mod wait;

/// Version of the layouts of records, [`config::Config`] and [`offsets::Offsets`].
pub const ABI_VERSION: u32 = 5;
