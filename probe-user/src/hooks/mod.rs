//! The hooks: which exist, which this kernel offers and why not the others, how they are attached and detached.
//!
//! Policy: a hook whose offsets cannot be resolved or whose tracepoint this kernel does not have is left out with
//! the reason; a hook that the books need and that is missing makes the verdict inconclusive, never wrong.
//! Hooks that open accounts are attached after those that close them. Nothing is pinned: however the process ends, the
//! kernel detaches every hook. A killed process leaves only names of events in tracefs (`returns`); they do nothing, and the
//! next session with kprobes removes them.
mod attach;
mod audit;
mod bpf;
mod calls;
pub mod catalogue;
mod diagnostics;
mod error;
mod fdinfo;
mod fentry;
pub mod functions;
mod links;
mod mapped;
mod maps;
pub mod means;
pub mod plan;
mod probe;
mod returns;
mod run_time;
mod sections;
pub mod tickets;
mod tracepoints;

pub use audit::{InodeTarget, Inodes};
pub use diagnostics::Diagnostics;
pub use error::{AttachError, SEE_DOCTOR};
pub use fentry::TypesOf;
pub use maps::{ChainLevel, HookCounts};
pub use probe::{Probe, ProbeOptions};
pub use run_time::{RunTime, run_time_is_measured};
