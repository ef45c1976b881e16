//! Which test of a test suite (xfstests) is running, on which devices, and how it ended.
//!
//! `observer` follows the signs of the kernel side: a script whose name is a number starts or ends, or `check` announces a
//! test in the log. It reads the rest from `/proc` (`process`: environment and parents) and from what `check` left in its
//! folder (`results`), and puts it into the stream as notes. `windows` makes tests from notes and is pure, so a replay, a
//! report and the screen find the same tests. `timeline` assigns losses to tests, `overlap` assigns findings.
//!
//! Any sign may be missing: the log may not be writable, or a script may end before its environment was read. What is not
//! known stays empty. Nothing below a mount point of a test is ever opened: that can make its unmount fail.
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
