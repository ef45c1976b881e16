//! `import`: what a kernel trace with btrfs' events says of its reservations, without rights, on any machine.
//!
//! It is a checker of its own, not another source of records for the ledger. Our records say more than a line of a trace: chains are
//! checked in the kernel and sent as levels, inodes and block_rsvs come with their counters, threads with what they hold. Records
//! made of a trace would make the books claim what nobody saw. What a trace proves is little and exact: whether each change of a
//! counter found the value that the one before had left, and whether a counter went below zero.
//!
//! Pure, but for the reading of the file. Each uses only those before it: `line` (who, when, which event), `event` (its fields),
//! `chain` (one counter), `filesystem` (what one filesystem did), `model` (what is told), `seen` (all of the trace), `trace_dat` (the
//! same of trace-cmd's binary file), `build`, `input`.
//! The text and the schema are in [`crate::report::imported`].
pub mod build;
pub mod chain;
pub mod event;
pub mod filesystem;
pub mod input;
pub mod line;
pub mod model;
pub mod seen;
pub mod trace_dat;

#[cfg(test)]
mod tests;
