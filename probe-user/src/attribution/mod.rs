//! Which test of a test suite (xfstests) is running, on which devices, and how it ended.
//!
//! `observer` follows the signs that the kernel side sends (a script that is called by a number begins or ends; `check`
//! announces a test in the log), looks the rest up (`process`: environment and parents; `results`: what `check` left in
//! its folder), and puts what it found out into the stream as notes. `windows` makes tests of notes and is pure, so a
//! replay, a report and the screen find the same tests; `timeline` says what was missed in which of them, `overlap` what was
//! found.
//!
//! Any sign may be missing: the log may not be writable, a script may end before its environment was read. What is not
//! known is left empty. Nothing is ever opened below a mount point of a test: that can make its unmount fail.
pub mod observer;
pub mod overlap;
mod process;
mod results;
mod sign;
pub mod timeline;
pub mod windows;

pub use observer::Observer;
pub use timeline::SETTLE_NS;
pub use windows::{TestWindow, Windows};
