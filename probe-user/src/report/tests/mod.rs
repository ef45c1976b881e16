//! Reports made of known data: snapshots of every format, and the rules of verdict and fingerprint.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]
mod against;
mod data;
mod draws;
mod examples;
mod formats;
mod groups;
mod html;
mod kernel_lines;
mod known;
mod mail;
mod policy;
mod trace;
mod warnings;
mod write;
