//! Bugs made on purpose: a scenario arms faults in a filesystem of its own, works on it under the watch of the tool, and
//! says what the tool must have found, tier by tier. Scenarios share an attachment (`session.rs`).
//!
//! The fault module (`tests/fault/`) spoils the kernel it is loaded into, so these tests run in guests of `cargo xtask
//! vm` and nowhere else; `cargo xtask test` leaves them out elsewhere. The work of a scenario runs in
//! a process of its own, below the command of `btrfs-probe run` (`worker.rs`).
//!
//! Refuses: to say that a scenario held when no fault acted.
pub mod check;
pub mod doc;
pub mod module;
pub mod reload;
pub mod returns;
pub mod run;
pub mod scenario;
pub mod session;
pub mod shortages;
pub mod suite;
pub mod table;
pub mod work;
pub mod worker;
pub mod zoned;

/// Whether this machine is a guest that may be spoilt. `cargo xtask vm` says so.
pub fn guest() -> bool {
    let guest = std::env::var_os("BTRFS_PROBE_GUEST").is_some();
    if !guest {
        eprintln!("SKIPPED: needs a guest of cargo xtask vm");
    }
    guest
}
