//! One program per hook, grouped by subsystem.
//!
//! Raw tracepoints: each program guards against itself alone and the kernel counts the misses, while perf programs on
//! one CPU block one another. Only what no tracepoint shows is taken from kprobes, which are perf programs: the calls of
//! the function tier (`functions/`). Argument lists are those of the kernel's `TP_PROTO`; what differs between versions
//! is said at the program and decided by constants from BTF.
mod audit;
mod claims;
mod console;
mod extent;
pub mod fallback;
mod functions;
mod inode;
mod levels;
mod life;
mod name;
mod reservation;
mod space;
mod suite;
mod ticket;
mod warn;
