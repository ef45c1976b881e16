//! `explain`: why there is no space, from a kernel log or the output of btrfs-progs, without rights, on any machine.
//!
//! Pure, but for the reading of the text: [`input`] takes lines, [`log`] and [`usage`] put them together, [`mod@derive`] finds the
//! causes, [`sentence`] says them. [`pages`] has the pages of findings and causes.
//!
//! [`state`] makes a case of the state that the kernel side read at a failure, so that live and from a text the same rules explain it.
//!
//! Each uses only those before it: `figure`, `space`, `profile` and `usage`, `line`, `said`, `log`, `case`, `cause`, `derive`, then
//! what is said of it: `impossible`, `limits`, `qgroup`, `sentence`, `model`, `build`, `input`; and `state`. The text and the schema are in
//! [`crate::report::explanation`].
pub mod build;
pub mod case;
pub mod cause;
pub mod derive;
pub mod figure;
pub mod impossible;
pub mod input;
pub mod limits;
pub mod line;
pub mod log;
pub mod model;
pub mod pages;
pub mod profile;
pub mod qgroup;
pub mod said;
pub mod sentence;
pub mod space;
pub mod state;
pub mod usage;

#[cfg(test)]
mod tests;
