//! One program per hook, grouped by subsystem.
//!
//! Raw tracepoints are preferred: the kernel keeps each program only from interrupting itself, and counts the misses, while
//! perf programs on one CPU block one another. Kprobes are perf programs. They, or fentry, are used only for what no
//! tracepoint shows, the calls of the functions tier (`functions/`), and where tasks are preempted in the programs of raw
//! tracepoints (`fallback.rs`). Argument lists are those of the kernel's `TP_PROTO`.
//! The comment at each program says what differs between versions; constants from BTF decide it.
mod audit;
mod claims;
mod console;
mod draw;
mod event;
mod extent;
mod failure;
pub mod fallback;
mod flush;
mod functions;
mod grant;
mod inode;
mod levels;
mod life;
mod limit;
mod mounted;
mod name;
mod reservation;
mod reserved;
mod returned;
mod space;
mod suite;
mod ticket;
mod waiting;
mod warn;
