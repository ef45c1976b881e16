//! btrfs-probe: follows every btrfs space reservation from reserve to free on a live kernel.
//!
//! Data flows one way: [`kernel`], [`hooks`] -> [`capture`] -> [`probe_ledger`] -> [`report`]. See ARCHITECTURE.md.
pub mod attribution;
pub mod bundle;
pub mod capture;
pub mod cli;
pub mod explain;
pub mod format;
pub mod history;
pub mod hooks;
pub mod import;
pub mod kernel;
pub mod metrics;
pub mod report;
pub mod session;
pub mod symbols;
pub mod tui;
