//! The live screen: what it shows, and what keys do to it.
//!
//! Three parts that do not mix. `watch` follows the stream beside the ledger and keeps what a screen needs and the books do
//! not have: rates, histories, the last tickets. A [`picture::Picture`] is plain data of one moment, made from ledger and
//! watch. `state` is what the user selected: page, sort order, filter, selection. Only keys change it, and all keys are in
//! one table, [`keys`]. `view` draws state and picture, and nothing else: the same two always give the same screen.
//!
//! Below them, each knowing only those before it: `filter`, `page`, `palette`; `picture`, `keys`; `requests` (what
//! the screen asks of the thread that keeps the books); `drawing` (text, charts, what can be clicked); `table`;
//! `columns` (what each table shows and is sorted by). `state` stands on these, `view` on all.
//!
//! It never touches a terminal, a file or a clock (the session does), never looks up a path through a mount, and never hides
//! a loss: the header of every page shows it.
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
