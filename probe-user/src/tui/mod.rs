//! The live screen: what it shows, and what keys do to it.
//!
//! Three parts that do not mix. `watch` follows the stream beside the ledger and keeps what a screen needs and
//! the books do not: rates, histories, the last tickets. A [`picture::Picture`] is plain data of one moment, made
//! from ledger and watch. `state` is what the person at the keyboard chose: page, sort order, filter, selection; it
//! changes by keys alone, and all keys are in one table, [`keys`]. `view` draws state and picture, and nothing
//! else: the same two always give the same screen.
//!
//! Below them, each knowing only those before it: `filter`, `page`, `palette`; `picture`, `keys`; `requests` (what
//! the screen asks of the thread that keeps the books); `drawing` (text, charts, what can be clicked); `table`;
//! `columns` (what each table shows and is sorted by). `state` stands on these, `view` on all.
//!
//! Refuses to: touch a terminal, a file or a clock (that is the session's part), look up a path through a
//! mount, and hide a loss: what was missed is in the header of every page.
mod columns;
mod drawing;
pub mod filter;
pub mod keys;
pub mod page;
pub mod palette;
pub mod picture;
pub mod requests;
pub mod state;
mod table;
pub mod view;
pub mod watch;
