//! btrfs-probe: follows every btrfs space reservation from reserve to free on a live kernel.
//!
//! Data flows one way: `kernel`, `hooks` -> [`capture`] -> [`ledger`] -> `report`. See ARCHITECTURE.md.
pub mod capture;
pub mod ledger;
pub mod workload;
