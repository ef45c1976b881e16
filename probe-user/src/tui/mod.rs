//! The live screen: what it shows, and what keys do to it.
//!
//! Three parts that do not mix. `watch` follows the stream beside the ledger and keeps what a screen needs and
//! the books do not: rates, histories, the last tickets. A [`picture::Picture`] is plain data of one moment, made
//! from ledger and watch. `state` is what the person at the keyboard chose: page, sort order, filter, selection; it
//! changes by keys alone, and all keys are in one table, [`keys`]. `view` draws state and picture, and nothing
//! else: the same two always give the same screen.
//!
//! Refuses to: touch a terminal, a file or a clock (that is the session's part), look up a path through a
//! mount, and hide a loss: what was missed is in the header of every page.
mod chart;
pub mod filter;
pub mod keys;
pub mod look;
pub mod picture;
pub mod state;
mod table;
pub mod view;
pub mod watch;
